"""The serving bench's own logic, on made-up records and against small real servers on loopback."""

import asyncio
import base64
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bench.records import ROOT
from bench.serving import calls, children, contestants, lifecycle, loops, report, rollouts
from bench.serving import cases as plan
from bench.serving.__main__ import main
from bench.serving.cases import (
    FLASK,
    GRPC,
    JOINING,
    LOGGING,
    NOOP_GRPC,
    NOOP_REST,
    OURS,
    PIXELS,
    PNG,
    REST,
    Case,
)
from digits.runtime.errors import DataError, DigitsError
from tests._loopback import serving

ABOUT = {
    "date": "2026-01-31T10:00:00+00:00",
    "commit": "abc1234",
    "quick": False,
    "machine": {"cpu": "A CPU", "cores": 2, "memory_gib": 24.0, "load": 0.1, "software": "Python 3.11"},
}


def run(server, rate, round=0, clients=1, batch=1, interface=GRPC, payload=PIXELS, failed=0):
    return ABOUT | {
        "kind": "case",
        "round": round,
        "server": server,
        "interface": interface,
        "payload": payload,
        "batch": batch,
        "clients": clients,
        "requests_per_s": rate,
        "images_per_s": rate * batch,
        "n": 1000,
        "failed": failed,
        "histogram": {"0": 900, "35": 300},
        "client_cpu_share": 0.5,
        "server_cpu_ms": 0.4,
    }


def block(number, without, with_, failed=0, count=50):
    each = {"p50_ms": 1.0, "p999_ms": 9.0, "max_ms": 10.0, "n": 5000}
    return ABOUT | {
        "kind": "rollouts",
        "block": number,
        "rollouts": count,
        "every": 3.0,
        "rate": 900.0,
        "without": {**each, "p99_ms": without, "failed": 0},
        "with": {**each, "p99_ms": with_, "failed": failed},
        "followed_s": [1.0, 1.4],
        "mib": [500.0],
    }


def good():
    """A run of two rounds."""
    found = []
    for turn, slower in enumerate((1.0, 0.5)):  # the machine halves its speed: ratios stay
        for clients in (1, 8, 64):
            found.append(run(OURS, 1200 * slower, turn, clients))
            found.append(run(NOOP_GRPC[0], 2000 * slower, turn, clients))
            found.append(run(NOOP_GRPC[1], 1800 * slower, turn, clients))
            found.append(run(FLASK, 25 * slower, turn, clients, interface=REST))
            found.append(run(OURS, 40 * slower, turn, clients, batch=256))
        found += [run(JOINING, 1150 * slower, turn, 1), run(JOINING, 2400 * slower, turn, 64)]
        found.append(run(OURS, 300 * slower, turn, payload=PNG))
        found.append(run(OURS, 1500 * slower, turn, interface=REST))
        found.append(run(OURS, 1400 * slower, turn, interface=REST, payload=PNG))
        found += [run(name, 2500 * slower, turn, interface=REST) for name in NOOP_REST]
        called = {"kind": "in-process", "round": turn, "batch": 256, "images_per_s": 11000 * slower}
        found.append(ABOUT | called)
    costs = [{OURS: 0.40, LOGGING: 0.42}, {OURS: 0.80, LOGGING: 0.90}, {OURS: 0.2, LOGGING: 0.4}]
    found.append(ABOUT | {"kind": "logging", "server_cpu_ms": [*costs, {OURS: None, LOGGING: 0.4}]})
    found += [block(1, 10.0, 15.0), block(2, 10.0, 25.0)]
    found.append(ABOUT | {"kind": "ready", "seconds": [6.0, 7.0]})
    found.append(ABOUT | {"kind": "bad-config", "seconds": [0.2, 0.3, 0.9]})
    found.append(ABOUT | {"kind": "reloads", "mib": [400.0] + [500.0] * 200, "seconds": 100.0, "cpu_s": 0.9})
    found.append(
        ABOUT | {"kind": "left-out", "server": "tensorflow_model_server", "reason": "not on the PATH"}
    )
    return found


def shown(records, text):
    """The ratio in the row that holds a text."""
    found, *_ = [line for line in report.report(records).splitlines() if text in line]
    return found.split(" | ")[-1].strip(" |")


