"""A day's worth of abuse in small: reloads and hostile requests, with good ones among them all the while."""

import contextlib
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc, predict_pb2

from tests.serving._server import Server
from tests.serving.model_server._calls import connected, predict, settings, stub

pytestmark = pytest.mark.slow

RELOADS, HOSTILE = 100, 5_000
RATE = 100.0  # good requests a second
GROWTH = 1.15  # of memory, from the first fifth to the end

BODIES = [  # tests/hostile has more of them
    b"",
    b"\xff\xfe\x00",
    b"[" * 50_000,
    b'{"instances": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}",
    b'{"instances": [[1.0], [1.0, 2.0], "x", null, {"b64": 3}]}',
    b'{"instances": [NaN, Infinity, -1e400, 1e-400]',
    json.dumps({"instances": [[0.1] * 50] * 50}).encode(),
    json.dumps({"instances": [[1.0]] * 20_000}).encode(),
]


def message(chance):
    """A Predict request of bytes."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = chance.choice(["half", "none", "", "ha\x00lf", "x" * 5000])
    request.model_spec.signature_name = chance.choice(["", "no such"])
    tensor = request.inputs[chance.choice(["x", "y", ""])]
    tensor.dtype = chance.choice([0, 1, 2, 3, 7, 8, 14, 20, 23, 101])
    for _ in range(chance.randrange(5)):
        tensor.tensor_shape.dim.add().size = chance.choice([-1, 0, 1, 2, 2**31, 2**62])
    tensor.float_val.extend([1.0] * chance.randrange(20))
    tensor.tensor_content = b"z" * chance.randrange(30)
    whole = request.SerializeToString()
    return chance.choice([whole, whole[: chance.randrange(40)], chance.randbytes(chance.randrange(200))])


def attack(server, seed, sent):
    """Send a fourth of the hostile requests, noting each in `sent`."""
    chance = random.Random(seed)
    with connected(server) as channel:
        for _ in range(HOSTILE // 4):
            if chance.random() < 0.5:
                verb = chance.choice(["predict", "classify", "regress"])
                with contextlib.suppress(OSError):
                    server.rest(f"/v1/models/half:{verb}", chance.choice(BODIES))
            else:
                method = chance.choice(["Predict", "Classify", "Regress", "MultiInference", "No"])
                call = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
                with contextlib.suppress(grpc.RpcError):
                    call(message(chance), timeout=chance.choice([0.001, 5, 5, 5]))
            sent.append(seed)


def ask(server, stopping, answers):
    """Ask at a fixed rate, over both ports; note each answer, and each failure."""
    with stub(server) as client:
        begun = time.monotonic()
        while not stopping.wait(max(0.0, begun + len(answers) / RATE - time.monotonic())):
            try:
                if len(answers) % 2:
                    (y,) = predict(client, "half", {"x": [2.0]}, timeout=30)["y"]
                else:
                    (y,) = server.rest("/v1/models/half:predict", {"instances": [2.0]})[1]["predictions"]
                answers.append(y)
            except Exception as error:
                answers.append(repr(error)[:300])


@pytest.mark.parametrize("flags", [(), ("--enable_batching",)], ids=["plain", "batching"])
def test_reloads_and_hostile_requests_cost_no_good_one_and_no_memory(models, tmp_path, flags):
    def config(version):
        policy = f"model_version_policy {{ specific {{ versions: {version} }} }}"
        return settings({"half": models["half"]}, half=policy)

    (tmp_path / "models").write_text(config(122))
    flags = (f"--model_config_file={tmp_path / 'models'}", "--rest_api_timeout_in_ms=2000", *flags)
    with (
        Server(tmp_path / "log", *flags) as server,
        connected(server) as channel,
        ThreadPoolExecutor(5) as pool,
    ):
        stopping, sent, answers, memory = threading.Event(), [], [], []
        good = pool.submit(ask, server, stopping, answers)
        hostile = [pool.submit(attack, server, seed, sent) for seed in range(4)]
        reload = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest
        for number in range(RELOADS):
            request = model_management_pb2.ReloadConfigRequest()
            text_format.Parse(config(122 + number % 2), request.config)
            assert reload(request, timeout=60).status.error_code == 0
            memory.append(server.memory())
            # the last reloads are spread over what is left of the abuse
            time.sleep(0.0 if len(sent) > HOSTILE * number / RELOADS else 0.2)
        for each in hostile:
            each.result()
        stopping.set()
        good.result()
        assert server.process.poll() is None, server.text()
        settled = sorted(memory[RELOADS // 5 : RELOADS // 5 + 10])[5]
        ended = sorted([server.memory(), *memory[-9:]])[5]
        assert len(sent) == HOSTILE and len(answers) > 200
        assert set(answers) == {2.0, 3.0}
        assert ended < GROWTH * settled, f"{memory[0]:.0f}, {settled:.0f} … {ended:.0f} MiB"
        assert "Traceback" not in server.text(), server.text()[-3000:]
