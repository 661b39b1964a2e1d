"""The REST port on the wire."""

import http.client
import json
import socket

BODY = b'{"instances": [1.0]}'
HEAD = b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)


def test_head_and_body_of_an_answer_are_sent_as_one_so_no_acknowledgement_is_waited_for(server):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as sock:
        for _ in range(30):
            sock.sendall(HEAD + BODY)
            head, _, body = sock.recv(1 << 16).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ") and json.loads(body) == {"predictions": [2.5]}


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(server):
    before = server.memory()
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    connection.putrequest("POST", "/v1/models/half:predict")
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 429 and b"larger than 67108864 bytes" in answer.read()
    connection.close()
    assert server.memory() < before + 50


def test_a_run_has_a_time_limit_unless_it_is_0(launch, models):
    flags = ["--rest_api_num_threads=-1", "--grpc_max_threads=-1"]
    endless, short = ({"signature_name": name, "inputs": [1.0]} for name in ("endless", "scalar"))
    with launch(models["many"], *flags, "--rest_api_timeout_in_ms=300") as server:
        status, body = server.rest("/v1/models/default:predict", endless)
        assert status == 504 and "error" in body
    with launch(models["many"], *flags, "--rest_api_timeout_in_ms=0") as server:
        assert server.rest("/v1/models/default:predict", short) == (200, {"outputs": 1.0})
