"""DVC's remote on an S3-compatible store: a scheduled run's push, and what another clone gets from it."""

import shutil

import pytest

from flows.clone import lineage
from flows.clone.workspace import prepare
from tests.flows._projects import commit, dvc, sh, write

pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch):
    """The address of a store that holds one empty bucket, `digits`."""
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="digits")
    yield address
    server.stop()


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
    sh(tmp_path, "git", "clone", "-q", "--branch", "digits@v1.0.0", str(project), str(other))
    dvc(other, "pull")
    assert (other / "data" / "raw" / "rows.txt").exists()
