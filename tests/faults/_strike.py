"""Interrupts acts on a store at every change on disk; prints a line of JSON for each interruption.

    python -m tests.faults._strike ACT SCRATCH

For every change that the uninterrupted act makes: the store is reset, a process that acts on it is killed at
that change (or finds the disk full from there on), and the result is printed; then the same act is done again
without interruption.
"""

import importlib.util
import json
import os
import shutil
import sys
from itertools import product
from pathlib import Path

from digits.runtime.errors import StoreError
from serving.store import edge, promote, publish, version
from serving.store.store import Store
from tests.serving._exports import export, make_formats

_spec = importlib.util.spec_from_file_location(
    "inject", Path(__file__).parent / "inject" / "sitecustomize.py"
)
inject = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(inject)


def champion(store):
    return store.current().stable if store.current() else None


def edge_of(exported):
    return exported.with_name(f"{exported.name}-edge")


ACTS = {
    "publish": lambda store, new: publish.publish(store, new, {"commit": "abc"}, formats=edge_of(new)),
    "promote": lambda store, _: promote.promote(store, 3, champion(store)),
    "canary": lambda store, _: promote.promote(store, 3, champion(store), canary=True),
    "rollback": lambda store, _: promote.rollback(store, 1),
    "prune": lambda store, _: publish.prune(store, keep=1),
}


def prepare(root, scratch):
    """Make a store of versions 1 to 4; version 2 serves, 1 served before."""
    store = Store(root)
    for weights in "abcd":
        new = export(scratch / weights, weights)
        publish.publish(store, new, {}, formats=make_formats(edge_of(new), new))
    promote.promote(store, 1, None)
    promote.promote(store, 2, 1)


def state(root):
    store, found = Store(root), {}
    try:
        pointer, known = store.current(), store.history()
        found["stable"], found["canary"] = pointer.stable, pointer.canary
        found["base_path"] = pointer.base_path.replace(str(store.folder), "HERE")
        found["previous"], found["highest"] = known.previous(), known.highest
    except StoreError as error:
        found["error"] = str(error)
    found["versions"] = {v.number: version.problems(v) for v in store.versions()}
    found["weights"] = sorted(str(v.provenance.get("weights_sha256")) for v in store.versions())
    held = sorted(path for path in store.edges.glob("[0-9]*"))
    found["edges"] = {path.name: edge.problem(path) for path in held}
    found["scratch"] = [str(p.relative_to(root)) for p in root.rglob(".*") if p.name != ".lock"]
    return found


def act_in_child(act, root, new, action, at, record):
    """Act in a forked process; return (exit status, its output)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        inject._install(action, at, record)
        said, code = "", 0
        try:
            ACTS[act](Store(root), new)
        except StoreError as error:
            said, code = str(error), 6
        except BaseException as error:
            said, code = repr(error), 1
        os.write(writer, said.encode())
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def main(act, scratch):
    root, before, record = scratch / "serving", scratch / "before", scratch / "changes"
    new = export(scratch / "new", "new")
    make_formats(edge_of(new), new)
    prepare(root, scratch)
    shutil.copytree(root, before)
    assert act_in_child(act, root, new, "count", 0, str(record)) == (0, "")
    total, unbroken = len(record.read_text().splitlines()), state(root)
    for action, at in product(("kill", "full"), range(1, total + 1)):
        shutil.rmtree(root)
        shutil.copytree(before, root)
        code, said = act_in_child(act, root, new, action, at, "-")
        told = {"action": action, "at": at, "code": code, "said": said}
        told |= {"left": state(root), "unbroken": unbroken}
        try:
            ACTS[act](Store(root), new)
        except StoreError as error:
            told["again"] = str(error)
        print(json.dumps({**told, "healed": state(root)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
