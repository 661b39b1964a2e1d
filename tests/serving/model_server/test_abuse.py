"""A day's worth of abuse in small: reloads and hostile requests, with good ones among them all the while."""

import contextlib
import gzip
import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from tests.serving import _models
from tests.serving._server import Server

pytestmark = pytest.mark.slow

RELOADS, HOSTILE = 100, 5_000
RATE = 100.0  # good requests a second
GROWTH = 1.15  # of memory, from the first fifth to the end

BOMB = gzip.compress(b" " * (8 << 20))
ROWS = [json.dumps({"instances": rows}).encode() for rows in ([[0.1] * 50] * 50, [[1.0]] * 20_000)]
POST = "POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\n"


def bodies(chance):
    """JSON bodies that are all wrong in their own way."""
    return [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 50_000,
        b'{"instances": ' + b"[" * 2000 + b"1" + b"]" * 2000 + b"}",
        b'{"instances": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}",
        b'{"instances": [[1.0], [1.0, 2.0], "x", null, {"b64": 3}]}',
        b'{"instances": [NaN, Infinity, -1e400, 1e-400]',
        *ROWS,
        json.dumps({"instances": [["0" * chance.randrange(2000)]]}).encode(),
        json.dumps({"signature_name": chance.choice(["x" * 3000, 7, None, ""]), "instances": []}).encode(),
        json.dumps({"inputs": {"x": [[True]], "y": 1}}).encode(),
        json.dumps({"instances": [{"b64": "%%%"}]}).encode(),
        bytes(chance.randrange(256) for _ in range(chance.randrange(400))),
    ]


def raw(chance):
    """What is no HTTP, or less than it says, or more."""
    return [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
        (POST + "Content-Length: 99999999999\r\n\r\n").encode(),
        (POST + "Content-Length: -5\r\n\r\n").encode(),
        (POST + "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n").encode(),
        (POST + "Content-Length: 500\r\n\r\n{").encode(),
        (POST + f"Content-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n").encode() + BOMB,
        (POST + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd").encode(),
        ("X: y\r\n" * 3000).encode(),
        f"GET /v1/models/{'%' * 50}/versions/{10**30}/metadata HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"BREW /v1/models/half HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(chance.randrange(256) for _ in range(300)),
    ]


def messages(chance):
    """Predict requests of bytes."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = chance.choice(["half", "none", "", "ha\x00lf", "x" * 5000])
    request.model_spec.signature_name = chance.choice(["", "no such"])
    tensor = request.inputs[chance.choice(["x", "y", ""])]
    tensor.dtype = chance.choice([0, 1, 2, 3, 7, 8, 14, 20, 23, 101])
    for _ in range(chance.randrange(5)):
        tensor.tensor_shape.dim.add().size = chance.choice([-1, 0, 1, 2, 2**31, 2**62])
    tensor.float_val.extend([1.0] * chance.randrange(20))
    tensor.tensor_content = b"z" * chance.randrange(30)
    return [
        request.SerializeToString(),
        request.SerializeToString()[: chance.randrange(40)],
        bytes(chance.randrange(256) for _ in range(chance.randrange(200))),
    ]


class Abuse:
    """Hostile clients, each with a share of the requests."""

    def __init__(self, server):
        self.server, self.sent = server, 0

    def http(self, chance):
        body = chance.choice(bodies(chance))
        with contextlib.suppress(OSError):
            self.server.rest(f"/v1/models/half{chance.choice([':predict', ':classify', ':regress'])}", body)

    def socket(self, chance):
        with contextlib.suppress(OSError):
            sock = socket.create_connection(("127.0.0.1", self.server.rest_port), 5)
            with sock:
                sock.settimeout(0.05)
                sock.sendall(chance.choice(raw(chance)))
                sock.recv(1000)

    def grpc(self, chance, channel):
        method = chance.choice(["Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata", "No"])
        call = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
        with contextlib.suppress(grpc.RpcError):
            call(chance.choice(messages(chance)), timeout=chance.choice([0.001, 5, 5, 5]))

    def run(self, seed, count):
        chance = random.Random(seed)
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.server.target, options=options) as channel:
            for _ in range(count):
                kind = chance.random()
                if kind < 0.45:
                    self.http(chance)
                elif kind < 0.65:
                    self.socket(chance)
                else:
                    self.grpc(chance, channel)
                self.sent += 1


class Good:
    """A client that asks at a fixed rate and checks each answer."""

    def __init__(self, server):
        self.server, self.asked, self.failures = server, 0, []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with grpc.insecure_channel(
            self.server.target, options=[("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            begun = time.monotonic()
            while not self.stopping.wait(max(0.0, begun + self.asked / RATE - time.monotonic())):
                self.asked += 1
                try:
                    self.ask(stub) if self.asked % 2 else self.ask_rest()
                except Exception as error:
                    self.failures.append(repr(error)[:300])

    def ask(self, stub):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "half"
        tensor = request.inputs["x"]
        tensor.dtype = 1
        tensor.tensor_shape.dim.add().size = 1
        tensor.tensor_shape.dim.add().size = 1
        tensor.float_val.append(float(self.asked))
        answer = stub.Predict(request, timeout=30)
        constant = answer.model_spec.version.value
        assert answer.outputs["y"].float_val[0] == self.asked / 2 + constant, answer

    def ask_rest(self):
        status, answer = self.server.rest("/v1/models/half:predict", {"instances": [2.0]})
        assert status == 200 and answer["predictions"][0] in (2.0, 3.0), answer

    def stop(self):
        self.stopping.set()
        self.thread.join()


@pytest.mark.parametrize("batching", [False, True], ids=["plain", "batching"])
def test_reloads_and_hostile_requests_cost_no_good_one_and_no_memory(tmp_path, batching):
    base = tmp_path / "half"
    _models.half_plus(base / "1", 1.0)
    _models.half_plus(base / "2", 2.0)

    def config(version):
        return (
            f'model_config_list {{ config {{ name: "half" base_path: "{base}" model_platform: "tensorflow" '
            f"model_version_policy {{ specific {{ versions: {version} }} }} }} }}"
        )

    (tmp_path / "models").write_text(config(1))
    flags = [f"--model_config_file={tmp_path / 'models'}", "--rest_api_timeout_in_ms=2000"]
    flags += ["--enable_batching"] if batching else []
    with Server(tmp_path / "log", *flags) as server:
        abuse, good, memory = Abuse(server), Good(server), []
        options = [("grpc.enable_http_proxy", 0)]
        with ThreadPoolExecutor(4) as pool, grpc.insecure_channel(server.target, options=options) as channel:
            hostile = [pool.submit(abuse.run, seed, HOSTILE // 4) for seed in range(4)]
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            for number in range(RELOADS):
                wanted = model_server_config_pb2.ModelServerConfig()
                text_format.Parse(config(1 + number % 2), wanted)
                request = model_management_pb2.ReloadConfigRequest(config=wanted)
                assert stub.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
                memory.append(server.memory())
                # the last reloads are spread over what is left of the abuse
                time.sleep(0.0 if abuse.sent > HOSTILE * number / RELOADS else 0.2)
            for each in hostile:
                each.result()
        good.stop()
        assert server.process.poll() is None, server.text()
        settled = sorted(memory[RELOADS // 5 : RELOADS // 5 + 10])[5]
        ended = sorted([server.memory(), *memory[-9:]])[5]
        assert abuse.sent == HOSTILE and good.asked > 200
        assert good.failures == []
        assert ended < GROWTH * settled, f"{memory[0]:.0f}, {settled:.0f} … {ended:.0f} MiB"
        assert "Traceback" not in server.text(), server.text()[-3000:]
