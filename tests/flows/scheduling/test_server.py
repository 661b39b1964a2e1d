"""A project's own Prefect server, and who may use it: real processes, real ports."""

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from digits.runtime.errors import DigitsError
from flows.scheduling import server, settings
from tests._ports import free_port
from tests.flows._processes import environment, gone, wait_for
from tests.serving.app import _postgres

STARTER = """
import sys, time
from pathlib import Path
from flows.scheduling import server
found = server.ensure(Path(sys.argv[1]), int(sys.argv[2]))
print(found.url, found.process.pid if found.process else 0, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A project with its server at work."""
    project = tmp_path_factory.mktemp("served")
    port = free_port()
    found = server.ensure(project, port)
    yield project, port, found
    found.stop()


def test_the_server_answers_on_loopback_from_the_project_and_serves_who_comes_second(
    running,
):
    project, port, found = running
    assert found.url == f"http://127.0.0.1:{port}/api" and found.page == f"http://127.0.0.1:{port}"
    assert (project / ".prefect" / "prefect.db").exists()
    listening = [c for c in psutil.Process(found.process.pid).net_connections() if c.status == "LISTEN"]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    again = server.ensure(project, free_port())
    assert again.url == found.url and again.process is None
    again.stop()  # not its own
    assert server.find_running(project) == found.url


def test_a_port_that_another_server_or_program_has_is_told(running, tmp_path):
    with pytest.raises(DigitsError, match=f"port {running[1]} is used by another Prefect server"):
        server.ensure(tmp_path, running[1])
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DigitsError, match=f"port {port} is used by another program.*--port"):
            server.ensure(tmp_path, port)
    assert server.find_running(tmp_path) is None


FOREIGN = json.dumps({"pid": os.getpid(), "started": 1.0, "url": "http://127.0.0.1:1/api"})


@pytest.mark.parametrize("record", ["{", "[]", '{"pid": 1}', pytest.param(FOREIGN, id="another process")])
def test_a_record_that_tells_nothing_or_of_another_process_is_no_server(tmp_path, record):
    settings.home(tmp_path).mkdir()
    (settings.home(tmp_path) / "server.json").write_text(record)
    assert server.find_running(tmp_path) is None


@pytest.mark.slow
def test_a_server_that_is_silent_is_waited_for_and_then_told(running):
    project, _, found = running
    process = psutil.Process(found.process.pid)
    process.suspend()
    later = threading.Timer(2, process.resume)
    try:
        with pytest.raises(
            DigitsError, match=rf"process {process.pid}\) has not answered .* for 0.5 s: .*kill"
        ):
            server.find_running(project, 0.5)
        later.start()
        assert server.ensure(project, free_port()).url == found.url
    finally:
        later.cancel()
        process.resume()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "reason"),
    [
        ("nonsense://nowhere", "NoSuchModuleError: .*nonsense"),
        ("sqlite+aiosqlite:////nonexistent/runs.db", "OperationalError: .*unable to open database file"),
    ],
)
def test_a_server_that_can_not_start_says_why(tmp_path, monkeypatch, database, reason):
    monkeypatch.setenv("DIGITS_PREFECT_DATABASE", database)
    where = r"ended at its start \(its database is the one in DIGITS_PREFECT_DATABASE\)"
    with pytest.raises(DigitsError, match=rf"{where}: .*{reason}.*server\.log has more"):
        server.ensure(tmp_path, free_port())


@pytest.mark.slow
def test_two_at_once_start_one_server_and_it_dies_with_who_started_it(tmp_path):
    ports = (free_port(), free_port())
    both = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(tmp_path), str(port)],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for port in ports
    ]
    try:
        answers = [process.stdout.readline().split() for process in both]
        assert len({url for url, _ in answers}) == 1
        ((starter, pid),) = [(p, int(n)) for p, (_, n) in zip(both, answers, strict=True) if n != "0"]
        child = psutil.Process(pid)
        starter.send_signal(signal.SIGKILL)
        wait_for(lambda: gone(child), 60)
        assert server.find_running(tmp_path) is None
    finally:
        for process in both:
            process.kill()
            process.wait()
            process.stdout.close()


OPEN = {"/api/health", "/api/ready"}  # for probes; they tell nothing


@pytest.fixture
def project(running):
    return running[0]


@pytest.fixture
def port(running):
    return running[1]


