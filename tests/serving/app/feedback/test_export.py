"""Accepted corrections reach the inbox once, whole, as a batch that retraining reads, whatever happens."""

import csv
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from digits.ingest.batches import read_batch
from digits.runtime.errors import StoreError
from flows.clone import arrival
from flows.clone import inbox as retraining
from serving.app.feedback import export as module
from serving.app.feedback import review
from serving.app.feedback.export import export
from serving.app.feedback.store import StoreBusy
from tests._disk import disk
from tests.serving.app.feedback._corrections import given, given_line, image, line


async def accepted(store, numbers, label=None, sent="1", **facts):
    for number in numbers:
        identity, _ = await store.add(given(number, label=sent, **facts))
        await review.decide(store, identity, "accepted", reviewer="me", label=label)


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def batches(folder):
    """The digest of the content by name, of what the inbox would take."""
    return {
        path.name: arrival.digest(arrival.contents(path, None)) for path in retraining.waiting(folder, 3600)
    }


def test_a_batch_is_whole_at_once_and_read_with_every_row_and_the_reviewers_labels(url, using, inbox):
    async def act(store):
        await accepted(store, range(5), label="4")
        await accepted(store, [4], label="4", sent="2")  # of a second person, and in the batch once
        await accepted(store, range(5, 8), label=None, source="photo")
        await store.add(given(90))  # waits
        rejected, _ = await store.add(given(91))
        await review.decide(store, rejected, "rejected", reviewer="me")
        return await export(store, inbox), await review.rows(store)

    (done,), rows = using(url, act)
    assert (done.rows, done.again) == (9, False) and list(batches(inbox)) == [done.path.name]
    batch = read_batch(done.path, rows=100, size=1 << 20)
    assert not batch.rejected and len(batch.images) == 8
    made = {pixels.tobytes(): int(label) for pixels, label in zip(batch.images, batch.labels, strict=True)}
    assert made == {image(n): 4 if n < 5 else 1 for n in range(8)}
    states = {row.image: (row.state, row.batch) for row in rows}
    assert all(states[image(n)] == ("exported", done.path.name) for n in range(8))
    assert states[image(90)] == ("pending", None) and states[image(91)] == ("rejected", None)


