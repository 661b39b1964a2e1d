"""`digits feedback …` from the command line to its exit code; the review on a real terminal."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
from PIL import Image

from digits.ingest.batches import read_batch
from serving.app.feedback import review
from tests.digits_cli._cli import Cli
from tests.serving.app.feedback._corrections import given, given_line, image
from tests.serving.app.feedback.conftest import opened


class Project(Cli):
    """A project with five corrections."""

    def __init__(self, *given):
        super().__init__(*given)
        self.url = f"sqlite:///{self.root}/.digits/feedback.db"
        self.ids = self.store(self._five)

    def store(self, act):
        async def once():
            async with opened(self.url) as store:
                return await act(store)

        return asyncio.run(once())

    def states(self):
        return {row.image: (row.state, row.final, row.reviewer) for row in self.store(review.rows)}

    def feedback(self, *arguments):
        return self.digits("feedback", *arguments)

    @staticmethod
    async def _five(store):
        return [(await store.add(given(number)))[0] for number in range(5)]


@pytest.fixture
def project(tmp_path, capsys, monkeypatch):
    return Project(tmp_path, capsys, monkeypatch)


def test_status_counts_each_state_of_the_store_that_is_given_by_option_then_environment_then_the_project(
    project, tmp_path, monkeypatch
):
    assert "pending   5" in project.feedback("status").out and str(project.root) in project.out
    counts = json.loads(project.feedback("status", "--json").out)
    assert counts == {"pending": 5, "accepted": 0, "rejected": 0, "exporting": 0, "exported": 0}
    monkeypatch.setenv("DIGITS_FEEDBACK", f"sqlite:///{tmp_path / 'other.db'}")
    assert "pending   0" in project.feedback("status").out and "other.db" in project.out
    assert "pending   5" in project.feedback("status", "--feedback", project.url).out
    said = project.refused("feedback", "status", "--feedback", "mysql://x/y", code=2)
    assert "no place for corrections" in said


def test_lines_are_listed_drawn_and_decided_by_their_texts(project):
    async def add(store):
        return [
            (await store.add(given_line(number, text)))[0] for number, text in enumerate(["1.50", "", "9"])
        ]

    first, empty, third = project.store(add)
    listed = project.feedback("list").out
    assert re.search(r"pending +line +1\.50 +150 75", listed) and re.search(r"line +no digits", listed)
    rows = [json.loads(line) for line in project.feedback("list", "--json").out.splitlines()]
    assert [(row["kind"], row["label"], row["said"]) for row in rows[4:]] == [
        *(("digit", "1", "7"), ("line", "1.50", "150"), ("line", "", "150"), ("line", "9", "150"))
    ]
    sheet = project.root / "sheet.png"
    assert "8 of 8" in project.feedback("sheet", sheet).out
    with Image.open(sheet) as picture:
        tall = picture.height
    assert "text is '1O', expected" in project.refused("feedback", "accept", first, "--label", "1O", code=3)
    assert "is '12', expected a digit" in project.refused(
        "feedback", "accept", project.ids[0], "--label", "12", code=3
    )
    assert "accepted as 1,50" in project.feedback("accept", first, "--label", "1,50").out
    assert "accepted as no digits" in project.feedback("accept", empty).out
    assert "accepted as no digits" in project.feedback("accept", third, "--label", "").out
    project.feedback("sheet", sheet)
    with Image.open(sheet) as picture:
        assert picture.height == tall - 3 * (64 + 34)


def test_the_list_shows_what_was_said_and_no_pixels(project):
    lines = project.feedback("list").out.splitlines()
    assert len(lines) == 6 and project.ids[0][:8] in lines[1] and "7 75.0%" in lines[1]
    rows = [json.loads(line) for line in project.feedback("list", "--json").out.splitlines()]
    assert [row["id"] for row in rows] == project.ids and "image" not in rows[0]
    assert rows[0]["label"] == "1" and rows[0]["received"].endswith("+00:00")
    assert project.feedback("list", "--state", "rejected").out.strip() == "no corrections"


def test_corrections_are_accepted_and_rejected_once_by_the_start_of_their_ids_by_who_runs_it_or_is_named(
    project, monkeypatch
):
    monkeypatch.setenv("LOGNAME", "carol")
    first, second, third = (identity[:8] for identity in project.ids[:3])
    assert f"{project.ids[0]} accepted as 1" in project.feedback("accept", first, "--reviewer", "ann").out
    assert "accepted as 9" in project.feedback("accept", second, "--label", 9, "--reviewer", "ann").out
    assert "rejected" in project.feedback("reject", third).out
    states = project.states()
    expected = [("accepted", "1", "ann"), ("accepted", "9", "ann"), ("rejected", "1", "carol")]
    assert [states[image(n)] for n in range(3)] == expected
    said = project.refused("feedback", "reject", first, code=6)
    assert f"somebody else has decided: {project.ids[0]} is accepted, by ann" in said
    assert "`digits feedback list` shows them" in project.refused("feedback", "accept", "%%%%%", code=3)


def test_what_is_accepted_is_exported_once_with_its_label(project):
    inbox = project.root / "inbox"
    assert "make it, then export again" in project.refused("feedback", "export", "--inbox", inbox, code=6)
    inbox.mkdir()
    assert "no newly accepted corrections" in project.feedback("export", "--inbox", inbox).out
    project.feedback("accept", *project.ids[:2])
    project.feedback("accept", project.ids[2], "--label", 6)
    assert "3 corrections" in project.feedback("export", "--inbox", inbox).out
    (folder,) = [path for path in inbox.iterdir() if path.is_dir()]
    batch = read_batch(folder, rows=100, size=1 << 20)
    assert sorted(batch.labels.tolist()) == [1, 1, 6] and not batch.rejected
    assert "no newly accepted corrections" in project.feedback("export", "--inbox", inbox).out
    assert "exported  3" in project.feedback("status").out


def test_the_sheet_is_a_picture_of_what_waits_and_corrections_are_deleted_by_id_or_state(project):
    project.feedback("reject", project.ids[0])
    sheet = project.root / "sheet.png"
    assert "4 of 4 corrections awaiting review" in project.feedback("sheet", sheet).out
    with Image.open(sheet) as picture:
        assert picture.format == "PNG" and picture.width > 1000 and np.asarray(picture).std() > 10
    project.feedback("reject", *project.ids[1:])
    assert project.feedback("sheet", sheet).code == 0  # of nothing, too
    assert "1 deleted" in project.feedback("delete", project.ids[2][:8]).out
    assert len(project.states()) == 4
    assert "4 deleted" in project.feedback("delete", "--state", "rejected").out
    assert "either the ids" in project.refused("feedback", "delete", code=2)


def test_a_review_without_a_terminal_is_refused_in_a_line(project, monkeypatch):
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin, os.fdopen(writer, "w"):
        monkeypatch.setattr(sys, "stdin", stdin)
        said = project.refused("feedback", "review", code=2)
    assert "needs a terminal" in said and "`digits feedback sheet`" in said


class Terminal:
    """`digits feedback review` on a terminal of its own."""

    def __init__(self, project, *options):
        self.master, slave = pty.openpty()
        self.output = ""
        command = [sys.executable, "-m", "digits_cli", "feedback", "review", *options]
        self.process = subprocess.Popen(
            command,
            cwd=project.root,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def until(self, text):
        """Read until a text is shown; what was read since the last one."""
        end = time.monotonic() + 120
        while text not in self.output:
            assert time.monotonic() < end, self.output
            if select.select([self.master], [], [], 0.5)[0]:
                try:
                    self.output += os.read(self.master, 65536).decode()
                except OSError:  # the other end is closed
                    assert text in self.output, self.output
        before, _, self.output = self.output.partition(text)
        return before

    def press(self, keys):
        """Press keys as soon as they are waited for: earlier ones are dropped."""
        end = time.monotonic() + 60
        while termios.tcgetattr(self.master)[3] & termios.ICANON:
            assert time.monotonic() < end, "no key is waited for"
            time.sleep(0.01)
        os.write(self.master, keys.encode())

    def ended(self):
        code = self.process.wait(120)
        with contextlib.suppress(OSError):  # nothing was left to read
            self.output += os.read(self.master, 65536).decode()
        os.close(self.master)
        assert "Traceback" not in self.output
        return code


def test_a_review_on_a_terminal_takes_keys_and_texts_and_an_interrupted_one_keeps_what_was_decided(project):
    project.store(lambda store: store.add(given_line()))
    terminal = Terminal(project, "--reviewer", "ann")
    assert "███" in terminal.until("1 of 6")
    terminal.press("a")
    terminal.until("accepted as 1")
    terminal.until("2 of 6")
    terminal.press("\x03")
    assert terminal.ended() == 130
    terminal = Terminal(project, "--reviewer", "ann")
    terminal.until("1 of 5")
    terminal.press("5")
    terminal.until("accepted as 5")
    terminal.press("rss")
    terminal.until("5 of 5")
    terminal.press("c")
    terminal.until("the line says")
    os.write(terminal.master, b"12.5\n")
    terminal.until("accepted as 12.5")
    terminal.until("2 accepted, 1 rejected, 2 skipped; `digits feedback export --inbox DIR`")
    assert terminal.ended() == 0
    found = [" ".join(project.states()[image(n)][:2]) for n in range(5)]
    assert found == ["accepted 1", "accepted 5", "rejected 1", "pending 1", "pending 1"]
