"""The gateway's process and a signal that comes at the worst moment."""

import subprocess
import sys

from tests.serving._server import environment
from tests.serving.client import _fake

SIGNALLED = """
import io, os, signal, sys
from functools import partial
from serving.app import log_lines
from serving.app.server import Address, run
from serving.app.settings import Settings

class Raw(io.RawIOBase):
    sent = False

    def writable(self):
        return True

    def write(self, data):
        if not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGTERM)
        return os.write(2, data)

tell = partial(log_lines.as_json, io.TextIOWrapper(io.BufferedWriter(Raw())))
settings = Settings(server=sys.argv[1], feedback=None, log=None)
sys.exit(run(settings, Address(port=0, drain=float(sys.argv[2])), tell))
"""


def test_a_signal_in_the_middle_of_a_line_of_the_log_ends_it_when_the_time_for_balancers_is_over():
    with _fake.serving() as fake:
        command = [sys.executable, "-c", SIGNALLED, fake.grpc, "0.5"]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    begun, ending = done.stderr.splitlines()
    assert "digits is at" in begun and "still answering for" in ending
