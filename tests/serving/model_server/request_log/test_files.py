import subprocess
import sys

import pytest

from digits_model_server import tfrecord
from digits_model_server.request_log import files as log_files
from digits_model_server.request_log.files import LogFiles
from tests._disk import disk
from tests._project import ROOT
from tests.serving._server import environment
from tests.serving.model_server.request_log._records import kept


def writing(folder, size, most, *records):
    """A log in a folder, with records written to it."""
    files = LogFiles(str(folder / "log"), size, most)
    for record in records:
        files.write(record)
    return files


def test_records_go_to_files_of_bounded_size_and_what_is_larger_has_one_of_its_own(tmp_path):
    records = [*(bytes([number]) * 100 for number in range(7)), b"b" * 500, b"c"]
    writing(tmp_path, 3 * (16 + 100), 10, *records)
    assert kept(tmp_path / "log") == [records[:3], records[3:6], records[6:7], [b"b" * 500], [b"c"]]
    assert all(path.stat().st_mode & 0o007 == 0 for path in log_files.files(tmp_path / "log")), "private"


def test_so_many_files_are_kept_those_of_earlier_servers_included(tmp_path):
    old = tmp_path / "log-20200101T000000Z-1-0001.tfrecord"
    others = [old.with_suffix(".txt"), tmp_path / "log-mine.tfrecord", tmp_path / f"log-a{old.name[3:]}"]
    for path in [old, *others]:
        path.touch()
    writing(tmp_path, 1, 3, *(b"%d" % number for number in range(15)))
    assert kept(tmp_path / "log") == [[b"12"], [b"13"], [b"14"]] and not old.exists()
    assert all(path.exists() for path in others)


def test_a_file_that_another_server_writes_to_is_not_deleted(tmp_path):
    other = writing(tmp_path, 1000, 1, b"first")
    files = writing(tmp_path, 1, 1, b"second")
    other.write(b"third")
    assert kept(tmp_path / "log") == [[b"first", b"third"], [b"second"]]
    other.close()
    files.write(b"fourth")
    assert kept(tmp_path / "log") == [[b"fourth"]]


def test_a_file_that_somebody_deletes_is_begun_anew(tmp_path):
    files = writing(tmp_path, 1000, 5, b"first")
    next(log_files.files(tmp_path / "log")).unlink()
    files.write(b"second")
    assert kept(tmp_path / "log") == [[b"second"]]


@pytest.fixture
def small_disk(tmp_path):
    with disk(tmp_path, "64k") as made:
        yield made


def test_a_full_disk_keeps_whole_records_and_goes_on_when_there_is_room(small_disk):
    files, record = LogFiles(str(small_disk / "log"), 1 << 20, 5), b"x" * 3000
    with pytest.raises(OSError, match="No space left"):
        for _ in range(1000):
            files.write(record)
    (found,) = kept(small_disk / "log")
    assert set(found) == {record} and len(found) > 10
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    files.write(b"last")
    assert kept(small_disk / "log") == [[*found, b"last"]]


def test_a_disk_that_was_full_from_the_start_holds_no_empty_files(small_disk):
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="space"):
        while True:
            filler.write(bytes(4096))
    with pytest.raises(OSError, match="No space left"):
        writing(small_disk, 1000, 5, b"x" * 5000)
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


WRITER = """
import sys
from digits_model_server.request_log.files import LogFiles
files = LogFiles(sys.argv[1], 1 << 16, 1000)
for number in range(10**9):
    files.write(b"%d " % number * (1 + number % 500))
    if number == 20:
        print("under way", flush=True)
"""


def test_a_process_that_is_killed_leaves_records_that_are_whole_once_the_next_server_writes(tmp_path):
    prefix = tmp_path / "log"
    command = [sys.executable, "-c", WRITER, str(prefix)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), cwd=ROOT) as writer:
        assert writer.stdout.readline()
        writer.kill()
    writing(tmp_path, 1000, 1000, b"after").close()
    found = [record for file in kept(prefix) for record in file]
    found.remove(b"after")
    numbers = [int(record.split()[0]) for record in found]
    assert numbers == list(range(len(numbers))) and len(numbers) > 20
    writing(tmp_path, 1000, 1, b"later")  # the lock of the dead went with them
    assert kept(prefix) == [[b"later"]]


def test_part_of_a_record_is_cut_off_files_that_nobody_writes_any_more(tmp_path):
    prefix = tmp_path / "log"
    whole, part = tfrecord.frame(b"whole"), tfrecord.frame(b"part of it")
    torn = [tmp_path / f"log-20200101T00000{n}Z-{n}-0001.tfrecord" for n in range(4)]
    for path, size in zip(torn, (5, 12, 20, len(part) - 1), strict=True):
        path.write_bytes(whole * 3 + part[:size])
    damaged = tmp_path / "log-20200101T000000Z-9-0001.tfrecord"
    damaged.write_bytes(whole + bytes(40))
    other = writing(tmp_path, 1000, 10, b"other")  # a server that runs
    written = list(log_files.files(prefix))[-1]
    with written.open("ab") as file:
        file.write(part[:7])  # which is in the middle of a write
    writing(tmp_path, 1000, 10, b"new")
    assert [path.read_bytes() for path in torn] == [whole * 3] * 4
    assert damaged.read_bytes() == whole + bytes(40), "what is damaged otherwise stays as it is"
    assert written.read_bytes() == tfrecord.frame(b"other") + part[:7]
    other.close()
