"""DVC's remote on an S3-compatible store: a scheduled run's push, and what another clone gets from it."""

import shutil
import subprocess
import sys

import pytest

from flows.clone import lineage
from flows.clone.workspace import prepare
from tests._ports import free_port
from tests.flows._processes import ROOT, wait_for
from tests.flows._projects import commit, dvc, sh, write

pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch):
    """The address of a store that holds one empty bucket, `digits`."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    address = f"http://127.0.0.1:{port}"

    def bucket():
        try:
            boto3.client("s3", endpoint_url=address).create_bucket(Bucket="digits")
        except Exception:
            return False
        return True

    wait_for(bucket, 60)
    yield address
    process.kill()
    process.wait()


def test_a_recorded_version_is_pushed_and_another_clone_has_its_data_from_there(project, store, tmp_path):
    dvc(project, "remote", "add", "--default", "store", "s3://digits/cache")
    dvc(project, "remote", "modify", "store", "endpointurl", store)
    commit(project, "data on S3")
    with prepare(project) as clone:
        dvc(clone.root, "repro")
        write(clone.root, "reports/metrics.json", '{"accuracy": 0.99}')
        recorded = lineage.record(clone, 1, {"accuracy": 0.99})
    assert [push.remote for push in recorded.pushes if push.ok] == ["dvc"], recorded.warnings
    shutil.rmtree(project / ".dvc" / "cache")
    other = tmp_path / "other"
    sh(tmp_path, "git", "clone", "-q", "--branch", "digits@v1", str(project), str(other))
    dvc(other, "pull")
    assert (other / "data" / "raw" / "rows.txt").exists()
