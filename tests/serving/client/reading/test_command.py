"""`digits read` as a function, against the fake server."""

import contextlib
import csv
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from digits_cli import read as digits_read
from digits_client import DigitClient
from digits_client.reading import command
from digits_client.reading.command import main
from tests._ports import free_port
from tests.serving.client.reading._sheet import ask, sheet


def table_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "photos"
    inside.mkdir()
    for name, text in (("b.png", "47"), ("a.jpg", "912")):
        Image.fromarray(sheet(text)[0]).save(inside / name)
    (inside / "notes.txt").write_text("no picture")
    return inside


@pytest.fixture(autouse=True)
def line_reader(monkeypatch):
    """Lines are read here, after the server has been asked for something, so that it must be there."""

    def predict_lines(client, lines):
        return dataclasses.replace(ask(lines), version=client.predict(np.zeros((28, 28), np.uint8)).version)

    monkeypatch.setattr(DigitClient, "predict_lines", predict_lines, raising=False)


def test_a_photo_is_a_line_a_field_and_least_says_how_sure_it_must_be(fake, folder, capsys):
    assert main(["--server", fake.grpc, str(folder / "b.png")]) == 0
    name, kind, text, _, sure = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (name, kind, text, sure) == (str(folder / "b.png"), "number", "47", "sure")
    assert main(["--server", fake.grpc, "--least", "1", str(folder / "b.png")]) == 0
    assert capsys.readouterr().out.endswith("\tnot sure\n")


def test_json_is_an_object_a_photo_and_bad_ones_have_their_reason(fake, folder, capsys):
    (folder / "c.png").write_bytes(b"%PDF-1.7 " + b"0" * 99)
    assert main(["--server", fake.grpc, "--json", str(folder)]) == 1
    out, err = capsys.readouterr()
    first, second, third = map(json.loads, out.splitlines())
    assert [first["file"], second["file"]] == [str(folder / "a.jpg"), str(folder / "b.png")]
    assert first["version"] == 3 and len(first["lines"][0]["fields"][0]["digits"]) == 3
    assert "PDF" in third["error"] and err.count("\n") == 1


def test_a_folder_becomes_a_table_that_names_bad_files_and_the_run_goes_on(fake, folder, tmp_path, capsys):
    (folder / "aa.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    table = tmp_path / "read.csv"
    moves = []

    def bar(title, total):
        moves.append(total)
        return contextlib.nullcontext(moves.append)

    assert main(["--server", fake.grpc, "--csv", str(table), str(folder)], bar=bar) == 1
    rows = table_of(table)
    read = {row["file"].rpartition("/")[2]: row["text"] for row in rows}
    assert list(read.items()) == [("a.jpg", "912"), ("aa.png", ""), ("b.png", "47")]
    assert rows[1]["error"] and not rows[0]["error"] and rows[0]["version"] == "3"
    assert moves == [3, 1, 1, 1]
    assert capsys.readouterr().out.startswith("2 of 3 photos read")


def test_a_photo_that_takes_too_long_is_one_line_that_names_it_and_the_others_go_on(
    fake, folder, monkeypatch, capsys
):
    honest = command.read

    def slow(photo, ask, least, form):
        return honest(photo, ask, least, 0 if photo.shape == sheet("912")[0].shape else 60)

    monkeypatch.setattr(command, "read", slow)
    assert main(["--server", fake.grpc, str(folder)]) == 1
    out, err = capsys.readouterr()
    assert f"{folder / 'a.jpg'}: the picture holds too much" in err and err.count("\n") == 1
    assert out.startswith(str(folder / "b.png"))


def test_pictures_with_boxes_are_written(fake, folder, tmp_path):
    one = tmp_path / "out.png"
    assert main(["--server", fake.grpc, "--out", str(one), str(folder / "b.png")]) == 0
    with Image.open(one) as drawn:
        assert max(drawn.size) >= 900
    assert main(["--server", fake.grpc, "--out", str(tmp_path / "drawn"), str(folder)]) == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.png", "b.png"]


def test_names_that_would_steer_a_terminal_or_a_spreadsheet_are_shown_harmless(
    fake, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = ["=cmd('x').png", "<script>alert(1)<", "a\x1b[2Jb.png"]
    for name in names:
        Image.fromarray(sheet("4")[0]).save(name, "PNG")
    assert main(["--server", fake.grpc, *names]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["--server", fake.grpc, "--csv", "t.csv", *names]) == 0
    rows = table_of(tmp_path / "t.csv")
    assert rows[0]["file"] == "'=cmd('x').png" and "\x1b" not in rows[2]["file"]


def test_wrong_usage_and_no_server_are_one_line_and_a_code_each_and_no_table(folder, tmp_path, capsys):
    wrong = (
        "--out=x.gif --csv=/no/such/folder/x.csv --timeout=0 --format=[a-z]+ --score=labels.csv --least=1.5"
    )
    for option in wrong.split():
        assert main([option, str(folder / "b.png")]) == 2, option
        assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 2
    assert "no picture in this folder" in capsys.readouterr().err
    address = f"127.0.0.1:{free_port()}"
    command = ["--server", address, "--timeout", "0.3", "--csv", str(tmp_path / "t.csv"), str(folder)]
    assert main(command) == 7
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "t.csv").exists()


def test_a_format_decides_what_a_field_is(fake, folder, capsys):
    assert main(["--server", fake.grpc, "--format", "digits:3", str(folder)]) == 0
    assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()] == ["912", ""]


