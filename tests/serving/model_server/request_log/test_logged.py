"""Request logs of real servers, and what can be done with them."""

import subprocess
from contextlib import ExitStack

import numpy as np
import pytest
import tensorflow as tf

from digits_model_server.request_log import files as log_files
from tests._disk import disk
from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server import _calls
from tests.serving.model_server._calls import classification, examples, predict, prediction, stub, until
from tests.serving.model_server.request_log._records import records, sent

PAGE = "/monitoring/prometheus/metrics"


@pytest.fixture
def config_text(models):
    def config_text(prefix):
        collector = f'log_collector_config {{ filename_prefix: "{prefix}" }}'
        rate = "sampling_config { sampling_rate: 1.0 }"
        logging = f"logging_config {{ {collector} {rate} }}" if prefix else ""
        return _calls.settings({"many": models["many"]}, many=logging)

    return config_text


@pytest.fixture
def monitoring(tmp_path):
    path = tmp_path / "monitoring.config"
    path.write_text("prometheus_config { enable: true }")
    return f"--monitoring_config_file={path}"


@pytest.fixture
def serve(config_text, tmp_path):
    """Starts a server whose requests are logged under a prefix."""

    def start(prefix, *flags):
        file = tmp_path / "models.config"
        file.write_text(config_text(prefix))
        return stack.enter_context(Server(tmp_path / "log", f"--model_config_file={file}", *flags))

    with ExitStack() as stack:
        yield start


def strings(word):
    return {"s": np.array([word], object)}


def test_every_kind_of_request_is_in_the_log_after_sigterm_and_warms_up_another_server(
    serve, launch, monitoring, tmp_path
):
    prefix = tmp_path / "logs" / "many"
    prefix.parent.mkdir()
    server = serve(prefix)
    request = prediction("many", strings(b"\xff"), "strings")
    classify = classification("many", "classes", examples(1.0))
    with stub(server) as client:
        answer = client.Predict(request, timeout=20)
        classes = client.Classify(classify, timeout=20)
    row = {"a": [1.0, 2.0], "b": 3}
    status, _ = server.rest("/v1/models/many/versions/7:predict", {"instances": [row, row]})
    assert status == 200
    body = {"signature_name": "classes", "examples": [{"x": 1.0}]}
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
    with launch(version.parent, monitoring) as other:
        page = other.rest(PAGE)[1]
    assert f'model_warmup_records_read{{model_path="{version}",status="OK"}} 4\n' in page


def test_a_reload_turns_the_log_on_and_off_and_so_many_files_of_so_many_bytes_are_kept(
    serve, config_text, tmp_path
):
    server = serve(None, "--request_log_max_bytes=5000", "--request_log_max_files=3")
    with _calls.connected(server) as channel, stub(server) as client:
        for prefix, numbers in ((None, [-1]), (tmp_path / "many", range(100)), (None, [100])):
            _calls.reload(channel, config_text(prefix))
            for number in numbers:
                predict(client, "many", strings(b"%d" % number), "strings")
    assert server.stop() == 0
    files = list(log_files.files(tmp_path / "many"))
    assert len(files) == 3 and all(path.stat().st_size <= 5000 for path in files)
    numbers = [int(word) for word in sent(tmp_path / "many", "s")]
    assert numbers == list(range(numbers[0], 100)) and len(numbers) > 10


def test_a_server_whose_log_disk_is_full_serves_on_counts_and_goes_on_logging(serve, monitoring, tmp_path):
    with disk(tmp_path / "disk", "64k") as small_disk:
        server = serve(small_disk / "many", monitoring)

        def count(code):
            name = f':tensorflow:serving:request_log_count{{model_name="many",status_code="{code}"}} '
            found = [line for line in server.rest(PAGE)[1].splitlines() if line.startswith(name)]
            return sum(int(line.removeprefix(name)) for line in found)

        with stub(server) as client:
            for _ in range(40):
                predict(client, "many", strings(b"x" * 2000), "strings")
            until(lambda: count("OK") + count("RESOURCE_EXHAUSTED") == 40)
            written = count("OK")
            assert 5 < written < 20 and server.text().count("No space left on device") == 1
            subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
            until(lambda: predict(client, "many", strings(b"again"), "strings") and count("OK") > written)
        assert "written to again" in server.text()
        assert server.stop() == 0
        assert sent(small_disk / "many", "s")[-1] == b"again"
