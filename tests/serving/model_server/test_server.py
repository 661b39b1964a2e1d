"""A real server with models that this project did not make, and clients that know only TensorFlow Serving."""

import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from tests._ports import free_port
from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._asking import start, until


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.half_plus(base / "half" / "1", 1.0)
    _models.half_plus(base / "half" / "2", 2.0)
    _models.many(base / "many" / "7")
    _models.modern(base / "modern" / "00000123")
    listed = "".join(
        f'config {{ name: "{name}" base_path: "{base / name}" model_platform: "tensorflow" }}'
        for name in ("half", "many", "modern")
    )
    (base / "models.config").write_text(f"model_config_list {{ {listed} }}")
    return base


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log"
    with Server(
        log, f"--model_config_file={models / 'models.config'}", "--rest_api_timeout_in_ms=3000"
    ) as made:
        yield made
        assert made.process.poll() is None, f"a test ended the server: {made.text()}"


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)]) as made:
        yield made


def predict(channel, model, inputs, signature="", version=None, timeout=20.0, outputs=()):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(
            value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value)
        )
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)
    return answer


def arrays(answer):
    return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}


def test_an_old_model_answers_over_grpc_in_typed_lists(channel):
    answer = predict(channel, "half", {"x": np.array([[1.0], [2.0], [5.0]], np.float32)})
    assert list(answer.outputs["y"].float_val) == [2.5, 3.0, 4.5] and not answer.outputs["y"].tensor_content
    assert answer.model_spec.name == "half" and answer.model_spec.version.value == 2
    assert answer.model_spec.signature_name == "serving_default"


def test_a_vector_for_a_column_goes_through_as_upstream_lets_it(channel):
    assert arrays(predict(channel, "half", {"x": np.array([1.0, 2.0], np.float32)}))["y"].tolist() == [
        2.5,
        3.0,
    ]


def test_several_inputs_of_several_types(channel):
    inputs = {"a": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), "b": np.array([10, 20], np.int32)}
    assert arrays(predict(channel, "many", inputs))["twice"].tolist() == [26.0, 54.0]
    answer = predict(channel, "many", inputs, outputs=["total"])
    assert list(answer.outputs) == ["total"]


def test_strings_go_in_and_out_whole(channel):
    words = [b"five", b"", b"\x00\xff" * 40, "größer".encode()]
    found = arrays(predict(channel, "many", {"s": np.array(words, object)}, "strings"))
    assert found["raw_bytes"].tolist() == words and found["shouted"][0] == b"FIVE"


def test_a_modern_model_in_several_types(channel):
    found = arrays(predict(channel, "modern", {"x": np.array([[1.5, 2.0, -3.0]], np.float32)}))
    assert found["square"].tolist() == [[2.25, 4.0, 9.0]] and found["first"].tolist() == [1]
    assert found["b"].astype(np.float32).tolist() == [[1.5, 2.0, -3.0]]


def test_rest_and_grpc_agree(server, channel):
    rows = [[0.1, -3.0], [1e30, 7.25]]
    inputs = {"a": np.array(rows, np.float32), "b": np.array([1, 2], np.int32)}
    over_grpc = arrays(predict(channel, "many", inputs))
    body = {"instances": [{"a": row, "b": place + 1} for place, row in enumerate(rows)]}
    status, row = server.rest("/v1/models/many:predict", body)
    assert status == 200
    for name in ("total", "twice"):
        got = np.array([each[name] for each in row["predictions"]], np.float32)
        np.testing.assert_array_equal(got, over_grpc[name])
    status, column = server.rest("/v1/models/many:predict", {"inputs": {"a": rows, "b": [1, 2]}})
    np.testing.assert_array_equal(np.array(column["outputs"]["total"], np.float32), over_grpc["total"])
    assert status == 200


def test_status_tells_the_versions(server, channel):
    status, body = server.rest("/v1/models/half")
    ok = {"error_code": "OK", "error_message": ""}
    assert (status, body) == (
        200,
        {"model_version_status": [{"version": "2", "state": "AVAILABLE", "status": ok}]},
    )
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half"
    answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=20)
    assert [(each.version, each.state) for each in answer.model_version_status] == [(2, 30)]


