"""Requests are on record, in files that stay small, and whatever the disk does no request waits for it."""

import hashlib
import logging
import os
import sqlite3
import subprocess
import time

import cv2
import numpy as np

from serving.app import request_log
from serving.app.request_log import DAY, Entry, RequestLog
from serving.monitoring.facts import DIGIT, LINE, PICTURE
from tests._disk import disk
from tests.flows._processes import wait_for

COLUMNS = "at, kind, route, status, digest, digit, confidence, accepted, version, latency, image"
FACTS = "kind, low, high, ink, stroke"


def entry(number=0, **facts):
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    said = {"digest": digest, "digit": number % 10, "confidence": 0.75, "accepted": True, "version": 3}
    request = {"at": 1_900_000_000.5 + number, "route": "/api/predict", "status": 200, "latency": 0.002}
    return Entry(**{**request, **said, "kind": DIGIT, "image": bytes(784), **facts})


def kept(folder, columns=COLUMNS):
    """The rows of all files, those of the oldest file first."""
    full = sorted(folder.glob("requests-*.db"), key=lambda path: int(path.stem.partition("-")[2]))
    rows = []
    for path in [*full, *folder.glob("requests.db")]:
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows += database.execute(f"SELECT {columns} FROM requests ORDER BY rowid").fetchall()
        database.close()
    return rows


def logged(folder, entries, **options):
    log = RequestLog(folder, **options)
    log.start()
    for each in entries:
        log.note(each)
    log.close()
    return log


def numbers(rows):
    return [round(row[0] - 1_900_000_000.5) for row in rows]


def test_an_entry_is_kept_as_it_was_with_its_image_only_where_that_is_wanted(tmp_path):
    digest = hashlib.sha256(b"4").hexdigest()
    for images, image in ((False, None), (True, bytes(784))):
        folder = tmp_path / "new" / str(images)
        log = logged(folder, [entry(4), entry(5, digit=None, confidence=None, accepted=None)], images=images)
        first, second = kept(folder)
        assert first == (1_900_000_004.5, DIGIT, "/api/predict", 200, digest, 4, 0.75, 1, 3, 0.002, image)
        assert second[5:8] == (None, None, None) and log.dropped == 0


def test_a_row_has_the_facts_of_its_image_whether_that_is_kept_or_not(tmp_path):
    line = np.zeros((32, 40), np.uint8)
    line[10:12, 5:35] = 200
    file = cv2.imencode(".png", line)[1].tobytes()
    entries = [
        entry(0, image=line[:28, :28].tobytes()),
        entry(1, kind=LINE, image=line.tobytes()),
        entry(2, kind=PICTURE, image=file),
        entry(3, kind=PICTURE, image=b"damaged"),
        entry(4, kind="", status=502, image=None),
    ]
    for images in (False, True):
        logged(tmp_path / str(images), entries, images=images)
        small, whole = 2 * 23 / 28**2, 60 / line.size
        digit, first, picture, *others = kept(tmp_path / str(images), FACTS)
        assert [row[0] for row in (digit, first, picture)] == [DIGIT, LINE, PICTURE]
        assert digit[1:3] == first[1:3] == (0, 200) and digit[3] == small and 1.5 < digit[4] < 2.5
        assert first[1:] == picture[1:] and first[3] == whole
        assert others == [(PICTURE, None, None, None, None), ("", None, None, None, None)]
    kept_line = kept(tmp_path / "True")[1][-1]
    assert np.array_equal(cv2.imdecode(np.frombuffer(kept_line, np.uint8), cv2.IMREAD_UNCHANGED), line)


def test_images_that_wait_take_a_bounded_part_of_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(request_log, "HELD", 2 * 784)
    log = RequestLog(tmp_path)
    log.note(*(entry(n) for n in range(5)))
    log.start()
    log.close()
    assert kept(tmp_path, "low") == [(0,), (0,), (None,), (None,), (None,)] and log.dropped == 0


def test_rows_go_when_they_are_too_old(tmp_path):
    old = logged(tmp_path, [entry(n, at=time.time() - 40 * DAY) for n in range(1500)], max_bytes=400_000)
    logged(tmp_path, [entry(n, at=time.time() - 20 * DAY) for n in range(10)])
    full = sorted(tmp_path.glob("requests-*.db"))
    assert full and old.dropped == 0
    os.utime(full[0], (0, time.time() - 40 * DAY))
    logged(tmp_path, [entry(0, at=time.time())], days=30)
    assert len(kept(tmp_path)) == 11 and not full[0].exists()


