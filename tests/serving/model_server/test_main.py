"""How the process starts, what it says, what it refuses, and the settings that it follows."""

import json
import shutil
import socket
import time
from datetime import datetime

import grpc
import pytest

from tests._ports import free_port
from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server import _calls
from tests.serving.model_server._calls import refused_start, refuses, start, stub, until

ELSEWHERE = "127.0.0.2"  # this machine too, but not the address that the server listens on


def test_what_is_unknown_or_has_no_effect_is_told_and_the_start_goes_on(launch, half):
    flags = ("--nonsense=1", "--port", "9000", "--enable_profiler=true", "--num_load_threads=4")
    with launch(half, *flags) as server:
        assert server.rest("/v1/models/default")[0] == 200
        lines = server.text().splitlines()
        unknown = [line for line in lines if line.startswith("unknown argument")]
        assert unknown == [f"unknown argument: {name}" for name in ("--nonsense=1", "--port", "9000")]
        assert sum(line.startswith("usage: digits-model-server") for line in lines) == 1
        assert "--enable_profiler has no effect, ProfilerService is UNIMPLEMENTED" in server.text()
        assert "--num_load_threads has no effect: versions are loaded one at a time" in server.text()
        for call in ("tensorflow.ProfilerService/Profile", "grpc.health.v1.Health/Check"):
            with _calls.connected(server) as channel:
                assert _calls.refused(channel.unary_unary(f"/{call}"), b"")[0] == "UNIMPLEMENTED"


def test_log_lines_are_json_for_programs(launch, half):
    with launch(half, "--log_format=json", "--enable_profiler=true") as server:
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.text().splitlines()]
    assert all(set(line) == {"at", "level", "message"} for line in lines)
    assert lines[0]["level"] == "warning" and "--enable_profiler has no effect" in lines[0]["message"]
    assert lines[-1]["level"] == "info" and lines[-1]["message"].startswith("stopping: ")
    assert all(datetime.fromisoformat(line["at"]).tzinfo for line in lines)


def test_version_and_help():
    done = start("--version")
    found = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert done.returncode == 0 and found == ["TensorFlow ModelServer", "TensorFlow Library"]
    done = start("--help", "--platform_config_file=")
    assert done.returncode == 255 and done.stdout.startswith("usage: ") and not done.stderr
    assert "--rest_api_port=0" in done.stdout


FAILED = "Failed to start server. Error: "


def test_a_flag_that_can_t_be_honoured_ends_the_start_with_the_usage():
    neither = "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are"
    many = ("--model_base_path=/m", "--rest_api_port=many")
    for flags, said in (((), neither), (many, "--rest_api_port is 'many'")):
        text = refused_start(*flags)
        assert text.startswith(FAILED + said) and "\nusage: " in text


@pytest.mark.parametrize("flag", ["ssl_config_file", "tensorflow_session_config_file"])
def test_a_bad_value_is_reported_although_there_is_no_model_to_load(tmp_path, flag):
    said = f"{FAILED}INVALID_ARGUMENT: /none: No such file or directory\n"
    assert refused_start(f"--model_base_path={tmp_path}", f"--{flag}=/none") == said


