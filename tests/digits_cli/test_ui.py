"""`digits ui`: the address for everyone, the password for a person at a terminal alone."""

import sys
import webbrowser

import pytest

import digits_cli
from flows.scheduling import server, settings

PAGE = "http://127.0.0.1:4200"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "find_running", lambda _: f"{PAGE}/api")
    return tmp_path


def call(*options):
    with pytest.raises(SystemExit) as ended:
        digits_cli.main(["ui", *options])
    return ended.value.code


def test_on_a_terminal_it_opens_the_page_and_shows_the_password(project, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda page: bool(opened.append(page)) or True)
    assert call() == 0 and opened == [PAGE]
    assert settings.password(project) in capsys.readouterr().out
    assert call("--no-browser") == 0 and opened == [PAGE]


def test_where_its_output_may_be_kept_the_password_is_not_in_it(project, capsys):
    assert call() == 0
    assert capsys.readouterr().out == f"{PAGE}\n"


def test_without_a_server_it_says_what_starts_one(project, monkeypatch, capsys):
    monkeypatch.setattr(server, "find_running", lambda _: None)
    assert call() == 1
    assert "`digits schedule` starts one" in capsys.readouterr().err
