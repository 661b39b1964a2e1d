"""A day's worth of abuse in small: reloads and hostile requests, with good ones among them all the while."""

import contextlib
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.serving._server import Server
from tests.serving.model_server._calls import connected, meanwhile, only, predict, prediction, reload, stub

pytestmark = pytest.mark.slow

RELOADS, HOSTILE = 100, 5_000
PAUSE = 0.01  # seconds between good requests
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
    model = chance.choice(["half", "none", "", "ha\x00lf", "x" * 5000])
    request = prediction(model, {}, chance.choice(["", "no such"]))
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


@pytest.mark.parametrize("flags", [(), ("--enable_batching",)], ids=["plain", "batching"])
def test_reloads_and_hostile_requests_cost_no_good_one_and_no_memory(models, tmp_path, flags):
    (tmp_path / "models").write_text(only(models["half"], 122))
    flags = (f"--model_config_file={tmp_path / 'models'}", "--rest_api_timeout_in_ms=2000", *flags)
    sent, answers, memory = [], [], []

    def ask():
        """A good request, over both ports in turn."""
        if len(answers) % 2:
            answers.extend(predict(client, "half", {"x": [2.0]}, timeout=30)["y"])
        else:
            answers.extend(server.rest("/v1/models/half:predict", {"instances": [2.0]})[1]["predictions"])
        time.sleep(PAUSE)

    with Server(tmp_path / "log", *flags) as server, connected(server) as channel, stub(server) as client:
        with meanwhile(ask, threads=1), ThreadPoolExecutor(4) as pool:
            hostile = [pool.submit(attack, server, seed, sent) for seed in range(4)]
            for number in range(RELOADS):
                config = only(models["half"], 122 + number % 2)
                assert reload(channel, config, timeout=60).status.error_code == 0
                memory.append(server.memory())
                # the last reloads are spread over what is left of the abuse
                time.sleep(0.0 if len(sent) > HOSTILE * number / RELOADS else 0.2)
            for each in hostile:
                each.result()
        assert server.process.poll() is None, server.text()
        settled = sorted(memory[RELOADS // 5 : RELOADS // 5 + 10])[5]
        ended = sorted([server.memory(), *memory[-9:]])[5]
        assert len(sent) == HOSTILE and len(answers) > 200
        assert set(answers) == {2.0, 3.0}
        assert ended < GROWTH * settled, f"{memory[0]:.0f}, {settled:.0f} … {ended:.0f} MiB"
        assert "Traceback" not in server.text(), server.text()[-3000:]
