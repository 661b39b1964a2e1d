"""Batches in an inbox: when they are whole, which files are theirs, what they are known by."""

import os
import time

import pytest

from flows.clone.arrival import (
    BatchArriving,
    BatchError,
    contents,
    digest,
    fingerprint,
    is_batch,
    is_complete,
)
from tests.flows._projects import batch, write


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def scans(inbox):
    return batch(inbox, "scans")


def written(folder):
    """When a batch was last written to."""
    return max(path.lstat().st_ctime for path in (folder, *folder.rglob("*")))


# --- whole


def test_folders_and_archives_are_batches_and_what_is_hidden_linked_or_loose_is_not(inbox, scans):
    assert is_batch(scans) and is_batch(write(inbox, "more.npz", "arrays"))
    assert not is_batch(batch(inbox, ".upload-1")) and not is_batch(write(inbox, ".hidden.npz", "arrays"))
    assert not is_batch(write(inbox, "labels.csv", "file,label\n"))
    for name, to in (("link", scans), ("link.npz", inbox / "more.npz")):
        (inbox / name).symlink_to(to)
        assert not is_batch(inbox / name)
    assert not is_batch(inbox / "gone.npz")


def test_a_batch_is_whole_once_it_has_been_still_for_a_while(scans):
    last = written(scans)
    assert not is_complete(scans, last + 29.9)
    assert is_complete(scans, last + 30)
    assert not is_complete(scans, last + 30, still=60) and is_complete(scans, last + 60, still=60)


def test_a_batch_that_is_still_written_to_is_not_whole_though_its_first_files_are(scans):
    time.sleep(0.05)
    write(scans, "late.png", "late")
    assert not is_complete(scans, written(scans) + 0.01, still=0.03)


def test_the_last_write_counts_though_the_copy_keeps_old_dates(scans):
    for path in (*scans.iterdir(), scans):
        os.utime(path, (0, 0))
    now = time.time()
    assert not is_complete(scans, now + 10)
    assert is_complete(scans, now + 31)


def test_a_clock_that_was_moved_back_does_not_block_the_inbox(scans):
    assert is_complete(scans, time.time() - 86400)


def test_the_mark_has_a_batch_taken_at_once_and_is_not_part_of_it(scans):
    write(scans, ".complete", "")
    assert is_complete(scans, time.time())
    assert set(contents(scans)) == {"a.png", "b.png", "labels.csv"}


def test_an_archive_is_whole_once_it_has_been_still_too(inbox):
    archive = write(inbox, "more.npz", "arrays")
    assert not is_complete(archive, time.time()) and is_complete(archive, time.time() + 31)


@pytest.mark.parametrize(
    "name", ["a.png.part", "deep/b.partial", "b.filepart", "c.crdownload", "d.tmp", ".e.swp"]
)
def test_an_unfinished_file_keeps_its_batch_waiting(scans, name):
    write(scans, name, "half")
    assert not is_complete(scans, time.time() + 86400)


def test_a_folder_without_a_file_of_its_own_is_never_whole(inbox):
    (inbox / "empty" / "deep").mkdir(parents=True)
    write(inbox, "hidden/.DS_Store", "x")
    write(inbox, "scans/deep/a.png", "x")
    write(inbox, "scans/.DS_Store", "x")
    assert is_complete(inbox / "scans", time.time() + 86400)
    for name in ("empty", "hidden", "gone"):
        assert not is_complete(inbox / name, time.time() + 86400)


# --- its files


def test_a_batch_holds_the_files_below_it_by_path_but_the_hidden_ones(scans):
    for name in ("deep/er/x.png", "deep-er.png", ".cache/y.png", "deep/.z.png"):
        write(scans, name, name)
    found = contents(scans)
    assert list(found) == ["a.png", "b.png", "deep-er.png", "deep/er/x.png", "labels.csv"]
    assert found["deep/er/x.png"] == scans / "deep" / "er" / "x.png"


def test_an_archive_is_its_own_file_and_a_link_to_one_is_none(inbox):
    archive = write(inbox, "more.npz", "arrays")
    assert contents(archive) == {"more.npz": archive}
    (inbox / "link.npz").symlink_to(archive)
    with pytest.raises(BatchError, match="can't be read: Not a directory"):
        contents(inbox / "link.npz")


def test_a_batch_without_a_file_is_no_batch(inbox):
    write(inbox, "hidden/.DS_Store", "x")
    with pytest.raises(BatchError, match="contains no file"):
        contents(inbox / "hidden")


@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe", "dangling"])
def test_links_and_pipes_are_no_files_of_a_batch(scans, tmp_path, kind):
    write(tmp_path, "folder/x.png", "x")
    to = {"link": scans / "a.png", "link to a folder": tmp_path / "folder", "dangling": tmp_path / "nowhere"}
    if kind == "pipe":
        os.mkfifo(scans / "odd")
    else:
        (scans / "odd").symlink_to(to[kind])
    with pytest.raises(BatchError, match="odd is neither a file nor a folder"):
        contents(scans)
    if kind == "link":
        assert contents(scans, links=True)["odd"] == scans / "odd"
    else:
        with pytest.raises(BatchError, match="odd is neither a file nor a folder"):
            contents(scans, links=True)


def test_links_that_dvc_put_there_count_in_deeper_folders_too(scans):
    (scans / "deep").mkdir()
    (scans / "deep" / "x.png").symlink_to(scans / "a.png")
    assert "deep/x.png" in contents(scans, links=True)


# --- what it is known by


def test_a_fingerprint_changes_with_every_write(scans):
    found = contents(scans)
    before = fingerprint(found)
    assert fingerprint(found) == before and [name for name, _, _ in before] == list(found)
    write(scans, "a.png", "scans b")
    after = fingerprint(found)
    assert after != before and [size for _, size, _ in after] == [size for _, size, _ in before]


def test_a_file_that_goes_away_while_it_is_read_leaves_the_batch_to_the_next_run(inbox, scans):
    found = contents(scans)
    (scans / "a.png").unlink()
    for look in (fingerprint, digest):
        with pytest.raises(BatchArriving, match=r"a.png disappeared"):
            look(found)
    with pytest.raises(BatchArriving, match="gone disappeared"):
        contents(inbox / "gone")


def test_a_file_that_cannot_be_read_is_named(scans):
    with pytest.raises(BatchError, match="scans can't be read: Is a directory") as refused:
        digest({"a": scans})
    assert not isinstance(refused.value, BatchArriving)


def test_the_digest_is_of_names_and_bytes_in_whatever_order(inbox, scans):
    found = contents(scans)
    assert (
        digest(found) == digest(dict(reversed(found.items()))) == "b0320a2d66d7b641f33dd972b4ed1705.dir"
    )  # as `dvc add` gives it
    assert (
        digest(found | {"c.png": scans / "a.png"}) != digest(found) != digest(contents(batch(inbox, "more")))
    )
