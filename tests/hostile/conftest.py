"""The servers that are attacked: ours, as processes of their own, or with --url one of the user's choice."""

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests._ports import free_port
from tests.serving._server import environment

DESCRIPTORS = 256  # that our servers have: few, so that attacks are small
PROXY = "127.0.0.9"  # which our gateway trusts


def pytest_addoption(parser):
    parser.addoption("--url", help="attack the server there, in place of ours")


def pytest_generate_tests(metafunc):
    """A test that takes `target` attacks both of our servers, one that takes `gateway` too the one."""
    if "target" in metafunc.fixturenames:
        ours = ["gateway"] if "gateway" in metafunc.fixturenames else ["gateway", "rest"]
        url = metafunc.config.getoption("url", None)
        metafunc.parametrize("target", [url] if url else ours, indirect=True, scope="module")


@dataclass
class Target:
    """A server: where it is, what a visitor asks for, where bodies are sent, and its log if it is ours."""

    host: str
    port: int
    path: str
    post: str
    log: Path | None = None

    @property
    def local(self) -> bool:
        """Whether an attacker may have another address than a visitor."""
        return self.host in ("localhost", "127.0.0.1")

    def connect(self, address="127.0.0.2", seconds=10.0) -> socket.socket:
        """A connection from an address of this machine."""
        source = (address, 0) if self.local else None
        return socket.create_connection((self.host, self.port), seconds, source)

    def head(self, *lines, method="POST") -> bytes:
        """A request's head."""
        path = self.post if method == "POST" else self.path
        first = f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"
        return "\r\n".join([*first, *lines, "", ""]).encode()

    def visit(self, address="127.0.0.1", **headers) -> float:
        """Seconds that a visitor waits for an answer, whatever it is but a failure."""
        source = (address, 0) if self.local else None
        begun = time.monotonic()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10, source_address=source)
        with contextlib.closing(connection):
            connection.request("GET", self.path, headers=headers)
            reply = connection.getresponse()
            reply.read()
            assert reply.status < 500, reply.status
        return time.monotonic() - begun

    def recovers(self, address="127.0.0.2", within=2.0) -> None:
        """Wait until the attacker's own address is served again."""
        until = time.monotonic() + within
        while True:
            try:
                self.visit(address)
                return
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < until, f"{address} is not served {within:g} s after the attack"
                time.sleep(0.05)


@pytest.fixture(scope="module")
def target(request, tmp_path_factory):
    name = request.param
    if name not in ("gateway", "rest"):
        parts = urlsplit(name)
        yield Target(parts.hostname, parts.port or 80, *[parts.path or "/"] * 2)
        return
    folder, port = tmp_path_factory.mktemp(name), free_port()
    if name == "gateway":
        kept = ["--feedback=none", "--request-log=none", "--server=localhost:1", "--log-format=json"]
        command = ["-m", "serving.app", f"--port={port}", f"--trusted-proxy={PROXY}", *kept]
        path, post = "/healthz", "/api/predict"
    else:
        from tests.serving import _models  # loads TensorFlow

        command = ["-m", "digits_model_server", f"--rest_api_port={port}", f"--port={free_port()}"]
        command.append(f"--model_base_path={_models.half_plus(folder / 'model' / '1').parent}")
        path, post = "/v1/models/default", "/v1/models/default:predict"
    made = Target("127.0.0.1", port, path, post, folder / "log")
    with made.log.open("wb") as log:
        limit = (DESCRIPTORS, DESCRIPTORS)
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=environment(),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit),
        )
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                made.visit()
                break
            assert process.poll() is None and time.monotonic() < until, made.log.read_text()
            time.sleep(0.05)
        yield made
        assert process.poll() is None, f"it ended: {made.log.read_text()[-2000:]}"
        assert made.log.stat().st_size <= 1 << 20, "the attacks filled its log"
        assert b"Traceback" not in made.log.read_bytes()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def gateway(target):
    """The target, where a test is for our gateway or the server of --url alone."""
    return target
