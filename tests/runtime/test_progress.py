import sys
from types import SimpleNamespace

from digits.runtime import progress


def test_long_work_writes_plain_lines_to_a_log(capsys, monkeypatch):
    clock = iter(range(0, 1000, 2))  # every look at the clock is 2 s later
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    with progress.bar("images", total=20) as advance:
        for _ in range(20):
            advance(note="loss 0.1")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "images 100% 20/20 loss 0.1"
    assert 2 < len(lines) < 20, "throttled"
    assert not any("\x1b" in line or "\r" in line for line in lines)


def test_bytes_are_shown_as_megabytes_and_an_unknown_total_is_left_out(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with progress.bar("file", unit="bytes") as advance:
        advance(1_500_000)
    assert capsys.readouterr().out.splitlines()[0] == "file 1.5 MB"


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with progress.bar("letters", total=2) as advance:
        advance(2, note="fine")
    out = capsys.readouterr().out
    assert "letters" in out and "2/2" in out and "fine" in out


def test_a_process_that_is_followed_writes_what_its_follower_parses(capsys, monkeypatch):
    monkeypatch.setenv(progress.FOLLOWED, "1")
    progress.say("read 3 files")
    with progress.bar("training", total=20, unit="steps") as advance:
        advance(20, note="loss 0.1")
    said = [progress.parse(line) for line in capsys.readouterr().out.splitlines()]
    begun = progress.Progress("training", 0, 20, "steps")
    assert said == ["read 3 files", begun, progress.Progress("training", 20, 20, "steps", "loss 0.1")]
    assert progress.parse("W0000 a warning") is progress.parse(progress.MARK + "{cut o") is None
