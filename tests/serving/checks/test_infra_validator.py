import contextlib
import shutil
import subprocess
import sys

import pytest

from digits import wire
from digits.runtime.errors import StoreError
from digits_model_server import tfrecord
from serving.checks import golden, infra_validator, server_process


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    from tests.serving._tiny import export

    return export(tmp_path_factory.mktemp("tiny") / "exported")


@pytest.fixture(scope="module")
def asked(exported):
    """The golden requests of the tiny model and the right answers."""
    import tensorflow as tf

    requests, model = golden.read(exported / wire.WARMUP), tf.saved_model.load(str(exported))

    def answer(request):
        inputs = {alias: tf.constant(value) for alias, value in request.inputs.items()}
        outputs = model.signatures[request.signature](**inputs)
        return {alias: value.numpy() for alias, value in outputs.items()}

    return requests, [answer(request) for request in requests]


@pytest.fixture(scope="module")
def check(exported, asked):
    from tests.serving._stand_in import listening

    def check(*faults):
        with listening(exported, *faults) as ports:
            return infra_validator.check(*ports, *asked)

    return check


def test_every_signature_and_batch_size_is_asked_for(asked):
    names = [request.name for request in asked[0]]
    small = [f"{s} × {n}" for n in (1, 8) for s in wire.SIGNATURES]
    assert names == [*small, f"{wire.PIXELS} × 32", f"{wire.LINES} × 32"]


def test_a_server_that_answers_as_the_model_does_passes(check):
    first, notes = check()
    assert first > 0 and notes == ()
    assert check("no Classify")[1] == (infra_validator.NO_CLASSIFY,), "it was asked through Predict"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("wrong digits", "serving_default × 1 over gRPC: digit differs"),
        ("off by 1e-4", r"serving_default × 1 over gRPC: \w+ is off by 0.0001"),
        (
            "no confidence",
            "answered accepted, digit, probabilities, expected accepted, confidence, digit, probabilities",
        ),
        ("empty batch fails", "gRPC answered INTERNAL: no rows"),
        ("takes any shape", "images of 27×27 got an answer, expected INVALID_ARGUMENT"),
        ("takes any width", "a line that is wider than its picture got an answer, expected INVALID_ARGUMENT"),
        ("dies of a wrong shape", "images of 27×27 got UNAVAILABLE"),
        ("REST fails", "serving_default × 1 over REST: 500 .*out of order"),
        ("REST answers nonsense", "REST answer can't be read"),
    ],
)
def test_a_server_that_answers_otherwise_is_refused_with_what_differs(check, fault, said):
    with pytest.raises(StoreError, match=said):
        check(fault)


def test_a_first_request_over_the_budget_is_refused(exported, asked, monkeypatch):
    from tests.serving._stand_in import listening

    with listening(exported) as ports:
        monkeypatch.setattr(infra_validator.server_process, "start", already(*ports))
        answers = contextlib.nullcontext(lambda: asked[1])
        monkeypatch.setattr(infra_validator.offline, "compute", lambda *_: answers)
        assert infra_validator.validate(exported, first_request=10_000).server == "stand-in"
        with pytest.raises(StoreError, match=r"first request took \d+ ms, at most 0 ms allowed; the server"):
            infra_validator.validate(exported, first_request=0.001)


def already(grpc_port, rest_port):
    """A stand-in for server_process.start with a server that runs in this process."""
    process = subprocess.Popen(["true"])
    process.wait()

    @contextlib.contextmanager
    def running(_pointer, directory, *_):
        yield server_process.Server(grpc_port, rest_port, "stand-in", directory / "log", process)

    return running


@pytest.mark.slow
def test_a_model_that_can_not_be_run_is_refused_with_the_reason(tmp_path, monkeypatch):
    from tests.serving._tiny import export

    monkeypatch.setattr(infra_validator.server_process, "start", already(0, 0))
    with pytest.raises(StoreError, match=r"can't be run without a server: .*28"):
        infra_validator.validate(export(tmp_path / "exported", broken=True))


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (lambda f: f.unlink(), "can't be read"),
        (lambda f: f.write_bytes(f.read_bytes()[:-5]), "is damaged, .*truncated record"),
        (lambda f: f.write_bytes(f.read_bytes()[:-1] + b"?"), "is damaged, .*corrupted record"),
        (
            lambda f: f.write_bytes(b""),
            "no request for classify, encoded, lines, lines_encoded, serving_default",
        ),
        (lambda f: f.write_bytes(tfrecord.frame(b"\xff\xff\xff")), "not a PredictionLog"),
    ],
)
def test_a_damaged_warm_up_file_is_refused_before_a_server_starts(exported, tmp_path, spoiled, said):
    copy = shutil.copytree(exported, tmp_path / "copy")
    spoiled(copy / wire.WARMUP)
    with pytest.raises(StoreError, match=said) as refused:
        infra_validator.validate(copy, ["/nowhere"])
    assert "export again" in str(refused.value)


@pytest.mark.slow
def test_the_embedded_server_passes(exported):
    report = infra_validator.validate(exported, [sys.executable, "-m", "digits_model_server"])
    assert report.requests == 12 and report.notes == ()
    assert report.first_request < infra_validator.FIRST_REQUEST
