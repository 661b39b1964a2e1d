"""Who may listen at a path, and a server that listens there alone."""

import os
import signal
import socket
import stat

import grpc
import pytest

from digits_model_server.grpc import server
from digits_model_server.status import Status
from tests.serving._server import Server
from tests.serving.model_server._calls import ask_half, refused_start


def test_the_socket_of_a_server_that_is_gone_is_taken_away(tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
        gone.listen()
    server.claim_path(str(path))
    assert not path.exists()


def test_a_file_is_never_taken_away(tmp_path):
    path = tmp_path / "socket"
    path.write_text("precious")
    with pytest.raises(Status, match="is not a socket: it is left as it is"):
        server.claim_path(str(path))
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Status, match="is not a socket"):
        server.claim_path(str(path))


@pytest.mark.parametrize(
    ("path", "said"), [("x" * 108, "longer than 107 bytes"), ("/nowhere/at/all/socket", "there is no folder")]
)
def test_a_path_that_no_socket_can_have_is_refused(path, said):
    with pytest.raises(Status, match=said):
        server.claim_path(path)


def test_a_server_on_a_socket_alone_outlives_a_kill_and_shares_with_nobody(half, tmp_path):
    path = tmp_path / "socket"
    flags = (f"--model_base_path={half}", f"--grpc_socket_path={path}", "--port=0")  # the last of two holds
    with Server(tmp_path / "log", *flags) as first:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert ask_half(channel, 2.0) == 2.0
        assert stat.S_ISSOCK(path.stat().st_mode) and not path.stat().st_mode & stat.S_IWOTH
        assert "belongs to a server that is running" in refused_start(*flags)
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert ask_half(channel, 2.0) == 2.0, "the first one has kept it"
        first.stop(signal.SIGKILL)
    assert path.exists()
    with Server(tmp_path / "log2", *flags) as second:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert ask_half(channel, 4.0) == 3.0
        assert second.stop() == 0
    assert not os.path.lexists(path)
