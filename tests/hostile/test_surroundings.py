"""The commands with settings that somebody left in the shell."""

import contextlib
import subprocess
import sys
import urllib.request

import pytest

from tests._ports import free_port
from tests.flows._processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LEFT = {
    "PREFECT_API_URL": "http://127.0.0.1:9/api",
    "PREFECT_API_KEY": "pnu_left",
    "PREFECT_API_AUTH_STRING": "someone:else",
    "PREFECT_PROFILE": "work",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false",
    "PREFECT_SERVER_API_AUTH_STRING": "another:one",
    "PREFECT_SERVER_API_BASE_PATH": "/prefect",
    "PREFECT_SERVER_API_HOST": "0.0.0.0",
    "PREFECT_SERVER_UI_API_URL": "http://elsewhere/api",
    "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://left@127.0.0.1:9/prefect",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////nonexistent/left.db",
    "PREFECT_MESSAGING_BROKER": "left.behind",
    "PREFECT_LOGGING_SETTINGS_PATH": "/nonexistent/logging.yml",
    "PREFECT_CLIENT_CUSTOM_HEADERS": '{"Host": "elsewhere"}',
    "DVC_SITE_CACHE_DIR": "/nonexistent",
    "GX_CLOUD_ACCESS_TOKEN": "left",
    "GX_CLOUD_ORGANIZATION_ID": "left",
    "GX_ANALYTICS_ENABLED": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


def is_ready(port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), direct.open(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        return answer.status == 200
    return False


def test_settings_that_somebody_left_in_the_shell_change_nothing(copy):
    """The main job, a run of the scheduler and the page come each to its end."""
    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    copy.environment |= LEFT
    copy.repro("--force", "--single-item", "validate", DVC_SITE_CACHE_DIR=str(copy.root / "site"))
    for command in (("run",), ("schedule", "--once", "--port", str(free_port()))):
        done = copy.digits(*command)
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    page, grpc, rest = (free_port() for _ in range(3))
    servers = [
        ("serve", f"--port={grpc}", f"--rest-port={rest}"),
        ("app", f"--port={page}", f"--server=localhost:{grpc}"),
    ]
    python = [sys.executable, "-m", "digits_cli"]
    started = [subprocess.Popen([*python, *each], cwd=copy.root, env=copy.environment) for each in servers]
    try:
        wait_for(lambda: is_ready(page))
    finally:
        for each in reversed(started):
            each.terminate()
            each.wait(60)
