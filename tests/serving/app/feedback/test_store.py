"""Corrections are kept once, are on disk when acknowledged, and what a database refuses is told in a line."""

import asyncio
import sqlite3
import stat
import subprocess
import time

import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from digits.runtime.errors import ParamsError, StoreError
from serving.app.feedback import migrations, review
from serving.app.feedback.schema import METADATA
from serving.app.feedback.store import FeedbackStore, StoreBusy, StoreFull
from tests._disk import disk
from tests.serving.app._postgres import NEEDED
from tests.serving.app.feedback._corrections import given, given_line, image, line
from tests.serving.app.feedback.conftest import opened


def test_a_correction_is_kept_as_it_came_and_waits(url, using):
    async def act(store):
        identity, new = await store.add(given(5, label="2", confidence=None))
        return identity, new, await review.rows(store)

    identity, new, rows = using(url, act)
    assert new and [row.id for row in rows] == [identity]
    (row,) = rows
    assert row.image == image(5) and (row.label, row.said, row.confidence, row.version) == ("2", "7", None, 3)
    assert (row.state, row.source, row.mode, row.final) == ("pending", "drawing", "server", "2")
    assert abs(row.received.timestamp() - time.time()) < 600 and row.reviewed is None


def test_the_same_image_and_label_is_kept_once_and_another_label_apart(url, using):
    async def act(store):
        return [await store.add(given(1)), await store.add(given(1)), await store.add(given(1, label="4"))]

    first, again, other = using(url, act)
    assert first[1] and not again[1] and other[1]
    assert again[0] == first[0] != other[0]
    assert using(url, lambda store: store.add(given(1))) == (first[0], False)  # after a restart too


def test_many_at_once_are_all_kept_and_none_twice(url, using):
    async def act(store):
        added = await asyncio.gather(*(store.add(given(n % 20)) for n in range(60)))
        return added, await review.counts(store)

    added, counts = using(url, act, patience=60)
    assert sum(new for _, new in added) == counts["pending"] == 20
    assert len({identity for identity, _ in added}) == 20


def test_the_tables_are_those_that_the_queries_know(url, using):
    def differ(connection):
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async def act(store):
        async with store.transaction() as connection:
            return await connection.run_sync(differ)

    assert using(url, act) == []


def test_a_store_of_a_newer_version_is_left_alone(url, using):
    async def newer(store):
        async with store.transaction() as connection:
            await connection.execute(sql.text("UPDATE alembic_version SET version_num = '9999'"))

    using(url, newer)
    with pytest.raises(StoreError, match="newer version of this project"):
        using(url, review.counts)


def test_stores_that_are_opened_at_once_make_the_tables_once(url, using):
    async def act():
        stores = [FeedbackStore(url, patience=60) for _ in range(6)]
        await asyncio.gather(*(each.open() for each in stores))
        await asyncio.gather(*(each.close() for each in stores))

    asyncio.run(act())
    assert using(url, lambda store: store.add(given()))[1]


def test_lines_are_kept_beside_digits_and_the_same_line_and_text_once(url, using):
    async def act(store):
        added = [await store.add(given_line(1, label)) for label in ("1.5", "", "1.5")]
        await store.add(given(1))
        return added, await review.rows(store)

    (first, empty, again), rows = using(url, act)
    assert first[1] and empty[1] and again == (first[0], False)
    assert [(row.kind, row.label, row.said) for row in rows] == [
        *(("line", text, "150") for text in ("1.5", "")),
        ("digit", "1", "7"),
    ]
    assert rows[0].image == line(1).tobytes()


OLD = """INSERT INTO corrections VALUES ('%s', '2026-01-02 03:04:05.000000+00:00', %s, 'd%s', %s, %s, 0.5, 3,
    'drawing', 'server', '%s', %s, 'ann', NULL, %s)"""


def test_a_database_of_the_first_version_keeps_all_that_it_holds(url, using, monkeypatch):
    blob = "X'00ff'" if url.startswith("sqlite") else "'\\x00ff'"
    old = [("a", blob, 1, 4, 7, "pending", "NULL", "NULL"), ("b", blob, 2, 0, "NULL", "exporting", 9, "'x'")]

    async def fill(store):
        async with store.transaction() as connection:
            for row in old:
                await connection.exec_driver_sql(OLD % row)

    with monkeypatch.context() as patch:
        upgrade = migrations.command.upgrade
        patch.setattr(migrations.command, "upgrade", lambda config, _: upgrade(config, "0001"))
        using(url, fill)
    first, second = sorted(using(url, review.rows), key=lambda row: row.id)
    assert (first.kind, first.label, first.said, first.agreed) == ("digit", "4", "7", None)
    assert (second.label, second.said, second.final, second.batch) == ("0", None, "9", "x")
    for row in (first, second):
        assert (row.image, row.received.isoformat()) == (b"\x00\xff", "2026-01-02T03:04:05+00:00")
        assert (row.confidence, row.version, row.reviewer) == (0.5, 3, "ann")
    assert using(url, lambda store: store.add(given_line()))[1]


