"""A temporary PostgreSQL server on a Unix socket."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

USER = "nobody"  # it refuses to run as root
OPTIONS = ("-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=4MB")
DEBIAN = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)  # in no PATH
PROGRAMS = {
    name: shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *DEBIAN]))
    for name in ("postgres", "initdb", "psql", "setpriv")
}
_MISSING = [name for name, path in PROGRAMS.items() if path is None]
NEEDED = pytest.mark.skipif(
    bool(_MISSING) and not os.environ.get("CI"), reason=f"{', '.join(_MISSING)} is not installed"
)


class Postgres:
    """A server that a test can start and stop."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self._made = 0

    def start(self):
        command = [
            *_as_user(),
            PROGRAMS["postgres"],
            "-D",
            str(self.folder / "data"),
            "-k",
            str(self.folder),
            *OPTIONS,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        end = time.monotonic() + 120
        while True:
            try:
                self.execute("SELECT 1")
                return self
            except subprocess.CalledProcessError:
                log = (self.folder / "log").read_text()
                assert self.process.poll() is None and time.monotonic() < end, log
                time.sleep(0.1)

    def stop(self, how=signal.SIGINT):
        """Disconnect the clients, and end: in order, or with SIGQUIT at once."""
        self.process.send_signal(how)
        self.process.wait(120)

    def database(self):
        """Return the URL of a new, empty database."""
        self._made += 1
        self.execute(f"CREATE DATABASE test{self._made}")
        return f"postgresql://{USER}@/test{self._made}?host={self.folder}"

    def execute(self, text):
        asking = [PROGRAMS["psql"], "-h", str(self.folder), "-U", USER, "-qc", text, "postgres"]
        subprocess.run(asking, check=True, capture_output=True, timeout=120)


@contextlib.contextmanager
def running():
    """Run a server until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="digits-pg-"))  # short: a socket's path has at most 107 bytes
    try:
        if os.getuid() == 0:
            shutil.chown(folder, USER)
        making = [
            PROGRAMS["initdb"],
            "-D",
            str(folder / "data"),
            "-U",
            USER,
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        subprocess.run([*_as_user(), *making], check=True, capture_output=True, cwd=folder, timeout=300)
        server = Postgres(folder).start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


def _as_user():
    """Prepare a command's process: another user than root, and it ends with this process."""
    return [PROGRAMS["setpriv"], *_user(), "--pdeathsig", "QUIT"]


def _user():
    return ["--reuid", USER, "--regid", "nogroup", "--clear-groups"] if os.getuid() == 0 else []
