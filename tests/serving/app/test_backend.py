"""The model server behind the gateway: found, started, kept; with real processes."""

import os
import signal
import sys
import time

import psutil
import pytest

from digits.runtime.errors import ServingError
from serving.app import backend
from tests._ports import free_port
from tests.flows._processes import wait_for
from tests.serving.client import _fake

FAILING = [sys.executable, "-c", "import sys; print('no model', flush=True); sys.exit(3)"]
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_server_is_told_from_an_empty_port_and_from_something_else():
    with _fake.serving() as fake:
        address = fake.grpc
        assert backend.answers(address)
        assert not backend.answers(fake.rest)
    assert not backend.answers(address)


def test_one_that_dies_is_started_again_and_said_so(monkeypatch, tmp_path):
    monkeypatch.setattr(backend, "FIRST", 0.05)
    said = []
    with backend.keep_running(SLEEPER, tmp_path / "log", said.append) as kept:
        first = kept.pid
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: kept.pid != first and psutil.pid_exists(kept.pid))
        second = kept.pid
    assert not (psutil.pid_exists(first) or psutil.pid_exists(second))
    assert "ended with code -9" in said[0]["message"] and len(said) == 1


def test_one_that_ends_before_it_answers_is_an_error_and_is_started_ever_more_seldom(monkeypatch, tmp_path):
    monkeypatch.setattr(backend, "FIRST", 0.02)
    said, log = [], tmp_path / "log"
    with backend.keep_running(FAILING, log, said.append) as kept:
        with pytest.raises(ServingError, match="code 3"):
            kept.wait(f"localhost:{free_port()}")
        wait_for(lambda: len(said) >= 3)
    pauses = [float(each["message"].partition(" again in ")[2].split()[0]) for each in said[:3]]
    assert pauses == [0.04, 0.08, 0.16] and "no model" in log.read_text()


def test_one_that_does_not_heed_the_signal_is_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(backend, "GRACE", 0.2)
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(600)"
    with backend.keep_running([sys.executable, "-c", script], tmp_path / "log", lambda _: None) as kept:
        pid = kept.pid
        time.sleep(0.5)
    assert not psutil.pid_exists(pid)