def test_others_can_not_read_it_and_the_group_only_if_it_may(tmp_path):
    for group, wanted in ((False, 0), (True, 0o040)):
        folder = tmp_path / str(group)
        folder.mkdir(mode=0o700)
        mask = os.umask(0o077)
        try:
            logged(folder, [entry()], group=group)
        finally:
            os.umask(mask)
        assert (folder / "requests.db").stat().st_mode & 0o077 == wanted
        assert folder.stat().st_mode & 0o077 == (0o050 if group else 0)


def test_rows_are_on_disk_soon_and_stay_when_it_is_started_again(tmp_path):
    log = RequestLog(tmp_path)
    log.start()
    log.note(entry(0), entry(1))
    wait_for(lambda: (tmp_path / "requests.db").exists() and len(kept(tmp_path)) == 2)
    log.close()
    log.note(entry(9))
    assert log.dropped == 1, "what comes after its end"
    logged(tmp_path, [entry(2)])
    assert numbers(kept(tmp_path)) == [0, 1, 2]


def test_the_same_image_is_always_in_the_sample_or_always_out(tmp_path):
    for turn in "01":
        log = logged(tmp_path / turn, [entry(n) for n in range(1000)], sample=0.2)
        assert log.dropped == 0  # what is not in the sample was not lost
    first, second = numbers(kept(tmp_path / "0")), numbers(kept(tmp_path / "1"))
    assert first == second and 140 < len(first) < 260
    logged(tmp_path / "imageless", [entry(digest="", digit=None, status=400)] * 5, sample=0.01)
    assert len(kept(tmp_path / "imageless")) == 5, "what had no image is always in"


def test_files_turn_and_together_stay_within_the_bound_with_the_newest_rows(tmp_path):
    most, files = 400_000, 4
    for start in range(0, 6000, 1500):
        logged(tmp_path, [entry(n) for n in range(start, start + 1500)], max_bytes=most, files=files)
        sizes = {path.name: path.stat().st_size for path in tmp_path.glob("requests*")}
        assert len(sizes) <= files and sum(sizes.values()) < most * 1.2
    found = numbers(kept(tmp_path))
    assert found == list(range(6000 - len(found), 6000)) and 1000 < len(found) < 6000


def test_a_disk_that_refuses_fails_no_request_is_told_once_and_is_tried_again(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(request_log, "AGAIN", 0.05)
    with disk(tmp_path / "small", "64k") as folder, caplog.at_level(logging.WARNING, "digits-app"):
        log, hundred = RequestLog(folder), [entry(n) for n in range(100)]
        log.start()
        wait_for(lambda: log.note(*hundred) or log.dropped)
        for _ in range(10):
            log.note(*hundred)
            time.sleep(0.05)
        told = [record.message for record in caplog.records]
        assert len(told) == 1 and "full" in told[0] and "requests are left out" in told[0]
        before = len(kept(folder))
        subprocess.run(["mount", "-o", "remount,size=8m", str(folder)], check=True)
        wait_for(lambda: log.note(*hundred) or len(kept(folder)) > before + 50)
        log.close()
        assert f"it lacks {log.dropped} requests" in caplog.text


def test_noting_never_waits_when_the_queue_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(request_log, "WAITING", 100)
    log = RequestLog(tmp_path)  # not started: nobody takes anything out
    start = time.monotonic()
    log.note(*(entry(n) for n in range(1000)))
    assert log.dropped == 900 and time.monotonic() - start < 5
    log.start()
    log.close()
    assert numbers(kept(tmp_path)) == list(range(100))


def test_a_damaged_file_is_put_away_and_the_log_goes_on(tmp_path, caplog):
    (tmp_path / "requests.db").write_bytes(b"no database at all, but long" * 300)
    log = RequestLog(tmp_path)
    log.start()
    wait_for(lambda: log.note(entry(1)) or (tmp_path / "requests.db.damaged").exists())
    log.close()
    logged(tmp_path, [entry(2)])
    assert numbers(kept(tmp_path))[-1] == 2 and "was damaged" in caplog.text
