"""The serving bench's own logic, on made-up records and against small real servers on loopback."""

import asyncio
import base64
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from bench.records import ROOT
from bench.serving import children, contestants, loops, offline, report, rollouts
from bench.serving.cases import FLASK, GRPC, JOINING, LOGGING, NOOP_GRPC, NOOP_REST, OURS, PIXELS, PNG, REST
from digits.runtime.errors import DataError
from tests._loopback import serving
from tests.bench.test_report import ABOUT


def run(server, rate, round=0, clients=1, batch=1, interface=GRPC, payload=PIXELS):
    case = {"server": server, "interface": interface, "payload": payload, "batch": batch, "clients": clients}
    rates = {"requests_per_s": rate, "images_per_s": rate * batch, "n": 1000, "failed": 0}
    more = {"histogram": {"0": 900, "35": 300}, "client_cpu_share": 0.5, "server_cpu_ms": 0.4}
    return ABOUT | {"kind": "case", "round": round} | case | rates | more


def block(number, without, with_):
    each = {"p50_ms": 1.0, "p999_ms": 9.0, "max_ms": 10.0, "n": 5000, "failed": 0}
    loads = {"without": {**each, "p99_ms": without}, "with": {**each, "p99_ms": with_}}
    counts = {"block": number, "rollouts": 50, "every": 3.0, "rate": 900.0, "followed_s": [1.0, 1.4]}
    return ABOUT | {"kind": "rollouts", "mib": [500.0]} | counts | loads


def good():
    """A run of two rounds."""
    found = []
    for turn, slower in enumerate((1.0, 0.5)):  # the machine halves its speed: ratios stay
        for clients in (1, 8, 64):
            rates = {OURS: 1200, NOOP_GRPC[0]: 2000, NOOP_GRPC[1]: 1800}
            found += [run(name, rate * slower, turn, clients) for name, rate in rates.items()]
            found.append(run(FLASK, 25 * slower, turn, clients, interface=REST))
            found.append(run(OURS, 40 * slower, turn, clients, batch=256))
        found += [run(JOINING, 1150 * slower, turn, 1), run(JOINING, 2400 * slower, turn, 64)]
        found.append(run(OURS, 300 * slower, turn, payload=PNG))
        found.append(run(OURS, 1400 * slower, turn, interface=REST, payload=PNG))
        rest = {OURS: 1500} | dict.fromkeys(NOOP_REST, 2500)
        found += [run(name, rate * slower, turn, interface=REST) for name, rate in rest.items()]
        called = {"kind": "in-process", "round": turn, "batch": 256, "images_per_s": 11000 * slower}
        found.append(ABOUT | called)
    costs = [{OURS: 0.40, LOGGING: 0.42}, {OURS: 0.80, LOGGING: 0.90}, {OURS: 0.2, LOGGING: 0.4}]
    found.append(ABOUT | {"kind": "logging", "server_cpu_ms": [*costs, {OURS: None, LOGGING: 0.4}]})
    found += [block(1, 10.0, 15.0), block(2, 10.0, 25.0)]
    found.append(ABOUT | {"kind": "ready", "seconds": [6.0, 7.0]})
    found.append(ABOUT | {"kind": "bad-config", "seconds": [0.2, 0.3, 0.9]})
    found.append(ABOUT | {"kind": "reloads", "mib": [400.0] + [500.0] * 200, "seconds": 100.0, "cpu_s": 0.9})
    gone = {"kind": "left-out", "server": "tensorflow_model_server", "reason": "not on the PATH"}
    return [*found, ABOUT | gone]


def shown(records, text):
    """The ratio in the row that holds a text."""
    found, *_ = [line for line in report.report(records).splitlines() if text in line]
    return found.split(" | ")[-1].strip(" |")


# --- figures


def test_a_percentile_is_a_value_not_made_up_from_a_few_and_of_the_requests_of_all_rounds():
    thousand = [float(n) for n in range(1, 1001)]
    assert loops.percentile(thousand, 0.5) == 500
    assert loops.percentile(thousand, 0.99) == 990
    assert loops.percentile(thousand, 0.999) is None
    assert loops.percentile(sorted(thousand * 5), 0.999) == 999
    found = loops.summary([0.002, 0.001, 0.004], seconds=2.0, batch=32)
    assert (found["requests_per_s"], found["images_per_s"]) == (1.5, 48.0)
    assert (found["p50_ms"], found["p99_ms"], found["max_ms"]) == (2.0, None, 4.0)
    fast, slow = [0.001] * 990, [0.050] * 10
    once = [loops.histogram(fast + slow)]
    assert report.pool(once, 0.5) == pytest.approx(1, rel=0.011)
    assert report.pool(once, 0.99) == pytest.approx(1, rel=0.011)
    assert report.pool(once, 0.999) is None
    assert report.pool(once * 3, 0.999) == pytest.approx(50, rel=0.011)
    assert report.pool([], 0.5) is None


def test_ratios_are_of_one_round_and_a_round_without_its_pair_gives_none():
    floor = {(r["round"], r["requests_per_s"]) for r in report.floor(good(), 1)}
    assert floor == {(0, 2000), (1, 1000)}, "the better no-op server of the round"
    records = [r for r in good() if (r.get("server"), r.get("round")) != (FLASK, 1)]
    assert shown(records, "over gRPC, 8 clients: requests/s") == "48.00"
    records = [r for r in good() if r.get("server") != FLASK]
    assert "8 clients: requests/s" not in report.report(records)
    later = [r | {"date": "2026-02-01T10:00:00+00:00"} for r in good() if r.get("server") == OURS]
    fast = [r | {"requests_per_s": 9999} if r["kind"] == "case" else r for r in later]
    assert shown([*good(), *fast], "over gRPC, 8 clients: requests/s") == "48.00", "another run's round"


