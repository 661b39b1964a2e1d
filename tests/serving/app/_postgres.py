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
# A new database would cost 400 files.
EMPTY = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = 'postgres' AND pid <> pg_backend_pid();
    DROP SCHEMA public CASCADE; CREATE SCHEMA public"""
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

    def start(self):
        where = ["-D", str(self.folder / "data"), "-k", str(self.folder)]
        command = [*_as_user(), PROGRAMS["postgres"], *where, *OPTIONS]
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
        """Return the URL of the one database, emptied."""
        self.execute(EMPTY)
        return f"postgresql://{USER}@/postgres?host={self.folder}"

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
        making = f"-D {folder / 'data'} -U {USER} -A trust --no-sync -E UTF8".split()
        making = [*_as_user(), PROGRAMS["initdb"], *making]
        subprocess.run(making, check=True, capture_output=True, cwd=folder, timeout=300)
        server = Postgres(folder).start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


def _as_user():
    """Prepare a command's process: another user than root, and it ends with this process."""
    user = ["--reuid", USER, "--regid", "nogroup", "--clear-groups"] if os.getuid() == 0 else []
    return [PROGRAMS["setpriv"], *user, "--pdeathsig", "QUIT"]
