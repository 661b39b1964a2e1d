"""`digits ui`: the address for everyone, the password for a person at a terminal alone."""

import sys
import webbrowser

import pytest

from flows.scheduling import server, settings
from tests.digits_cli._cli import Cli

PAGE = "http://127.0.0.1:4200"


@pytest.fixture
def project(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(server, "find_running", lambda _: f"{PAGE}/api")
    return Cli(tmp_path, capsys, monkeypatch)


def test_on_a_terminal_it_opens_the_page_and_shows_the_password(project, monkeypatch):
    opened = []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda page: bool(opened.append(page)) or True)
    assert settings.password(project.root) in project.digits("ui").out and opened == [PAGE]
    assert project.digits("ui", "--no-browser").code == 0 and opened == [PAGE]


def test_where_its_output_may_be_kept_the_password_is_not_in_it(project):
    assert project.digits("ui").out == f"{PAGE}\n"


def test_without_a_server_it_says_what_starts_one(project, monkeypatch):
    monkeypatch.setattr(server, "find_running", lambda _: None)
    assert project.digits("ui").code == 1 and "`digits schedule` starts one" in project.err
