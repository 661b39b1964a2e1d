"""One table of what gateways and servers log, while they write."""

import json
import logging
import math
import sqlite3
import threading
import time

import numpy as np

from digits.facts import FACTS
from serving.app.request_log import Entry, RequestLog
from serving.monitoring import logs
from serving.monitoring.facts import DIGIT

FIRST = (  # as files of format 1 were made
    "CREATE TABLE requests (at REAL NOT NULL, route TEXT NOT NULL, status INTEGER NOT NULL, "
    "digest TEXT NOT NULL, digit INTEGER, confidence REAL, accepted INTEGER, version INTEGER, "
    "latency REAL NOT NULL, image BLOB)"
)


def entry(number, **facts):
    made = {"at": 1000.0 + number, "route": "/api/predict", "kind": DIGIT, "status": 200}
    made |= {"digit": number % 10, "confidence": 0.5, "accepted": True, "version": 7, "latency": 0.01}
    made |= {"digest": f"d{number}", "image": bytes([number % 256]) * 784}
    return Entry(**made | facts)


def log(folder, entries, **options):
    written = RequestLog(folder, days=1e6, **options)
    written.start()
    for each in entries:
        written.note(each)
    written.close()
    assert written.dropped == 0


def served(folder, *rows, end="", name="server-20300101T000000Z-1-0001.jsonl"):
    """A file of a server's facts log."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + end)
    return folder / name


ROW = {"at": 1000.5, "model": "digits", "version": 7, "signature": "encoded", "status": 200, "latency": 0.002}


def test_rows_of_gateway_and_server_are_one_table_in_the_order_of_time(tmp_path):
    log(tmp_path / "gateway", [entry(0), entry(2, accepted=False), entry(1, kind="", status=502, image=None)])
    served(tmp_path / "server", ROW | {"kind": "picture", "digest": "f", "digit": 3, "low": 5}, ROW)
    table = logs.read([tmp_path / "gateway", tmp_path / "server"])
    assert tuple(table.columns) == logs.COLUMNS
    assert list(table["at"]) == [1000, 1000.5, 1000.5, 1001, 1002]
    assert list(table["source"]) == ["gateway", "server", "server", "gateway", "gateway"]
    assert list(table["kind"]) == ["digit", "picture", "", "", "digit"]
    assert table["accepted"].tolist()[0::4] == [1.0, 0.0] and table["high"][4] == 2
    assert table.loc[1, ["route", "digit", "low", "digest"]].tolist() == ["encoded", 3, 5, "f"]
    assert table.loc[2, [*FACTS, "digit", "confidence"]].isna().all() and table["image"].isna().all()
    assert list(logs.read([tmp_path / "gateway"], 1001, 1002)["status"]) == [502]
    assert tuple(logs.read([tmp_path / "server"], 2000).columns) == logs.COLUMNS


def test_files_from_before_there_were_facts_are_read_without_them(tmp_path):
    with sqlite3.connect(tmp_path / "requests.db") as database:
        database.execute(FIRST)
        database.execute("PRAGMA user_version=1")
        database.execute("INSERT INTO requests VALUES (900, '/api/read', 200, 'x', 4, 0.9, 1, 3, 0.1, NULL)")
    database.close()
    log(tmp_path, [entry(0)])
    old, new = logs.read([tmp_path]).to_dict("records")
    assert (old["kind"], old["digit"], old["digest"]) == ("picture", 4, "x") and math.isnan(old["contrast"])
    assert (new["kind"], new["contrast"]) == ("digit", 0)


def test_no_row_is_missed_or_read_twice_while_a_gateway_writes_and_turns_its_files(tmp_path):
    log(tmp_path, [entry(0)])
    count, ended = 4000, threading.Event()

    def write():
        log(tmp_path, [entry(n) for n in range(1, count)], max_bytes=1_200_000, files=12)
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    looks = []
    while not ended.is_set():
        looks.append(logs.read([tmp_path])["at"].tolist())
    writer.join()
    assert len(list(tmp_path.glob("requests-*.db"))) > 1 and len(looks) > 1
    for found in (*looks, logs.read([tmp_path])["at"].tolist()):
        assert found == [1000.0 + n for n in range(len(found))]
    assert len(found) == count


def test_damaged_and_cut_files_give_what_can_be_read_and_are_told_once(tmp_path, caplog):
    log(tmp_path, [entry(n) for n in range(3000)])
    (tmp_path / "requests.db").rename(tmp_path / "requests-1.db")
    data = (tmp_path / "requests-1.db").read_bytes()
    (tmp_path / "requests-1.db").write_bytes(data[: len(data) // 2].ljust(len(data), b"x"))
    (tmp_path / "requests-2.db").write_bytes(b"no database")
    served(tmp_path, ROW, end='{"at": 1, nonsense}\n[1]\n' + json.dumps(ROW) + '\n{"at": 10')
    log(tmp_path, [entry(9000)])
    with caplog.at_level(logging.WARNING, "digits-monitor"):
        table = logs.read([tmp_path])
    assert list(table["at"])[-1] == 10_000 and (table["source"] == "server").sum() == 2
    told = sorted(record.message.partition(":")[0] for record in caplog.records)
    damaged = ("requests-1.db", "requests-2.db", "server-20300101T000000Z-1-0001.jsonl")
    assert told == [f"request log {name}" for name in damaged]


def test_a_person_is_forgotten_in_every_file_and_the_servers_go_on(tmp_path):
    log(tmp_path, [entry(n, digest="ab" * 32 if n % 3 == 0 else "cd" * 32) for n in range(9)], images=True)
    (tmp_path / "requests.db").rename(tmp_path / "requests-1.db")
    (tmp_path / "requests.db.damaged").write_bytes(b"nobody knows what")
    path = served(tmp_path, ROW | {"digest": "ab" * 32}, ROW | {"digest": "ef" * 32})
    with path.open("a") as server:
        log(tmp_path, [entry(3, digest="ab" * 32)], images=True)
        assert logs.forget([tmp_path], "ab" * 32) == 5
        server.write(json.dumps(ROW | {"digest": "ef" * 32}) + "\n")
    assert set(logs.read([tmp_path])["digest"]) == {"cd" * 32, "ef" * 32}
    assert len(logs.read([tmp_path])) == 8
    left = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"ab" * 32 not in left and b"nobody" not in left and bytes([3]) * 784 not in left


def test_a_day_of_many_requests_is_read_in_seconds(tmp_path):
    rng = np.random.default_rng(3)
    rows = [
        (1000.0 + n, "/api/predict", "digit", 200, f"{n:064x}", 3, 0.9, 1, 7, 0.01, None, *rng.random(14))
        for n in range(20_000)
    ]
    log(tmp_path, [entry(0)])
    with sqlite3.connect(tmp_path / "requests.db") as database:
        database.executemany(f"INSERT INTO requests VALUES ({', '.join('?' * 25)})", rows)
    database.close()
    began = time.process_time()
    assert len(logs.read([tmp_path])) == 20_001
    assert time.process_time() - began < 6, "a fifth of 100,000 rows, and half of what they may take"
