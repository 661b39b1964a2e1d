"""Batches in an inbox: when they are whole, which files are theirs, what they are known by."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from flows.clone import arrival
from flows.clone.arrival import BatchArriving, BatchError, Limits, contents, digest, is_batch, is_complete
from tests.flows._projects import batch, endless, write

LIMITS = Limits(files=50, size=1000)  # the second in bytes


@pytest.fixture
def scans(inbox):
    return batch(inbox, "scans")


def later(seconds=31):
    return time.time() + seconds


# --- whole


def test_folders_and_archives_are_batches_and_what_is_hidden_linked_or_loose_is_not(inbox, scans):
    assert is_batch(scans) and is_batch(write(inbox, "more.npz", "arrays"))
    assert not is_batch(batch(inbox, ".upload-1")) and not is_batch(write(inbox, ".hidden.npz", "arrays"))
    assert not is_batch(write(inbox, "labels.csv", "file,label\n"))
    for name, to in (("link", scans), ("link.npz", inbox / "more.npz")):
        (inbox / name).symlink_to(to)
        assert not is_batch(inbox / name)
    assert not is_batch(inbox / "gone.npz")


def test_a_batch_is_whole_once_it_has_been_still_for_a_while(inbox, scans):
    last = max(path.lstat().st_ctime for path in (scans, *scans.rglob("*")))
    assert not is_complete(scans, last + 29.9)
    assert is_complete(scans, last + 30)
    assert not is_complete(scans, last + 30, still=60) and is_complete(scans, last + 60, still=60)
    assert is_complete(scans, later(-86400)), "a clock that was moved back does not block the inbox"
    archive = write(inbox, "more.npz", "arrays")
    assert not is_complete(archive, later(0)) and is_complete(archive, later())


def test_the_last_write_counts_though_the_copy_keeps_old_dates(scans):
    time.sleep(0.05)
    late = write(scans, "late.png", "late")
    assert not is_complete(scans, late.lstat().st_ctime + 0.01, still=0.03), "the others have been still"
    for path in (*scans.iterdir(), scans):
        os.utime(path, (0, 0))
    assert not is_complete(scans, later(10)) and is_complete(scans, later())


def test_the_mark_has_a_batch_taken_at_once_and_is_not_part_of_it(scans):
    write(scans, ".complete", "")
    assert is_complete(scans, later(0))
    assert set(contents(scans, LIMITS)) == {"a.png", "b.png", "labels.csv"}


@pytest.mark.parametrize(
    "name", ["a.png.part", "deep/b.partial", "b.filepart", "c.crdownload", "d.tmp", ".e.swp"]
)
def test_an_unfinished_file_keeps_its_batch_waiting(scans, name):
    write(scans, name, "half")
    assert not is_complete(scans, later(86400))


def test_a_folder_without_a_file_of_its_own_is_never_whole(inbox):
    (inbox / "empty" / "deep").mkdir(parents=True)
    write(inbox, "hidden/.DS_Store", "x")
    write(inbox, "scans/deep/a.png", "x").chmod(0o755)  # as file systems of Windows have it
    write(inbox, "scans/.DS_Store", "x")
    assert is_complete(inbox / "scans", later(86400))
    for name in ("empty", "hidden", "gone"):
        assert not is_complete(inbox / name, later(86400))
    with pytest.raises(BatchError, match="contains no file"):
        contents(inbox / "hidden", LIMITS)


# --- its files


def test_a_batch_holds_the_files_below_it_by_path_but_the_hidden_ones(inbox, scans):
    for name in ("deep/er/x.png", "deep-er.png", ".cache/y.png", "deep/.z.png", "\u00fc 'z'.png"):
        write(scans, name, name)
    found = contents(scans, LIMITS)
    assert list(found) == ["a.png", "b.png", "deep-er.png", "deep/er/x.png", "labels.csv", "\u00fc 'z'.png"]
    assert found["deep/er/x.png"] == scans / "deep" / "er" / "x.png"
    archive = write(inbox, "more.npz", "arrays")
    assert contents(archive, LIMITS) == {"more.npz": archive}
    (inbox / "link.npz").symlink_to(archive)
    with pytest.raises(BatchError, match="can't be read: Not a directory"):
        contents(inbox / "link.npz", LIMITS)


@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe", "dangling"])
def test_links_and_pipes_are_no_files_of_a_batch_and_dvcs_links_are_files_of_the_clones(scans, kind):
    odd = scans / "deep" / "odd"
    odd.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to({"link": scans / "a.png", "dangling": scans / "nowhere"}.get(kind, scans))
    for limits in (LIMITS, None) if kind != "link" else (LIMITS,):
        with pytest.raises(BatchError, match="odd is neither a file nor a folder"):
            contents(scans, limits)
    assert kind != "link" or contents(scans, None)["deep/odd"] == odd
    assert is_complete(scans, later())


def test_a_batch_may_have_so_many_files_and_folders_and_no_more(scans):
    write(scans, "deep/.hidden", "")  # `scans` has three files
    assert len(contents(scans, Limits(5, 1000))) == len(contents(scans, None)) == 3
    told = r"more than 4 files and folders: split it, or raise ingest.batch_f"
    with pytest.raises(BatchError, match=told):
        contents(scans, Limits(4, 1000))


def test_a_batch_may_have_so_many_bytes_and_no_more_though_none_is_on_the_disk(inbox):
    archive = inbox / "sparse.npz"
    with archive.open("wb") as stream:
        stream.truncate(3 << 30)
    assert contents(archive, Limits(1, 3 << 30)) == {"sparse.npz": archive}
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
    assert is_complete(scans, later())  # what is refused in any case is not waited for
    write(deep, "z.part", "z")
    assert not is_complete(scans, later())


def test_folders_without_end_are_whole_and_refused(scans):
    endless(scans)
    try:
        assert is_complete(scans, later())
        with pytest.raises(BatchError, match="folders deep"):
            contents(scans, LIMITS)
    finally:
        subprocess.run(["rm", "-rf", str(scans)], check=True)  # pytest would recurse


@pytest.mark.parametrize("name", ["0.png.dvc", "dvc.yaml", "dvc.lock", "deep/Dvcfile", "a.dvc/x.png"])
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
    closed = {inbox / "locked", scans / "inner"}
    for folder in (inbox / "locked" / "inner", scans / "inner", inbox / "empty"):
        folder.mkdir(parents=True)
    scandir, both = os.scandir, os.R_OK | os.X_OK

    def forbidden(path):
        if path in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # the caller closes it

    monkeypatch.setattr(os, "scandir", forbidden)  # root may look into every folder
    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed and mode == both)
    for folder in (inbox / "locked", scans):
        assert is_complete(folder, later())
        with pytest.raises(BatchError, match="can't be read: Permission denied"):
            contents(folder, LIMITS)
    assert not is_complete(inbox / "empty", later())


# --- what it is known by


def test_a_fingerprint_changes_with_every_write(scans):
    found = contents(scans, LIMITS)
    before = arrival.fingerprint(found)
    assert arrival.fingerprint(found) == before and [name for name, _, _ in before] == list(found)
    write(scans, "a.png", "scans b")
    after = arrival.fingerprint(found)
    assert after != before and [size for _, size, _ in after] == [size for _, size, _ in before]


def test_a_file_that_goes_away_while_it_is_read_leaves_the_batch_to_the_next_run(inbox, scans, monkeypatch):
    found = contents(scans, LIMITS)
    with pytest.raises(BatchError, match="scans can't be read: Is a directory") as refused:
        digest({"a": scans})
    assert not isinstance(refused.value, BatchArriving)
    (scans / "a.png").unlink()
    for look in (arrival.fingerprint, digest):
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


def test_the_digest_is_dvcs_of_names_and_bytes_in_whatever_order(inbox, scans):
    found = contents(scans, LIMITS)
    assert digest(found) == digest(dict(reversed(found.items()))) == "b0320a2d66d7b641f33dd972b4ed1705.dir"
    others = (found | {"c.png": scans / "a.png"}, contents(batch(inbox, "more"), LIMITS))
    assert all(digest(other) != digest(found) for other in others)
