"""Corrections are kept once, are on disk when acknowledged, and what a database refuses is told in a line."""

import asyncio
import sqlite3
import stat
import subprocess
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from digits.runtime.errors import ParamsError, StoreError
from serving.app.feedback import migrations, review
from serving.app.feedback.schema import METADATA
from serving.app.feedback.store import FeedbackStore, StoreBusy, StoreFull
from tests._disk import disk
from tests.serving.app._postgres import NEEDED
from tests.serving.app.feedback._corrections import given, given_line, image, line
from tests.serving.app.feedback.conftest import add


def test_digits_and_lines_are_kept_as_they_came_and_wait(run, store):
    digit = given(5, label="2", confidence=None)
    identities = run(add(store, digit, given_line(1, "1.5"), given_line(1, "")))
    first, second, third = rows = run(review.rows(store))
    assert [row.id for row in rows] == identities
    assert first.image == image(5) and second.image == third.image == line(1).tobytes()
    assert [(row.kind, row.label, row.said, row.final) for row in rows] == [
        *(("digit", "2", "7", "2"), ("line", "1.5", "150", "1.5"), ("line", "", "150", ""))
    ]
    assert (first.confidence, first.version, first.source, first.mode) == (None, 3, "drawing", "server")
    assert abs(first.received.timestamp() - time.time()) < 600
    assert (first.state, first.reviewed) == ("pending", None)


def test_the_same_image_and_label_is_kept_once_and_another_label_apart(run, opening, url):
    for make in (given, given_line):
        store = opening(url)
        first, again, other = (run(store.add(make(1, label=label))) for label in "114")
        assert first[1] and other[1] and again == (first[0], False) and other[0] != first[0]
        run(store.close())
        assert run(opening(url).add(make(1, label="1"))) == again, "after a restart too"


def test_stores_that_are_opened_at_once_make_the_tables_once_and_keep_each_of_many_once(run, url):
    async def act():
        stores = [FeedbackStore(url, patience=60) for _ in range(6)]
        await asyncio.gather(*(each.open() for each in stores))
        added = await asyncio.gather(*(stores[n % 6].add(given(n % 20)) for n in range(120)))
        counts = await review.counts(stores[0])
        await asyncio.gather(*(each.close() for each in stores))
        return added, counts

    added, counts = run(act())
    assert sum(new for _, new in added) == counts["pending"] == len({each for each, _ in added}) == 20


async def execute(store, *statements):
    async with store.transaction() as connection:
        for each in statements:
            await connection.exec_driver_sql(each)


