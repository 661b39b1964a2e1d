"""`digits status`: what serves, what is unpublished, which servers answer, when it retrains, alarms."""

from __future__ import annotations

import argparse
import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.store.store import Store

HELP = "show what serves, what is unpublished, which servers answer and when it retrains"
FORWARDERS = (
    "docker-proxy",
    "rootlessport",
    "kubectl",
    "ssh",
    "socat",
)  # what answers behind them can't be told
TIMEOUT = 1.0  # seconds for a server on this machine

EPILOG = """\
examples:
  digits status
  digits status --json | jq .stable
  digits status --port 8600 --rest-port 8601    a server on other ports

exit codes: 0 done, whether or not anything serves, 6 the store can't be read
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--port", type=int, default=8500, metavar="PORT", help="for gRPC; default: 8500")
    parser.add_argument("--rest-port", type=int, default=8501, metavar="PORT", help="for REST; default: 8501")


def run(given: argparse.Namespace) -> int:
    """Print the state of the project."""
    from digits_cli import project

    root = project.project_root()
    found = state(root, project.store_of(root), given.port, given.rest_port)
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
        "grpc": {
            "port": grpc_port,
            "answers": server_process.is_listening(grpc_port, TIMEOUT),
            "server": _server(grpc_port, store),
        },
        "rest": {"port": rest_port, **_asked(rest_port), "server": _server(rest_port, store)},
        "retraining": deployment.state(root),
        "monitoring": _monitoring(root),
    }


def _monitoring(root: Path) -> dict[str, Any]:
    """Return when it was last looked at what is served, and the alarms that stand; `at` None: never."""
    from digits.runtime.errors import DataError
    from serving.monitoring import record

    try:
        latest = record.latest(record.Record(root).latest)
    except DataError as error:
        return {"at": None, "version": None, "alarms": [], "problem": str(error)}
    if latest is None:
        return {"at": None, "version": None, "alarms": [], "problem": None}
    alarms = [alarm["text"] for alarm in latest["alarms"]]
    return {"at": latest["time"], "version": latest["version"], "alarms": alarms, "problem": None}


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


def _server(port: int, store: Store) -> dict[str, Any] | None:
    """Return the process that listens on a port, and whether it follows this project's pointer.

    None where nothing listens, or its process can't be told: another user's, or a container's.
    """
    import psutil

    try:
        listening = {
            each.pid
            for each in psutil.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port
        }
        for process in sorted(filter(None, listening)):
            words = psutil.Process(process).cmdline()
            if Path(words[0]).name in FORWARDERS:
                return None
            return {
                "process": process,
                "program": " ".join(Path(word).name for word in words[:3]),
                "ours": any(str(store.pointer) in word for word in words),
            }
    except psutil.Error:
        pass
    return None


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
            return {"answers": False, "serves": {}, "problem": _why(error)}
        except (ValueError, KeyError, TypeError):
            return {"answers": False, "serves": {}, "problem": "what answers there is not a model server"}
        finally:
            connection.close()
    return {"answers": True, "serves": serves, "problem": None}


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


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
    lines += [("gRPC", _grpc(found["grpc"])), ("REST", _rest(found["rest"], found["stable"]))]
    return [*lines, ("monitor", _watched(found["monitoring"])), *_retraining(found["retraining"])]


def _watched(known: dict[str, Any]) -> str:
    from rich.markup import escape

    if known["problem"]:
        return f"[bold yellow]{escape(known['problem'])}[/]"
    if known["at"] is None:
        return "nobody has looked yet: `digits monitor`"
    said = escape("; ".join(known["alarms"]))
    found = f"[bold red]alarm[/]: {said}" if said else "clear"
    return f"version {known['version']} at {known['at']}: {found}"


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


def _grpc(grpc: dict[str, Any]) -> str:
    listens = "nothing listens"
    if grpc["answers"]:
        foreign = _foreign(grpc)
        listens = foreign or ("this project's model server listens" if grpc["server"] else "a server listens")
    return f"port {grpc['port']}: {listens}"


def _foreign(port: dict[str, Any]) -> str:
    """What listens on a port, if it is known not to be a server of this project."""
    from rich.markup import escape

    server = port["server"]
    if server is None or server["ours"]:
        return ""
    program = escape(f"{server['program']}, process {server['process']}")
    return f"[bold yellow]no server of this project listens[/], but {program}"


def _rest(rest: dict[str, Any], stable: int | None) -> str:
    if not rest["answers"]:
        return f"port {rest['port']}: no model server ({rest['problem']})"
    if foreign := _foreign(rest):
        return f"port {rest['port']}: {foreign}"
    served = [f"{model} {', '.join(map(str, n)) or 'no version'}" for model, n in rest["serves"].items()]
    text = f"port {rest['port']}: serves {'; '.join(served) or 'no model of this project'}"
    if stable is not None and rest["serves"].get("digits") != [stable]:
        text += f", [bold yellow]not version {stable}[/]: it is loading that, or follows another store"
    return text


def _named(number: int | None) -> str:
    return "none" if number is None else f"version {number}"
