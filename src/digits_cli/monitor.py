"""`digits monitor`: looks at what was asked since the last look, and says whether it has changed."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "compare what is asked and answered with what the version in service was made from"
ALARM = 8  # the exit code while an alarm stands
NEAREST = 8  # events of the table: those with an alarm, then those nearest to their bounds

EPILOG = """\
examples:
  digits monitor                    look now; the page is reports/monitoring/index.html
  digits monitor --json | jq '.alarms[].text'
  digits monitor forget 9f86d081…   delete one image from request logs and corrections, by its sha256

exit codes: 0 clear, or forgotten, 2 params.yaml or a digest is wrong, 3 state or reference are missing or
damaged, 6 nothing is in service, or a store can't be used, 8 an alarm stands
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON: what reports/monitoring/latest.json has"
    )
    parser.add_argument(
        "--request-log", type=Path, metavar="DIR", help="of gateway and server; default: .digits/requests"
    )
    parser.add_argument("--feedback", metavar="URL", help="the store of corrections; default: the gateway's")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    about = "delete an image everywhere it is kept, and say what else may hold it"
    forget = actions.add_parser("forget", help=about, description=about)
    forget.add_argument("digest", nargs="+", metavar="DIGEST", help="sha256 of the image, in hexadecimal")


def run(given: argparse.Namespace) -> int:
    """Look, or forget images. Raises DigitsError."""
    from digits.runtime import params
    from digits_cli import project
    from serving.monitoring import looking

    root = project.project_root()
    kept = looking.kept(root, os.environ, given.request_log, given.feedback)
    if given.action == "forget":
        return _forget(root, given.digest, kept)
    settings = params.load("monitor", root / "params.yaml")
    rules = params.load("validate", root / "params.yaml")
    latest = asyncio.run(looking.look(root, settings, rules, kept, time.time()))
    if given.json:
        project.print_json({name: value for name, value in latest.items() if name != "picture"})
    else:
        _tell(latest, root)
    return ALARM if latest["alarms"] else 0


def _tell(latest: Mapping[str, Any], root: Path) -> None:
    from rich.markup import escape

    from digits.runtime.progress import count
    from digits_cli import project
    from serving.monitoring.record import Record
    from serving.monitoring.report import ADVICE, nearest, percent, when

    console = project.console()
    rows = count(latest["rows"], "row")
    since = f" since {when(latest['first'])} UTC" if latest["first"] else " since the last look"
    console.print(f"version {latest['version']}: {rows}{since}")
    for alarm in latest["alarms"]:
        console.print(f"[bold red]alarm[/] since {when(alarm['at'])} UTC: {escape(alarm['text'])}")
        console.print(f"      {escape(ADVICE[alarm['group']])}")
    for alarm in latest["cleared"]:
        console.print(f"[green]cleared[/]: {escape(alarm['name'])}")
    if not latest["alarms"]:
        console.print("[green]clear[/]: no alarm stands")
    if latest["label"]:
        console.print(escape(latest["label"]))
    broken = [rule for rule in latest["rules"] if not rule["passed"]]
    for rule in broken[:NEAREST]:
        console.print(escape(f"rule of validate broken: {rule['rule']}: {rule['observed']}"))
    if latest["rules"] and not broken:
        console.print(f"the kept images keep to {count(len(latest['rules']), 'rule')} of validate")
    shown = project.table("event", "share", "bound", "rows")
    for event in nearest(latest)[:NEAREST]:
        bound = f"{'≤' if event['too_often'] else '≥'} {percent(event['bound'])}"
        shown.add_row(escape(event["name"]), percent(event["share"]), bound, f"{event['rows']:,}")
    console.print(shown)
    console.print(f"[dim]{escape(str(Record(root).page))}[/]")


def _forget(root: Path, digests: list[str], kept: Any) -> int:
    """Delete images by their digests, and say what to do about copies."""
    from digits.runtime.errors import ParamsError
    from digits.runtime.progress import count
    from serving.monitoring import looking

    for digest in digests:
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise ParamsError(
                f"'{digest[:70]}' is no digest: expected 64 hexadecimal digits, as `sha256sum` prints them"
            )
    for digest in digests:
        gone = asyncio.run(looking.forget(root, kept, digest))
        found = f"{count(gone.rows, 'row')} of request logs, {count(gone.corrections, 'correction')}"
        print(f"{digest[:12]}…: deleted {found}")  # noqa: T201
        for batch in gone.batches:
            print(  # noqa: T201
                f"  it was exported in {batch}: delete its row from that batch in the inbox or, "
                "once taken, the batch from data/incoming with its .dvc file; retrain, then run `dvc gc`"
            )
    print(BACKUPS)  # noqa: T201
    return 0


BACKUPS = """\
What was copied before may still hold them. In a backup of .digits, of its corrections and request logs:
  digits monitor --feedback sqlite:///COPY/feedback.db --request-log COPY/requests forget DIGEST
or delete the backup. PostgreSQL overwrites deleted rows at its next VACUUM; its own backups keep them.
Logs of requests that TensorFlow Serving or a proxy wrote are theirs to delete."""