@pytest.fixture
def labels(folder):
    (folder / "c.png").write_bytes(b"cut off")
    path = folder / "labels.csv"
    path.write_text("file,text\nb.png,47\na.jpg,9 12\nc.png,1\n")
    return path


def test_a_table_of_what_photos_show_is_compared_with_what_is_read(fake, labels, capsys):
    assert main(["--server", fake.grpc, "--score", str(labels)]) == 1
    out, err = capsys.readouterr()
    wrong, damaged, *shares = out.splitlines()
    assert wrong.split("\t") == [str(labels.parent / "a.jpg"), "9 12", "912", "sure"]
    assert damaged.startswith(f"{labels.parent / 'c.png'}\t1\t") and "no picture" in damaged
    assert shares == [
        "read exactly: 1 of 3, 33.33% (6.15% to 79.23% with 95% confidence)",
        "accepted: 2 of 3, 66.67% (20.77% to 93.85% with 95% confidence)",
        "of these right: 1 of 2, 50.00% (9.45% to 90.55% with 95% confidence)",
    ]
    assert err.count("\n") == 1


def test_points_count_in_a_comparison_where_the_table_has_them(fake, tmp_path, capsys):
    Image.fromarray(sheet("12.50")[0]).save(tmp_path / "a.png")
    for text, right in (("12.50", 1), ("1250", 1), ("12.5", 0)):
        (tmp_path / "labels.csv").write_text(f"file,text\na.png,{text}\n")
        assert main(["--server", fake.grpc, "--score", str(tmp_path / "labels.csv")]) == 0
        assert f"read exactly: {right} of 1" in capsys.readouterr().out


def test_a_table_that_is_none_is_wrong_usage(tmp_path, capsys):
    for text in ("", "file,text\n", "name,what\na,1\n", "file,text\na.png\n", "\xff\n"):
        (tmp_path / "labels.csv").write_bytes(text.encode("latin-1"))
        assert main(["--score", str(tmp_path / "labels.csv")]) == 2
        assert "expected a CSV file with the columns file and text" in capsys.readouterr().err


def test_digits_read_is_the_same_command(fake, folder, tmp_path, capsys):
    given = ("--server", fake.grpc, "--csv", str(tmp_path / "t.csv"), str(folder))
    assert digits_read.run(SimpleNamespace(given=given)) == 0
    assert [row["text"] for row in table_of(tmp_path / "t.csv")] == ["912", "47"]
    assert capsys.readouterr().out.startswith("2 of 2 photos read")
