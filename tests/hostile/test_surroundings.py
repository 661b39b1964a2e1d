"""The commands with settings that somebody left in the shell, as a second user, and in a second worktree."""

import contextlib
import os
import shutil
import subprocess
import sys
import urllib.request

import pytest

from tests._ports import free_port
from tests._project import Project
from tests.flows._processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
USER = 12345

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
    "PREFECT_CLIENT_CUSTOM_HEADERS": '{"Host": "elsewhere"}',
    "DVC_SITE_CACHE_DIR": "/nonexistent",
    "GX_CLOUD_ACCESS_TOKEN": "left",
    "GX_CLOUD_ORGANIZATION_ID": "left",
    "GX_ANALYTICS_ENABLED": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


def works(made: Project, *prefix: str) -> None:
    """The main job, a run of the scheduler and the page, each to its end."""
    for command in (("run",), ("schedule", "--once", "--port", str(free_port()))):
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "digits_cli", *command],
            cwd=made.root,
            env=made.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    page, grpc, rest = (free_port() for _ in range(3))
    started = [
        subprocess.Popen(
            [*prefix, sys.executable, "-m", "digits_cli", *command], cwd=made.root, env=made.environment
        )
        for command in (
            ("serve", f"--port={grpc}", f"--rest_api_port={rest}"),
            ("app", f"--port={page}", f"--server=localhost:{grpc}"),
        )
    ]
    try:
        wait_for(lambda: is_ready(page))
    finally:
        for each in reversed(started):
            each.terminate()
            each.wait(60)


def is_ready(port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), direct.open(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        return answer.status == 200
    return False


def test_settings_that_somebody_left_in_the_shell_change_nothing(copy):
    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    copy.environment |= LEFT
    copy.repro("--force", "--single-item", "validate", DVC_SITE_CACHE_DIR=str(copy.root / "site"))
    works(copy)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_second_user_with_the_same_temporary_folder_is_not_held_up_by_the_first(copy, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    for name in ("runner_storage", "dvc", "digits", ".prefect"):
        (shared / name).touch(mode=0o600)  # the first user's
    shared.chmod(0o1777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)
    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    home = tmp_path / "home"
    home.mkdir()
    for top in (copy.root, home):
        os.chown(top, USER, USER)
        for path in top.rglob("*"):
            os.chown(path, USER, USER, follow_symlinks=False)
    copy.environment |= {"TMPDIR": str(shared), "HOME": str(home), "LOGNAME": "second"}
    # it may read everything, since Python may be installed in root's home, but write only what is its own
    reading = "-all,+dac_read_search"
    capabilities = [f"--{kind}={reading}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    works(copy, "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *capabilities)


def test_a_second_worktree_works_with_the_first_ones_environment(copy, tmp_path):
    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    second = tmp_path / "second"
    copy.ok("git", "worktree", "add", "-q", str(second), "-b", "second")
    shutil.copytree(copy.root / ".dvc" / "cache", second / ".dvc" / "cache")
    made = Project(second, copy.environment)  # whose PYTHONPATH leads to the first, as an installation does
    made.ok("dvc", "checkout", "-q")
    stage = second / "src" / "digits" / "evaluate" / "stage.py"
    stage.write_text(stage.read_text().replace("\nif __name__", '\nprint("the second")\n\nif __name__', 1))
    assert "the second" in made.repro("--single-item", "evaluate")
    works(made)
