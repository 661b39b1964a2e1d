"""Who may use the project's Prefect server: a port on loopback is open to web pages and other users."""

import base64
import http.client
import json
import re

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.scheduling import server, settings
from tests._ports import free_port

OPEN = {"/api/health", "/api/ready"}  # for probes; they tell nothing
SHELL = {"prefect.deployments.steps.run_shell_script": {"script": "touch owned"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def port(project):
    made = server.ensure(project, free_port())
    yield server.port_of(made.url)
    made.stop()


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
        refused = (
            (401,) if method == "GET" else (401, 403)
        )  # the token against forged requests is missing too
        assert answer(port, method, path, body)[0] in refused, (method, path)
        assert answer(port, method, path, body, Authorization=wrong)[0] in refused, (method, path)


@pytest.mark.parametrize(
    "foreign",
    [
        {"Host": "evil.example"},
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


def test_a_deployment_that_runs_a_shell_script_can_be_made_by_its_owner_alone(project, port):
    with server.session(project, f"http://127.0.0.1:{port}/api") as session:
        flow = session.post(f"http://127.0.0.1:{port}/api/flows/", json={"name": "any"}).json()["id"]
        wanted = {"name": "any", "flow_id": flow, "entrypoint": "any.py:any", "pull_steps": [SHELL]}
        made = session.post(f"http://127.0.0.1:{port}/api/deployments/", json=wanted)
        assert made.status_code == 201
        start = f"/api/deployments/{made.json()['id']}/create_flow_run"
        for stranger in ({}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            assert answer(port, "POST", "/api/deployments/", wanted, **stranger)[0] in (401, 403)
            assert answer(port, "POST", start, {}, **stranger)[0] in (401, 403)
        runs = session.post(f"http://127.0.0.1:{port}/api/flow_runs/filter", json={}).json()
    assert runs == []


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
    import psutil

    secret = settings.password(project).partition(":")[2]
    record = json.loads((settings.home(project) / "server.json").read_bytes())
    assert not any(secret in part for part in psutil.Process(record["pid"]).cmdline())
    assert secret not in (settings.home(project) / "server.log").read_text()
    home = settings.home(project)
    assert home.stat().st_mode & 0o777 == 0o700
    for name in ("password", "prefect.db", "server.log"):
        assert (home / name).stat().st_mode & 0o777 == 0o600, name
