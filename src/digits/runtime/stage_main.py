"""Runs a stage from the command line: options are paths, the params come from params.yaml.

`python -m digits.<stage>.stage --<path-name> PATH …`: one option for each path that the stage's `run` takes.
`params` is the stage's own section; an argument `<section>_params` is another's, for a stage that shows it.
Errors that the user can act on end as one line and a non-zero exit code.
"""

from __future__ import annotations

import argparse
import errno
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from digits.runtime import params
from digits.runtime.errors import DigitsError
from digits.runtime.processes import die_with_dvc
from digits.runtime.progress import escape_unprintable

RUN_LOG = "DIGITS_RUN_LOG"  # a file to append {"stage", "seconds", "ok", "code"} to, read by what started DVC
DEBUG = "DIGITS_DEBUG"  # set: an unexpected error keeps its traceback


def stage_main(stage: str, run: Callable[..., None], argv: Sequence[str] | None = None) -> None:
    """Run one stage from the command line and exit."""
    run_code_of(Path.cwd())
    escape_unprintable()
    die_with_dvc()
    os.environ.setdefault(
        "TF_CPP_MIN_LOG_LEVEL", "2"
    )  # TensorFlow's information messages; warnings and errors stay
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = list(inspect.signature(run).parameters)
    paths = [name for name in names if not name.endswith("params")]
    parser = argparse.ArgumentParser(prog=f"python -m digits.{stage}.stage", description=run.__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    for name in paths:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    given = vars(parser.parse_args(argv))
    started = time.monotonic()
    try:
        sections = params.load_all(given.pop("params"))
        others = {name: sections[name.removesuffix("_params")] for name in names if name.endswith("_params")}
        run(**given, params=sections[stage], **others)
    except DigitsError as error:
        _finish(stage, started, _one_line(error), error.exit_code)
    except MemoryError:
        _finish(stage, started, "out of memory: free some, or give the stage less data", 1)
    except OSError as error:
        _finish(stage, started, _os_error(error), 1)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        _finish(stage, started, _unexpected(error), 1)
    except KeyboardInterrupt:
        _finish(stage, started, "interrupted: run the same command again to go on", 130)
    _finish(stage, started, None, 0)


def run_code_of(tree: Path) -> None:
    """Start this process anew with the code below `src` of a project, unless it is the code that runs.

    DVC hashes the code of the tree that it works in, but the environment of another worktree or clone has
    that one's code installed. Exits with one line when this tree's code can't take its place.
    """
    wanted, running = (tree / "src").resolve(), Path(__file__).resolve().parents[2]
    if not (wanted / "digits").is_dir() or wanted == running:
        return
    path = os.environ.get("PYTHONPATH", "")
    if path.split(os.pathsep)[0] == str(wanted):  # this is the second start
        sys.exit(
            f"the code to run is below {wanted}, but Python loads {running}: run `make setup` in {tree} and "
            "use its .venv"
        )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(wanted), path]))}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _finish(stage: str, started: float, message: str | None, code: int) -> None:
    if log := os.environ.get(RUN_LOG):
        seconds = round(time.monotonic() - started, 3)
        record = {"stage": stage, "seconds": seconds, "ok": code == 0, "code": code}
        if message:
            record["error"] = message
        with open(log, "a", encoding="utf-8") as stream:  # noqa: PTH123 - append is what is meant
            stream.write(json.dumps(record) + "\n")
    if message:
        print(f"{stage}: {message}", file=sys.stderr)  # noqa: T201
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


DISK_FULL = "the disk is full{where}: free some and run the same command again; nothing was half-written"


def _os_error(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DISK_FULL.format(where=where)
    if "errno = 28" in str(error):  # HDF5
        return DISK_FULL.format(where="")
    return f"{error.strerror or _one_line(error)}{where}: fix it and run the same command again"


def _unexpected(error: Exception) -> str:
    """Return the message for an unexpected error.

    TensorFlow and HDF5 report a full disk in their own words.
    """
    if "No space left on device" in str(error) or "errno = 28" in str(error):
        return DISK_FULL.format(where="")
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"unexpected {type(error).__name__}: {first} (run it again with {DEBUG}=1 to see where)"
