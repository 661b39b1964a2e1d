"""`digits status`: which version serves, what is unpublished, which servers answer, when it retrains."""

from __future__ import annotations

import argparse
import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.store.store import Store

HELP = "show what serves, what is unpublished, which servers answer and when it retrains"
TIMEOUT = 1.0  # seconds for a server on this machine


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--grpc-port", type=int, default=8500, metavar="PORT", help="default: 8500")
    parser.add_argument("--rest-port", type=int, default=8501, metavar="PORT", help="default: 8501")


def run(given: argparse.Namespace) -> int:
    """Print the state of the project."""
    from digits_cli import project

    root = project.project_root()
    found = state(root, project.store_of(root), given.grpc_port, given.rest_port)
    if given.json:
        project.print_json(found)
        return 0
    console = project.console()
    for name, text in _lines(found):
        console.print(f"[dim]{name:<9}[/] {text}")
    return 0


def state(root: Path, store: Store, grpc_port: int, rest_port: int) -> dict[str, Any]:
    """Return the pointer, the export, the servers on this machine and the schedule, as plain values."""
    from flows.scheduling import deployment
    from serving.checks import server_process

    pointer = store.current()
    return {
        "stable": pointer.stable if pointer else None,
        "canary": pointer.canary if pointer else None,
        "previous": store.previous(),
        "moved": store.base_path_problem(),
        "exported": _exported(root, store),
        "grpc": {"port": grpc_port, "answers": server_process.is_listening(grpc_port, TIMEOUT)},
        "rest": {"port": rest_port, **_asked(rest_port)},
        "retraining": deployment.state(root),
    }


def _exported(root: Path, store: Store) -> dict[str, Any]:
    """Return whether there is an export, why it can't be published, and the version with its content."""
    from digits.runtime.errors import StoreError
    from flows.rollout.release import EXPORT
    from serving.store import publish

    if not (root / EXPORT).exists():
        return {"exists": False, "problem": None, "version": None}
    try:
        found = publish.read_export(root / EXPORT)
    except StoreError as error:
        return {"exists": True, "problem": str(error), "version": None}
    return {"exists": True, "problem": None, "version": publish.find_same(store, found)}


def _asked(port: int) -> dict[str, Any]:
    """Return the versions that a server reports over REST as available, by model name."""
    from digits import wire

    serves = {}
    for model in (wire.MODEL, wire.CANARY):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            connection.request("GET", f"/v1/models/{model}")
            response = connection.getresponse()
            body = response.read()
            if response.status == 200:
                listed = json.loads(body)["model_version_status"]
                serves[model] = sorted(int(v["version"]) for v in listed if v["state"] == "AVAILABLE")
        except (OSError, http.client.HTTPException) as error:
            return {"answers": False, "serves": {}, "problem": f"{error}" or type(error).__name__}
        except (ValueError, KeyError, TypeError):
            return {"answers": False, "serves": {}, "problem": "what answers there is not a model server"}
        finally:
            connection.close()
    return {"answers": True, "serves": serves, "problem": None}


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the state as (name, text) pairs, in rich's markup."""
    from rich.markup import escape

    lines = [(name, _named(found[name])) for name in ("stable", "canary", "previous")]
    if found["moved"]:
        lines.append(("moved", f"[bold yellow]{escape(found['moved'])}[/]"))
    export = found["exported"]
    if not export["exists"]:
        lines.append(("export", "none: `make run` makes it"))
    elif export["problem"]:
        lines.append(("export", f"[bold red]{escape(export['problem'])}[/]"))
    elif export["version"] is None:
        lines.append(("export", "not published: `digits publish`"))
    else:
        lines.append(("export", f"published as version {export['version']}"))
    grpc = found["grpc"]
    lines.append(("gRPC", f"port {grpc['port']}: {'something' if grpc['answers'] else 'nothing'} listens"))
    return [*lines, ("REST", _rest(found["rest"], found["stable"])), *_retraining(found["retraining"])]


def _retraining(known: dict[str, Any]) -> list[tuple[str, str]]:
    from rich.markup import escape

    if known["process"] is None:
        return [("schedule", "no scheduler is running: `digits schedule`")]
    if known["problem"]:
        return [("schedule", f"[bold yellow]process {known['process']}: {escape(known['problem'])}[/]")]
    when = ", ".join(known["schedules"]) or "only on request"
    following = f", next at {known['next']}" if known["next"] else ""
    lines = [("schedule", f"{when}{following}; {known['page']}")]
    if known["inbox"]:
        waiting = ", ".join(known["waiting"]) or "nothing waiting"
        lines.append(("inbox", escape(f"{known['inbox']}: {waiting}")))
    runs = [
        f"{run['name']}: {run['state']}{': ' if run['message'] else ''}{run['message']}"
        for run in known["runs"]
    ]
    return [*lines, *(("run", escape(text)) for text in runs)]


def _rest(rest: dict[str, Any], stable: int | None) -> str:
    if not rest["answers"]:
        return f"port {rest['port']}: no model server ({rest['problem']})"
    served = [f"{model} {', '.join(map(str, n)) or 'no version'}" for model, n in rest["serves"].items()]
    text = f"port {rest['port']}: serves {'; '.join(served) or 'no model of this project'}"
    if stable is not None and rest["serves"].get("digits") != [stable]:
        text += f", [bold yellow]not version {stable}[/]: it is loading that, or follows another store"
    return text


def _named(number: int | None) -> str:
    return "none" if number is None else f"version {number}"
