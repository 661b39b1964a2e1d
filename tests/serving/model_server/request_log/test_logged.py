"""Request logs of real servers, and what can be done with them."""

import signal
import subprocess
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from serving.model_server import tfrecord
from serving.model_server.models import config
from serving.model_server.request_log import files as log_files
from tests._disk import disk
from tests.serving import _models
from tests.serving._server import Server


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.many(base / "many" / "7")
    return base


def config_text(base, prefix=None, rate=1.0):
    text = f'name: "many" base_path: "{base / "many"}" model_platform: "tensorflow"'
    if prefix:
        collector = f'log_collector_config {{ filename_prefix: "{prefix}" }}'
        text += f" logging_config {{ {collector} sampling_config {{ sampling_rate: {rate} }} }}"
    return f"model_config_list {{ config {{ {text} }} }}"


@pytest.fixture
def serve(base, tmp_path):
    """Starts a server whose requests are logged under a prefix."""
    made = []

    def start(prefix, *flags):
        file = tmp_path / "models.config"
        file.write_text(config_text(base, prefix))
        made.append(Server(tmp_path / "log", f"--model_config_file={file}", *flags))
        return made[-1]

    yield start
    for server in made:
        server.stop(signal.SIGKILL)


def stub(server):
    channel = grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)])
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def strings(*words):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "many", "strings"
    request.inputs["s"].CopyFrom(tf.make_tensor_proto(np.array(words, object)))
    return request


def records(prefix):
    return [
        prediction_log_pb2.PredictionLog.FromString(record)
        for path in log_files.files(prefix)
        for record in tfrecord.records(path.read_bytes())
    ]


def until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_kind_of_request_is_in_the_log_after_sigterm_and_warms_up_another_server(serve, base, tmp_path):
    prefix = tmp_path / "logs" / "many"
    prefix.parent.mkdir()
    server = serve(prefix)
    request = strings(b"five", b"\xff")
    answer = stub(server).Predict(request, timeout=20)
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name, classify.model_spec.signature_name = "many", "classes"
    classify.input.example_list.examples.add().features.feature["a"].int64_list.value.append(1)
    classes = stub(server).Classify(classify, timeout=20)
    row = {"a": [1.0, 2.0], "b": 3}
    status, _ = server.rest("/v1/models/many/versions/7:predict", {"instances": [row, row]})
    assert status == 200
    body = {"signature_name": "classes", "examples": [{"a": 1}]}
    assert server.rest("/v1/models/many:classify", body)[0] == 200
    assert server.rest("/v1/models/many:predict", {"instances": [1]})[0] == 400  # failures are left out
    assert server.stop() == 0

    over_grpc, classified, over_rest, rest_classified = records(prefix)
    assert (over_grpc.predict_log.request, over_grpc.predict_log.response) == (request, answer)
    assert (classified.classify_log.request, classified.classify_log.response) == (classify, classes)
    assert rest_classified.classify_log.request.input == classify.input
    assert rest_classified.classify_log.response == classes
    asked, answered = over_rest.predict_log.request, over_rest.predict_log.response
    assert asked.model_spec.version.value == 7 and asked.model_spec.name == "many"
    assert tf.make_ndarray(asked.inputs["a"]).tolist() == [[1.0, 2.0]] * 2
    assert tf.make_ndarray(answered.outputs["total"]).tolist() == [6.0, 6.0]
    for each in (over_grpc, over_rest, classified, rest_classified):
        assert each.log_metadata.model_spec.version.value == 7
        assert each.log_metadata.saved_model_tags == ["serve"]

    (file,) = log_files.files(prefix)
    version = _models.many(tmp_path / "other" / "1")
    (version / "assets.extra").mkdir()
    file.rename(version / "assets.extra" / "tf_serving_warmup_requests")
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    flags = [f"--model_base_path={tmp_path / 'other'}", f"--monitoring_config_file={monitoring}"]
    with Server(tmp_path / "log", *flags) as other:
        page = other.rest("/monitoring/prometheus/metrics")[1]
    assert f'model_warmup_records_read{{model_path="{version}",status="OK"}} 4\n' in page


def test_a_reload_turns_the_log_on_and_off(serve, base, tmp_path):
    server = serve(None)
    channel = grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)])

    def reload(prefix):
        request = model_management_pb2.ReloadConfigRequest()
        request.config.CopyFrom(config.parse(config_text(base, prefix)))
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=20)

    for word, prefix in ((b"before", None), (b"on", tmp_path / "many"), (b"off", None)):
        reload(prefix)
        stub(server).Predict(strings(word), timeout=20)
    with pytest.raises(grpc.RpcError, match="expected an absolute path") as caught:
        reload("here")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert server.stop() == 0
    (found,) = records(tmp_path / "many")
    assert found.predict_log.request.inputs["s"].string_val[0] == b"on"


def test_a_server_that_is_killed_leaves_a_log_of_whole_records(serve, tmp_path):
    server = serve(tmp_path / "many", "--request_log_max_bytes=5000", "--request_log_max_files=3")
    ask = stub(server)
    for number in range(100):
        ask.Predict(strings(b"%d" % number * 20), timeout=20)
    until(lambda: len(list(log_files.files(tmp_path / "many"))) == 3)
    server.stop(signal.SIGKILL)
    files = list(log_files.files(tmp_path / "many"))
    assert len(files) == 3 and all(path.stat().st_size <= 5000 for path in files)
    words = [each.predict_log.request.inputs["s"].string_val[0] for each in records(tmp_path / "many")]
    numbers = [int(word[: len(word) // 20]) for word in words]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 10


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB."""
    with disk(tmp_path / "disk", "64k") as made:
        yield made


def test_a_server_whose_log_disk_is_full_serves_on_counts_and_goes_on_logging(serve, small_disk, tmp_path):
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    server = serve(small_disk / "many", f"--monitoring_config_file={monitoring}")
    ask = stub(server)

    def count(code):
        page = server.rest("/monitoring/prometheus/metrics")[1]
        name = f':tensorflow:serving:request_log_count{{model_name="many",status_code="{code}"}} '
        return sum(int(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))

    for _ in range(40):
        ask.Predict(strings(b"x" * 2000), timeout=20)
    until(lambda: count("OK") + count("RESOURCE_EXHAUSTED") == 40)
    written = count("OK")
    assert 5 < written < 20 and server.text().count("No space left on device") == 1
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    until(lambda: ask.Predict(strings(b"again"), timeout=20) and count("OK") > written)
    assert "written to again" in server.text()
    assert server.stop() == 0
    assert records(small_disk / "many")[-1].predict_log.request.inputs["s"].string_val[0] == b"again"
