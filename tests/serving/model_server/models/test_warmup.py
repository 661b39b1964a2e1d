"""Upstream's warm-up: which recorded requests are replayed, how often, and what fails a load."""

import shutil

import numpy as np
import pytest
from tensorflow_serving.apis import get_model_status_pb2, prediction_log_pb2
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub

from digits_model_server import tfrecord
from tests.serving.model_server import _calls
from tests.serving.model_server._calls import CLASSIFY, REGRESS, classification, examples, regression, tasks

FILE = "assets.extra/tf_serving_warmup_requests"


def log(kind, request):
    record = prediction_log_pb2.PredictionLog()
    getattr(record, kind).request.CopyFrom(request)
    return record.SerializeToString()


ONE = log("regress_log", regression("m", "regress", examples(1.0)))
COUNTED = log("multi_inference_log", tasks(("m", "count", REGRESS), sent=examples(1.0)))
SESSION = prediction_log_pb2.PredictionLog()
SESSION.session_run_log.SetInParent()
UNKNOWN = log("predict_log", _calls.prediction("m", {"inputs": np.array([b""], object)}, "nope"))
FAILING = {
    "session": ([SESSION.SerializeToString()], 12, "Unsupported log_type for warmup: 5"),
    "request": ([ONE, UNKNOWN], 9, 'Serving signature key "nope" not found.'),
    "last": ([ONE, ONE, b"\xffno log"], 3, "Failed to parse warmup record: \ufffdno log from "),
    "many": ([b""] * 1001, 3, "Number of warmup records exceeds the maximum (1000) at "),
    "broken": (None, 15, "Please verify your warmup data is in TFRecord format."),
}
PASSING = {
    "kinds": [
        log("classify_log", classification("another", "classify", examples(1.0))),  # the name does not count
        ONE,
        log("multi_inference_log", tasks(("m", "classify", CLASSIFY), sent=examples(1.0))),
        COUNTED,
    ],
    "thousand": [b""] * 999 + [COUNTED],  # empty records are passed over
}


def warmed(version, path, records):
    shutil.copytree(version, path)
    (path / FILE).parent.mkdir()
    data = b"this is no TFRecord" if records is None else b"".join(map(tfrecord.frame, records))
    (path / FILE).write_bytes(data)


def ended(server, model):
    """The states of the versions 2 and 1 of a model when 2 has come to serve or has failed."""
    request = _calls.named(get_model_status_pb2.GetModelStatusRequest(), model)
    found = []

    def asked():
        found[:] = ModelServiceStub(channel).GetModelStatus(request, timeout=20).model_version_status
        return len(found) == 2 and found[0].state in (30, 50)

    with _calls.connected(server) as channel:
        _calls.until(asked, 60)
    return found


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    base, version = tmp_path_factory.mktemp("models"), models["graded"] / "3"
    wanted = {name: records for name, (records, _, _) in FAILING.items()} | PASSING
    for name, records in wanted.items():
        shutil.copytree(version, base / name / "1")
        warmed(version, base / name / ".2", records)
    flag = "--num_request_iterations_for_warmup=3"
    with _calls.serving(base, {name: base / name for name in wanted}, flag) as made:
        for name in wanted:
            (base / name / ".2").rename(base / name / "2")
        yield made


@pytest.mark.parametrize("name", FAILING)
def test_a_record_that_fails_fails_the_load_and_the_old_version_serves(server, name):
    _, code, said = FAILING[name]
    new, old = ended(server, name)
    assert (new.state, new.status.error_code) == (50, code) and said in new.status.error_message
    assert old.state == 30


def runs(server, name):
    """How often the graph has been run for the warm-up."""
    with _calls.stub(server) as client:
        answer = client.Regress(regression(name, "count", examples(1.0)), timeout=20)
    return answer.result.regressions[0].value - 1


@pytest.mark.parametrize("name", PASSING)
def test_every_record_is_replayed_so_many_times_before_the_version_serves(server, name):
    assert ended(server, name)[0].state == 30
    assert runs(server, name) == 3


def test_once_by_default_and_not_at_all_if_so_wished(models, launch, tmp_path):
    warmed(models["graded"] / "3", tmp_path / "m" / "1", [COUNTED])
    for flags, times in (((), 1), (("--enable_model_warmup=false",), 0)):
        with launch(tmp_path / "m", *flags) as server:
            assert runs(server, "default") == times
