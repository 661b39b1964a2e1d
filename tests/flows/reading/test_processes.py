"""Real workers in processes of their own, a real model server, and `kill -9` of each of them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import psutil
import pytest

from flows.reading import pile
from flows.reading.models import Asking
from flows.reading.worker import How
from flows.search import workers
from tests._ports import free_port
from tests._project import python_path
from tests.flows.reading._scans import page, rows, write
from tests.serving import _tiny
from tests.serving._server import Server

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
N = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return _tiny.export(tmp_path_factory.mktemp("model") / "digits" / "3")


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log"
    with Server(log, "--model_name=digits", f"--model_base_path={model.parent}") as made:
        yield made.target


@pytest.fixture
def scans(tmp_path):
    """N scans, one of them broken, under a name each."""
    folder = write(tmp_path / "in", {"0.png": "12"})
    for place in range(1, N):
        os.link(folder / "0.png", folder / f"{place}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def environment():
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([python_path(), *filter(None, [os.environ.get("PYTHONPATH")])])
    }


def start(tmp_path, *options):
    command = [
        sys.executable,
        "-m",
        "digits_cli",
        "read",
        "in",
        "--table",
        "out",
        "--csv",
        "out.csv",
        *options,
    ]
    return subprocess.Popen(
        [*command, "--chunk", "6"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process):
    said, _ = process.communicate(timeout=300)
    assert "Traceback" not in said, said
    return process.returncode, said


def parts(tmp_path):
    return {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "table").glob("*/*.parquet")}


def wait(condition, process):
    until = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < until, process.stdout.read()
        time.sleep(0.01)


def workers_of(process):
    """The processes that read: Dask spawns them, besides one that tidies up after them."""
    children = psutil.Process(process.pid).children()
    return [each for each in children if "spawn_main" in " ".join(each.cmdline())]


def complete(tmp_path, code, said):
    assert code == 1 and "1 file failed" in said, said
    assert sorted(row["file"] for row in rows(tmp_path / "out.csv")) == sorted(
        f"in/{i}.png" for i in range(N)
    )
    assert [row["file"] for row in rows(tmp_path / "out" / "failed.csv")] == ["in/broken.png"]
    return json.loads((tmp_path / "out" / "summary.json").read_text())


def test_two_processes_with_the_model_in_each_read_all_in_its_version(tmp_path, scans, model):
    code, said = end(start(tmp_path, "--workers", "2", "--saved-model", str(model)))
    found = complete(tmp_path, code, said)
    assert (found["files"], found["read"], found["failed"]) == (N + 1, N, 1)
    assert {row["version"] for row in rows(tmp_path / "out.csv")} == {"3"}


def test_a_killed_worker_is_replaced_and_the_others_and_a_dead_server_are_not_waited_for(
    tmp_path, scans, server
):
    dead = f"127.0.0.1:{free_port()}"
    process = start(tmp_path, "--workers", "2", "--server", server, "--server", dead)
    wait(lambda: parts(tmp_path), process)
    os.kill(workers_of(process)[0].pid, signal.SIGKILL)
    code, said = end(process)
    complete(tmp_path, code, said)
    assert "a server is passed over" in said and dead in said


def test_a_killed_driver_leaves_no_process_and_the_same_command_goes_on(tmp_path, scans, server):
    process = start(tmp_path, "--workers", "2", "--server", server)
    wait(lambda: len(parts(tmp_path)) > 1 and workers_of(process), process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    before = parts(tmp_path)
    assert not psutil.wait_procs(family, timeout=30)[1]
    code, said = end(start(tmp_path, "--workers", "1", "--server", server))
    complete(tmp_path, code, said)
    assert len(before) < len(parts(tmp_path)) and before.items() <= parts(tmp_path).items()


@contextlib.contextmanager
def running(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_scheduler_of_a_cluster_ends_the_command_and_another_one_goes_on(tmp_path, scans, server):
    address = f"tcp://127.0.0.1:{free_port()}"
    host = ("--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard")
    one = (address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path))
    with running("dask_scheduler", *host) as scheduler, running("dask_worker", *one, "--death-timeout", "60"):
        with distributed.Client(address, timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
        process = start(tmp_path, "--scheduler", address, "--server", server)
        wait(lambda: parts(tmp_path), process)
        scheduler.kill()
        code, said = end(process)
        assert code == 1 and "the Dask scheduler is gone" in said, said
        assert not (tmp_path / "out" / "summary.json").exists()
    before = parts(tmp_path)
    complete(tmp_path, *end(start(tmp_path, "--server", server)))
    assert before.items() <= parts(tmp_path).items()


class Deadly(distributed.WorkerPlugin):
    """A file of this name ends the process that reads it."""

    def setup(self, worker):  # noqa: ARG002 - Dask gives it by name
        from flows.reading import sources

        content = sources.content
        sources.content = lambda name, base: os._exit(1) if "deadly" in name else content(name, base)


def test_a_file_that_ends_workers_is_found_out_and_the_others_of_its_chunk_are_read(
    tmp_path, server, monkeypatch
):
    names = {f"{name}.png": "12" for name in ("a", "b", "deadly", "d", "e")}
    write(tmp_path / "in", names)
    pool = workers.pool

    @contextlib.contextmanager
    def deadly(*given):
        with pool(*given) as client:
            client.register_plugin(Deadly())
            yield client

    monkeypatch.setattr(workers, "pool", deadly)
    how = How(tmp_path, Asking((server,)))
    summary = pile.read_pile(pile.Order(("in",), tmp_path / "out", how, tmp_path / "out.csv"), 2)
    assert (summary.files, summary.read, summary.failed) == (5, 4, 1)
    (failed,) = rows(tmp_path / "out" / "failed.csv")
    assert failed["file"] == "in/deadly.png" and "a worker process ended" in failed["reason"]
    assert {Path(row["file"]).name for row in rows(tmp_path / "out.csv")} == names.keys() - {"deadly.png"}


@pytest.fixture
def store(monkeypatch):
    """An S3 server on loopback, with a bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    made = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    made.start()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*made.get_host_and_port()))
    client = boto3.client("s3")
    client.create_bucket(Bucket="scans")
    yield client
    made.stop()


def test_scans_in_an_object_store_are_read_from_there(tmp_path, store, server):
    page("12").save(tmp_path / "a.png")
    for name in ("x/a.png", "x/deep/b.png"):
        store.upload_file(str(tmp_path / "a.png"), "scans", name)
    command = [
        sys.executable,
        "-m",
        "digits_cli",
        "read",
        "s3://scans/x",
        "--table",
        "out",
        "--csv",
        "out.csv",
    ]
    done = subprocess.run(
        [*command, "--server", server], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [row["file"] for row in rows(tmp_path / "out.csv")] == [
        "s3://scans/x/a.png",
        "s3://scans/x/deep/b.png",
    ]
