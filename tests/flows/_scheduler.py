"""A project's folder, and schedulers in it as real processes, observed through their real server's API."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from flows.scheduling import server
from tests._ports import free_port
from tests._project import ROOT
from tests.flows._processes import PATIENCE, environment, wait_for

ENTRYPOINT = f"{ROOT / 'tests' / 'flows' / '_tiny_flow.py'}:retrain"


class Project:
    """A folder that looks like a project, and its schedulers."""

    def __init__(self, root: Path, **extra: str) -> None:
        self.root, self.port, self.extra = root, free_port(), extra
        self.log = root / "scheduler.log"
        self.started: list[subprocess.Popen[bytes]] = []
        root.mkdir(parents=True, exist_ok=True)
        (root / "dvc.yaml").write_text("stages: {}\n")
        never = re.sub(r"every_minutes: \d+", "every_minutes: 0", (ROOT / "params.yaml").read_text())
        (root / "params.yaml").write_text(never)  # runs of `monitor` would be among those counted

    def command(self, *options: str) -> list[str]:
        given = ["--port", str(self.port), "--entrypoint", ENTRYPOINT, *options]
        return [sys.executable, "-m", "flows.deploy", "--project", str(self.root), *given]

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a scheduler in the background and wait until it is ready."""
        before = self.said().count("serving retrain/")
        with self.log.open("ab") as stream:
            process = subprocess.Popen(
                self.command(*options),
                cwd=self.root.parent,
                env=environment(**self.extra),
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)

        def serves() -> bool:
            assert process.poll() is None, self.said()
            return self.said().count("serving retrain/") > before

        wait_for(serves, told=self.said)
        return process

    def run(self, *options: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run a scheduler's command to its end."""
        return subprocess.run(
            self.command(*options),
            cwd=self.root.parent,
            env=environment(**self.extra),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def fired(self) -> list[dict]:
        path = self.root / "fired.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ask(self, path: str, body: dict | None = None):
        """Call the server's API."""
        url = f"http://127.0.0.1:{self.port}/api"
        with server.session(self.root, url) as session:
            method = "GET" if body is None else "POST"
            answer = session.request(method, f"{url}/{path}", json=body, timeout=PATIENCE)
            answer.raise_for_status()
            return answer.json()

    @property
    def named(self) -> dict:
        """Return the API's filter for its deployment, among those of all that share a server."""
        return {"name": {"any_": [self.root.name]}}

    def states(self) -> dict[str, str]:
        """Return flow runs by id with the name of their state, except future ones."""
        runs = self.ask("flow_runs/filter", {"limit": 200, "sort": "START_TIME_ASC"})
        return {run["id"]: run["state_name"] for run in runs if run["state_name"] != "Scheduled"}

    def server(self) -> int:
        return json.loads((self.root / ".prefect" / "server.json").read_text())["pid"]

    def end(self) -> None:
        """End all processes that are left."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def family(pid: int) -> list[psutil.Process]:
    """Return a process's children and grandchildren."""
    return psutil.Process(pid).children(recursive=True)
