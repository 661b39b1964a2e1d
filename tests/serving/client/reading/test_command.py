"""`digits read` as a function, against the fake server, and against a real embedded one."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from digits import saved_model
from digits.export import warmup
from digits_cli import read as digits_read
from digits_client import DigitClient
from digits_client.reading import command, opened, read
from digits_client.reading.command import main
from tests._digits import digits
from tests._ports import free_port
from tests.serving._server import Server
from tests.serving.client.reading._sheet import sheet
from tests.test_saved_model import saved


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


def test_a_photo_is_a_line_a_field(fake, folder, capsys):
    fake.accepts = True
    assert main(["--server", fake.grpc, str(folder / "b.png")]) == 0
    name, _, text, _, sure = capsys.readouterr().out.rstrip("\n").split("\t")
    assert name == str(folder / "b.png") and text == "00"  # the fake reads the first pixel, which is black
    assert sure == "not sure"  # 0.9375 each


def test_least_says_how_sure_a_field_must_be(fake, folder, capsys):
    fake.accepts = True
    assert main(["--server", fake.grpc, "--least", "0.5", str(folder / "b.png")]) == 0
    assert capsys.readouterr().out.endswith("\tsure\n")
    assert main(["--least", "1.5", str(folder / "b.png")]) == 2


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
        import contextlib

        moves.append(total)
        return contextlib.nullcontext(moves.append)

    assert main(["--server", fake.grpc, "--csv", str(table), str(folder)], bar=bar) == 1
    rows = table_of(table)
    assert [(row["file"].rpartition("/")[2], row["text"]) for row in rows] == [
        ("a.jpg", "000"),
        ("aa.png", ""),
        ("b.png", "00"),
    ]
    assert rows[1]["error"] and not rows[0]["error"] and rows[0]["version"] == "3"
    assert moves == [3, 1, 1, 1]
    assert capsys.readouterr().out.startswith("2 of 3 photos read")


def test_a_photo_that_takes_too_long_is_one_line_that_names_it_and_the_others_go_on(
    fake, folder, monkeypatch, capsys
):
    honest = command.read

    def slow(photo, ask, least):
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
    for name in ("=cmd('x').png", "<script>alert(1)<", "a\x1b[2Jb.png"):
        Image.fromarray(sheet("4")[0]).save(name, "PNG")
    names = ["=cmd('x').png", "<script>alert(1)<", "a\x1b[2Jb.png"]
    assert main(["--server", fake.grpc, *names]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["--server", fake.grpc, "--csv", "t.csv", *names]) == 0
    rows = table_of(tmp_path / "t.csv")
    assert rows[0]["file"] == "'=cmd('x').png" and "\x1b" not in rows[2]["file"]


@pytest.mark.parametrize(
    "arguments", [["--out", "x.gif"], ["--csv", "/no/such/folder/x.csv"], ["--timeout", "0"]], ids=str
)
def test_wrong_usage_is_one_line_and_code_2(arguments, folder, capsys):
    assert main([*arguments, str(folder / "b.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_empty_folder_is_wrong_usage(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "no picture in this folder" in capsys.readouterr().err


def test_no_server_is_one_line_and_code_7_and_no_table(folder, tmp_path, capsys):
    address = f"127.0.0.1:{free_port()}"
    command = ["--server", address, "--timeout", "0.3", "--csv", str(tmp_path / "t.csv"), str(folder)]
    assert main(command) == 7
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "t.csv").exists()


def test_digits_read_asks_a_real_server(folder, tmp_path, capsys):
    """The whole way: files, OpenCV, gRPC, the embedded server, a model, a table with the progress bar."""
    export = saved(tmp_path / "exported" / "digits" / "1")
    saved_model.add_extra(export, warmup.records(digits(32, seed=4)[0]), {"dataset": "synthetic"})
    flags = ("--model_name=digits", f"--model_base_path={export.parent}")
    with Server(tmp_path / "log", *flags) as server:
        with DigitClient(server.target, timeout=60) as client:
            made = read(opened(folder / "a.jpg"), client.predict)
        assert made.version == 1 and len(made.digits) >= 3
        assert all(
            np.isclose(sum(p for _, p in d.alternatives) + d.confidence, 1, atol=1e-3) for d in made.digits
        )

        class Given:
            given = ("--server", server.target, "--csv", str(tmp_path / "t.csv"), str(folder))

        assert digits_read.run(Given) == 0
    rows = table_of(tmp_path / "t.csv")
    assert rows[0]["text"] == made.fields[0].text and rows[0]["version"] == "1"
