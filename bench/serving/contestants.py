"""The servers that are compared, each in a process of its own on free ports, and why some can't run here."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.serving.cases import (
    FASTAPI,
    FLASK,
    GRPC,
    JOINING,
    LOGGING,
    NOOP_GRPC,
    NOOP_REST,
    OURS,
    REAL,
    REST,
)
from bench.serving.children import accepts_connections, free_ports, start, stop, wait
from digits import files, wire

START_LIMIT = 180.0  # seconds; TensorFlow's import on a busy machine
GRPC_METHOD = "/tensorflow.serving.PredictionService/Predict"
REST_PATH = f"/v1/models/{wire.MODEL}:predict"
RELOAD_METHOD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
LOGGED = "logged.config"  # as models.config, with every request logged
EMBEDDED = (OURS, JOINING, LOGGING)
POLL = 1  # seconds between two looks of a model server at its pointer


@dataclass
class Server:
    """A running server."""

    name: str
    process: subprocess.Popen[str]
    ports: dict[str, int]  # interface → port
    seconds: float  # until its ports answered

    def target(self, interface: str) -> str:
        """Return host:port of an interface."""
        return f"127.0.0.1:{self.ports[interface]}"

    def stop(self) -> None:
        """End it."""
        stop(self.process)


def unavailable(name: str, candidate: Path) -> str | None:
    """Return why a server can't be measured here; None when it can."""
    if name in EMBEDDED and not _importable("digits_model_server"):
        return "digits_model_server is not there: take a checkout that has it"
    if name == REAL and not shutil.which(REAL):
        return "tensorflow_model_server is not on the PATH: docs/operations.md says how to install it"
    if name == FLASK and not _importable("flask"):
        return "Flask is not installed: `make setup` installs it"
    if name == FLASK and not candidate.is_dir():
        return f"{candidate} is missing, whose Keras model it serves: `make run` trains one"
    if name == FASTAPI and not (_importable("fastapi") and _importable("uvicorn")):
        return "FastAPI or uvicorn is not installed: `make setup` installs them"
    return None


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def pointer(store: Path, version: int) -> None:
    """Point the servers of a scratch store to one of its versions."""
    policy = f"model_version_policy {{ specific {{ versions: {version} }} }}"
    folder = store / wire.MODEL
    entry = f'name: "{wire.MODEL}" base_path: "{folder}" model_platform: "tensorflow" {policy}'
    prefix = f'log_collector_config {{ filename_prefix: "{store / "requests"}" }}'
    logging = f"logging_config {{ {prefix} sampling_config {{ sampling_rate: 1 }} }}"
    for file, settings in (("models.config", entry), (LOGGED, f"{entry} {logging}")):
        files.write_text(store / file, f"model_config_list {{ config {{ {settings} }} }}\n")


def command(name: str, ports: dict[str, int], store: Path, models: Path, poll: int = POLL) -> list[str]:
    """Return the command that starts a server. `models`: the folder with `exported` and `candidate`."""
    if name in (*EMBEDDED, REAL):
        program = [REAL] if name == REAL else [sys.executable, "-m", "digits_model_server"]
        flags = [f"--port={ports[GRPC]}", f"--rest_api_port={ports[REST]}"]
        flags += [f"--model_config_file={store / (LOGGED if name == LOGGING else 'models.config')}"]
        flags += ["--enable_batching"] if name == JOINING else []
        return [*program, *flags, *([f"--model_config_file_poll_wait_seconds={poll}"] if poll else [])]
    app = [sys.executable, "-m", "bench.serving.apps."]
    if name in NOOP_GRPC:
        return [*app[:2], f"{app[2]}noop_grpc", str(ports[GRPC]), name.rpartition("-")[2]]
    if name in NOOP_REST:
        return [*app[:2], f"{app[2]}{name.replace('-', '_')}", str(ports[REST])]
    if name == FLASK:
        return [*app[:2], f"{app[2]}flask_predict", str(ports[REST]), str(models / "candidate")]
    return [*app[:2], f"{app[2]}fastapi_savedmodel", str(ports[REST]), str(models / "exported")]


def interfaces(name: str) -> tuple[str, ...]:
    """Return the interfaces on which a server listens."""
    if name in (*EMBEDDED, REAL):
        return (GRPC, REST)
    return (GRPC,) if name in NOOP_GRPC else (REST,)


class Contest:
    """The folders of the bench: project, models, scratch folder with a store of two equal versions."""

    def __init__(self, root: Path, models: Path, scratch: Path) -> None:
        self.root, self.models, self.store = root, models, scratch / "store"
        self.logs = scratch

    def prepare(self) -> None:
        """Create the store: versions 1 and 2 are copies of the exported model."""
        shutil.rmtree(self.store, ignore_errors=True)
        for version in (1, 2):
            shutil.copytree(self.models / "exported", self.store / wire.MODEL / str(version))
        pointer(self.store, 1)

    def launch(self, names: Sequence[str], poll: int = POLL) -> list[Server]:
        """Start servers together and wait until all answer. Raises DigitsError when one does not."""
        begun: list[Server] = []
        try:
            for name in names:
                kinds = interfaces(name)
                ports = dict(zip(kinds, free_ports(len(kinds)), strict=True))
                process = start(
                    command(name, ports, self.store, self.models, poll), self.root, self.log(name)
                )
                begun.append(Server(name, process, ports, 0.0))
            for server in begun:

                def ready(server: Server = server) -> bool:
                    return all(accepts_connections(port) for port in server.ports.values())

                server.seconds = wait(server.process, ready, self.log(server.name), server.name, START_LIMIT)
        except BaseException:
            for server in begun:
                server.stop()
            raise
        return begun

    def log(self, name: str) -> Path:
        """Return the file of a server's output."""
        return self.logs / f"{name}.log"
