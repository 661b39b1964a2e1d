"""Notices of runs that need a person, against real web servers on loopback."""

import base64
import contextlib
import logging
import socket
import time
from types import SimpleNamespace

import pytest

from flows import notify
from flows.notify import Notice
from tests._loopback import serving
from tests._ports import free_port

NOTICE = Notice(
    "digits", "2030-01-31 schedule", "Refused", "accuracy 0.9 is below 0.98", "http://here/runs/1"
)
TITLE = "digits: Refused (2030-01-31 schedule)"
BODY = "accuracy 0.9 is below 0.98\nhttp://here/runs/1"


@contextlib.contextmanager
def webhook(*statuses):
    """Answers with these statuses in turn, the last one for ever; its address and what was posted."""
    left = list(statuses)
    with serving(lambda _: (left.pop(0) if len(left) > 1 else left[0], b"")) as server:
        yield f"{server.url}secret-token", server.posted


@pytest.fixture(autouse=True)
def logged(monkeypatch):
    """What is logged of notices, with none of the settings that this machine may have."""
    for name in (notify.ADDRESSES, "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    lines = []
    monkeypatch.setattr(notify, "_log", lines.append)
    return lines


def state(name, message="because", completed=False):
    return SimpleNamespace(name=name, message=message, is_completed=lambda: completed)


RUN = SimpleNamespace(id="1234", name="2030-01-31 schedule", parameters={"project": "/home/me/digits"})


@pytest.fixture
def addressed(monkeypatch):
    """Has notices sent to a web server that answers with these statuses; what was posted."""
    with contextlib.ExitStack() as stack:

        def to(*statuses, change=str):
            address, requests = stack.enter_context(webhook(*statuses))
            monkeypatch.setenv(notify.ADDRESSES, change(address))
            return requests

        yield to


@pytest.mark.parametrize("page", ["http://127.0.0.1:4200/runs/flow-run/1234", None])
def test_a_failed_run_is_posted_with_project_run_state_reason_and_address(monkeypatch, addressed, page):
    if page:
        monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    requests = addressed(200)
    notify.hook(None, RUN, state("Failed", "stage train failed: NaN loss"))
    (request,) = requests
    assert request.headers["Content-Type"] == "application/json"
    lines = ["digits: Failed (2030-01-31 schedule)", "stage train failed: NaN loss", page][: 3 if page else 2]
    told = {"project": "digits", "run": "2030-01-31 schedule", "state": "Failed", "url": page}
    assert request.json == told | {"reason": lines[1], "text": "\n".join(lines)}


def test_path_query_and_password_of_a_plain_address_arrive_as_they_stand(addressed):
    rest = "/a%2Fb?sig=%2B1&method=GET&-x=1"
    requests = addressed(200, change=lambda url: url.replace("://", "://me:pass%20word@") + rest)
    assert notify.send(NOTICE) == []
    (request,) = requests
    assert request.path == f"/secret-token{rest}"
    assert base64.b64decode(request.headers["Authorization"].split()[1]) == b"me:pass word"


@pytest.mark.parametrize(
    ("name", "sent"), [("Refused", 1), ("Rolled back", 1), ("Promoted", 0), ("Nothing new", 0)]
)
def test_of_runs_that_completed_only_those_that_need_a_person_are_sent(addressed, name, sent):
    requests = addressed(200)
    notify.hook(None, RUN, state(name, completed=True))
    assert len(requests) == sent


def to_apprise(url):
    return url.replace("http://", "json://")


def test_an_apprise_url_gets_a_title_and_a_body(addressed):
    requests = addressed(200, change=to_apprise)
    assert notify.send(NOTICE) == []
    (request,) = requests
    assert (request.json["title"], request.json["message"], request.json["type"]) == (TITLE, BODY, "warning")


def test_each_address_gets_the_notice_though_another_fails_and_an_overloaded_one_once_more(
    monkeypatch, logged
):
    with webhook(403) as (first, _), webhook(503, 200) as (second, requests):
        monkeypatch.setenv(notify.ADDRESSES, f"{first} {second}")
        (problem,) = notify.send(NOTICE)
    assert len(requests) == 2
    assert problem == f"address 1 in {notify.ADDRESSES} was sent no notice: it answered 403"
    assert logged == [problem]


@pytest.mark.parametrize("scheme", ["http", "json"])
def test_an_address_is_logged_at_no_level(addressed, caplog, logged, scheme):
    caplog.set_level(logging.NOTSET)
    addressed(403, change=lambda url: f"{scheme}://me:secret-password@{url[7:]}?sig=secret-query")
    assert "403" in notify.send(NOTICE)[0]
    assert "secret-" not in caplog.text + "".join(logged)
    logging.getLogger("apprise").warning("of somebody else")
    assert "of somebody else" in caplog.text


@pytest.mark.parametrize("address", ["secret-token", "unknown://secret-token", "http://"])
def test_an_address_that_apprise_cannot_use_is_said_by_its_number(monkeypatch, caplog, logged, address):
    monkeypatch.setenv(notify.ADDRESSES, address)
    (problem,) = notify.send(NOTICE)
    assert problem.startswith(f"address 1 in {notify.ADDRESSES} was sent no notice: ")
    assert "secret-token" not in problem + caplog.text and logged == [problem]


def test_nothing_that_goes_wrong_fails_a_run(monkeypatch, logged):
    monkeypatch.setenv(notify.ADDRESSES, f"http://127.0.0.1:{free_port()}/gone")
    notify.hook(None, RUN, state("Crashed"))
    notify.hook(None, None, None)
    assert "it was not reached" in logged[0] and logged[1:] == ["no notice was sent: AttributeError"]


def test_a_receiver_that_never_answers_holds_no_run_up(monkeypatch):
    monkeypatch.setattr(notify, "DEADLINE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv(notify.ADDRESSES, f"json://127.0.0.1:{listener.getsockname()[1]}?rto=60")
        begun = time.monotonic()
        (problem,) = notify.send(NOTICE)
        assert time.monotonic() - begun < 10
    assert "no end within 0.2 s" in problem