def test_what_is_compared_has_its_ratio():
    for text, ratio in {
        "one image over gRPC, 1 client:": "0.60",
        "over gRPC, 64 clients: requests/s": "0.60",
        "batches of 256": "0.93",
        "batching, one image over gRPC, 64 clients": "2.00",
        "batching, one image over gRPC, 1 client: p50": "1.00",
        "every request logged": "1.12",
        "REST, JSON, 1 client": "0.60",
        "REST, PNG as base64, 1 client": "0.56",
    }.items():
        assert shown(good(), text) == ratio, text


def test_every_part_is_shown_and_what_is_missing_is_not_guessed_and_growth_leaves_20_reloads_out():
    text = report.report(good())
    assert "left out: `tensorflow_model_server`: not on the PATH" in text
    assert "100 rollouts, one every 3 s, at 900 single" in text and "ratio of the blocks: 2.00." in text
    assert "at the end 500 (200), 0.0 % more than after 20" in text
    for kept in ("case", "ready", "in-process", "rollouts"):
        text = report.report([r for r in good() if r["kind"] == kept])
        assert "nan" not in text.lower().split() and "None" not in text
    with pytest.raises(DataError):
        report.report([])

    assert report.growth({"mib": [500.0 + n / 4 for n in range(201)]}) > 0.05
    assert report.growth({"mib": [400.0 + 10 * min(n, 16) for n in range(201)]}) == 0


# --- loads


class Fake:
    """A client whose answers take as long as a test says."""

    def __init__(self, seconds=0.001):
        self.seconds, self.sent = seconds, 0

    async def call(self):
        self.sent += 1
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "said"), [(NOOP_REST[0], "no connection"), (NOOP_GRPC[0], "UNAVAILABLE")])
def test_a_no_op_server_answers_the_load_and_one_that_is_gone_counts_as_failed(tmp_path, name, said):
    (interface,) = contestants.interfaces(name)
    method = contestants.REST_PATH if interface == REST else contestants.GRPC_METHOD
    offline._write(tmp_path, np.zeros((1, 28, 28), np.uint8), b"a picture")
    (server,) = contestants.Contest(ROOT, tmp_path, tmp_path).launch([name])
    load = children.Worker("bench.serving.load", (), ROOT, tmp_path / "log")
    job = {"loop": "closed", "interface": interface, "target": server.target(interface), "method": method}
    job |= {"clients": 4, "batch": 1, "seconds": 0.2, "warm": 0.1}
    job |= {"payload": str(tmp_path / f"pixels-1.{interface}")}
    try:
        found = load.ask(job)
        assert found["n"] > 10 and found["failed"] == 0
        assert children.resident_mib(server.process.pid) > 1 and children.cpu_seconds(server.process.pid) > 0
        server.stop()
        refused = load.ask(job)
        assert refused["n"] == 0 and refused["failed"] > 0 and said in str(refused["errors"])
    finally:
        server.stop()
        load.stop()
    answer = base64.b64decode(found["answer"])
    assert b"probabilities" in answer and (interface == GRPC or len(json.loads(answer)["predictions"]) == 1)


class Site:
    """A status page on which the other version goes late, and a load that answers at once."""

    def __init__(self, store):
        self.store, self.looks, self.jobs = store, 0, []

    def page(self, _):
        self.looks += 1
        wanted = 1 if "versions: 1" in (self.store / "models.config").read_text() else 2
        states = [(wanted, "AVAILABLE"), (3 - wanted, "AVAILABLE" if self.looks % 40 else "END")]
        found = [{"version": str(number), "state": state} for number, state in states]
        return 200, json.dumps({"model_version_status": found}).encode()

    def ask(self, job):
        self.send(job)
        return self.receive()

    def send(self, job):
        self.jobs.append(job)

    def receive(self):
        return {"answer": "", "histogram": {}, "n": 1, "failed": 0, "p99_ms": 1.0}


def test_a_server_that_follows_slowly_is_not_credited_with_rollouts_that_it_did_not_make(
    tmp_path, monkeypatch
):
    contestants.pointer(tmp_path, 1)
    monkeypatch.setattr(rollouts, "LOOK", 0.001)
    monkeypatch.setattr(rollouts, "resident_mib", lambda _: 1.0)
    site = Site(tmp_path)
    with serving(site.page) as page:
        ports = {REST: int(page.url.rstrip("/").rpartition(":")[2]), GRPC: 1}
        server = contestants.Server(OURS, SimpleNamespace(pid=1), ports, 0.0)
        amounts = {"rate": 10.0, "every": 0.02, "total": 4, "block": 2, "quiet": 0.5}
        payload = tmp_path / "request"
        found = rollouts.measure(server, site, tmp_path, payload, say=lambda _: None, **amounts)
    assert len(found) == 4, "twice as many blocks, then it ends"
    assert sum(r["rollouts"] for r in found) < 4
    assert [job["seconds"] for job in site.jobs] == pytest.approx([0.5, 0.04] * 4), "a load without for each"


@pytest.mark.exhaustive  # it times servers against each other and wants a machine to itself
def test_the_whole_bench_on_a_model_of_synthetic_digits(built, tmp_path):
    command = [sys.executable, "-m", "bench.serving", "--quick", "--models", str(built.root / "models")]
    command += ["--out", str(tmp_path / "raw.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "figures mean nothing" in done.stdout
    shown = ("embedded server, gRPC, uint8", "no-op, asyncio", "FastAPI + SavedModel", "rollouts, one every")
    assert all(part in done.stdout for part in shown), done.stdout