# --- what is measured


def test_every_server_is_asked_by_1_8_and_64_clients_and_compared_cases_stand_together():
    found = plan.cases(plan.SERVERS)
    for server in plan.SERVERS:
        assert {case.clients for case in found if case.server == server} == {1, 8, 64}
    assert {case.batch for case in found if case.server == OURS} == {1, 32, 256}
    places = [found.index(Case(name, GRPC, PIXELS, 1, 64)) for name in (OURS, *NOOP_GRPC)]
    assert max(places) - min(places) <= 5
    assert len(set(found)) == len(found)


# --- figures


def test_a_percentile_is_one_of_the_values_and_is_not_made_up_from_a_few():
    thousand = [float(n) for n in range(1, 1001)]
    assert loops.percentile(thousand, 0.5) == 500
    assert loops.percentile(thousand, 0.99) == 990
    assert loops.percentile(thousand, 0.999) is None
    assert loops.percentile(sorted(thousand * 5), 0.999) == 999
    assert loops.percentile([3.0], 0.5) == 3.0
    assert loops.percentile([], 0.5) is None


def test_requests_of_several_rounds_are_pooled_before_a_percentile_is_taken():
    fast, slow = [0.001] * 990, [0.050] * 10
    once = [loops.histogram(fast + slow)]
    assert report.pool(once, 0.5) == pytest.approx(1, rel=0.011)
    assert report.pool(once, 0.99) == pytest.approx(1, rel=0.011)
    assert report.pool(once, 0.999) is None
    assert report.pool(once * 3, 0.999) == pytest.approx(50, rel=0.011)
    assert report.pool([], 0.5) is None


def test_a_summary_counts_images_not_only_requests():
    found = loops.summary([0.002, 0.001, 0.004], seconds=2.0, batch=32)
    assert (found["requests_per_s"], found["images_per_s"]) == (1.5, 48.0)
    assert (found["p50_ms"], found["p99_ms"], found["max_ms"]) == (2.0, None, 4.0)


def test_the_floor_is_the_better_no_op_server_of_the_same_round():
    assert sorted((r["round"], r["requests_per_s"]) for r in report.floor(good(), 1)) == [
        (0, 2000),
        (1, 1000),
    ]
    assert shown(good(), "over gRPC, 64 clients: requests/s") == "0.60"


def test_ratios_are_of_one_round_and_a_round_without_its_pair_gives_none():
    records = [r for r in good() if (r.get("server"), r.get("round")) != (FLASK, 1)]
    assert shown(records, "over gRPC, 8 clients: requests/s") == "48.00"
    records = [r for r in good() if r.get("server") != FLASK]
    assert "8 clients: requests/s" not in report.report(records)


def test_a_round_of_another_run_is_another_round():
    later = [r | {"date": "2026-02-01T10:00:00+00:00"} for r in good() if r.get("server") == OURS]
    fast = [r | {"requests_per_s": 9999} if r["kind"] == "case" else r for r in later]
    assert shown([*good(), *fast], "over gRPC, 8 clients: requests/s") == "48.00"


@pytest.mark.parametrize(
    "text, ratio",
    [
        ("one image over gRPC, 1 client:", "0.60"),
        ("batches of 256", "0.93"),
        ("batching, one image over gRPC, 64 clients", "2.00"),
        ("batching, one image over gRPC, 1 client: p50", "1.00"),
        ("every request logged", "1.12"),
        ("REST, JSON, 1 client", "0.60"),
        ("REST, PNG as base64, 1 client", "0.56"),
    ],
)
def test_what_is_compared_has_its_ratio(text, ratio):
    assert shown(good(), text) == ratio


def test_growth_of_memory_leaves_the_first_20_reloads_out():
    def growth(values):
        return report.growth({"mib": values})

    assert growth([500.0 + n / 4 for n in range(201)]) > 0.05
    assert growth([400.0 + 10 * min(n, 16) for n in range(201)]) == 0
    assert growth([None] * 201) is None
    assert growth([500.0] * 20) is None


# --- the tables


