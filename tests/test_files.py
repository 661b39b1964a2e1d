import os
import subprocess

import pytest

from digits import files
from digits.runtime.errors import DataError


def test_a_file_appears_whole_and_a_failing_writer_leaves_the_old_one_and_no_scratch(tmp_path):
    target = tmp_path / "deep" / "a"
    files.write_text(target, "older")
    files.write_text(target, "old")
    with pytest.raises(RuntimeError), files.replacing(target) as new:
        new.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_directory_is_replaced_whole_and_a_failing_rename_puts_the_old_one_back(tmp_path, monkeypatch):
    target = tmp_path / "d"
    for text in ("older", "old"):
        with files.replacing(target) as new:
            new.mkdir()
            (new / text).touch()
    renames = []

    def second_fails(source, to):
        renames.append(to)
        if len(renames) == 2:
            raise OSError("disk")
        original(source, to)

    original = os.rename
    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(OSError, match="disk"), files.replacing(target) as new:
        new.mkdir()
    assert [p.name for p in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_what_killed_writers_left_is_tidied_and_what_they_set_aside_is_put_back(tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    pid = child.pid
    (tmp_path / f".a.new-{pid}").mkdir()
    (tmp_path / f".b.new-{pid}").write_text("of another target")
    (tmp_path / f".a.old-{pid}").mkdir()
    (tmp_path / f".a.old-{pid}" / "kept").touch()
    (tmp_path / f".a.new-{os.getppid()}").write_text("of a live writer")
    with pytest.raises(RuntimeError), files.replacing(tmp_path / "a"):
        raise RuntimeError
    assert {p.name for p in tmp_path.iterdir()} == {"a", f".b.new-{pid}", f".a.new-{os.getppid()}"}
    assert (tmp_path / "a" / "kept").exists()


def test_json_is_sorted_and_refuses_what_is_not_a_number(tmp_path):
    files.write_json(tmp_path / "a", {"b": 1, "a": "é"})
    assert (tmp_path / "a").read_text() == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a", {"a": float("nan")})
    assert files.read_json(tmp_path / "a") == {"a": "é", "b": 1}


@pytest.mark.parametrize("content", [None, b"{", b"\xff\xfe"])
def test_missing_or_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"metrics\.json .*dvc repro"):
        files.read_json(path)
