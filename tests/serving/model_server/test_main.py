"""How the process starts, what it says, and what it refuses."""

import signal
import socket
import time
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests._ports import free_port
from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._asking import predict, refused_start, start, until


def test_unknown_arguments_are_told_with_the_usage_and_the_start_goes_on(half, tmp_path):
    flags = (f"--model_base_path={half}", "--nonsense=1", "--port", "9000")
    with Server(tmp_path / "log", *flags) as server:
        assert server.rest("/v1/models/default")[0] == 200
        lines = server.text().splitlines()
        unknown = [line for line in lines if line.startswith("unknown argument")]
        assert unknown == [f"unknown argument: {name}" for name in ("--nonsense=1", "--port", "9000")]
        assert sum(line.startswith("usage: digits-model-server") for line in lines) == 1


def test_what_has_no_effect_is_said_with_the_reason_and_calls_to_it_are_unimplemented(half, tmp_path):
    flags = (f"--model_base_path={half}", "--enable_profiler=true", "--num_load_threads=4")
    with Server(tmp_path / "log", *flags) as server:
        assert "--enable_profiler has no effect, ProfilerService is UNIMPLEMENTED" in server.text()
        assert "--num_load_threads has no effect: versions are loaded one at a time" in server.text()
        with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/tensorflow.ProfilerService/Profile")(b"", timeout=20)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model_base_path=/m", "--rest_api_port=many"], "--rest_api_port is 'many'"),
        (["--model_base_path=/m", "--platform_config_file=x"], "--platform_config_file: "),
        (
            [],
            "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are",
        ),
    ],
)
def test_a_flag_that_can_t_be_honoured_ends_the_start_with_the_usage(flags, said):
    text = refused_start(*flags)
    assert text.startswith(f"Failed to start server. Error: {said}") and "\nusage: " in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--ssl_config_file=/none"], "INVALID_ARGUMENT: /none: No such file or directory"),
        (["--grpc_channel_arguments=grpc.max_connection_age_ms"], "is not of the form key=value"),
        (["--tensorflow_session_config_file=/none"], "INVALID_ARGUMENT: /none: No such file or directory"),
        (["--grpc_socket_path=/none/socket"], "there is no folder /none"),
    ],
)
def test_a_bad_value_is_reported_although_there_is_no_model_to_load(tmp_path, flags, said):
    text = refused_start(f"--model_base_path={tmp_path}", *flags)
    assert text.startswith("Failed to start server. Error: ") and said in text and text.count("\n") == 1


def test_the_ports_open_when_the_models_serve_and_not_before(half, tmp_path):
    base = tmp_path / "models"
    with Server(tmp_path / "log", f"--model_base_path={base}", ready=False) as server:
        until(lambda: "it does not exist" in server.text())
        for port in (server.port, server.rest_port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 5)
        base.symlink_to(half)
        until(lambda: "REST on " in server.text())
        text = server.text()
        assert text.index("serves after") < text.index("gRPC on ") < text.index("REST on ")


def test_a_server_that_waits_for_its_model_ends_when_it_is_told_to(tmp_path):
    with Server(tmp_path / "log", f"--model_base_path={tmp_path / 'none'}", ready=False) as server:
        until(lambda: "it does not exist" in server.text())
        assert server.stop() == 0


def minds_sigterm(pid):
    """Whether a process has come to where it catches the signal."""
    (caught,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")
    ]
    return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1


def test_a_load_that_takes_long_does_not_hold_up_the_end(tmp_path):
    model = _models.many(tmp_path / "many" / "1")
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = "endless"
    request.inputs["free"].CopyFrom(tf.make_tensor_proto(1.0))
    (model / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(model / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    with Server(tmp_path / "log", f"--model_base_path={tmp_path / 'many'}", ready=False) as server:
        until(lambda: minds_sigterm(server.process.pid))
        time.sleep(3)  # it is at the endless request by now; if not, it ends all the same
        began = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - began < 25


def test_rest_is_left_out_where_its_port_is_grpc_s(half, tmp_path):
    port = free_port()
    flags = (
        f"--model_base_path={half}",
        f"--port={port}",
        f"--rest_api_port={port}",
    )  # the last of two holds
    with Server(tmp_path / "log", *flags, ready=False) as server:
        until(lambda: "REST is left out" in server.text())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert predict(channel, 2.0) == 2.0


def test_rest_without_a_time_limit_answers(half, tmp_path):
    flags = ("--rest_api_timeout_in_ms=0", "--rest_api_num_threads=-1", "--grpc_max_threads=-1")
    with Server(tmp_path / "log", f"--model_base_path={half}", *flags) as server:
        answer = server.rest("/v1/models/default:predict", {"instances": [2.0]})
        assert answer == (200, {"predictions": [2.0]})


def test_a_server_never_shares_its_grpc_port_with_another(half, tmp_path):
    with Server(tmp_path / "log", f"--model_base_path={half}") as first:
        done = start(f"--port={first.port}", f"--model_base_path={half}")
        assert done.returncode == 255 and "choose another port" in done.stdout
        with socket.socket() as other, pytest.raises(OSError):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.1", first.port))


def test_channel_arguments_reach_the_server(half, tmp_path):
    flags = ("--grpc_channel_arguments=grpc.max_connection_age_ms=300,grpc.primary_user_agent=x",)
    with (
        Server(tmp_path / "log", f"--model_base_path={half}", *flags) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        states = []
        channel.subscribe(states.append)
        assert predict(channel, 2.0) == 2.0
        until(lambda: grpc.ChannelConnectivity.IDLE in states[1:], 10)  # the server has let it go
        assert predict(channel, 2.0) == 2.0


def test_help_goes_before_everything():
    done = start("--help", "--platform_config_file=")
    assert done.returncode == 255 and done.stdout.startswith("usage: ") and not done.stderr