def test_every_part_is_shown():
    text = report.report(good())
    for part in ("A CPU, 2 cores", "abc1234", "### 64 clients", "gRPC, PNG", "called in process"):
        assert part in text
    assert "left out: `tensorflow_model_server`: not on the PATH" in text
    assert "100 rollouts, one every 3 s, at 900 single" in text and "ratio of the blocks: 2.00." in text
    assert "Ready after 6.0, 7.0 s" in text and "in 0.20, 0.30, 0.90 s" in text
    assert "at the end 500 (200), 0.0 % more than after 20" in text


def test_every_table_row_has_as_many_cells_as_its_head():
    for part in report.report(good()).split("\n\n"):
        if part.startswith("|"):
            assert len({line.count(" | ") for line in part.splitlines()}) == 1, part


@pytest.mark.parametrize("kept", ["case", "ready", "in-process", "rollouts"])
def test_what_was_left_out_is_not_guessed(kept):
    text = report.report([r for r in good() if r["kind"] == kept])
    assert "nan" not in text.lower().split() and "None" not in text


def test_the_command_prints_a_file(tmp_path, capsys):
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(r) + "\n" for r in good()))
    assert report.main([str(tmp_path / "raw.jsonl")]) == 0
    assert "## Single images" in capsys.readouterr().out
    with pytest.raises(DataError):
        report.report([])


# --- loads


class Fake:
    """A client whose answers take as long as a test says, and fail when it says."""

    def __init__(self, seconds=0.001, fails=()):
        self.seconds, self.fails, self.sent = seconds, set(fails), 0

    async def call(self):
        self.sent += 1
        if self.sent in self.fails:
            raise calls.Failed("UNAVAILABLE: gone")
        await asyncio.sleep(self.seconds)
        return b"answer"

    async def close(self):
        pass


def test_a_closed_loop_never_has_two_requests_of_a_client_on_the_way():
    clients = [Fake(0.01), Fake(0.01)]
    tally, result = asyncio.run(loops.closed(clients, seconds=0.2, warm=0.05, batch=32))
    assert 10 <= result["n"] <= 2 * 0.2 / 0.01 + 2
    assert result["images_per_s"] == pytest.approx(32 * result["requests_per_s"])
    assert result["total"] == sum(client.sent for client in clients) > result["n"]
    assert 9 < result["p50_ms"] < 50
    assert tally.first == b"answer"


def test_failures_are_counted_and_told_and_are_no_answers():
    _, result = asyncio.run(loops.closed([Fake(fails={1, 2, 5})], seconds=0.1, warm=0.0, batch=1))
    assert result["failed"] == 3
    assert result["errors"] == {"UNAVAILABLE: gone": 3}


def test_the_window_waits_for_a_slow_server():
    _, result = asyncio.run(loops.closed([Fake(0.12)], seconds=0.05, warm=0.0, batch=1))
    assert result["n"] >= 2
    assert result["seconds"] >= 0.2


def test_a_steady_load_goes_on_while_the_server_stalls_and_charges_the_wait_to_it():
    class Stalling(Fake):
        async def call(self):
            self.sent += 1
            if self.sent == 20:
                time.sleep(0.2)  # stops everything, the sender too
            return b""

    client = Stalling()
    _, result = asyncio.run(loops.steady([client], rate=200, seconds=0.5))
    assert client.sent == result["n"] == 100
    assert result["max_ms"] >= 150, "what was due during the stall waited from when it was due"
    assert result["p50_ms"] < result["max_ms"] / 2


def test_a_server_that_never_answers_costs_bounded_memory(monkeypatch):
    monkeypatch.setattr(loops, "BACKLOG", 5)
    _, result = asyncio.run(loops.steady([Fake(0.3)], rate=100, seconds=0.2))
    assert result["n"] == 5
    assert result["failed"] == 15
    assert "not sent" in next(iter(result["errors"]))


# --- connections


