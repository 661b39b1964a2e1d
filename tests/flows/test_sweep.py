import argparse
import contextlib
import os
import signal
import sqlite3
import time

import psutil
import pytest

from digits.runtime.errors import DigitsError, ParamsError
from digits.runtime.progress import count
from digits_cli import sweep
from flows.search import workers
from tests._project import ROOT
from tests.flows._prepared import Prepared

GOOD, BAD = [0.004, 0.005, 0.006, 0.007, 0.008], 1e-9
RATES = ",".join(f"{rate:.12f}".rstrip("0") for rate in (*GOOD, BAD))
GRID = (
    "sweep", "--sampler", "grid", "--space", f"train.rate=[{RATES}]", "--space", "train.ema=[0.5]",
    "--name", "rates",
)  # fmt: skip


@pytest.mark.slow
def test_two_workers_cover_a_grid_the_best_on_validation_wins_and_the_same_command_finds_it_done(tmp_path):
    """One that falls behind is pruned."""
    made = Prepared(tmp_path)
    ended = made.succeed(*GRID, "--workers", "2")
    found = made.json("reports/sweeps/rates.json")
    assert [trial["settings"]["train.rate"] for trial in found["trials"]] == [*GOOD, BAD]
    whole = [trial for trial in found["trials"] if trial["outcome"] == "complete"]
    best = max(whole, key=lambda trial: (trial["accuracy"], -trial["loss"]))
    assert found["winner"] == best["number"] and best["settings"]["train.rate"] != BAD
    last = found["trials"][-1]
    assert last["outcome"] == "pruned" and 0.3 <= last["share"] < 1
    assert "trial 6: pruned" in ended.stdout and ended.stdout.count("complete") >= 4
    spans = [(t["began"], t["began"] + t["seconds"], t["pid"]) for t in found["trials"]]
    assert len({pid for _, _, pid in spans}) == 2
    assert any(a[2] != b[2] and a[0] < b[1] and b[0] < a[1] for a in spans for b in spans), "at one time"
    assert (made.root / "reports" / "sweeps" / "rates.png").exists()
    assert found["command"] in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    again = made.succeed(*GRID)
    assert "6 trials done, 0 to go" in again.stdout
    assert made.json("reports/sweeps/rates.json") == found


RANDOM = (
    "sweep", "--sampler", "random", "--space", "train.rate=log(0.002,0.02)",
    "--trials", "5", "--name", "kept", "--no-prune",
)  # fmt: skip


def trials(made):
    """(number, state, rate) of each trial, as the study's file has them."""
    asked = "select number, state, param_value from trials left join trial_params using (trial_id) order by 1"
    address = f"file:{made.root}/.digits/studies/kept.db?mode=ro"
    with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(address, uri=True) as db:
        return db.execute(asked).fetchall()
    return []


def start_and_wait(made):
    """Start the study and wait until a trial is complete and one runs; its children too."""
    process = made.start(*RANDOM)
    children = set()
    deadline = time.monotonic() + 480
    while time.monotonic() < deadline and process.poll() is None:
        children |= set(psutil.Process(process.pid).children(recursive=True))
        seen = trials(made)
        running = any(state == "RUNNING" and rate for _, state, rate in seen)
        if running and any(state == "COMPLETE" for _, state, _ in seen):
            break
        time.sleep(0.2)
    assert process.poll() is None, "it ended before a trial was seen at work"
    return process, children


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_interrupted_it_says_in_a_line_where_it_goes_on(tmp_path):
    made = Prepared(tmp_path)
    process, _ = start_and_wait(made)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    kept = sum(state == "COMPLETE" for _, state, _ in trials(made))
    assert said.splitlines()[-1] == f"stopped with {kept} of 5 trials done: the same command goes on there"
    assert "not done" not in said
    assert errors == ""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_it_leaves_no_worker_and_goes_on(tmp_path):
    made = Prepared(tmp_path)
    process, children = start_and_wait(made)
    process.kill()
    at_work = [child for child in children if "multiprocessing" in _words(child)]
    assert at_work
    _, left = psutil.wait_procs(at_work, timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # Prefect's embedded server
    process.communicate()
    assert not left
    kept = [row for row in trials(made) if row[1] == "COMPLETE"]
    assert kept

    ended = made.succeed(*RANDOM)
    assert f"{count(len(kept), 'trial')} done, {5 - len(kept)} to go" in ended.stdout
    after = trials(made)
    assert [row for row in after if row in kept] == kept
    whole = [row for row in after if row[1] == "COMPLETE"]
    assert len(whole) == len(made.json("reports/sweeps/kept.json")["trials"]) == 5


def _words(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.slow
def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path):
    made = Prepared(tmp_path)
    ended = made.digits(
        "sweep", "--sampler", "grid", "--space", "train.optimizer=[adamw,sgd]",
        "--space", "train.weight_decay=[0.02]", "--name", "o",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    good, bad = made.json("reports/sweeps/o.json")["trials"]
    assert (good["outcome"], bad["outcome"]) == ("complete", "failed")
    assert "train.weight_decay is 0.02 with the optimizer sgd" in bad["error"]
    assert bad["error"] in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


SPACE = ["--space", "train.rate=[0.1]", "--trials", "2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (SPACE[:2], "needs --trials"),
        ([*SPACE, "--profile", "fats"], "train.profile"),
        (["--space", "empty.yaml", "--trials", "2"], "must hold lines like"),
        (["--space", "nowhere.yaml", "--trials", "2"], "can't be read"),
    ],
)
def test_what_can_not_be_is_told_in_a_line_before_anything_runs(tmp_path, monkeypatch, arguments, said):
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "empty.yaml").touch()
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    sweep.arguments(parser)
    with pytest.raises(ParamsError, match=said) as told:
        sweep.run(parser.parse_args(arguments))
    assert "\n" not in str(told.value)
    assert not (tmp_path / ".digits").exists()


def test_a_space_can_stand_in_a_file(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("train.batch: [64, 128]\ntrain.rate: log(1e-3, 1e-1)\n")
    assert sweep._space([str(path), "train.ema=[0.5]"]) == [
        "train.batch=[64, 128]", "train.rate=log(1e-3, 1e-1)", "train.ema=[0.5]"
    ]  # fmt: skip


def test_a_cluster_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(workers, "ANSWERS", 1.0)
    told = pytest.raises(DigitsError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9")
    with told, workers.pool(1, "tcp://127.0.0.1:9", lambda: None):
        pass