def test_metadata_is_what_the_file_holds(server, channel, models):
    raw = saved_model_pb2.SavedModel.FromString((models / "many" / "7" / "saved_model.pb").read_bytes())
    expected = dict(raw.meta_graphs[0].signature_def)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "many"
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    answer = stub.GetModelMetadata(request, timeout=20)
    found = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(found)
    assert dict(found.signature_def) == expected and answer.model_spec.version.value == 7
    status, body = server.rest("/v1/models/many/versions/7/metadata")
    assert status == 200 and body["model_spec"] == {"name": "many", "signature_name": "", "version": "7"}
    listed = get_model_metadata_pb2.SignatureDefMap()
    json_format.ParseDict(body["metadata"]["signature_def"], listed)
    assert dict(listed.signature_def) == expected


def test_metadata_shows_the_signature_that_initialises_too(channel):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "modern"
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=20)
    found = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(found)
    assert sorted(found.signature_def) == ["__saved_model_init_op", "serving_default"]


def test_the_session_service_is_not_served(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nope", {}), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (("half", {}, "", 9), "NOT_FOUND", "Servable not found for request: Specific(half, 9)"),
        (("", {}), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (("half", {}, "nope"), "FAILED_PRECONDITION", 'Serving signature key "nope" not found.'),
        (("half", {}), "INVALID_ARGUMENT", "Sent extra: {}. Missing but required: {x}."),
        (("half", {"y": 1.0}), "INVALID_ARGUMENT", "Signature input alias: x(feed name: x:0) not found"),
        (("half", {"x": [[1]]}), "INVALID_ARGUMENT", "Expects arg[0] to be float but int32 is provided"),
        (("half", {"x": [["1"]]}), "INVALID_ARGUMENT", "Expects arg[0] to be float but string is provided"),
        (("half", {"x": np.zeros((2, 2, 2), np.float32)}), "INVALID_ARGUMENT", "expected shape [?,1]"),
        (("half", {"x": np.float32(1)}), "INVALID_ARGUMENT", "expected shape [?,1]"),
        (("half", {"x": np.zeros((5000, 1), np.float32)}), "INVALID_ARGUMENT", "5000 rows, more than 4096"),
        (
            ("many", {"a": np.zeros((2, 2), np.float32), "b": np.zeros(3, np.int32)}),
            "INVALID_ARGUMENT",
            "shape",
        ),
    ],
)
def test_a_bad_request_is_refused_with_its_reason_and_the_server_lives(channel, arguments, code, said):
    with pytest.raises(grpc.RpcError) as caught:
        predict(channel, *arguments)
    assert caught.value.code().name == code and said in caught.value.details()
    assert arrays(predict(channel, "half", {"x": [[1.0]]}))["y"].tolist() == [[2.5]]


