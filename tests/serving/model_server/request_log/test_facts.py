"""The facts log: rows of a function's, errors by status, and no request that pays for it."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

from digits_model_server import status
from digits_model_server.request_log import facts
from digits_model_server.request_log.facts import Bounds, Entry, FactsLog
from digits_model_server.request_log.files import DAY, LINES, LogFiles, files
from digits_model_server.status import Status
from tests.serving.model_server._calls import classification, examples, predict, refused, stub

FREE = Bounds(1 << 20, 8, 30, 0)


def rows(prefix):
    lines = b"".join(path.read_bytes() for path in files(prefix, LINES.ending)).splitlines()
    left_out = {"at", "latency"}
    return [{name: x for name, x in json.loads(line).items() if name not in left_out} for line in lines]


def entry(number=0, code=status.OK, size=100):
    return Entry("m", "s", 3, code, 0.001, size, lambda: ({"x": np.array([number])}, {"y": np.array([1.5])}))


def summed(signature, inputs, outputs):
    return [{"x": int(x), "y": float(y)} for x, y in zip(inputs["x"], outputs["y"], strict=True)]


def test_what_the_function_makes_is_a_line_and_a_bad_function_costs_nothing_but_its_rows(tmp_path, caplog):
    bad = iter([None, [{"x": float("nan")}], None, [{"x": object()}]])
    log = FactsLog(str(tmp_path / "log"), lambda *given: next(bad) or summed(*given), FREE)
    for number in range(4):
        log.put(entry(number))
    log.put(Entry("m", "", None, status.INVALID_ARGUMENT, 0.5))
    log.close(20)
    about = {"model": "m", "version": 3, "signature": "s", "status": 200}
    good = [about | {"x": 0, "y": 1.5}, about, about | {"x": 2, "y": 1.5}, about]
    assert rows(tmp_path / "log") == [*good, about | {"signature": "", "version": None, "status": 400}]
    assert caplog.text.count("the function fails") == 2, "at the first of each row of failures"


def test_above_the_rate_requests_are_left_out_and_counted(tmp_path):
    log = FactsLog(str(tmp_path / "log"), summed, Bounds(1 << 20, 8, 30, 5))
    for number in range(400):
        log.put(entry(number))
    time.sleep(0.5)
    log.put(entry(400))
    log.close(20)
    found = rows(tmp_path / "log")
    assert 5 <= len(found) < 50 and len(found) + sum(row.get("skipped", 0) for row in found) == 401
    assert found[-1]["x"] == 400


def test_a_slow_function_keeps_nobody_waiting_and_a_bounded_part_of_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "MOST_WAITING", 1000)
    begun, go = threading.Event(), threading.Event()

    def slow(*given):
        begun.set()
        go.wait(60)
        return summed(*given)

    log = FactsLog(str(tmp_path / "log"), slow, FREE)
    log.put(entry(0))
    assert begun.wait(60)
    for number in range(1, 100):
        log.put(entry(number))
    go.set()
    log.close(60)
    found = rows(tmp_path / "log")
    assert [row["x"] for row in found] == list(range(11)) and found[1]["skipped"] == 89


def test_files_that_are_too_old_go_and_the_group_may_read_them_if_asked(tmp_path):
    old = tmp_path / "log-20200101T000000Z-1-0001.jsonl"
    old.write_bytes(b'{"at": 1}\n')
    os.utime(old, (0, time.time() - 31 * DAY))
    torn = tmp_path / "log-20200101T000000Z-2-0001.jsonl"
    torn.write_bytes(b'{"at": 1}\n{"at"')
    for group, mode in ((False, 0o600), (True, 0o640)):
        log = FactsLog(str(tmp_path / "log"), summed, FREE, group)
        log.put(entry())
        log.close(20)
        assert list(files(tmp_path / "log", LINES.ending))[-1].stat().st_mode & 0o777 == mode
    assert not old.exists() and torn.read_bytes() == b'{"at": 1}\n', "and what a dead server left is repaired"
    aged = LogFiles(str(tmp_path / "aged"), 1 << 20, 8, LINES, days=30)
    aged.write(b"{}")
    aged._began -= 2 * DAY
    aged.write(b"{}")
    assert len(list(files(tmp_path / "aged", LINES.ending))) == 2, "a file for a day"


@pytest.mark.parametrize("name", ["nowhere:rows", "json:nothing", "json:__name__", "json"])
def test_a_function_that_is_none_is_refused_at_the_start(name):
    with pytest.raises(Status, match=f"--facts_function={name}: .*expected module:function"):
        facts.function(name)


def test_a_server_logs_every_kind_of_request_over_both_ports(launch, models, tmp_path):
    function = "--facts_function=tests.serving.model_server.request_log._rows:rows"
    flags = ["--model_name=many", function, f"--facts_log_prefix={tmp_path / 'facts'}"]
    with launch(models["many"], *flags) as server:
        with stub(server) as client:
            predict(client, "many", {"s": np.array([b"a"], object)}, "strings")
            client.Classify(classification("many", "classes", examples(1.0)), timeout=20)
            refused(predict, client, "many", {"t": [1]}, "strings")
            refused(predict, client, "other", {"t": [1]}, "x")
        body = {"signature_name": "strings", "instances": ["b"]}
        assert server.rest("/v1/models/many:predict", body)[0] == 200
        body = {"signature_name": "classes", "examples": [{"x": 1.0}]}
        assert server.rest("/v1/models/many:classify", body)[0] == 200
        assert server.rest("/v1/models/many:predict", {"instances": [1]})[0] == 400
        assert server.stop(signal.SIGTERM) == 0
    found = rows(tmp_path / "facts")
    told = [(row["signature"], row["status"], row["version"], row.get("sent")) for row in found]
    classes, failed = ("classes", 200, 7, {"x": ["1.0"]}), ("", 400, None, None)
    first, second = (("strings", 200, 7, {"s": [f"b'{word}'"]}) for word in "ab")
    assert told == [first, classes, failed, second, classes, failed]
    assert found[0]["got"] == ["raw_bytes", "shouted"]
