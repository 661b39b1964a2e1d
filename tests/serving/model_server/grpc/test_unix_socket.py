"""Who may listen at a path, and a server that listens there alone."""

import os
import signal
import socket
import stat

import grpc
import pytest

from digits_model_server.grpc import server
from digits_model_server.status import Status
from tests.serving.model_server._calls import ask_half, refused_start


def test_the_socket_of_a_server_that_is_gone_is_taken_away(tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
        gone.listen()
    server.claim_path(str(path))
    assert not path.exists()


def test_a_file_and_a_path_that_no_socket_can_have_are_refused_and_left_as_they_are(tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path, said in {
        tmp_path / "file": "is not a socket: it is left as it is",
        tmp_path / "link": "is not a socket",
        "x" * 108: "longer than 107 bytes",
        "/nowhere/at/all/socket": "there is no folder",
    }.items():
        with pytest.raises(Status, match=said):
            server.claim_path(str(path))
    assert (tmp_path / "file").read_text() == "precious" and (tmp_path / "link").is_symlink()


def test_a_server_on_a_socket_alone_outlives_a_kill_and_shares_with_nobody(launch, half, tmp_path):
    path = tmp_path / "socket"
    flags = (f"--grpc_socket_path={path}", "--port=0")  # the last of two holds

    def answers():
        with grpc.insecure_channel(f"unix:{path}") as channel:
            return ask_half(channel, 2.0) == 2.0

    with launch(half, *flags) as first:
        assert answers()
        assert stat.S_ISSOCK(path.stat().st_mode) and not path.stat().st_mode & stat.S_IWOTH
        assert "belongs to a server that is running" in refused_start(f"--model_base_path={half}", *flags)
        assert answers(), "the first one has kept it"
        first.stop(signal.SIGKILL)
    assert path.exists()
    with launch(half, *flags) as second:
        assert answers() and second.stop() == 0
    assert not os.path.lexists(path)