@pytest.mark.parametrize(
    ("proto", "said"),
    [
        ("dtype: DT_FLOAT tensor_shape { dim { size: 2 } } tensor_content: 'abc'", "3 bytes of content"),
        ("dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: [1, 2, 3]", "3 values for 1 places"),
        ("dtype: DT_FLOAT tensor_shape { dim { size: -1 } }", "its shape is [-1]"),
        ("dtype: DT_FLOAT tensor_shape { dim { size: 9000000000 } } float_val: 1", "more than"),
        ("dtype: DT_FLOAT tensor_shape { unknown_rank: true }", "unknown"),
        ("dtype: DT_RESOURCE", "not supported"),
        ("dtype: DT_QINT8 tensor_shape { dim { size: 1 } }", "data type 11 is not supported"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(channel, proto, said):
    from tensorflow.core.framework import tensor_pb2

    with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT") as caught:
        predict(channel, "half", {"x": text_format.Parse(proto, tensor_pb2.TensorProto())})
    assert said in caught.value.details()


def test_the_last_value_of_a_list_stands_for_the_rest(channel):
    from tensorflow.core.framework import tensor_pb2

    text = "dtype: DT_FLOAT tensor_shape { dim { size: 3 } dim { size: 1 } } float_val: [2, 4]"
    proto = text_format.Parse(text, tensor_pb2.TensorProto())
    assert arrays(predict(channel, "half", {"x": proto}))["y"].ravel().tolist() == [3.0, 4.0, 4.0]


def test_a_deadline_ends_the_run_not_only_the_wait(server, channel):
    with pytest.raises(grpc.RpcError) as caught:
        predict(channel, "many", {"free": [1.0]}, "endless", timeout=0.5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    before = time.process_time(), _cpu(server)
    time.sleep(1.0)
    assert _cpu(server) - before[1] < 0.5, "the run goes on after its deadline"


def test_a_rest_run_has_a_time_limit(server):
    status, body = server.rest("/v1/models/many:predict", {"signature_name": "endless", "inputs": [1.0]})
    assert status == 504 and "error" in body


def _cpu(server):
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_bomb_is_refused(server):
    body = gzip.compress(bytes(50_000_000))
    status, answer = server.rest("/v1/models/half:predict", body, {"Content-Encoding": "gzip"})
    assert status == 400 and "more than 200 times its size" in answer["error"]


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


def test_a_grpc_message_beyond_the_limit_is_refused(channel):
    with pytest.raises(grpc.RpcError) as caught:
        predict(channel, "half", {"x": np.zeros((20_000_000, 1), np.float32)})
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_many_clients_at_once_get_their_own_answers(channel):
    def ask(value):
        return arrays(predict(channel, "half", {"x": [[float(value)]]}))["y"][0, 0]

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(ask, range(300))) == [value / 2 + 2 for value in range(300)]


# --- servers of their own


def config_text(base, *versions, name="half"):
    chosen = " ".join(f"versions: {number}" for number in versions)
    policy = f"model_version_policy {{ specific {{ {chosen} }} }}" if versions else ""
    model = f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {policy} }}'
    return f"model_config_list {{ {model} }}"


def replace(path, text):
    new = path.with_name(".new")
    new.write_text(text)
    new.replace(path)


def test_a_pointer_that_is_replaced_moves_the_model_without_a_failed_request(models, tmp_path):
    pointer = tmp_path / "models.config"
    pointer.write_text(config_text(models / "half", 1))
    flags = (f"--model_config_file={pointer}", "--model_config_file_poll_wait_seconds=1")
    with Server(tmp_path / "log", *flags) as server, grpc.insecure_channel(server.target) as channel:
        failures, seen, stop = [], [], threading.Event()

        def ask():
            while not stop.wait(0.005):
                try:
                    answer = predict(channel, "half", {"x": [[2.0]]})
                    version = answer.model_spec.version.value
                    seen.append(version)
                    if arrays(answer)["y"].tolist() != [[1.0 + version]]:
                        failures.append("an answer that is not of the version that it names")
                except grpc.RpcError as error:
                    failures.append(error.details())

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for version in (2, 1, 2):
            replace(pointer, config_text(models / "half", version))
            until(lambda version=version: seen and seen[-1] == version)
        replace(pointer, "model_config_list { config { rubbish")
        until(lambda: "the new settings are not applied" in server.text())
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures and set(seen) == {1, 2} and seen[-1] == 2


def test_a_reload_by_api_brings_a_model_and_takes_one_away(models, tmp_path):
    pointer = tmp_path / "models.config"
    pointer.write_text(config_text(models / "half", 1))
    flag = f"--model_config_file={pointer}"
    with Server(tmp_path / "log", flag) as server, grpc.insecure_channel(server.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        request = model_management_pb2.ReloadConfigRequest()
        config = model_server_config_pb2.ModelServerConfig()
        text_format.Parse(config_text(models / "many", name="many"), config)
        request.config.CopyFrom(config)
        assert stub.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
        found = arrays(predict(channel, "many", {"s": np.array([b"a"], object)}, "strings"))
        assert found["shouted"].tolist() == [b"A"]
        until(lambda: server.rest("/v1/models/half:predict", {"instances": [1]})[0] == 404)
        with pytest.raises(grpc.RpcError, match="Only ModelConfigList is currently supported"):
            stub.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=60)


def test_a_reload_by_api_can_be_turned_off(models, tmp_path):
    base = f"--model_base_path={models / 'many'}"
    config = text_format.Parse(config_text(models / "half"), model_server_config_pb2.ModelServerConfig())
    flags = ("--model_name=many", base, "--enable_reload_config_request=false")
    with Server(tmp_path / "log", *flags) as server, grpc.insecure_channel(server.target) as channel:
        with pytest.raises(grpc.RpcError, match="--enable_reload_config_request=false") as caught:
            model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(
                model_management_pb2.ReloadConfigRequest(config=config), timeout=60
            )
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert server.rest("/v1/models/many")[0] == 200 and server.rest("/v1/models/half")[0] == 404


@pytest.mark.slow
def test_versions_that_can_t_be_served_leave_the_old_one_in_place(models, tmp_path):
    import shutil

    base = tmp_path / "half"
    shutil.copytree(models / "half" / "1", base / "1")
    with Server(tmp_path / "log", "--model_name=half", f"--model_base_path={base}") as server:
        spoiled = {
            2: lambda path: (path / "saved_model.pb").unlink(),  # half copied
            3: lambda path: shutil.rmtree(path / "variables"),
            4: lambda path: (path / "saved_model.pb").write_bytes(b"\xff" * 100),
            5: lambda path: _warm_up(path, b"this is no TFRecord"),
        }
        for number, spoil in spoiled.items():
            hidden = base / f".{number}"
            shutil.copytree(models / "half" / "2", hidden)
            spoil(hidden)
            hidden.rename(base / str(number))
            until(lambda number=number: _state(server, number) == "END")
            assert server.rest("/v1/models/half:predict", {"instances": [2.0]}) == (
                200,
                {"predictions": [2.0]},
            )
        errors = {int(each["version"]): each["status"]["error_message"] for each in _states(server)}
        assert "TFRecord" in errors[5] and all(errors[number] for number in spoiled)
        base.rename(tmp_path / "away")
        time.sleep(1.5)
        assert server.rest("/v1/models/half:predict", {"instances": [2.0]})[0] == 200
        (tmp_path / "away").rename(base)
        shutil.copytree(models / "half" / "2", base / ".6")
        (base / ".6").rename(base / "6")
        until(lambda: _state(server, 6) == "AVAILABLE")
        shutil.rmtree(base / "6")  # it serves on as long as no version on disk can
        time.sleep(1.5)
        assert server.rest("/v1/models/half:predict", {"instances": [2.0]}) == (200, {"predictions": [3.0]})
        for number in spoiled:
            shutil.rmtree(base / str(number))
        until(
            lambda: server.rest("/v1/models/half:predict", {"instances": [2.0]})[1] == {"predictions": [2.0]}
        )


def _warm_up(path, data):
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(data)


def _states(server):
    return server.rest("/v1/models/half")[1]["model_version_status"]


def _state(server, number):
    return next((each["state"] for each in _states(server) if int(each["version"]) == number), "")


def test_sigterm_lets_requests_under_way_finish(models, tmp_path):
    with Server(tmp_path / "log", "--model_name=many", f"--model_base_path={models / 'many'}") as server:
        body = json.dumps({"instances": [1.0]}).encode()
        sock = socket.create_connection(("127.0.0.1", server.rest_port))
        head = b"POST /v1/models/many:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        sock.sendall(head + body[:5])  # a request under way: its body is not complete
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in server.text())
        sock.sendall(body[5:])
        assert sock.recv(1000).startswith(b"HTTP/1.1 400"), "it is answered, this one with its error"
        sock.close()
        assert server.process.wait(60) == 0


