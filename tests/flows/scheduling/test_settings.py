"""Which Prefect a project uses, whatever the user's environment says."""

import json
import subprocess
import sys

import pytest

from digits.runtime.errors import DigitsError
from flows.scheduling import settings
from tests.flows._processes import environment

CLOUD = {
    "PREFECT_PROFILE": "work",
    "PREFECT_API_URL": "https://api.prefect.cloud/api/accounts/1/workspaces/2",
    "PREFECT_API_KEY": "pnu_secret",
    "PREFECT_HOME": "/home/me/.prefect",
}


def test_a_users_cloud_profile_is_used_when_asked_for_alone(tmp_path):
    found = settings.environment(tmp_path, {"PATH": "/bin", **CLOUD})
    assert not {"PREFECT_PROFILE", "PREFECT_API_URL", "PREFECT_API_KEY"} & set(found)
    assert (found["PREFECT_HOME"], found["PATH"]) == (str(tmp_path / ".prefect"), "/bin")
    asked = settings.environment(tmp_path, {**CLOUD, "DIGITS_PREFECT": "own"})
    assert {name: asked[name] for name in CLOUD} == CLOUD


def test_settings_of_another_prefect_are_ignored(tmp_path):
    left = {
        "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://work.example/prefect",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////work/prefect.db",
        "PREFECT_SERVER_DATABASE_PASSWORD": "work",
        "PREFECT_LOGGING_SETTINGS_PATH": "/work/logging.yml",
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "PREFECT_SERVER_API_AUTH_STRING": "me:mine",
        "PREFECT_API_AUTH_STRING": "me:other",
        "PREFECT_SERVER_API_BASE_PATH": "/prefect",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "*",
        "PREFECT_API_SSL_CERT_FILE": "/none.pem",
        "PREFECT_TEST_MODE": "true",
    }
    assert settings.environment(tmp_path, left) == settings.environment(tmp_path, {})
    ours = settings.environment(
        tmp_path, left | {"DIGITS_PREFECT_DATABASE": "postgresql+asyncpg://ours/runs"}
    )
    assert ours["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://ours/runs"
    assert "PREFECT_SERVER_DATABASE_PASSWORD" not in ours


def test_the_password_is_the_projects_own_and_nobody_elses_to_read(tmp_path):
    password = settings.password(tmp_path / "one")
    assert settings.password(tmp_path / "one") == password != settings.password(tmp_path / "two")
    assert len(password.removeprefix("digits:")) >= 32
    home = settings.home(tmp_path / "one")
    (file,) = home.iterdir()
    assert (home.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    found = settings.environment(tmp_path / "one", {})
    assert found["PREFECT_API_AUTH_STRING"] == found["PREFECT_SERVER_API_AUTH_STRING"] == password
    file.write_text("")
    with pytest.raises(DigitsError, match="is empty: delete the file"):
        settings.environment(tmp_path / "one", {})


def test_nothing_is_ever_sent_home_and_no_run_is_marked_late(tmp_path):
    for asked in ({}, {"DIGITS_PREFECT": "own"}):
        found = settings.environment(tmp_path, {"PREFECT_SERVER_ANALYTICS_ENABLED": "true", **asked})
        assert (found["PREFECT_SERVER_ANALYTICS_ENABLED"], found["DO_NOT_TRACK"]) == ("false", "1")
    late = "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED"  # many at once would lock the database
    assert settings.environment(tmp_path, {})[late] == "false"


def test_limits_that_somebody_set_stay_and_no_proxy_stands_before_this_machine(tmp_path):
    given = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60", "HTTP_PROXY": "http://proxy:3128"}
    found = settings.environment(tmp_path, given | {"NO_PROXY": "intern.example"})
    assert given.items() <= found.items()
    assert found["NO_PROXY"] == found["no_proxy"] == "intern.example,127.0.0.1,localhost"


def test_what_a_scheduler_starts_finds_the_way_back_to_its_server(tmp_path):
    started = {**settings.variables_for("http://127.0.0.1:4200/api")}
    assert settings.environment(tmp_path, started)["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    other = {**started, "PREFECT_API_URL": "https://elsewhere/api"}
    assert "PREFECT_API_URL" not in settings.environment(tmp_path, other)


def test_settings_reach_prefect_when_applied_before_it_is_imported(tmp_path):
    script = """
import sys, json
from pathlib import Path
from flows.scheduling import settings
assert not any(name.split(".")[0] == "prefect" for name in sys.modules)
settings.apply(Path(sys.argv[1]))
from prefect.settings import get_current_settings
now = get_current_settings()
print(json.dumps([str(now.home), now.api.url, now.api.key, now.flows.heartbeat_frequency,
    now.server.analytics_enabled, now.server.ephemeral.startup_timeout_seconds, now.server.api.host,
    now.server.concurrency.lease_storage.rsplit(".")[-1]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=tmp_path,
        env=environment() | CLOUD,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    home = str(tmp_path / ".prefect")
    assert json.loads(done.stdout) == [home, None, None, 30, False, 120, "127.0.0.1", "filesystem"]
