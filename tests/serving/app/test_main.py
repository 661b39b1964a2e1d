"""`digits app`: options to settings, and the real process to its end."""

import argparse
import itertools
import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from digits.runtime.errors import DigitsError, ParamsError, StoreError
from serving.app import main
from serving.app.server import Address, bind
from serving.app.settings import add_options
from serving.store.store import Store
from tests._ports import free_port
from tests.serving._server import environment
from tests.serving.app._gateway import Running, running

KEY = "0123456789abcdef"


def read(*given, root=Path("/project"), environment=()):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return main.read(parser.parse_args(given), root, dict(environment))


def test_by_default_only_this_machine_reaches_it_and_everything_is_kept_below_the_project():
    settings, address = read()
    assert (address.host, address.port, address.drain) == ("127.0.0.1", 8080, 0)
    assert set(settings.hosts) == {"localhost", "127.0.0.1", "::1"}
    assert settings.feedback == "sqlite:////project/.digits/feedback.db"
    assert settings.log == Path("/project/.digits/requests") and not settings.log_images
    assert settings.store == Path("/project/models/serving")
    off, _ = read("--feedback", "none", "--request-log", "none", "--host", "0.0.0.0")
    assert (off.feedback, off.log, off.hosts) == (None, None, ()), "beyond loopback any name is answered"
    assert "digits.example" in read("--host", "0.0.0.0", "--allow-host", "digits.example")[0].hosts


def test_a_key_comes_from_a_file_or_the_environment_is_not_shown_and_may_not_be_short(tmp_path):
    (tmp_path / "key").write_text(KEY + "\n")
    settings, _ = read("--key-file", str(tmp_path / "key"))
    assert settings.key == KEY and KEY not in repr(settings)
    assert read(environment={"DIGITS_APP_KEY": KEY})[0].key == KEY
    (tmp_path / "key").write_text(KEY[1:])
    with pytest.raises(ParamsError, match="holds 15 characters: expected at least 16"):
        read("--key-file", str(tmp_path / "key"))
    with pytest.raises(ParamsError, match="DIGITS_APP_KEY holds 15 characters"):
        read(environment={"DIGITS_APP_KEY": KEY[1:]})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--tls-cert", "x.pem"], "go together"),
        (["--port", "70000"], "0 to 65535"),
        (["--log-share", "2"], "0 to 1"),
        (["--timeout", "0"], "above 0"),
        (["--rate", "-1"], "rate"),
        (["--max-body", "0"], "body"),
        (["--key-file", "/nowhere/key"], "can't be read"),
        (["--trusted-proxy", "nginx"], "expected an address, or a network"),
    ],
)
def test_options_that_make_no_sense_are_refused(given, told):
    with pytest.raises(ParamsError, match=told):
        read(*given)


def test_without_a_promoted_version_or_with_a_taken_port_there_is_nothing_to_start(tmp_path):
    with pytest.raises(StoreError, match="make run"):
        main.command(Store(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DigitsError) as told:
            bind(Address(port=port))
    assert str(told.value) == f"can't listen on port {port} of 127.0.0.1 (it is taken): give another --port"


def test_it_serves_until_it_is_told_to_end_lets_a_request_finish_and_shows_nobody_what_it_keeps(
    fake, tmp_path
):
    kept = tmp_path / ".digits"
    kept.mkdir(mode=0o755)  # as it was made before
    (tmp_path / "dvc.yaml").touch()
    app, late = Running(), []
    app.port = free_port()
    command = [sys.executable, "-m", "digits_cli", "app", f"--port={app.port}", f"--server={fake.grpc}"]
    predict = lambda: app.exchange("POST", "/api/predict", bytes(784))[0]  # noqa: E731
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            (line,) = itertools.islice((line for line in process.stderr if "digits is at" in line), 1)
            assert json.loads(line)["message"] == f"digits is at http://localhost:{app.port}/"
            assert app.exchange("GET", "/readyz")[0] == predict() == 200
            maps = Path(f"/proc/{process.pid}/maps").read_text()
            assert "tensorflow/" not in maps and "_pywrap" not in maps, "it is to start soon and stay small"
            fake.stuck.clear()
            fake.arrived.clear()
            asking = threading.Thread(target=lambda: late.append(predict()))
            asking.start()
            assert fake.arrived.wait(20)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            fake.stuck.set()
            asking.join()
            assert late == [200] and process.wait(20) == 0
        finally:
            process.kill()
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (kept, *kept.rglob("*"))}
    assert {kept / "requests" / "requests.db", kept / "feedback.db"} <= set(found)
    for path, mode in found.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_told_to_end_it_first_tells_balancers_and_goes_on_answering(fake):
    with running(server=fake.grpc, drain=60) as gateway:
        gateway.end()
        assert gateway.ask("GET", "/readyz")[0] == 503
        assert gateway.ask("POST", "/api/predict", bytes(784))[0] == 200
        gateway.end()  # the second one is not waited with
        end = time.monotonic() + 20
        with pytest.raises(OSError, match=r"refused|reset"):
            while time.monotonic() < end:
                gateway.ask("GET", "/healthz")
                time.sleep(0.05)