def test_a_bad_config_file_is_reported_before_tensorflow_loads(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("model_config_list { config { nmae: 1 } }")
    started = time.monotonic()
    done = start(f"--model_config_file={path}")
    assert done.returncode == 255 and "Error parsing text-format" in done.stderr
    assert time.monotonic() - started < 5, "a loose bound for busy machines: bench/ has the figure"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("which", ["port", "rest_api_port"])
def test_a_taken_port_is_a_clear_error_never_two_servers(models, which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        ports = {"port": free_port(), "rest_api_port": free_port()} | {which: number}
        done = start(
            *(f"--{name}={value}" for name, value in ports.items()), f"--model_base_path={models / 'half'}"
        )
    assert done.returncode == 255 and done.stdout.startswith("Failed to start server. Error: ")
    assert f":{number}" in done.stdout and "choose another port" in done.stdout


def test_a_model_that_can_t_be_loaded_ends_the_start_with_the_reason(tmp_path):
    (tmp_path / "m" / "3").mkdir(parents=True)
    flags = (f"--port={free_port()}", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0")
    done = start(*flags)
    assert done.returncode == 255
    assert "1 servable(s) did not become available: {{{name: default version: 3} due to error:" in done.stdout


def test_version_and_help():
    done = start("--version")
    assert done.returncode == 0 and [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "TensorFlow ModelServer",
        "TensorFlow Library",
    ]
    done = start("--help")
    assert done.returncode == 255 and "--rest_api_port=0" in done.stdout


def test_a_burst_that_meets_a_stalled_server_is_answered_to_the_last_request(models, tmp_path):
    """gRPC itself would cancel what goes beyond a thousand waiting requests."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0]]))
    flags = ("--model_name=half", f"--model_base_path={models / 'half'}")
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    with Server(tmp_path / "log", *flags) as server, contextlib.ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(server.target, options=options)) for _ in range(20)
        ]
        stubs = [prediction_service_pb2_grpc.PredictionServiceStub(channel) for channel in channels]
        for stub in stubs:
            stub.Predict(request, timeout=30)
        server.process.send_signal(signal.SIGSTOP)
        waiting = [stubs[number % 20].Predict.future(request, timeout=60) for number in range(1200)]
        server.process.send_signal(signal.SIGCONT)
        assert {call.code() for call in waiting} == {grpc.StatusCode.OK}
