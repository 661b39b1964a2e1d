"""Batches in an inbox: when they are whole, which files are theirs, what they are known by."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from flows.clone import arrival
from flows.clone.arrival import (
    BatchArriving,
    BatchError,
    Limits,
    contents,
    digest,
    fingerprint,
    is_batch,
    is_complete,
)
from tests.flows._projects import batch, write

LIMITS = Limits(files=50, size=1000)  # the second in bytes


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
    assert set(contents(scans, LIMITS)) == {"a.png", "b.png", "labels.csv"}


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
    (inbox / "scans" / "deep" / "a.png").chmod(0o755)  # as file systems of Windows have it
    assert is_complete(inbox / "scans", time.time() + 86400)
    for name in ("empty", "hidden", "gone"):
        assert not is_complete(inbox / name, time.time() + 86400)


# --- its files


def test_a_batch_holds_the_files_below_it_by_path_but_the_hidden_ones(scans):
    for name in ("deep/er/x.png", "deep-er.png", ".cache/y.png", "deep/.z.png", "\u00fc 'z'.png"):
        write(scans, name, name)
    found = contents(scans, LIMITS)
    assert list(found) == ["a.png", "b.png", "deep-er.png", "deep/er/x.png", "labels.csv", "\u00fc 'z'.png"]
    assert found["deep/er/x.png"] == scans / "deep" / "er" / "x.png"


def test_an_archive_is_its_own_file_and_a_link_to_one_is_none(inbox):
    archive = write(inbox, "more.npz", "arrays")
    assert contents(archive, LIMITS) == {"more.npz": archive}
    (inbox / "link.npz").symlink_to(archive)
    with pytest.raises(BatchError, match="can't be read: Not a directory"):
        contents(inbox / "link.npz", LIMITS)


def test_a_batch_without_a_file_is_no_batch(inbox):
    write(inbox, "hidden/.DS_Store", "x")
    with pytest.raises(BatchError, match="contains no file"):
        contents(inbox / "hidden", LIMITS)


@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe", "dangling"])
def test_links_and_pipes_are_no_files_of_a_batch(scans, tmp_path, kind):
    write(tmp_path, "folder/x.png", "x")
    to = {"link": scans / "a.png", "link to a folder": tmp_path / "folder", "dangling": tmp_path / "nowhere"}
    if kind == "pipe":
        os.mkfifo(scans / "odd")
    else:
        (scans / "odd").symlink_to(to[kind])
    with pytest.raises(BatchError, match="odd is neither a file nor a folder"):
        contents(scans, LIMITS)
    if kind == "link":
        assert contents(scans, None)["odd"] == scans / "odd"
    else:
        with pytest.raises(BatchError, match="odd is neither a file nor a folder"):
            contents(scans, None)
    assert is_complete(scans, time.time() + 31)


def test_links_that_dvc_put_there_count_in_deeper_folders_too(scans):
    (scans / "deep").mkdir()
    (scans / "deep" / "x.png").symlink_to(scans / "a.png")
    assert "deep/x.png" in contents(scans, None)


@pytest.mark.parametrize(("files", "size", "fits"), [(6, 50, True), (5, 50, True), (4, 50, False)])
def test_a_batch_may_have_so_many_files_and_folders_and_no_more(scans, files, size, fits):
    write(scans, "deep/.hidden", "")  # `scans` has three files
    if fits:
        assert len(contents(scans, Limits(files, 1000))) == 3
    else:
        with pytest.raises(
            BatchError, match=r"more than 4 files and folders: split it, or raise ingest.batch_f"
        ):
            contents(scans, Limits(files, 1000))
    assert len(contents(scans, None)) == 3


def test_a_batch_may_have_so_many_bytes_and_no_more_though_none_is_on_the_disk(inbox):
    archive = inbox / "sparse.npz"
    with archive.open("wb") as stream:
        stream.truncate(3 << 30)
    for size in ((3 << 30) + 1, 3 << 30):
        assert contents(archive, Limits(1, size)) == {"sparse.npz": archive}
    with pytest.raises(BatchError, match=r"has 3,072\.0 MiB, expected at most 1,024: split it, or raise"):
        contents(archive, Limits(1, 1 << 30))
    folder = write(inbox, "folder/a.png", "12345").parent
    write(folder, "b.png", "12345")
    assert len(contents(folder, Limits(2, 10))) == 2
    with pytest.raises(BatchError, match="MiB, expected at most"):
        contents(folder, Limits(2, 9))


def test_a_batch_may_have_so_many_folders_inside_each_other_and_no_more(scans):
    deep = scans.joinpath(*"d" * 15)
    write(deep, "x.png", "x")
    assert len(contents(scans, LIMITS)) == 4
    write(deep, "d/y.part", "y")
    with pytest.raises(BatchError, match=r"y.part is more than 16 folders deep: put it higher up"):
        contents(scans, LIMITS)
    assert len(contents(scans, None)) == 5
    assert is_complete(scans, time.time() + 31)  # what is refused in any case is not waited for
    write(deep, "z.part", "z")
    assert not is_complete(scans, time.time() + 31)


def test_folders_without_end_are_whole_and_refused(scans):
    here = os.open(scans, os.O_RDONLY)
    for _ in range(3000):  # more than a path may have, or a recursion
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        assert is_complete(scans, time.time() + 31)
        with pytest.raises(BatchError, match="folders deep"):
            contents(scans, LIMITS)
    finally:
        subprocess.run(["rm", "-rf", str(scans)], check=True)  # pytest would recurse


@pytest.mark.parametrize(
    "name", ["0.png.dvc", "dvc.yaml", "dvc.lock", "Dvcfile", "deep/dvc.yaml", "a.dvc/x.png"]
)
def test_files_that_dvc_takes_for_its_own_are_none_of_a_batch(scans, name):
    write(scans, name, "x")
    with pytest.raises(BatchError, match="is a file that DVC takes for its own: remove it or rename it"):
        contents(scans, LIMITS)
    assert name in contents(scans, None)  # a batch of the project's own


@pytest.mark.parametrize("name", [b"\xff.png", b"a\nb.png", b"\x1b[2J.png"])
def test_a_name_that_can_not_be_printed_is_refused_and_shown_with_escapes(scans, name):
    (scans / os.fsdecode(name)).write_text("x")
    with pytest.raises(BatchError, match="has control characters or is not UTF-8: rename it") as refused:
        contents(scans, LIMITS)
    assert str(refused.value).isprintable()


def test_a_folder_that_can_not_be_looked_into_is_whole_and_refused(scans, inbox, monkeypatch):
    (inbox / "locked" / "inner").mkdir(parents=True)
    closed = {inbox / "locked", scans / "inner"}
    (scans / "inner").mkdir()
    scandir, both = os.scandir, os.R_OK | os.X_OK

    def forbidden(path):
        if path in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # the caller closes it

    monkeypatch.setattr(os, "scandir", forbidden)  # root may look into every folder
    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed and mode == both)
    for folder in (inbox / "locked", scans):
        assert is_complete(folder, time.time() + 31)
        with pytest.raises(BatchError, match="can't be read: Permission denied"):
            contents(folder, LIMITS)
    (inbox / "empty").mkdir()
    assert not is_complete(inbox / "empty", time.time() + 31)


# --- what it is known by


def test_a_fingerprint_changes_with_every_write(scans):
    found = contents(scans, LIMITS)
    before = fingerprint(found)
    assert fingerprint(found) == before and [name for name, _, _ in before] == list(found)
    write(scans, "a.png", "scans b")
    after = fingerprint(found)
    assert after != before and [size for _, size, _ in after] == [size for _, size, _ in before]


def test_a_file_that_goes_away_while_it_is_read_leaves_the_batch_to_the_next_run(inbox, scans, monkeypatch):
    found = contents(scans, LIMITS)
    (scans / "a.png").unlink()
    for look in (fingerprint, digest):
        with pytest.raises(BatchArriving, match=r"a.png disappeared"):
            look(found)
    with pytest.raises(BatchArriving, match="gone disappeared"):
        contents(inbox / "gone", LIMITS)
    size = Path.stat

    def disappears(path, **options):
        (scans / "b.png").unlink(missing_ok=True)
        return size(path, **options)

    monkeypatch.setattr(arrival, "_is_file", lambda _: False)
    monkeypatch.setattr(Path, "stat", disappears)
    with pytest.raises(BatchArriving, match=r"b.png disappeared"):
        contents(scans, LIMITS)


def test_a_file_that_cannot_be_read_is_named(scans):
    with pytest.raises(BatchError, match="scans can't be read: Is a directory") as refused:
        digest({"a": scans})
    assert not isinstance(refused.value, BatchArriving)


def test_the_digest_is_of_names_and_bytes_in_whatever_order(inbox, scans):
    found = contents(scans, LIMITS)
    assert (
        digest(found) == digest(dict(reversed(found.items()))) == "b0320a2d66d7b641f33dd972b4ed1705.dir"
    )  # as `dvc add` gives it
    assert (
        digest(found | {"c.png": scans / "a.png"})
        != digest(found)
        != digest(contents(batch(inbox, "more"), LIMITS))
    )