@contextlib.contextmanager
def raw_server(*answers, close=False):
    """Answers the n-th request of any connection with the n-th bytes, piece by piece."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = list(answers)
    seen = []

    def serve():
        with contextlib.suppress(OSError):
            while left:
                connection, _ = listener.accept()
                with connection:
                    while left:
                        request = connection.recv(65536)
                        if not request:
                            break
                        seen.append(request)
                        answer = left.pop(0)
                        connection.sendall(answer[:20])
                        connection.sendall(answer[20:])
                        if close:
                            break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        listener.close()
        thread.join(5)


def ask(target, times, timeout=5.0):
    async def go():
        client = calls.HttpClient(target, "/v1/models/digits:predict", b"{}", timeout)
        try:
            return [await client.call() for _ in range(times)]
        finally:
            await client.close()

    return asyncio.run(go())


KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
ENDLESS = b"HTTP/1.0 200 OK\r\n\r\nhello"


def test_a_connection_is_kept_where_the_server_keeps_it():
    with raw_server(KEPT, KEPT) as (target, seen):
        assert ask(target, 2) == [b"hello"] * 2
    assert seen[0].startswith(b"POST /v1/models/digits:predict HTTP/1.1\r\n")
    assert seen[0].endswith(b"Content-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize("answer", [CLOSED, ENDLESS])
def test_a_connection_that_the_server_closes_is_made_anew(answer):
    with raw_server(answer, answer, close=True) as (target, _):
        assert ask(target, 2) == [b"hello"] * 2


@pytest.mark.parametrize(
    "answer, reason",
    [
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\nbad", "HTTP 400: bad"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "connection lost"),
    ],
)
def test_what_is_no_whole_answer_of_success_has_failed(answer, reason):
    with raw_server(answer, close=True) as (target, _), pytest.raises(calls.Failed, match=reason):
        ask(target, 1)


def test_nobody_there_and_nobody_answering_are_failures_not_crashes():
    (port,) = children.free_ports(1)
    with pytest.raises(calls.Failed, match="no connection"):
        ask(f"127.0.0.1:{port}", 1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(calls.Failed, match="no answer in time"),
    ):
        ask(f"127.0.0.1:{silent.getsockname()[1]}", 1, timeout=0.1)


@contextlib.contextmanager
def grpc_server(function):
    """A real gRPC server whose Predict takes and gives bytes."""
    method = grpc.unary_unary_rpc_method_handler(function)
    handler = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService", {"Predict": method}
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def worker(module, tmp_path, *arguments):
    made = children.Worker(module, arguments, ROOT, tmp_path / "log")
    try:
        yield made
    finally:
        made.stop()


def job(target, payload, **more):
    return {
        "loop": "closed",
        "interface": GRPC,
        "target": target,
        "method": contestants.GRPC_METHOD,
        "payload": str(payload),
        "clients": 4,
        "batch": 1,
        "seconds": 0.2,
        "warm": 0.1,
        **more,
    }


def test_the_load_generator_sends_the_bytes_and_counts_answers_and_refusals(tmp_path):
    payload = tmp_path / "request"
    payload.write_bytes(b"pixels")
    peers = set()

    def predict(request, context):
        peers.add(context.peer())
        if request != b"pixels":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not the pixels")
        return request.upper()

    with grpc_server(predict) as target, worker("bench.serving.load", tmp_path) as load:
        found = load.ask(job(target, payload))
        assert found["n"] > 10 and found["failed"] == 0
        assert found["answer"] == "UElYRUxT"  # PIXELS
        assert len(peers) == 4, "each client has a connection of its own"
        steady = load.ask(job(target, payload, loop="steady", rate=100))
        assert steady["n"] == 20 and steady["failed"] == 0
        payload.write_bytes(b"other")
        refused = load.ask(job(target, payload))
        assert refused["n"] == 0 and refused["failed"] > 0
        assert list(refused["errors"]) == ["INVALID_ARGUMENT: not the pixels"]
        with pytest.raises(DigitsError, match="INVALID_ARGUMENT"):
            load.ask(job(target, payload, loop="once"))
        payload.write_bytes(b"pixels")
        assert load.ask(job(target, payload, loop="once"))["answer"] == "UElYRUxT"


# --- processes


def test_the_no_op_rest_server_answers_as_many_predictions_as_instances(tmp_path):
    (port,) = children.free_ports(1)
    log = tmp_path / "log"
    command = [sys.executable, "-m", "bench.serving.apps.noop_rest", str(port)]
    server = children.start(command, ROOT, log)
    try:
        children.wait(server, lambda: children.accepts_connections(port), log, "no-op", 30)
        payload = tmp_path / "body"
        payload.write_text(json.dumps({"instances": [[[0] * 28] * 28] * 3}))
        with worker("bench.serving.load", tmp_path) as load:
            asked = job(f"127.0.0.1:{port}", payload, interface=REST, method=contestants.REST_PATH)
            found = load.ask(asked)
            assert found["n"] > 10 and found["failed"] == 0
            predictions = json.loads(base64.b64decode(found["answer"]))["predictions"]
        assert [len(p["probabilities"]) for p in predictions] == [10] * 3
        if Path("/proc/self/statm").exists():
            assert children.resident_mib(server.pid) > 1
            assert children.cpu_seconds(server.pid) >= 0
    finally:
        children.stop(server)


def test_a_server_that_ends_or_hangs_is_told_with_its_last_words(tmp_path):
    log = tmp_path / "log"
    ending = children.start([sys.executable, "-c", "raise SystemExit('port taken')"], ROOT, log)
    with pytest.raises(DigitsError, match=r"it ended with 1 instead of serving \(port taken\)"):
        children.wait(ending, lambda: False, log, "it", 30)
    hanging = children.start([sys.executable, "-c", "input()"], ROOT, log, stdin=subprocess.PIPE)
    with pytest.raises(DigitsError, match="did not serve within 0 s"):
        children.wait(hanging, lambda: False, log, "it", 0.1)
    assert hanging.poll() is not None
    hanging.stdin.close()


def test_a_worker_that_dies_is_an_error_with_its_last_line(tmp_path):
    with (
        worker("bench.serving.apps.noop_rest", tmp_path) as dying,
        pytest.raises(DigitsError, match="ended in"),
    ):
        dying.ask({"do": "time"})


# --- servers of the bench


def test_the_pointer_is_a_configuration_that_names_one_version(tmp_path):
    contestants.pointer(tmp_path, 2)
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((tmp_path / "models.config").read_text(), config)
    (entry,) = config.model_config_list.config
    assert (entry.name, entry.base_path) == ("digits", str(tmp_path / "digits"))
    assert list(entry.model_version_policy.specific.versions) == [2]


@pytest.mark.parametrize("name", plan.SERVERS)
def test_every_server_is_started_on_its_ports_only(name, tmp_path):
    ports = {interface: 8500 + n for n, interface in enumerate(contestants.interfaces(name))}
    words = " ".join(contestants.command(name, ports, tmp_path, tmp_path))
    assert all(str(port) in words for port in ports.values())
    assert "0.0.0.0" not in words


def test_a_server_that_cannot_run_here_is_left_out_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "docs/operations.md" in contestants.unavailable(plan.REAL, tmp_path)
    monkeypatch.setattr(contestants, "_importable", lambda _: False)
    assert "make setup" in contestants.unavailable(FLASK, tmp_path)
    assert "serving/model_server" in contestants.unavailable(OURS, tmp_path)
    monkeypatch.setattr(contestants, "_importable", lambda _: True)
    assert "make run" in contestants.unavailable(FLASK, tmp_path / "no-candidate")
    assert contestants.unavailable(OURS, tmp_path) is None


def _server(url):
    port = int(url.rstrip("/").rpartition(":")[2])
    return contestants.Server(OURS, None, {REST: port}, 0.0)


def _status(*states):
    found = [{"version": str(number), "state": state} for number, state in states]
    return json.dumps({"model_version_status": found}).encode()


def test_a_rollout_is_over_when_the_new_version_alone_takes_requests():
    answers = [
        _status((1, "AVAILABLE")),
        _status((2, "AVAILABLE"), (1, "AVAILABLE")),
        _status((2, "AVAILABLE"), (1, "END")),
    ]
    with serving(lambda _: (200, answers.pop(0))) as site:
        assert rollouts.wait_for_version(_server(site.url), 2, look=0.001) >= 0
    assert answers == []


def test_a_pointer_that_is_not_followed_ends_the_bench(monkeypatch):
    monkeypatch.setattr(rollouts, "FOLLOW_LIMIT", 0.05)
    with serving(lambda _: (200, _status((1, "AVAILABLE")))) as site, pytest.raises(DigitsError) as told:
        rollouts.wait_for_version(_server(site.url), 2, look=0.01)
    assert r"serves [1] " in str(told.value)


class Site:
    """A status page that follows the pointer after so many looks, and a load that answers at once."""

    def __init__(self, store, lag):
        self.store, self.lag, self.looks, self.jobs = store, lag, 0, []

    def page(self, _):
        self.looks += 1
        wanted = 1 if "versions: 1" in (self.store / "models.config").read_text() else 2
        return 200, _status((wanted if self.looks % self.lag == 0 else 3 - wanted, "AVAILABLE"))

    def ask(self, job):
        self.send(job)
        return self.receive()

    def send(self, job):
        self.jobs.append(job)

    def receive(self):
        return {"answer": "", "histogram": {}, "n": 1, "failed": 0, "p99_ms": 1.0}


def roll(tmp_path, monkeypatch, *, lag, total, block, every):
    contestants.pointer(tmp_path, 1)
    monkeypatch.setattr(rollouts, "LOOK", 0.001)
    monkeypatch.setattr(rollouts, "resident_mib", lambda _: 1.0)
    site = Site(tmp_path, lag)
    with serving(site.page) as page:
        server = contestants.Server(
            OURS, SimpleNamespace(pid=1), {REST: _server(page.url).ports[REST], GRPC: 1}, 0.0
        )
        found = rollouts.measure(
            server,
            site,
            tmp_path,
            tmp_path / "request",
            rate=10.0,
            every=every,
            total=total,
            block=block,
            quiet=0.5,
            say=lambda _: None,
        )
    return found, site.jobs


def test_each_block_of_rollouts_has_a_load_without_of_its_own(tmp_path, monkeypatch):
    found, jobs = roll(tmp_path, monkeypatch, lag=1, total=5, block=2, every=0.4)
    assert [r["rollouts"] for r in found] == [2, 2, 1]
    assert [job["seconds"] for job in jobs] == pytest.approx([0.5, 0.8, 0.5, 0.8, 0.5, 0.4])


def test_a_server_that_follows_slowly_is_not_credited_with_rollouts_that_it_did_not_make(
    tmp_path, monkeypatch
):
    found, jobs = roll(tmp_path, monkeypatch, lag=40, total=4, block=2, every=0.02)
    assert len(found) == 4, "twice as many blocks, then it ends"
    assert sum(r["rollouts"] for r in found) < 4
    assert len(jobs) == 8


@pytest.mark.parametrize("program, told", [("pass", "code 0"), ("raise SystemExit('oh')", "oh")])
def test_a_bad_configuration_that_is_not_reported_ends_the_bench(program, told, tmp_path):
    folder = tmp_path / "serving" / "model_server"
    folder.mkdir(parents=True)
    for package in (folder.parent, folder):
        (package / "__init__.py").touch()
    (folder / "__main__.py").write_text(program)
    with pytest.raises(DigitsError, match=told):
        lifecycle._refusal(tmp_path, tmp_path / "bad.config")


# --- the command


def test_without_a_model_it_says_so_in_one_line(tmp_path, capsys):
    assert main(["--models", str(tmp_path), "--out", str(tmp_path / "raw.jsonl")]) == 3
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "make run" in said


@pytest.mark.parametrize(
    "option, told", [("--only=flusk", "unknown server 'flusk'"), ("--rounds=-1", "give 0 or more")]
)
def test_a_wrong_option_is_named(option, told, capsys):
    with pytest.raises(SystemExit):
        main([option])
    assert told in capsys.readouterr().err


@pytest.mark.exhaustive  # it times servers against each other and wants a machine to itself
def test_the_whole_bench_on_a_model_of_synthetic_digits(built, tmp_path):
    command = [sys.executable, "-m", "bench.serving", "--quick", "--models", str(built.root / "models")]
    command += ["--out", str(tmp_path / "raw.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "figures mean nothing" in done.stdout
    # a busy machine follows fewer rollouts than were asked for
    for part in (
        "embedded server, gRPC, uint8",
        "no-op, asyncio",
        "FastAPI + SavedModel",
        "rollouts, one every",
    ):
        assert part in done.stdout