def test_when_too_many_wait_no_more_are_taken_until_some_are_decided(url, using):
    async def act(store):
        kept = [await store.add(given(n)) for n in range(3)]
        with pytest.raises(StoreFull, match="3 corrections of digits wait for review, no more are taken"):
            await store.add(given(3))
        assert await store.add(given(1)) == (kept[1][0], False)  # that one is there
        assert (await store.add(given_line()))[1]  # they have room of their own
        await review.decide(store, kept[0][0], "rejected", reviewer="me")
        assert (await store.add(given(3)))[1]

    using(url, act, most_pending={"digit": 3, "line": 1})


def test_a_request_that_is_given_up_leaves_a_store_that_works(url, using):
    async def act(store):
        for number in range(50):
            adding = asyncio.create_task(store.add(given(number)))
            await asyncio.sleep(0.0002 * number)
            adding.cancel()
            await asyncio.wait([adding])
        added = {(await store.add(given(number)))[0] for number in range(20)}
        asyncio.create_task(store.add(given(100))).cancel()
        return added

    assert len(using(url, act, patience=10)) == 20
    kept = using(url, review.rows)
    assert len(kept) >= 49 and len({row.image for row in kept}) == len(kept)  # some never began


@pytest.mark.parametrize(
    "strange",
    [
        *(
            "",
            "sqlite:///:memory:",
            "mysql://u:secret@h/d",
            "postgresql://user@host",
            "mysql://h/n?password=secret",
        ),
        *(" postgresql://user:secret@host/name", "postgresql://user:secret@host:notaport/name"),
    ],
)
def test_a_url_of_no_such_database_is_refused_without_its_password(strange):
    with pytest.raises(ParamsError, match="no place for corrections; expected sqlite:///FILE or") as refused:
        FeedbackStore(strange)
    assert "secret" not in str(refused.value)
    for right in ("postgresql://user:secret@host/name", "postgresql://host/name?user=me&password=secret"):
        assert "secret" not in FeedbackStore(right).shown


# --- SQLite


def test_the_file_is_for_its_owner_alone_flushed_when_committed_and_overwritten_when_deleted(tmp_path, using):
    async def act(store):
        await store.add(given())
        async with store.transaction(reading=True) as connection:
            asked = ("journal_mode", "synchronous", "secure_delete")
            return [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in asked]

    assert using(f"sqlite:///{tmp_path}/feedback.db", act) == ["wal", 2, 1]  # 2: FULL
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_store_that_another_program_holds_is_waited_for_in_patience_and_then_busy(tmp_path):
    path = tmp_path / "feedback.db"

    async def act():
        async with opened(f"sqlite:///{path}", patience=0.2) as store:
            await store.add(given(0))
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy, match=r"another program holds .*feedback.db: try again"):
                await store.add(given(1))
            async with opened(f"sqlite:///{path}", patience=0.2) as second:
                assert len(await review.rows(second)) == 1  # neither starting nor looking needs the lock
            async with opened(f"sqlite:///{path}", patience=60) as patient:
                adding = asyncio.create_task(patient.add(given(1)))
                await asyncio.sleep(0.3)
                assert not adding.done()
                other.rollback()
                other.close()
                assert (await adding)[1]

    asyncio.run(act())


def test_a_disk_that_is_full_or_read_only_is_told_and_loses_nothing(tmp_path, using):
    with disk(tmp_path / "small", "512k") as folder:
        url, kept = f"sqlite:///{folder}/feedback.db", []

        async def act(store):
            with pytest.raises(StoreFull, match=r"the disk of .*feedback.db is full"):
                for number in range(2000):
                    kept.append((await store.add(given(number)))[0])
            return await review.rows(store)

        assert {row.id for row in using(url, act)} == set(kept) and len(kept) >= 10
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(StoreError, match=r"can't be read or written .*: run this as its owner"):
            using(url, review.counts)


def test_a_damaged_file_and_one_in_place_of_a_folder_are_told_with_what_to_do(tmp_path, using):
    path, content = tmp_path / "feedback.db", b"SQLite format 3\0" + b"x" * 5000
    path.write_bytes(content)
    with pytest.raises(StoreError, match="can't be read or written"):
        using(f"sqlite:///{path}/below/feedback.db", review.counts)
    with pytest.raises(StoreError, match=r"feedback.db is damaged .*: move it away and a new one"):
        using(f"sqlite:///{path}", review.counts)
    assert path.read_bytes() == content


# --- PostgreSQL


@NEEDED
def test_a_server_that_is_away_makes_the_store_busy_until_it_is_back(postgres):
    url = postgres.database()

    async def act():
        async with opened(url, patience=5) as store:
            postgres.stop()
            try:
                for call in (lambda: store.add(given(1)), FeedbackStore(url, patience=5).open):
                    with pytest.raises(StoreBusy, match="does not answer"):
                        await call()
            finally:
                postgres.start()
            assert (await store.add(given(1)))[1]
        with pytest.raises(StoreError, match=r"does not let us in .*does not exist.*fix the address"):
            await FeedbackStore(url.replace("/postgres?", "/missing?")).open()

    asyncio.run(act())
