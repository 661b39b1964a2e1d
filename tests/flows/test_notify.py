"""Notices of runs that need a person, against a real web server on loopback."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest

from flows import notify
from flows.notify import Notice

from .._loopback import Listener

TOLD = Notice("digits", "2030-01-31 schedule", "Refused", "accuracy 0.9 is below 0.98", "http://here/runs/1")


@contextlib.contextmanager
def webhook(*statuses):
    """Answers with these statuses in turn, the last one for ever; what was posted."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses[min(len(posted), len(statuses)) - 1])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            return

    listener = Listener(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}/secret-token", posted
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@pytest.fixture(autouse=True)
def nobody_told(monkeypatch):
    for name in (notify.WEBHOOK, notify.EMAIL, "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    lines = []
    monkeypatch.setattr(notify, "_log", lines.append)
    return lines


def state(name, message="because", completed=False):
    return SimpleNamespace(name=name, message=message, is_completed=lambda: completed)


RUN = SimpleNamespace(id="1234", name="2030-01-31 schedule", parameters={"project": "/home/me/digits"})


def test_a_failed_run_is_told_with_project_run_state_reason_and_address(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    with webhook(200) as (address, posted):
        monkeypatch.setenv(notify.WEBHOOK, address)
        notify.hook(None, RUN, state("Failed", "stage train failed: NaN loss"))
    (told,) = posted
    assert told == {
        "project": "digits",
        "run": "2030-01-31 schedule",
        "state": "Failed",
        "reason": "stage train failed: NaN loss",
        "url": "http://127.0.0.1:4200/runs/flow-run/1234",
        "text": "digits: Failed (2030-01-31 schedule)\nstage train failed: NaN loss\n"
        "http://127.0.0.1:4200/runs/flow-run/1234",
    }


@pytest.mark.parametrize(
    ("name", "told"), [("Refused", 1), ("Rolled back", 1), ("Promoted", 0), ("Nothing new", 0)]
)
def test_of_runs_that_ended_well_only_those_that_need_a_person_are_told(monkeypatch, name, told):
    with webhook(200) as (address, posted):
        monkeypatch.setenv(notify.WEBHOOK, address)
        notify.hook(None, RUN, state(name, completed=True))
    assert len(posted) == told


def test_an_overloaded_webhook_is_tried_once_more(monkeypatch, nobody_told):
    with webhook(503, 200) as (address, posted):
        monkeypatch.setenv(notify.WEBHOOK, address)
        assert notify.send(TOLD) == []
    assert len(posted) == 2 and not nobody_told


def test_a_webhook_that_refuses_is_not_tried_again_and_its_secret_is_not_logged(monkeypatch, nobody_told):
    with webhook(403) as (address, posted):
        monkeypatch.setenv(notify.WEBHOOK, address)
        (problem,) = notify.send(TOLD)
    assert len(posted) == 1
    assert "403" in problem and "secret-token" not in problem
    assert nobody_told == [problem]


def test_a_webhook_that_is_gone_fails_no_run(monkeypatch, nobody_told):
    with webhook(200) as (address, _):
        pass
    monkeypatch.setenv(notify.WEBHOOK, address)
    notify.hook(None, RUN, state("Crashed"))
    assert len(nobody_told) == 1 and "ConnectionError" in nobody_told[0]


def test_a_state_that_makes_no_sense_fails_no_run(nobody_told):
    notify.hook(None, None, None)
    assert nobody_told == ["no notice was sent: AttributeError"]


def test_a_notification_block_is_sent_the_same_as_text(monkeypatch):
    monkeypatch.setenv(notify.EMAIL, "sendgrid-email/night-shift")
    sent = []

    def load(name):
        return SimpleNamespace(notify=lambda body, subject: sent.append((name, subject, body)))

    assert notify.send(TOLD, load) == []
    assert sent == [("sendgrid-email/night-shift", "digits: digits: Refused", TOLD.text)]


def test_a_block_that_fails_is_logged_and_no_more(monkeypatch, nobody_told):
    monkeypatch.setenv(notify.EMAIL, "sendgrid-email/missing")

    def load(name):
        raise ValueError(f"no block {name}")

    (problem,) = notify.send(TOLD, load)
    assert "sendgrid-email/missing" in problem and nobody_told == [problem]


def test_without_anyone_to_tell_nothing_is_sent(nobody_told):
    assert notify.send(TOLD) == [] and not nobody_told
