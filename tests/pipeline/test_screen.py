"""What a person sees of a run: a line a step, live on a terminal, and the whole log in a file."""

import io
import logging
import re

import pytest
from rich.console import Console

from digits.pipeline import screen
from digits.pipeline.screen import Screen
from digits.runtime import progress
from digits.runtime.progress import Progress


def shown(tmp_path, work, *, terminal=False, **options):
    """What `work` leaves on a screen of 60 columns, and in the log."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=60, color_system=None)
    with Screen(console, tmp_path / "run.log", **options) as made:
        work(made)
    return stream.getvalue(), (tmp_path / "run.log").read_text()


def train(made):
    with made.step("train") as step:
        progress.say("fast: a network")
        with progress.bar("training", 100, "steps") as advance:
            advance(40, note="loss 0.3")
            step.note("W0000 a library's warning")
            advance(60)
        progress.say("train: accuracy 99.4% on validation")


def test_elsewhere_than_on_a_terminal_each_event_is_a_line_and_the_noise_is_in_the_log(tmp_path):
    lines, log = shown(tmp_path, train)
    first, last = lines.splitlines()
    assert first.split() == ["train", "fast:", "a", "network"]
    assert last.startswith("✓ train") and last.endswith(" s  accuracy 99.4% on validation")
    assert "warning" in log and "fast: a network" in log and "\x1b" not in lines
    assert "a library's warning" in shown(tmp_path, train, verbose=True)[0]


def test_a_terminal_keeps_one_line_a_step_no_wider_than_itself(tmp_path):
    def work(made):
        train(made)
        with made.step("evaluate") as step:
            step.result = "x" * 100

    lines, _ = shown(tmp_path, work, terminal=True)
    kept = [line for line in lines.splitlines() if line.rpartition("\x1b[2K")[2].startswith("✓")]
    assert len(kept) == 2 and kept[1].endswith("x…") and "fast" not in kept[0]


def test_the_live_line_leaves_room_for_what_a_terminal_writes_at_an_interrupt(tmp_path):
    lines, _ = shown(tmp_path, train, terminal=True)
    live = [part.strip("\r\n") for part in re.split(r"\x1b\[[\d?]*[A-Za-z]", lines) if "training" in part]
    assert live and max(map(len, live)) <= 60 - len("^C")


def test_the_times_of_the_steps_add_up_to_the_whole(tmp_path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(screen.time, "monotonic", lambda: float(next(clock)))
    totals = []

    def work(made):
        for name in ("ingest", "validate"):
            with made.step(name) as step:
                step.result = "done"
        totals.append(made.total())

    lines, _ = shown(tmp_path, work)
    seconds = [float(line.split()[2]) for line in lines.splitlines()]
    assert sum(seconds) == float(totals[0].split()[0]) - 1, "one tick after the last step"


def test_an_interrupted_training_says_at_which_step_the_next_run_goes_on(tmp_path):
    def work(made):
        with pytest.raises(KeyboardInterrupt), made.step("train") as step:
            step.move(Progress("training", 900, 2800, "steps"))
            assert " 32%" in step.line().plain, "the live line"
            raise KeyboardInterrupt
        made.line(made.where())

    lines, _ = shown(tmp_path, work)
    assert lines.splitlines()[-1] == "stopped in train at step 900 of 2,800: `make run` goes on there"


def test_what_a_library_logs_goes_to_the_log(tmp_path):
    def work(made):
        with made.logs_of("a_library"):
            logging.getLogger("a_library.runs").error("Crash detected!")

    assert shown(tmp_path, work)[0] == ""
    assert "Crash detected!" in (tmp_path / "run.log").read_text()


@pytest.mark.parametrize(
    ("value", "text"), [(1.44, "1.4 s"), (78.2, "78 s"), (725, "12 min 5 s"), (10_920, "3 h 2 min")]
)
def test_times_are_for_people(value, text):
    assert screen.seconds(value) == text


def test_old_logs_are_deleted(tmp_path):
    for number in range(30):
        (tmp_path / ".digits/runs").mkdir(parents=True, exist_ok=True)
        (tmp_path / f".digits/runs/2026-01-{number:02}.log").touch()
    assert screen.log_of(tmp_path).parent == tmp_path / ".digits/runs"
    assert len(list((tmp_path / ".digits/runs").iterdir())) == screen.KEPT - 1
