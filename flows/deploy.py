"""The command line of the scheduler: `digits schedule …` or `python -m flows.deploy …`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from digits.runtime import params
from digits.runtime.errors import DigitsError, ParamsError
from digits.runtime.progress import escape_unprintable
from flows.scheduling.deployment import BUSY, ENTRYPOINT, Plan
from flows.scheduling.server import PORT

LONGEST = 366 * 24 * 3600  # seconds between two runs


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--cron", metavar="'M H D M W'", help="as in crontab: '0 3 * * *' is every night at three"
    )
    when.add_argument("--interval", type=float, metavar="SECONDS", help="this often")
    when.add_argument("--once", action="store_true", help="run now; in the running scheduler if there is one")
    parser.add_argument("--timezone", default="UTC", metavar="NAME", help="of --cron; default: UTC")
    parser.add_argument(
        "--inbox", type=Path, metavar="DIR", help="also run when a new batch arrives in this folder"
    )
    parser.add_argument(
        "--profile", metavar="NAME", help="training profile, instead of the one in params.yaml"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="instead of the one in params.yaml")
    parser.add_argument(
        "--force", metavar="STAGE", help="with --once: run this stage even if nothing changed"
    )
    parser.add_argument("--why", metavar="TEXT", help="with --once: for the run's name")
    busy = "what to do with a run that comes due during another; default: skip"
    parser.add_argument("--when-busy", choices=sorted(BUSY), default="skip", help=busy)
    parser.add_argument("--port", type=int, default=PORT, help=f"of Prefect's server; default: {PORT}")
    parser.add_argument("--entrypoint", default=ENTRYPOINT, help=argparse.SUPPRESS)


def plan(project: Path, given: argparse.Namespace) -> Plan:
    """Turn the parsed command line into a plan.

    Raises ParamsError for options that don't go together, and for an invalid params.yaml, which says how
    often to look at what is served.
    """
    if not given.once and (given.force or given.why):
        raise ParamsError("--force and --why go with --once: every scheduled run would have them")
    if not (given.once or given.cron or given.interval is not None or given.inbox):
        raise ParamsError("nothing to wait for: give --cron, --interval or --inbox, or --once to run now")
    if given.interval is not None and not 1 <= given.interval <= LONGEST:
        raise ParamsError(f"--interval {given.interval:g}: give 1 to {LONGEST:,} seconds (a year)")
    if given.inbox and not given.inbox.is_dir():
        raise ParamsError(f"--inbox {given.inbox} is not a folder: create it, then start again")
    if not 0 < given.port < 65536:
        raise ParamsError(f"--port {given.port} is not a port: give one from 1 to 65535")
    chosen = {name: getattr(given, name) for name in ("profile", "seed", "force", "why")}
    parameters = {
        "project": str(project),
        "scheduled": True,
        "why": "by hand" if given.once else "schedule",
    } | {name: value for name, value in chosen.items() if value is not None}
    if given.inbox:
        parameters["inbox"] = str(given.inbox.resolve())
    look_every = 0 if given.once else params.load("monitor", project / "params.yaml").every_minutes
    return Plan(
        cron=given.cron,
        interval=given.interval,
        timezone=given.timezone,
        inbox=given.inbox.resolve() if given.inbox else None,
        when_busy=given.when_busy,
        port=given.port,
        entrypoint=given.entrypoint,
        parameters=parameters,
        look_every=look_every,
    )


def run(project: Path, given: argparse.Namespace) -> int:
    """Serve the schedule until a signal ends it, or run once; return the exit code. Raises DigitsError."""
    from flows.scheduling import scheduler

    chosen = plan(project, given)
    return scheduler.run_once(project, chosen) if given.once else scheduler.schedule(project, chosen)


def main(argv: list[str] | None = None) -> int:
    """Run the command in the folder that --project names; return its exit code."""
    escape_unprintable()
    parser = argparse.ArgumentParser(prog="python -m flows.deploy", description=__doc__)
    parser.add_argument("--project", type=Path, default=Path(), metavar="DIR", help="default: this folder")
    arguments(parser)
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a server that is starting is stopped
    project = given.project.resolve()
    try:
        if not (project / "dvc.yaml").exists():
            raise DigitsError(f"no dvc.yaml in {project}: name the project's folder with --project")
        return run(project, given)
    except DigitsError as error:
        print(f"digits: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