def test_a_bad_config_file_is_reported_before_tensorflow_loads(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("model_config_list { config { nmae: 1 } }")
    started = time.monotonic()
    done = start(f"--model_config_file={path}")
    assert done.returncode == 255 and "Error parsing text-format" in done.stderr
    assert time.monotonic() - started < 5, "a loose bound for busy machines: bench/ has the figure"
    assert "Traceback" not in done.stderr


def test_a_model_that_can_t_be_loaded_ends_the_start_with_the_reason(tmp_path):
    folder = tmp_path / "m" / "3"
    folder.mkdir(parents=True)
    for name in ("export.meta", "export-00000-of-00001", "checkpoint"):  # older than SavedModels
        (folder / name).write_bytes(b"x")
    said = refused_start(f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0")
    assert "1 servable(s) did not become available: {{{name: default version: 3} due to error:" in said
    assert f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {folder}" in said


def test_the_ports_open_when_the_models_serve_and_until_then_it_says_what_it_waits_for(
    launch, half, tmp_path
):
    base = tmp_path / "models"
    base.mkdir()
    (base / "v1").symlink_to(half / "1")
    waits = f"No versions of servable default found under base path {base}: v1 holds a model"
    with launch(base, ready=False) as server:
        until(lambda: waits in server.text())
        assert refuses(server.port) and refuses(server.rest_port)
        (base / "v1").rename(base / "1")
        until(lambda: "REST on " in server.text())
        text = server.text()
        assert text.index("serves after") < text.index("gRPC on ") < text.index("REST on ")
        assert text.count("No versions of servable") == 1


def test_a_load_that_takes_long_does_not_hold_up_the_end(launch, tmp_path):
    model = _models.many(tmp_path / "many" / "1")
    _models.warm_up(model, _calls.prediction("", {"free": 1.0}, "endless"))
    with launch(tmp_path / "many", ready=False) as server:
        until(lambda: server.cpu() > 1)  # it is at the endless request
        began = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - began < 25


@pytest.mark.parametrize("rest", [True, False], ids=["gRPC's", "0"])
def test_there_is_grpc_alone_where_the_rest_port_is_0_or_grpc_s(launch, half, rest):
    port = free_port()
    flags = (f"--port={port}", f"--rest_api_port={port if rest else 0}")  # the last of two holds
    with launch(half, *flags, ready=False) as server:
        until(lambda: "gRPC on " in server.text())
        time.sleep(0.3)
        assert "REST on " not in server.text() and ("REST is left out" in server.text()) is rest
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert _calls.ask_half(channel, 2.0) == 2.0


def test_a_taken_port_is_a_clear_error_never_two_servers(half, server):
    for flag, port in (("port", server.port), ("rest_api_port", server.rest_port)):
        said = refused_start(f"--{flag}={port}", f"--model_base_path={half}")
        assert said.startswith(FAILED) and f":{port}" in said and "choose another port" in said
    with socket.socket() as other, pytest.raises(OSError):
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", server.port))


def test_nobody_else_is_listened_to_unless_the_host_says_so_and_answers_are_packed_if_asked(
    server, launch, half
):
    assert refuses(server.port, ELSEWHERE) and refuses(server.rest_port, ELSEWHERE)
    with launch(half, "--host=0.0.0.0", "--enable_serialization_as_tensor_content") as wide:
        assert not refuses(wide.port, ELSEWHERE) and not refuses(wide.rest_port, ELSEWHERE)
        with stub(wide) as client:
            found = client.Predict(_calls.prediction("default", {"x": [2.0]}), timeout=20).outputs["y"]
        assert len(found.tensor_content) == 4 and not found.float_val


def test_channel_arguments_reach_the_server(half, tmp_path):
    flag = "--grpc_channel_arguments=grpc.max_connection_age_ms=300,grpc.primary_user_agent=x"
    with (
        Server(tmp_path / "log", f"--model_base_path={half}", flag) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        states = []
        channel.subscribe(states.append)
        assert _calls.ask_half(channel, 2.0) == 2.0
        until(lambda: grpc.ChannelConnectivity.IDLE in states[1:], 10)  # the server has let it go
        assert _calls.ask_half(channel, 2.0) == 2.0


# --- the settings that it follows


def test_a_config_file_goes_before_a_name_and_a_path_and_is_read_once(half, tmp_path):
    flags = ("--model_name=named", "--model_base_path=/nowhere")
    with _calls.serving(tmp_path, {"listed": half}, *flags) as server:
        config = tmp_path / "models.config"
        config.write_text(config.read_text().replace("listed", "other"))
        time.sleep(1.2)
        for name, status in (("listed", 200), ("named", 404), ("other", 404)):
            assert server.rest(f"/v1/models/{name}")[0] == status


def test_a_pointer_that_is_replaced_moves_the_model_without_a_failed_request(models, tmp_path):
    pointer, seen = tmp_path / "models.config", []

    def point(text):
        pointer.with_name(".new").write_text(text)
        pointer.with_name(".new").replace(pointer)

    def ask():
        seen.extend(_calls.predict(client, "half", {"x": [2.0]})["y"])
        time.sleep(0.005)

    point(_calls.only(models["half"], 122))
    flags = (f"--model_config_file={pointer}", "--model_config_file_poll_wait_seconds=1")
    with Server(tmp_path / "log", *flags) as server, stub(server) as client:
        with _calls.meanwhile(ask, threads=3):
            for version in (123, 122):
                point(_calls.only(models["half"], version))
                until(lambda version=version: seen and seen[-1] == version - 120)
            point("model_config_list {")
            until(lambda: "the new settings are not applied" in server.text())
        assert set(seen) == {2.0, 3.0} and seen[-1] == 2.0


def test_versions_that_can_t_be_served_leave_the_old_one_in_place(half, tmp_path):
    base = tmp_path / "half"
    shutil.copytree(half / "1", base / "1")
    spoiled = {
        2: lambda path: (path / "saved_model.pb").unlink(),  # half copied
        3: lambda path: shutil.rmtree(path / "variables"),
        4: lambda path: (path / "saved_model.pb").write_bytes(b"\xff" * 100),
    }
    with _calls.serving(tmp_path, {"half": base}, every=True) as server:
        for number, spoil in spoiled.items():
            shutil.copytree(half / "1", base / f".{number}")
            spoil(base / f".{number}")
            (base / f".{number}").rename(base / str(number))

        def ended():
            found = server.rest("/v1/models/half")[1]["model_version_status"]
            failed = [each for each in found if each["state"] == "END" and each["status"]["error_message"]]
            return {int(each["version"]) for each in failed} == set(spoiled)

        until(ended)
        answer = server.rest("/v1/models/half:predict", {"instances": [2.0]})
        assert answer == (200, {"predictions": [2.0]})
