"""The REST port on the wire."""

import json
import socket

import pytest

from tests.serving._server import Server

BODY = b'{"instances": [1.0]}'
HEAD = b"POST /v1/models/default:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@pytest.fixture(scope="module")
def server(half, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("log") / "log", f"--model_base_path={half}") as made:
        yield made


def test_head_and_body_of_an_answer_are_sent_as_one_so_no_acknowledgement_is_waited_for(server):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as sock:
        for _ in range(30):
            sock.sendall(HEAD + BODY)
            answer = sock.recv(1 << 16)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ") and json.loads(body) == {"predictions": [1.5]}
