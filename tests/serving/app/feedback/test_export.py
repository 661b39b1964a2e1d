"""Accepted corrections reach the inbox once, whole, as a batch that retraining reads, whatever happens."""

import csv
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from digits.ingest.batches import read_batch
from digits.runtime import locks
from digits.runtime.errors import StoreError
from flows.clone import arrival
from flows.clone import inbox as retraining
from serving.app.feedback import export as module
from serving.app.feedback import review
from serving.app.feedback.export import export
from serving.app.feedback.store import StoreBusy
from tests._disk import disk
from tests.serving.app.feedback._corrections import given, given_line, image, line
from tests.serving.app.feedback.conftest import add


async def accepted(store, *corrections, label=None):
    for identity in await add(store, *corrections):
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


def read(folder):
    return read_batch(folder, rows=100, size=1 << 20)


def test_a_batch_is_whole_at_once_once_and_read_with_every_row_and_the_reviewers_labels(run, store, inbox):
    assert run(export(store, inbox)) == [] == list(batches(inbox))
    pale = np.roll(np.frombuffer(image(1), np.uint8).reshape(28, 28) // 3 + 90, 6, axis=1).astype(np.uint8)
    expected = {image(n): 4 if n < 5 else 1 for n in range(8)} | {pale.tobytes(): 1}
    run(accepted(store, *map(given, range(5)), label="4"))
    run(accepted(store, given(4, label="2"), label="4"))  # of a second person, and in the batch once
    run(accepted(store, *(given(n, source="photo") for n in range(5, 8)), given(image=pale.tobytes())))
    _, rejected = run(add(store, given(90), given(91)))  # the first one waits
    run(review.decide(store, rejected, "rejected", reviewer="me"))
    (done,) = run(export(store, inbox))
    assert (done.rows, done.again) == (10, False) and list(batches(inbox)) == [done.path.name]
    batch = read(done.path)
    made = {pixels.tobytes(): int(label) for pixels, label in zip(batch.images, batch.labels, strict=True)}
    assert not batch.rejected and len(batch.images) == 9 and made == expected, "as the model saw them"
    states = {row.image: (row.state, row.batch) for row in run(review.rows(store))}
    assert all(states[each] == ("exported", done.path.name) for each in expected)
    assert states[image(90)] == ("pending", None) and states[image(91)] == ("rejected", None)
    assert run(export(store, inbox)) == []
    run(accepted(store, given(8)))
    assert [each.rows for each in run(export(store, inbox))] == [1] and len(batches(inbox)) == 2


def table(folder):
    """The rows of a batch of lines: header, and text by pixels."""
    header, *rows = csv.reader((folder / "labels.csv").read_text().splitlines())
    assert len(list(folder.glob("*.png"))) == len(rows)
    return header, {np.asarray(Image.open(folder / name)).tobytes(): text for name, text in rows}


def test_lines_are_a_batch_of_their_own_with_their_texts(run, store, inbox):
    run(accepted(store, given(0)))
    wide = [line(number, width=48 + number).tobytes() for number in range(4)]
    for pixels, sent, label in zip(wide, ("1.50", "7", "8", "7"), (None, "", "1,5", None), strict=True):
        run(accepted(store, given_line(label=sent, image=pixels), label=label))
    digits, lines = run(export(store, inbox))
    assert [each.rows for each in (digits, lines)] == [1, 4] and len(batches(inbox)) == 2
    assert len(read(digits.path).images) == 1
    assert table(lines.path) == (
        ["file", "text"],
        dict(zip(wide, ["1.50", "", "1,5", "7"], strict=True)),
    )


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
    run, opening, tmp_path, strike
):
    fresh = tmp_path / "fresh.db"
    store = opening(f"sqlite:///{fresh}")
    run(accepted(store, given(0), given_line()))
    run(store.close())
    begun = set()
    for at in range(1, 100):
        path, folder = tmp_path / f"{at}.db", tmp_path / f"inbox{at}"
        shutil.copyfile(fresh, path)
        folder.mkdir()
        url = f"sqlite:///{path}"
        if (code := strike(url, folder, at)) == 0:
            break
        assert code == -9
        before, store = batches(folder), opening(url)
        left = run(review.counts(store))
        begun.add((left["accepted"], left["exporting"], left["exported"]))
        done = run(export(store, folder))
        after = batches(folder)
        assert before.items() <= after.items() and len(after) == 2, at
        assert {each.path.name for each in done} | before.keys() == after.keys()
        assert run(review.counts(store))["exported"] == 2 and run(export(store, folder)) == []
        (arrays,), (lines,) = folder.glob("*/rows.npz"), folder.glob("*/labels.csv")
        assert read(arrays.parent).images.tobytes() == image(0)
        assert table(lines.parent)[1] == {line().tobytes(): "1.50"}
        assert [path.name for path in folder.glob(".feedback-*")] == [".feedback-lock"]
    assert at > 20 and begun == {(2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)}, (at, begun)


def test_a_batch_that_was_changed_in_the_inbox_is_not_overwritten(run, store, inbox):
    run(accepted(store, given()))
    name = run(module._claim(store, "digit"))
    (inbox / name).mkdir()
    (inbox / name / "labels.csv").write_text("file,label\n")
    with pytest.raises(StoreError, match="has been changed since it was exported: move it away"):
        run(export(store, inbox))
    shutil.rmtree(inbox / name)
    (done,) = run(export(store, inbox))
    assert done.again and done.path == inbox / name


def test_an_inbox_that_is_missing_or_full_gets_its_batch_when_there_is_room(run, opening, tmp_path):
    store = opening(f"sqlite:///{tmp_path}/feedback.db")
    with disk(tmp_path / "inbox", "64k") as folder:
        run(accepted(store, *map(given, range(40))))
        with pytest.raises(StoreError, match=r"inbox .*nowhere is no folder: make it"):
            run(export(store, folder / "nowhere"))
        assert run(review.counts(store))["accepted"] == 40
        (folder / "other").write_bytes(bytes(40 << 10))
        with pytest.raises(StoreError, match="the disk is full"):
            run(export(store, folder))
        assert [path.name for path in folder.iterdir() if path.is_dir()] == []
        assert run(review.counts(store))["exporting"] == 40
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        (done,) = run(export(store, folder))
        assert done.again and len(read(done.path).images) == 40


def test_an_export_that_never_ends_is_told(run, store, inbox, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with (
        locks.hold(inbox / ".feedback-lock", lambda holder: AssertionError(holder)),
        pytest.raises(StoreBusy, match=r"process \d+ exports to"),
    ):
        run(export(store, inbox))
