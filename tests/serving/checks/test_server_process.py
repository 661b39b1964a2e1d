import sys

import pytest

from digits.runtime.errors import StoreError
from serving.checks import server_process
from serving.store.pointer import Pointer

LISTENS = """
import os, pathlib, signal, socket, sys
flags = dict(f[2:].split("=", 1) for f in sys.argv[1:])
print("loading", pathlib.Path(flags["model_config_file"]).read_text())
kept = [socket.create_server(("127.0.0.1", int(flags[f]))) for f in ("port", "rest_api_port")]
pathlib.Path("environment").write_text(os.environ["CUDA_VISIBLE_DEVICES"] + " " + os.environ["PYTHONPATH"])
signal.pause()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LISTENS
DIES = "import sys; print('\\nno variables\\n'); sys.exit('cannot load version 1')"
HANGS = "import signal; print('oneDNN custom operations\\nretrying', flush=True); signal.pause()"


def program(text):
    return [sys.executable, "-c", text]


def test_a_server_is_ready_when_both_ports_answer_and_gone_after_the_block(tmp_path):
    with server_process.start(Pointer("/models/digits", 1), tmp_path, program(LISTENS)) as server:
        assert server_process.is_listening(server.grpc_port) and server_process.is_listening(server.rest_port)
        assert "/models/digits" in server.log.read_text() or "runs" in server.describe()
        assert (tmp_path / "models.config").exists()
    assert server.process.returncode is not None
    assert not server_process.is_listening(server.grpc_port)
    assert (tmp_path / "environment").read_text().startswith("-1 ")


@pytest.mark.parametrize(
    ("command", "patience", "said"),
    [
        (program(DIES), 60, r"exit code 1; .*cannot load version 1"),
        (program(HANGS), 1, r"not ready within 1 s: .* runs; the end of its log: retrying$"),
        (["/nowhere"], 60, r"nowhere can't be started \(No such file"),
    ],
    ids=["it ends", "it is never ready", "it is not there"],
)
def test_a_server_that_does_not_come_is_an_error_with_its_last_words(tmp_path, command, patience, said):
    with (
        pytest.raises(StoreError, match=said),
        server_process.start(Pointer("/m", 1), tmp_path, command, patience),
    ):
        pass


def test_a_server_that_will_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(server_process, "GRACE", 0.1)
    with server_process.start(Pointer("/m", 1), tmp_path, program(DEAF)) as server:
        pass
    assert server.process.returncode == -9


def test_tensorflow_serving_is_taken_when_it_is_on_the_path_and_else_the_embedded_server(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_process.command() == (sys.executable, "-m", "digits_model_server")
    real = tmp_path / "tensorflow_model_server"
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    assert server_process.command() == (str(real),)