def answer(port, method, path, body=None, **headers):
    """The status and the body for a request with these headers, Host too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        given = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json"} | headers
        connection.request(method, path, None if body is None else json.dumps(body), given)
        found = connection.getresponse()
        return found.status, found.read()
    finally:
        connection.close()


def authorization(project):
    return "Basic " + base64.b64encode(settings.password(project).encode()).decode()


def test_every_route_wants_the_password(project, port):
    document = json.loads(answer(port, "GET", "/api/openapi.json", Authorization=authorization(project))[1])
    routes = [
        (method.upper(), re.sub(r"\{[^}]*\}", "00000000-0000-0000-0000-000000000000", path))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    assert len(routes) > 100
    wrong = "Basic " + base64.b64encode(b"digits:guess").decode()
    for method, path in routes:
        path = path if path.startswith("/api") else f"/api{path}"
        if path in OPEN:
            continue
        body = None if method == "GET" else {}
        refused = (401,) if method == "GET" else (401, 403)  # 403: the token against forged requests
        assert answer(port, method, path, body)[0] in refused, (method, path)
        assert answer(port, method, path, body, Authorization=wrong)[0] in refused, (method, path)


@pytest.mark.parametrize(
    "foreign",
    [
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "localhost:{port}@evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_a_page_of_another_address_is_refused_even_with_the_password(project, port, foreign):
    headers = {name: value.format(port=port) for name, value in foreign.items()}
    for path in ("/api/health", "/api/admin/version", "/"):
        status, body = answer(port, "GET", path, Authorization=authorization(project), **headers)
        assert status == 403 and b"Access-Control" not in body, path
    status, _ = answer(port, "OPTIONS", "/api/deployments/", **headers)
    assert status == 403


def test_the_password_without_the_token_of_a_page_changes_nothing(project, port):
    plain = requests.post(
        f"http://127.0.0.1:{port}/api/flows/",
        json={"name": "forged"},
        headers={"Authorization": authorization(project)},
        timeout=60,
    )
    assert plain.status_code == 403 and "CSRF" in plain.text


@pytest.mark.parametrize("path", ["/api/events/in", "/api/events/out", "/api/logs/out"])
def test_websockets_want_the_password_and_their_own_page(project, port, path):
    address = f"ws://127.0.0.1:{port}{path}"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, origin="http://evil.example", subprotocols=["prefect"], proxy=None)
    with connect(address, subprotocols=["prefect"], proxy=None) as socket:
        socket.send(json.dumps({"type": "auth", "token": "digits:guess"}))
        with pytest.raises(Exception, match=r"1008|Invalid token"):
            socket.recv(timeout=60)
    with connect(address, subprotocols=["prefect"], proxy=None) as socket:
        socket.send(json.dumps({"type": "auth", "token": settings.password(project)}))
        assert json.loads(socket.recv(timeout=60)) == {"type": "auth_success"}


def test_the_page_is_told_to_ask_for_the_password_once(port):
    found = json.loads(answer(port, "GET", "/ui-settings")[1])
    assert (found["auth"], found["csrf_enabled"]) == ("BASIC", True)
    assert found["api_url"] == f"http://127.0.0.1:{port}/api"


def test_the_password_is_in_no_command_line_and_no_log_and_only_the_owner_reads_the_files(project, port):
    secret = settings.password(project).partition(":")[2]
    record = json.loads((settings.home(project) / "server.json").read_bytes())
    assert not any(secret in part for part in psutil.Process(record["pid"]).cmdline())
    assert secret not in (settings.home(project) / "server.log").read_text()
    home = settings.home(project)
    assert home.stat().st_mode & 0o777 == 0o700
    for name in ("password", "prefect.db", "server.log"):
        assert (home / name).stat().st_mode & 0o777 == 0o600, name


@pytest.mark.slow
@_postgres.NEEDED
def test_the_server_keeps_its_runs_in_postgresql_when_told_to(tmp_path, monkeypatch):
    with _postgres.running() as database:
        address = database.database().replace("postgresql:", "postgresql+asyncpg:")
        monkeypatch.setenv("DIGITS_PREFECT_DATABASE", address)
        server.ensure(tmp_path, free_port()).stop()
        database.execute("SELECT count(*) FROM flow_run")
    assert not (tmp_path / ".prefect" / "prefect.db").exists()
