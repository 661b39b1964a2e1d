"""`digits-client IMAGE…`, as a process and as a function."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from digits_client.cli import main
from tests._ports import free_port
from tests.serving.client._fake import SURE, picture


@pytest.fixture
def files(tmp_path):
    for digit in (7, 3):
        (tmp_path / f"{digit}.png").write_bytes(picture(digit))
    (tmp_path / "bad.png").write_bytes(picture(0, b"bad"))
    return tmp_path


@pytest.fixture(params=["grpc", "rest"])
def server(request, fake):
    return ["--transport", request.param, "--server", fake.address(request.param)]


def test_json_is_an_object_a_line_with_the_version(server, files, capsys):
    assert main([*server, "--json", str(files / "7.png"), str(files / "bad.png")]) == 1
    out, err = capsys.readouterr()
    good, bad = map(json.loads, out.splitlines())
    told = {"file": f"{files}/7.png", "digit": 7, "confidence": SURE, "version": 3}
    assert told.items() <= good.items()
    assert good["probabilities"][7] == SURE
    assert bad == {"file": f"{files}/bad.png", "error": f"{files}/bad.png: is blank: expected ink"}
    assert err == f"digits-client: {files}/bad.png: is blank: expected ink\n"


@pytest.mark.parametrize(("accepts", "word"), [(True, "sure"), (False, "not sure"), (None, "-")])
def test_what_is_not_accepted_is_told_as_not_sure(server, fake, files, capsys, accepts, word):
    fake.accepts = accepts
    assert main([*server, str(files / "7.png")]) == 0
    assert capsys.readouterr().out == f"{files}/7.png\t7\t0.9375\t{word}\n"
    assert main([*server, "--json", str(files / "7.png")]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] is accepts


def test_bad_pictures_are_a_line_each_and_the_others_a_row_of_columns_parted_by_tabs(server, files, capsys):
    names = [str(files / name) for name in ("bad.png", "7.png", "none.png", "3.png")]
    assert main([*server, *names], prog="digits predict") == 1
    out, err = capsys.readouterr()
    assert out == f"{files}/7.png\t7\t0.9375\t-\n{files}/3.png\t3\t0.9375\t-\n"
    assert [line.split(": ")[0] for line in err.splitlines()] == ["digits predict"] * 2
    assert "is blank" in err and "No such file" in err


def test_lines_are_told_with_their_separators(server, files, capsys):
    names = [str(files / "7.png"), str(files / "bad.png")]
    assert main(["lines", *server, *names]) == 1
    out, err = capsys.readouterr()
    assert out == f"{files}/7.png\t7.40\t0.9375\tsure\n"
    assert err == f"digits-client: {files}/bad.png: is blank: expected ink\n"
    assert main(["lines", *server, "--json", str(files / "7.png")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["text"], told["written"], told["accepted"], told["version"]) == ("740", "7.40", True, 3)
    assert told["characters"][1] == {"digit": None, "probability": SURE, "position": 6.0}


def test_no_server_and_wrong_usage_are_one_line_and_a_code_each(files, capsys):
    address = f"127.0.0.1:{free_port()}"
    assert main(["--server", address, "--timeout", "0.3", str(files / "7.png")]) == 7
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and address in err
    for wrong in (["--timeout", "0"], ["--server", "host:port"], ["-", "-"], ["--model", ""]):
        assert main([*wrong, str(files / "7.png")]) == 2, wrong
        assert capsys.readouterr().err.count("\n") == 1


def test_more_pictures_than_a_batch_come_in_order(fake, files, capsys, monkeypatch):
    monkeypatch.setattr("digits_client.cli.CHUNK_IMAGES", 2)
    names = [str(files / f"{digit}.png") for digit in (7, 3, 3, 7, 3)]
    assert main(["--server", fake.grpc, *names]) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == list("73373")
    assert [n for _, n, _ in fake.asked] == [2, 2, 1]


def run(*arguments, **options):
    command = [sys.executable, "-m", "digits_client.cli", *map(str, arguments)]
    return subprocess.run(command, **{"stderr": subprocess.PIPE, "timeout": 60, **options})


def test_a_dash_reads_standard_input(fake, files):
    done = run("--server", fake.grpc, files / "3.png", "-", input=picture(8), stdout=subprocess.PIPE)
    assert done.stdout.decode() == f"{files}/3.png\t3\t0.9375\t-\n-\t8\t0.9375\t-\n"


def test_a_terminal_gets_a_table(fake, files):
    leader, follower = pty.openpty()
    done = run("--server", fake.grpc, files / "7.png", stdout=follower)
    os.close(follower)  # what was written stays to be read
    shown = os.read(leader, 4096).decode().splitlines()
    os.close(leader)
    assert (done.returncode, done.stderr) == (0, b"")
    assert shown[0].split() == ["file", "digit", "confidence", "sure?"]
    name, digit, confidence, sure = shown[1].split()
    assert str(files / "7.png").endswith(name.lstrip("…")) and len(name) <= 60
    assert (digit, confidence, sure) == ("7", "93.75%", "-")


def test_a_full_disk_is_one_line(fake, files):
    with Path("/dev/full").open("wb") as full:
        done = run("--server", fake.grpc, files / "7.png", stdout=full)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"digits-client: can't write the results (No space left on device): ")


def test_names_that_would_steer_a_terminal_are_shown_harmless(fake, tmp_path, capsys):
    nasty = tmp_path / "a\x1b[2J\tb\n.png"
    nasty.write_bytes(picture(1))
    assert main(["--server", fake.grpc, str(nasty)]) == 0
    line = capsys.readouterr().out
    assert "\x1b" not in line and (line.count("\t"), line.count("\n")) == (3, 1)
