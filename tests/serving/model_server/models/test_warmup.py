"""Upstream's warm-up: which recorded requests are replayed, how often, and what fails a load."""

import shutil
import time

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
)

from tests.serving import _models
from tests.serving.model_server._calls import (
    CLASSIFY,
    REGRESS,
    classification,
    examples,
    regression,
    serving,
    stub,
    tasks,
)

FILE = "assets.extra/tf_serving_warmup_requests"


def log(**kinds):
    record = prediction_log_pb2.PredictionLog()
    for name, request in kinds.items():
        getattr(record, name).request.CopyFrom(request)
    return record.SerializeToString()


def predict_request(signature="plain"):
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto([b""], tf.string))
    return request


BOTH = tasks(("m", "regress", REGRESS), ("m", "classify", CLASSIFY), sent=examples(1.0))
COUNTED = tasks(("m", "count", REGRESS), sent=examples(1.0))
STREAMED, SESSION = prediction_log_pb2.PredictionLog(), prediction_log_pb2.PredictionLog()
STREAMED.predict_streamed_log.SetInParent()
SESSION.session_run_log.SetInParent()
FAILING = {
    "streamed": ([STREAMED.SerializeToString()], 12, "Unsupported log_type for warmup: 7"),
    "session": ([SESSION.SerializeToString()], 12, "Unsupported log_type for warmup: 5"),
    "unparsable": ([b"\xffno log"], 3, "Failed to parse warmup record: \ufffdno log from "),
    "predict": ([log(predict_log=predict_request("nope"))], 9, 'Serving signature key "nope" not found.'),
    "classify": (
        [log(classify_log=classification("m", "classify_three", examples(1.0)))],
        3,
        "Expected one or two output Tensors, found 3",
    ),
    "regress": ([log(regress_log=regression("m", "regress", examples()))], 3, "Input is empty."),
    "multi": (
        [log(multi_inference_log=tasks(("m", "regress", "x"), sent=examples(1.0)))],
        12,
        "Unsupported signature method_name: x",
    ),
    "last": (
        [log(regress_log=regression("m", "regress", examples(1.0)))] * 2 + [b"\xff"],
        3,
        "Failed to parse warmup record: ",
    ),
    "many": ([b""] * 1001, 3, "Number of warmup records exceeds the maximum (1000) at "),
    "broken": (b"this is no TFRecord", 15, "Please verify your warmup data is in TFRecord format."),
}
PASSING = {
    "kinds": [
        log(classify_log=classification("another", "classify", examples(1.0))),  # whose name does not count
        log(regress_log=regression("m", "", examples(1.0, 2.0))),
        log(multi_inference_log=BOTH),
        log(multi_inference_log=COUNTED),
    ],
    "thousand": [b""] * 999 + [log(multi_inference_log=COUNTED)],  # empty records are passed over
    "nothing": [],
}


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return _models.graded(tmp_path_factory.mktemp("made") / "1")


def warmed(version, path, records):
    shutil.copytree(version, path)
    (path / FILE).parent.mkdir()
    if isinstance(records, bytes):
        (path / FILE).write_bytes(records)
        return
    with tf.io.TFRecordWriter(str(path / FILE)) as writer:
        for record in records:
            writer.write(record)


def status(server, model, number):
    with grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=20)
    return next((each for each in answer.model_version_status if each.version == number), None)


def ended(server, model):
    end = time.monotonic() + 60
    while (found := status(server, model, 2)) is None or found.state not in (30, 50):
        assert time.monotonic() < end, "it was not loaded"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def server(version, tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    for name in (*FAILING, *PASSING):
        shutil.copytree(version, base / name / "1")
        records = PASSING[name] if name in PASSING else FAILING[name][0]
        warmed(version, base / name / ".2", records)
    flag = "--num_request_iterations_for_warmup=3"
    with serving(base, {name: base / name for name in (*FAILING, *PASSING)}, flag) as made:
        for name in (*FAILING, *PASSING):
            (base / name / ".2").rename(base / name / "2")
        yield made


@pytest.mark.parametrize("name", FAILING)
def test_a_record_that_fails_fails_the_load_and_the_old_version_serves(server, name):
    _, code, said = FAILING[name]
    found = ended(server, name)
    assert (found.state, found.status.error_code) == (50, code) and said in found.status.error_message
    assert status(server, name, 1).state == 30


@pytest.mark.parametrize(("name", "runs"), [("kinds", 3), ("thousand", 3), ("nothing", 0)])
def test_every_record_is_replayed_so_many_times_before_the_version_serves(server, name, runs):
    assert ended(server, name).state == 30
    with stub(server) as client:
        request = regression(name, "count", examples(1.0), version=2)
        assert client.Regress(request, timeout=20).result.regressions[0].value == runs + 1


@pytest.mark.parametrize(
    ("flags", "runs"), [((), 1), (("--enable_model_warmup=false",), 0)], ids=["by default", "off"]
)
def test_once_by_default_and_not_at_all_if_so_wished(version, tmp_path, flags, runs):
    warmed(version, tmp_path / "m" / "1", [log(multi_inference_log=COUNTED)])
    with serving(tmp_path, {"m": tmp_path / "m"}, *flags) as server, stub(server) as client:
        request = regression("m", "count", examples(1.0))
        assert client.Regress(request, timeout=20).result.regressions[0].value == runs + 1