def test_pale_digits_aside_are_learnt_as_the_model_saw_them(tmp_path, using, inbox):
    pale = np.roll(np.frombuffer(image(1), np.uint8).reshape(28, 28) // 3 + 90, 6, axis=1).astype(np.uint8)

    async def act(store):
        identity, _ = await store.add(given(image=pale.tobytes(), label="1"))
        await review.decide(store, identity, "accepted", reviewer="me")
        return await export(store, inbox)

    (done,) = using(f"sqlite:///{tmp_path}/feedback.db", act)
    assert read_batch(done.path, rows=100, size=1 << 20).images.tobytes() == pale.tobytes()


def table(folder):
    """The rows of a batch of lines: header, and text by pixels."""
    header, *rows = csv.reader((folder / "labels.csv").read_text().splitlines())
    assert len(list(folder.glob("*.png"))) == len(rows)
    return header, {np.asarray(Image.open(folder / name)).tobytes(): text for name, text in rows}


def test_lines_are_a_batch_of_their_own_with_their_texts(url, using, inbox):
    async def act(store):
        await accepted(store, [0])
        for number, (sent, label) in enumerate([("1.50", None), ("7", ""), ("8", "1,5"), ("7", None)]):
            wide = line(number, width=48 + number).tobytes()
            identity, _ = await store.add(given_line(label=sent, image=wide))
            await review.decide(store, identity, "accepted", reviewer="me", label=label)
        return await export(store, inbox)

    digits, lines = using(url, act)
    assert [each.rows for each in (digits, lines)] == [1, 4] and len(batches(inbox)) == 2
    assert len(read_batch(digits.path, rows=9, size=1 << 20).images) == 1
    header, texts = table(lines.path)
    assert header == ["file", "text"]
    expected = ["1.50", "", "1,5", "7"]
    assert texts == {line(n, width=48 + n).tobytes(): text for n, text in enumerate(expected)}


def test_what_was_exported_is_not_exported_again_and_nothing_makes_no_batch(url, using, inbox):
    async def act(store):
        nothing = await export(store, inbox)
        await accepted(store, range(2))
        first, second = await export(store, inbox), await export(store, inbox)
        await accepted(store, [2])
        return nothing, first, second, await export(store, inbox)

    nothing, first, second, third = using(url, act)
    assert nothing == second == [] and [each.rows for each in (*first, *third)] == [2, 1]
    assert len(batches(inbox)) == 2


@pytest.fixture(scope="module")
def strike():
    """Export in a process that is killed before one of its steps; its exit code."""
    command = [sys.executable, "-m", "tests.serving.app.feedback._strike"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:

        def run(url, folder, at):
            server.stdin.write(f"{url} {folder} {at}\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        yield run
        server.stdin.close()


def test_killed_at_any_step_the_next_export_gives_the_same_batch_and_nothing_is_lost_or_doubled(
    using, tmp_path, strike
):
    fresh = tmp_path / "fresh.db"

    async def both(store):
        await accepted(store, [0])
        identity, _ = await store.add(given_line())
        await review.decide(store, identity, "accepted", reviewer="me")

    def finish(folder):
        async def act(store):
            left, done = await review.counts(store), await export(store, folder)
            return left, done, await review.counts(store), await export(store, folder)

        return act

    using(f"sqlite:///{fresh}", both)
    begun = set()
    for at in range(1, 100):
        path, folder = tmp_path / f"{at}.db", tmp_path / f"inbox{at}"
        shutil.copyfile(fresh, path)
        folder.mkdir()
        url = f"sqlite:///{path}"
        if (code := strike(url, folder, at)) == 0:
            break
        assert code == -9
        before = batches(folder)
        left, done, ended, nothing = using(url, finish(folder))
        begun.add((left["accepted"], left["exporting"], left["exported"]))
        after = batches(folder)
        assert before.items() <= after.items() and len(after) == 2, at
        assert ended["exported"] == 2 and nothing == []
        assert {each.path.name for each in done} | before.keys() == after.keys()
        (arrays,), (lines,) = folder.glob("*/rows.npz"), folder.glob("*/labels.csv")
        assert read_batch(arrays.parent, rows=100, size=1 << 20).images.tobytes() == image(0)
        assert table(lines.parent)[1] == {line().tobytes(): "1.50"}
        assert [path.name for path in folder.glob(".feedback-*")] == [".feedback-lock"]
    assert at > 20 and begun == {(2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)}, (at, begun)


def test_a_batch_that_was_changed_in_the_inbox_is_not_overwritten(using, tmp_path, inbox):
    async def act(store):
        await accepted(store, range(2))
        name = await module._claim(store, "digit")
        (inbox / name).mkdir()
        (inbox / name / "labels.csv").write_text("file,label\n")
        with pytest.raises(StoreError, match="has been changed since it was exported: move it away"):
            await export(store, inbox)
        shutil.rmtree(inbox / name)
        (done,) = await export(store, inbox)
        return name, done

    name, done = using(f"sqlite:///{tmp_path}/feedback.db", act)
    assert done.again and done.path == inbox / name


def test_an_inbox_that_is_missing_or_full_gets_its_batch_when_there_is_room(using, tmp_path):
    with disk(tmp_path / "inbox", "64k") as folder:

        async def act(store):
            await accepted(store, range(40))
            with pytest.raises(StoreError, match=r"inbox .*nowhere is no folder: make it"):
                await export(store, folder / "nowhere")
            assert (await review.counts(store))["accepted"] == 40
            (folder / "other").write_bytes(bytes(40 << 10))
            with pytest.raises(StoreError, match="the disk is full"):
                await export(store, folder)
            assert [path.name for path in folder.iterdir() if path.is_dir()] == []
            assert (await review.counts(store))["exporting"] == 40
            subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
            (done,) = await export(store, folder)
            assert done.again and len(read_batch(done.path, rows=100, size=1 << 20).images) == 40

        using(f"sqlite:///{tmp_path}/feedback.db", act)


def test_an_export_that_never_ends_is_told(url, inbox, using, monkeypatch):
    from digits.runtime import locks

    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with (
        locks.hold(inbox / ".feedback-lock", lambda holder: AssertionError(holder)),
        pytest.raises(StoreBusy, match=r"process \d+ exports to"),
    ):
        using(url, lambda store: export(store, inbox))
