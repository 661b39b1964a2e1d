import contextlib
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from PIL import Image

from digits.runtime import params
from tests._project import ROOT, environment
from tests.flows._prepared import Prepared

GOOD, BAD = [0.004, 0.005, 0.006, 0.007, 0.008], 1e-9


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A grid of five good rates and a bad one, on two workers; what it said."""
    made = Prepared(tmp_path_factory.mktemp("sweep"))
    rates = ",".join(f"{rate:.12f}".rstrip("0") for rate in (*GOOD, BAD))
    ended = made.digits(
        "sweep", "--sampler", "grid", "--space", f"train.rate=[{rates}]", "--space", "train.ema=[0.5]",
        "--name", "rates", "--workers", "2",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return made, ended


@pytest.mark.slow
def test_a_grid_is_covered_and_the_best_on_validation_wins(done):
    made, _ = done
    found = made.json("reports/sweeps/rates.json")
    assert [trial["settings"]["train.rate"] for trial in found["trials"]] == [*GOOD, BAD]
    whole = [trial for trial in found["trials"] if trial["outcome"] == "complete"]
    best = max(whole, key=lambda trial: (trial["accuracy"], -trial["loss"]))
    assert found["winner"] == best["number"]
    assert best["settings"]["train.rate"] != BAD


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_pruned(done):
    made, ended = done
    last = made.json("reports/sweeps/rates.json")["trials"][-1]
    assert last["outcome"] == "pruned"
    assert 0.3 <= last["share"] < 1
    assert "trial 6: pruned" in ended.stdout


@pytest.mark.slow
def test_two_workers_train_at_the_same_time(done):
    made, _ = done
    trials = made.json("reports/sweeps/rates.json")["trials"]
    spans = [(t["began"], t["began"] + t["seconds"], t["pid"]) for t in trials]
    assert len({pid for _, _, pid in spans}) == 2
    assert any(a[2] != b[2] and a[0] < b[1] and b[0] < a[1] for a in spans for b in spans)


@pytest.mark.slow
def test_test_images_are_not_opened(done):
    made, _ = done
    assert (made.root / "data" / "prepared" / "test" / "images.npy").exists()
    assert made.opened() == {"train", "validation"}


@pytest.mark.slow
def test_it_ends_with_a_table_a_picture_and_the_command(done):
    made, ended = done
    with Image.open(made.root / "reports" / "sweeps" / "rates.png") as picture:
        assert picture.width > 300
    command = made.json("reports/sweeps/rates.json")["command"]
    assert command in ended.stdout
    assert ended.stdout.count("complete") >= 4
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.slow
def test_the_same_command_again_finds_it_done(done):
    made, _ = done
    before = made.json("reports/sweeps/rates.json")
    rates = ",".join(f"{rate:.12f}".rstrip("0") for rate in (*GOOD, BAD))
    space = ("--space", f"train.rate=[{rates}]", "--space", "train.ema=[0.5]")
    again = made.digits("sweep", "--sampler", "grid", *space, "--name", "rates")
    assert again.returncode == 0, again.stderr
    assert "6 trials are done, 0 to go" in again.stdout
    assert made.json("reports/sweeps/rates.json") == before


@pytest.mark.slow
def test_the_command_puts_the_winner_into_params(done, tmp_path):
    made, _ = done
    found = made.json("reports/sweeps/rates.json")
    best = next(trial for trial in found["trials"] if trial["number"] == found["winner"])
    project = environment(tmp_path)

    def ok(*command):
        subprocess.run(command, cwd=tmp_path / "p", env=project, check=True, capture_output=True)

    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "params.yaml").write_text((made.root / "params.yaml").read_text())
    stage = {"cmd": "cp params.yaml used.yaml", "params": ["train"], "outs": ["used.yaml"]}
    (tmp_path / "p" / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    ok("git", "init", "-q")
    ok(sys.executable, "-m", "dvc", "init", "-q")
    ok("git", "add", "-A")
    ok("git", "commit", "-qm", "start")
    ok(sys.executable, "-m", *shlex.split(found["command"]))
    used = params.load("train", tmp_path / "p" / "used.yaml")
    assert used.rate == best["settings"]["train.rate"]
    assert used.ema == 0.5
    assert used.batch == 60


RANDOM = (
    "sweep", "--sampler", "random", "--space", "train.rate=log(0.002,0.02)",
    "--trials", "5", "--name", "kept", "--no-prune",
)  # fmt: skip


def trials(made):
    """(number, state, rate) of each trial, as the study's file has them."""
    path = made.root / ".digits" / "studies" / "kept.db"
    with (
        contextlib.suppress(sqlite3.OperationalError),
        sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db,
    ):
        return db.execute(
            "select number, state, param_value from trials left join trial_params using (trial_id) order by 1"
        ).fetchall()
    return []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_it_leaves_no_worker_and_goes_on(tmp_path):
    made = Prepared(tmp_path)
    process = made.start(*RANDOM)
    children = set()
    deadline = time.monotonic() + 480
    while time.monotonic() < deadline and process.poll() is None:
        children |= set(psutil.Process(process.pid).children(recursive=True))
        seen = trials(made)
        at_work = any(state == "RUNNING" and rate for _, state, rate in seen)
        if at_work and any(state == "COMPLETE" for _, state, _ in seen):
            break
        time.sleep(0.2)
    process.kill()
    workers = [child for child in children if "multiprocessing" in _words(child)]
    assert workers
    _, left = psutil.wait_procs(workers, timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # Prefect's embedded server
    process.communicate()
    assert not left
    before = trials(made)
    kept = [row for row in before if row[1] == "COMPLETE"]
    # a trial killed before it drew its rate has none, and leaves nothing to try again
    broken = [rate for _, state, rate in before if state == "RUNNING" and rate is not None]
    assert kept
    assert broken

    ended = made.digits(*RANDOM)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{len(kept)} trials are done, {5 - len(kept)} to go" in ended.stdout
    after = trials(made)
    assert [row for row in after if row in kept] == kept
    whole = [rate for _, state, rate in after if state == "COMPLETE"]
    assert len(whole) == 5
    assert set(broken) <= set(whole)
    found = made.json("reports/sweeps/kept.json")
    assert len(found["trials"]) == 5


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--space", "train.rat=[0.1]", "--trials", "2"], "did you mean 'rate'"),
        (["--space", "train.rate=log(0.1,1)", "--sampler", "grid"], "a grid needs choices"),
        (["--space", "train.rate=[0.1]"], "needs --trials"),
        (["--space", "train.rate=[0.1]", "--trials", "2", "--profile", "fats"], "train.profile"),
        (["--space", "empty.yaml", "--trials", "2"], "must hold lines like"),
        (["--space", "nowhere.yaml", "--trials", "2"], "can't be read"),
    ],
)
def test_what_can_not_be_is_told_in_a_line_before_anything_runs(tmp_path, arguments, said):
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "empty.yaml").touch()
    env = environment(tmp_path) | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    ended = subprocess.run(
        [sys.executable, "-m", "digits_cli", "sweep", *arguments],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == params.ParamsError.exit_code, ended.stderr
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / ".digits").exists()


def test_a_space_can_stand_in_a_file(tmp_path):
    from digits_cli import sweep

    path = tmp_path / "space.yaml"
    path.write_text("train.batch: [64, 128]\ntrain.rate: log(1e-3, 1e-1)\n")
    assert sweep._space([str(path), "train.ema=[0.5]"]) == [
        "train.batch=[64, 128]", "train.rate=log(1e-3, 1e-1)", "train.ema=[0.5]"
    ]  # fmt: skip


def test_a_cluster_that_does_not_answer_is_told():
    from digits.runtime.errors import DigitsError
    from flows.search import workers

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(DigitsError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
    ):
        patch.setattr(workers, "ANSWERS", 1.0)
        with workers.pool(1, "tcp://127.0.0.1:9", lambda: None):
            pass
