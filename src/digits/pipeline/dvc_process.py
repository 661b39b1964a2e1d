"""Runs DVC as a child process in a project's folder: one run at a time, no stale locks, no orphans."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from digits import files
from digits.runtime import locks
from digits.runtime.errors import DigitsError
from digits.runtime.processes import RUN_PID, die_with_parent, is_dvc
from digits.runtime.progress import FOLLOWED

RUN_LOG = (
    "DIGITS_RUN_LOG"  # the same as in digits.runtime.stage_main: each stage appends a line of JSON at its end
)
GRACE = 10.0  # seconds for a stage to end after SIGTERM


def configure(root: Path) -> None:
    """Write this machine's DVC settings of a project: its own site cache (`variables`), for a `dvc` that a
    person starts, and that there is no `.git`, in an unpacked archive.

    Raises DigitsError on settings that DVC refuses.
    """
    local, site, unversioned = root / ".dvc" / "config.local", _site_cache(root), not (root / ".git").exists()
    known = local.read_text(encoding="utf-8") if local.exists() else ""
    if f"site_cache_dir = {site}\n" in known and ("no_scm = true" in known or not unversioned):
        return
    from dvc.config import Config, ConfigError  # takes half a second to import

    try:
        with Config(str(root / ".dvc"), validate=False).edit("local") as settings:
            core = settings.setdefault("core", {})
            core["site_cache_dir"] = str(site)
            if unversioned:
                core["no_scm"] = True
    except ConfigError as error:
        raise DigitsError(f"{root / '.dvc'} has settings that DVC refuses: {error}") from None


def _site_cache(root: Path) -> Path:
    site = root.resolve() / ".dvc" / "tmp" / "site"
    site.mkdir(mode=0o700, parents=True, exist_ok=True)
    site.chmod(0o700)
    return site


@contextlib.contextmanager
def run_lock(root: Path) -> Iterator[None]:
    """Hold the folder's run lock; the kernel releases it however this process ends. Raises DigitsError."""
    lock = root / ".dvc" / "tmp" / "digits-run.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.hold(
        lock,
        lambda holder: DigitsError(
            f"another run (process {holder}) is active in this folder: wait for it, or stop it"
        ),
    ):
        yield


def drop_dead_locks(root: Path) -> None:
    """Remove dead processes from DVC's record of who reads and writes what: they would keep DVC from
    starting.

    DVC itself does so only once the killed process is gone for good, and not where its number is another's by
    now, or where nobody collects it (a container without an init), or where half of the record is left. The
    record is not written atomically, so an unreadable one is read twice, to be sure that no `dvc` is writing
    it.
    """
    record = root / ".dvc" / "tmp" / "rwlock"
    for look in range(2):
        try:
            held = json.loads(record.read_text(encoding="utf-8"))
            break
        except FileNotFoundError:
            return
        except ValueError:
            if look:
                record.unlink(missing_ok=True)
                return
            time.sleep(0.5)
    writers = {path: info for path, info in held.get("write", {}).items() if _is_dvc(info)}
    readers = {path: [i for i in infos if _is_dvc(i)] for path, infos in held.get("read", {}).items()}
    alive = {"write": writers, "read": {path: infos for path, infos in readers.items() if infos}}
    if alive != held:
        files.write_text(record, json.dumps(alive))


def _is_dvc(info: dict[str, object]) -> bool:
    """Return whether the process that a lock names is a running DVC."""
    import psutil

    try:
        return is_dvc(psutil.Process(int(str(info["pid"]))))
    except (psutil.Error, KeyError, ValueError):
        return False


def variables(root: Path) -> dict[str, str]:
    """The environment variables for DVC in a project's folder.

    DVC unpickles what lies in its site cache, which by default is a folder of all users of the machine
    (CVE-2025-69872), so it gets one in the project that only the owner can enter.
    """
    return {
        "DVC_SITE_CACHE_DIR": str(_site_cache(root)),
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def start(root: Path, log: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start DVC in a process group of its own, which dies with this process; its output is to be read.

    log: a file for what each stage appends at its end.
    """
    environment = (
        os.environ
        | variables(root)
        | {
            RUN_LOG: str(log),
            RUN_PID: str(os.getpid()),
            FOLLOWED: "1",
            # DVC hashes the code that runs, in a clone too
            "PYTHONPATH": os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH")])),
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
        }
    )
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env=environment,
        start_new_session=True,
        preexec_fn=die_with_parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def output(root: Path, arguments: Sequence[str]) -> str:
    """Return what a DVC command that runs no stage prints; empty when it fails. It ends with this process."""
    child = start(root, Path(os.devnull), arguments)
    try:
        printed, _ = child.communicate()
        return printed if child.returncode == 0 else ""
    finally:
        end(child)


def end(child: subprocess.Popen[str]) -> None:
    """End a child and its group: by SIGTERM, and by SIGKILL after GRACE seconds."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    _kill(child)
    child.wait()
    if child.stdout:
        child.stdout.close()


def _kill(child: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
