"""How a stage meets the command line: options, one-line errors, exit codes, the run log."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from digits.runtime import stage_main
from digits.runtime.errors import DataError, GateRefused, ParamsError

FILE = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(stage_main, "die_with_dvc", lambda: None)
    monkeypatch.setenv(stage_main.RUN_LOG, str(tmp_path / "log"))
    monkeypatch.delenv(stage_main.DEBUG, raising=False)
    yield
    signal.signal(signal.SIGTERM, before)


def call(run, *argv):
    with pytest.raises(SystemExit) as done:
        stage_main.stage_main("train", run, ["--params", str(FILE), *argv])
    return done.value.code


def failing(error):
    def run(params):
        raise error

    return run


def test_options_are_named_after_the_paths_of_run(tmp_path):
    seen = {}

    def run(one: Path, other_one: Path, params):
        seen.update(one=one, other=other_one, seed=params.seed)

    assert call(run, "--one", "a", "--other-one", "b") == 0
    assert seen == {"one": Path("a"), "other": Path("b"), "seed": 1}
    record = json.loads((tmp_path / "log").read_text())
    assert record["stage"] == "train" and record["ok"] is True and record["seconds"] >= 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("bad\n data"), 3, "train: bad data"),
        (GateRefused("no"), 5, "train: no"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "train: the disk is full (x)"),
        (OSError("Unable to write (errno = 28)"), 1, "train: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "y"), 1, "train: Permission denied (y)"),
        (RuntimeError("a\nb; No space left on device"), 1, "train: the disk is full"),
        (MemoryError(), 1, "train: out of memory"),
        (ZeroDivisionError("division"), 1, "train: unexpected ZeroDivisionError: division"),
        (KeyboardInterrupt(), 130, "train: interrupted"),
    ],
)
def test_every_error_is_one_line_and_a_code(capsys, tmp_path, error, code, said):
    assert call(failing(error)) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(said)
    record = json.loads((tmp_path / "log").read_text())
    assert record["ok"] is False and f"train: {record['error']}" == lines[0]


def test_an_unexpected_error_keeps_its_traceback_on_demand(monkeypatch):
    monkeypatch.setenv(stage_main.DEBUG, "1")
    with pytest.raises(ZeroDivisionError):
        stage_main.stage_main("train", failing(ZeroDivisionError()), ["--params", str(FILE)])


def test_params_are_checked_before_the_stage_starts(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text("trian: {}\n")
    with pytest.raises(SystemExit) as done:
        stage_main.stage_main("train", failing(AssertionError()), ["--params", str(tmp_path / "p.yaml")])
    assert done.value.code == ParamsError.exit_code
    assert "trian" in capsys.readouterr().err


def test_with_the_environment_of_another_worktree_the_code_of_this_one_runs_or_none(tmp_path):
    """Its ingest only says where it is; with -I, Python takes no path from the environment."""
    tree = tmp_path / "worktree"
    shutil.copytree(FILE.parent / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FILE, tree)
    stage = tree / "src" / "digits" / "ingest" / "stage.py"
    own = "def run(raw: Path, params: object) -> None:\n    print(__file__, flush=True)\n\n\nif __name__"
    text = re.sub(r"\ndef run\(.*\nif __name__", lambda _: f"\n{own}", stage.read_text(), flags=re.DOTALL)
    stage.write_text(text)

    def ingest(*options):
        command = [sys.executable, *options, "-m", "digits.ingest.stage", "--raw", "x"]
        variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True, check=False)

    done = ingest()
    assert done.stdout.strip() == str(stage), done.stderr
    done = ingest("-I")
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert "run `make setup`" in line