def test_a_store_of_a_newer_version_is_left_alone(run, opening, url):
    run(execute(opening(url), "UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version of this project"):
        opening(url)


OLD = """INSERT INTO corrections VALUES ('%s', '2026-01-02 03:04:05.000000+00:00', %s, 'd%s', %s, %s, 0.5, 3,
    'drawing', 'server', '%s', %s, 'ann', NULL, %s)"""


def test_a_database_of_the_first_version_keeps_all_that_it_holds_and_gets_the_tables_of_today(
    run, opening, url, monkeypatch
):
    blob = "X'00ff'" if url.startswith("sqlite") else "'\\x00ff'"
    old = [("a", blob, 1, 4, 7, "pending", "NULL", "NULL"), ("b", blob, 2, 0, "NULL", "exporting", 9, "'x'")]
    with monkeypatch.context() as patch:
        upgrade = migrations.command.upgrade
        patch.setattr(migrations.command, "upgrade", lambda config, _: upgrade(config, "0001"))
        first = opening(url)
    run(execute(first, *(OLD % row for row in old)))
    run(first.close())
    store = opening(url)
    first, second = sorted(run(review.rows(store)), key=lambda row: row.id)
    assert (first.kind, first.label, first.said, first.agreed) == ("digit", "4", "7", None)
    assert (second.label, second.said, second.final, second.batch) == ("0", None, "9", "x")
    for row in (first, second):
        assert (row.image, row.received.isoformat()) == (b"\x00\xff", "2026-01-02T03:04:05+00:00")
        assert (row.confidence, row.version, row.reviewer) == (0.5, 3, "ann")
    assert run(store.add(given_line()))[1]

    async def differences():
        async with store.transaction() as connection:
            return await connection.run_sync(
                lambda one: compare_metadata(MigrationContext.configure(one), METADATA)
            )

    assert run(differences()) == [], "the tables are not those that the queries know"


def test_when_too_many_wait_no_more_are_taken_until_some_are_decided(run, opening, url):
    store = opening(url, most_pending={"digit": 3, "line": 1})
    kept = run(add(store, *map(given, range(3))))
    with pytest.raises(StoreFull, match="3 corrections of digits wait for review, no more are taken"):
        run(store.add(given(3)))
    assert run(store.add(given(1))) == (kept[1], False)  # that one is there
    assert run(store.add(given_line()))[1]  # they have room of their own
    run(review.decide(store, kept[0], "rejected", reviewer="me"))
    assert run(store.add(given(3)))[1]


def test_a_request_that_is_given_up_leaves_a_store_that_works(run, opening, url):
    store = opening(url, patience=10)

    async def act():
        for number in range(50):
            adding = asyncio.create_task(store.add(given(number)))
            await asyncio.sleep(0.0002 * number)
            adding.cancel()
            await asyncio.wait([adding])
        added = {(await store.add(given(number)))[0] for number in range(20)}
        asyncio.create_task(store.add(given(100))).cancel()
        await store.close()
        return added

    assert len(run(act())) == 20
    kept = run(review.rows(opening(url)))
    assert len(kept) >= 49 and len({row.image for row in kept}) == len(kept)  # some never began


@pytest.mark.parametrize(
    "strange",
    [
        *("", "sqlite:///:memory:", "mysql://u:secret@h/d", "postgresql://user@host"),
        *("mysql://h/n?password=secret", " postgresql://user:secret@host/name"),
        "postgresql://user:secret@host:notaport/name",
    ],
)
def test_a_url_of_no_such_database_is_refused_without_its_password(strange):
    with pytest.raises(ParamsError, match="no place for corrections; expected sqlite:///FILE or") as refused:
        FeedbackStore(strange)
    assert "secret" not in str(refused.value)
    for right in ("postgresql://user:secret@host/name", "postgresql://host/name?user=me&password=secret"):
        assert "secret" not in FeedbackStore(right).shown


# --- SQLite


def test_the_file_is_for_its_owner_alone_flushed_when_committed_and_overwritten_when_deleted(
    run, opening, tmp_path
):
    store = opening(f"sqlite:///{tmp_path}/feedback.db")
    run(store.add(given()))

    async def settings():
        async with store.transaction(reading=True) as connection:
            asked = ("journal_mode", "synchronous", "secure_delete")
            return [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in asked]

    assert run(settings()) == ["wal", 2, 1]  # 2: FULL
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_store_that_another_program_holds_is_waited_for_in_patience_and_then_busy(run, opening, tmp_path):
    url = f"sqlite:///{tmp_path}/feedback.db"
    store = opening(url, patience=0.2)
    run(store.add(given(0)))
    other = sqlite3.connect(tmp_path / "feedback.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match=r"another program holds .*feedback.db: try again"):
        run(store.add(given(1)))
    assert (
        len(run(review.rows(opening(url, patience=0.2)))) == 1
    )  # neither starting nor looking needs the lock
    patient = opening(url, patience=60)

    async def act():
        adding = asyncio.create_task(patient.add(given(1)))
        await asyncio.sleep(0.3)
        assert not adding.done()
        other.rollback()
        other.close()
        return await adding

    assert run(act())[1]


def test_a_disk_that_is_full_or_read_only_is_told_and_loses_nothing(run, opening, tmp_path):
    with disk(tmp_path / "small", "512k") as folder:
        url, kept = f"sqlite:///{folder}/feedback.db", []
        store = opening(url)
        with pytest.raises(StoreFull, match=r"the disk of .*feedback.db is full"):
            for number in range(2000):
                kept += run(add(store, given(number)))
        assert {row.id for row in run(review.rows(store))} == set(kept) and len(kept) >= 10
        run(store.close())
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(StoreError, match=r"can't be read or written .*: run this as its owner"):
            opening(url)


def test_a_damaged_file_and_one_in_place_of_a_folder_are_told_with_what_to_do(opening, tmp_path):
    path, content = tmp_path / "feedback.db", b"SQLite format 3\0" + b"x" * 5000
    path.write_bytes(content)
    with pytest.raises(StoreError, match="can't be read or written"):
        opening(f"sqlite:///{path}/below/feedback.db")
    with pytest.raises(StoreError, match=r"feedback.db is damaged .*: move it away and a new one"):
        opening(f"sqlite:///{path}")
    assert path.read_bytes() == content


# --- PostgreSQL


@NEEDED
def test_a_server_that_is_away_makes_the_store_busy_until_it_is_back(run, opening, postgres):
    url = postgres.database()
    store = opening(url, patience=5)
    postgres.stop()
    try:
        for call in (store.add(given(1)), FeedbackStore(url, patience=5).open()):
            with pytest.raises(StoreBusy, match="does not answer"):
                run(call)
    finally:
        postgres.start()
    assert run(store.add(given(1)))[1]
    with pytest.raises(StoreError, match=r"does not let us in .*does not exist.*fix the address"):
        opening(url.replace("/postgres?", "/missing?"))
