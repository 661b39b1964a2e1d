"""Measures how long a model server takes to start and to refuse a bad config, and its memory over many
reloads.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.records import Record
from bench.serving.cases import GRPC, OURS
from bench.serving.children import Worker, cpu_seconds, free_ports, resident_mib
from bench.serving.contestants import RELOAD_METHOD, Contest
from bench.serving.rollouts import wait_for_version
from digits.runtime.errors import DigitsError

COMPLAINT = "Error parsing text-format tensorflow.serving.ModelServerConfig"
BAD = "model_config_list { config { name: 'digits' base_paht: 1 }\n"


def ready(contest: Contest, times: int, say: Callable[[str], None]) -> Record:
    """Measure seconds from the command to the first version that accepts requests, with the files in the page
    cache.
    """
    seconds = []
    for turn in range(times):
        say(f"ready: start {turn + 1} of {times}")
        began = time.perf_counter()
        (server,) = contest.launch([OURS])
        try:
            wait_for_version(server, 1, look=0.01)
            seconds.append(time.perf_counter() - began)
        finally:
            server.stop()
    return {"kind": "ready", "seconds": seconds}


def bad_config(contest: Contest, times: int, say: Callable[[str], None]) -> Record:
    """Measure seconds until a damaged configuration file is reported and the process has ended.

    Raises DigitsError when it is not reported.
    """
    file = contest.logs / "bad.config"
    file.write_text(BAD, encoding="utf-8")
    say(f"a bad configuration file, {times} times")
    return {"kind": "bad-config", "seconds": [_refusal(contest.root, file) for _ in range(times)]}


def _refusal(root: Path, file: Path) -> float:
    grpc, rest = free_ports(2)
    command = [sys.executable, "-m", "digits_model_server", f"--port={grpc}", f"--rest_api_port={rest}"]
    command += [f"--model_config_file={file}"]
    began = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        raise DigitsError(
            "the server kept running with a damaged configuration file, expected an error"
        ) from None
    seconds = time.perf_counter() - began
    if done.returncode == 0 or COMPLAINT not in done.stderr + done.stdout:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise DigitsError(
            f"a damaged configuration file was answered with code {done.returncode} and {said}; expected an "
            f"error that holds '{COMPLAINT}'"
        )
    return seconds


def reloads(contest: Contest, load: Worker, folder: Path, times: int, say: Callable[[str], None]) -> Record:
    """Measure the memory of an idle server after each of many reloads by its API, alternating between two
    versions.
    """
    (server,) = contest.launch([OURS], poll=0)
    began = time.perf_counter()
    try:
        wait_for_version(server, 1, look=0.01)
        before = cpu_seconds(server.process.pid)
        memory = [resident_mib(server.process.pid)]
        for turn in range(times):
            if turn % 50 == 0:
                say(f"memory: reload {turn + 1} of {times}")
            version = 2 - turn % 2
            load.ask(
                {"loop": "once", "interface": GRPC, "target": server.target(GRPC), "method": RELOAD_METHOD}
                | {"payload": str(folder / f"reload-{version}.bin")}
            )
            wait_for_version(server, version, look=0.02)
            memory.append(resident_mib(server.process.pid))
        after = cpu_seconds(server.process.pid)
    finally:
        server.stop()
    taken = None if before is None or after is None else (after - before) / times
    return {"kind": "reloads", "mib": memory, "seconds": time.perf_counter() - began, "cpu_s": taken}
