"""A real model server in a process of its own, on free ports of the loopback."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests._ports import free_port
from tests._project import python_path
from tests.serving import _template


def environment() -> dict[str, str]:
    paths = [python_path(), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_CPP_MIN_LOG_LEVEL": "2"}


class Server:
    """`with Server(log, "--model_base_path=…") as server:` waits until its ports answer."""

    def __init__(self, log: Path, *flags: str, ready: bool = True, descriptors: int = 0) -> None:
        """descriptors: how many the process may have, 0 for as many as this one."""
        self.port, self.rest_port = free_port(), free_port()
        self.log = log
        mine = [f"--port={self.port}", f"--rest_api_port={self.rest_port}", "--max_num_load_retries=0"]
        self.process = _template.start([*mine, *flags], log, environment(), descriptors)
        if ready:
            self.wait()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def wait(self, seconds: float = 90.0) -> None:
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, f"the server ended: {self.text()}"
            try:
                socket.create_connection(("127.0.0.1", self.rest_port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, f"no answer: {self.text()}"
                time.sleep(0.05)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)

    def memory(self) -> float:
        """Return the resident memory in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")

    def cpu(self) -> float:
        """Return the processor time that it has taken, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rest(
        self, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, object]:
        """Return (HTTP status, JSON) of a GET, or of a POST with a body."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest_port}{path}", data, headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, _json(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _json(error.read())


def _json(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
