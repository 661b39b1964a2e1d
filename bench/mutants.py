"""Measures the tests: changes a module in one small way after another, and counts what a test notices.

    python -m bench.mutants                        every module below
    python -m bench.mutants --module gate,store    some of them

Each changed module ("mutant") is compiled in a child process, which runs the tests that reach the changed
lines; no file of the project is written. Survivors that no test could notice stand in mutants_accepted.toml
with the reason; the command fails while another one survives.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import abc, machinery, util
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from bench.mutations import Mutant, mutants
from digits.runtime.errors import DigitsError

ROOT = Path(__file__).parents[1]
ACCEPTED = Path(__file__).with_name("mutants_accepted.toml")
STORE = ("tests/serving/store/test_store.py", "tests/serving/store/test_edge.py")
TARGETS: Mapping[str, Sequence[str]] = {  # module: its tests
    "digits.evaluate.gate": ("tests/evaluate/test_gate.py",),
    "digits.evaluate.metrics": ("tests/evaluate/test_metrics.py",),
    "serving.checks.comparison": ("tests/serving/checks/test_comparison.py",),
    "serving.store.store": STORE,
    "serving.store.publish": STORE,
    "serving.store.promote": STORE,
    "flows.clone.arrival": ("tests/flows/clone/test_arrival.py",),
    "flows.clone.intake": ("tests/flows/clone/test_intake.py",),
}  # flows.clone.inbox is left out: most of its tests run DVC, some of them for minutes
HEAVY = (  # imported before the children are forked, so once; nothing that imports a module above
    *("scipy.stats", "scipy.optimize", "sklearn.metrics", "digits.pipeline.repro", "digits.non_digits"),
    *("digits.evaluate.corruptions", "tensorflow_serving.config.model_server_config_pb2"),
)
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"
PATIENCE = 20.0  # seconds that a mutant's tests may take beyond five times what they take without one


# --- a child process


class _Changed(abc.MetaPathFinder, abc.Loader):
    """Imports one module from a source that is not in its file."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, *_: object) -> machinery.ModuleSpec | None:
        """How the module is imported; every other is left to Python."""
        return (
            util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


class _Chosen:
    """Has pytest run certain tests, in their order."""

    def __init__(self, names: Sequence[str]) -> None:
        self.order = {name: n for n, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop the others, sort these."""
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])


class _Recorder:
    """Notes how long each test takes and which lines of a file it reaches."""

    def __init__(self, path: Path) -> None:
        self.path, self.tests = str(path), dict[str, tuple[float, list[int]]]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Run a test under a trace."""
        lines: set[int] = set()

        def trace(frame: FrameType, _: str, __: object) -> Any:
            if frame.f_code.co_filename != self.path:
                return None
            lines.add(frame.f_lineno)
            return trace

        began = time.perf_counter()
        threading.settrace(trace)
        sys.settrace(trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            self.tests[item.nodeid] = time.perf_counter() - began, sorted(lines)


def _start(root: Path, tests: Sequence[str], changed: _Changed, plugin: object, scratch: Path) -> int:
    """Fork a child that runs test files on a changed module; its process id. It exits as pytest does."""
    if child := os.fork():
        return child
    code = 99
    try:
        os.setsid()  # so that what the tests start can be ended with it
        log = os.open(scratch.with_suffix(".log"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in range(3):
            os.dup2(log, stream)
        os.chdir(root)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(scratch.parent / "bytecode")
        sys.meta_path.insert(0, changed)
        options = ["-x", "-p", "no:cacheprovider", "-p", "pytest_timeout", f"--basetemp={scratch}"]
        code = int(pytest.main([*options, *tests], plugins=[plugin]))
        if isinstance(plugin, _Recorder):
            scratch.with_suffix(".json").write_text(json.dumps(plugin.tests), encoding="utf-8")
        sys.stdout.flush()
    finally:
        os._exit(code)


# --- measuring

Timed = Mapping[str, tuple[float, Sequence[int]]]  # of each test: seconds, lines reached


def measure(module: str, tests: Sequence[str], root: Path, workers: int) -> list[tuple[Mutant, str]]:
    """What became of each mutant of a module. Raises DigitsError when its tests fail without one."""
    path = source_of(module, root)
    found = list(mutants(path.read_text(encoding="utf-8")))
    scratch = Path(tempfile.mkdtemp(prefix="pytest-mutants-"))
    folders = [scratch / f"pytest-{n}" for n in range(workers)]
    try:
        timed = _baseline(module, tests, root, path, folders[0])
        return _outcomes(module, root, path, found, timed, folders)
    finally:
        for folder in [path for path in scratch.rglob("*") if path.is_dir() and not path.is_symlink()]:
            folder.chmod(0o755)  # published versions are read-only
        shutil.rmtree(scratch, ignore_errors=True)


def source_of(module: str, root: Path) -> Path:
    """The file of a module below `root`."""
    name = f"{module.replace('.', '/')}.py"
    return next(path for path in (root / "src" / name, root / name) if path.is_file())


def _baseline(module: str, tests: Sequence[str], root: Path, path: Path, scratch: Path) -> Timed:
    plain = _Changed(module, path, path.read_text(encoding="utf-8"))
    _, status = os.waitpid(_start(root, tests, plain, _Recorder(path), scratch), 0)
    if status:
        said = scratch.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        raise DigitsError(f"the tests of {module} fail without a mutant:\n{said[-3000:]}")
    timed: Timed = json.loads(scratch.with_suffix(".json").read_text(encoding="utf-8"))
    return timed


def _outcomes(
    module: str, root: Path, path: Path, found: Sequence[Mutant], timed: Timed, scratches: Sequence[Path]
) -> list[tuple[Mutant, str]]:
    """Run the tests that reach each mutant, the quickest first: as many at once as there are folders."""
    became, free = [SURVIVED] * len(found), list(scratches)
    reaching = [_reaching(mutant, timed) for mutant in found]
    queue = [number for number, names in enumerate(reaching) if names]
    running: dict[int, tuple[int, Path, float]] = {}
    try:
        while queue or running:
            while queue and free:
                number, scratch = queue.pop(0), free.pop()
                names = reaching[number]
                files = list(dict.fromkeys(name.partition("::")[0] for name in names))
                changed = _Changed(module, path, found[number].source)
                child = _start(root, files, changed, _Chosen(names), scratch)
                patience = PATIENCE + 5 * sum(timed[name][0] for name in names)
                running[child] = number, scratch, time.monotonic() + patience
            time.sleep(0.005)
            for child, (number, scratch, end) in list(running.items()):
                ended, status = os.waitpid(child, os.WNOHANG)
                if not ended and time.monotonic() < end:
                    continue
                _end(child, reap=not ended)
                del running[child]
                free.append(scratch)
                code = os.waitstatus_to_exitcode(status)
                if ended and code > pytest.ExitCode.INTERNAL_ERROR:
                    raise DigitsError(
                        f"pytest could not run {', '.join(reaching[number])}: it ended with {code}"
                    )
                became[number] = TIMED_OUT if not ended else KILLED if code else SURVIVED
    finally:
        for child in running:
            _end(child, reap=True)
    return list(zip(found, became, strict=True))


def _end(child: int, *, reap: bool) -> None:
    """Kill a child with what its tests have started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if reap:
        os.waitpid(child, 0)


def _reaching(mutant: Mutant, timed: Timed) -> list[str]:
    """The tests that reach a mutant's lines, the quickest first; of what runs at import, all."""
    lines = set(mutant.lines)
    names = [name for name, (_, seen) in timed.items() if not lines or lines & set(seen)]
    return sorted(names, key=lambda name: timed[name][0])


# --- the command

COLUMNS = ("module", "mutants", "killed", "timed out", "equivalent", "survived", "wall s", "CPU s")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when each survivor has a reason, and each reason a survivor."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.mutants", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--module", default="", help="the last parts of names, as gate,store; default: all")
    parser.add_argument("--workers", type=int, default=2, help="mutants at once; default: 2")
    given = parser.parse_args(argv)
    wanted = given.module.split(",") if given.module else [name.rpartition(".")[2] for name in TARGETS]
    chosen = {name: tests for name, tests in TARGETS.items() if name.rpartition(".")[2] in wanted}
    if len(chosen) < len(wanted):
        parser.error(f"not all of {given.module} are among {', '.join(TARGETS)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()  # no child looks through what they hold
    rows: list[tuple[str, list[float]]] = []
    failed = False
    for module, tests in chosen.items():
        began, used = time.monotonic(), _cpu()
        try:
            outcomes = measure(module, tests, ROOT, given.workers)
        except DigitsError as error:
            print(f"bench: {error}", file=sys.stderr)
            return error.exit_code
        known, unknown, idle = _compared(module, [m for m, became in outcomes if became == SURVIVED])
        counts = [len(outcomes), *(sum(b == kind for _, b in outcomes) for kind in (KILLED, TIMED_OUT))]
        counts += [known, len(unknown)]
        rows.append((module, [*counts, time.monotonic() - began, _cpu() - used]))
        for line in (*unknown, *idle):
            print(line)
        failed = failed or bool(unknown or idle)
    total = [sum(column) for column in zip(*(counts for _, counts in rows), strict=True)]
    print("".join(f"{name:>12}" if n else f"{name:28}" for n, name in enumerate(COLUMNS)))
    for name, counts in (*rows, ("all", total)):
        print(f"{name:28}" + "".join(f"{count:12.0f}" for count in counts))
    noticed, noticeable = total[1] + total[2], total[0] - total[3]
    print(f"{noticed / noticeable:.1%} of the {noticeable} mutants that a test could notice were")
    return int(failed)


def _compared(module: str, survivors: Sequence[Mutant]) -> tuple[int, list[str], list[str]]:
    """How many survivors are accepted; lines that tell of the others, and of reasons without a survivor."""
    listed = tomllib.loads(ACCEPTED.read_text(encoding="utf-8")).get(module, [])
    reasons = {(each["line"], change) for each in listed for change in each["changes"]}
    unknown = [m for m in survivors if (m.text, m.change) not in reasons]
    idle = sorted(reasons - {(m.text, m.change) for m in survivors})
    return (
        len(survivors) - len(unknown),
        [f"{module}:{m.line} survived: {m.text}\n    {m.change}" for m in unknown],
        [f"{module}: accepted, but it did not survive: {text}\n    {change}" for text, change in idle],
    )


def _cpu() -> float:
    """Seconds that the children have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
