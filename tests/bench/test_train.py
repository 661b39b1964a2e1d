"""What the training bench runs, keeps and measures around its trainings."""

import sys

import pytest

from bench import account, clocks, records, train
from bench.references import REFERENCES, build, steps
from tests._project import project

ABOUT = {"commit": "abc1234", "quick": False}


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_models_have_the_size_and_steps_that_their_tutorials_give(name):
    parameters = {"S0": 101_770, "S1": 93_322, "S2": 693_962, "S3": 104_938, "S4": 93_322}
    taken = {"S0": 5 * 1875, "S1": 5 * 938, "S2": 10 * 1875, "S3": 25 * 1500, "S4": 5 * 1875}
    assert build(name).count_params() == parameters[name]
    assert steps(name, 60_000) == taken[name]


# --- what is run


def test_every_seed_is_a_round_that_begins_with_the_peak_and_the_baseline():
    jobs = train.plan(("fast", "S0"), (11, 12))
    expected = ["matmul", "S1", "S0", "fast"]
    assert [(job["model"], job["seed"]) for job in jobs[:-1]] == [(m, s) for s in (11, 12) for m in expected]
    assert jobs[-1]["kind"] == "canonicalisation"


def test_what_this_commit_has_trained_is_not_trained_twice():
    jobs = train.plan(("S0", "fast", "sample"), (1, 2))
    assert train.missing(jobs, [job | ABOUT for job in jobs], ABOUT) == []
    done = [job | ABOUT for job in jobs if (job["model"], job["seed"]) != ("S0", 2)]
    left = [(job["model"], job["seed"]) for job in train.missing(jobs, done, ABOUT)]
    assert left == [(model, 2) for model in ("matmul", "S1", "S0")], "a ratio is taken within one run"
    for other in ({"commit": "fed9876"}, {"quick": True}, {"commit": "abc1234+"}):
        assert train.missing(jobs, [job | ABOUT | other for job in jobs], ABOUT) == jobs
    dirty = {"commit": "abc1234+"}
    assert train.missing(jobs, [job | ABOUT | dirty for job in jobs], ABOUT | dirty) == jobs


# --- records


def test_a_run_adds_records_to_the_file_that_say_when_where_and_by_what(tmp_path):
    path = tmp_path / "new" / "raw.jsonl"
    for name in ("one", "two"):
        run = records.Run(path, quick=True)
        run.about["date"] = name
        run.keep({"kind": name})
    first, second = records.read(path)
    assert (first["kind"], second["kind"], first["quick"]) == ("one", "two", True)
    assert first["machine"]["cores"] >= 1 and first["commit"]
    assert [r["kind"] for r in run.records()] == ["two"]


# --- measuring


def test_what_a_process_takes_includes_the_processes_that_it_waited_for():
    hungry = "b = bytearray(200 << 20); sum(range(10**7)); raise SystemExit(3)"
    work = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', '{hungry}']))"
    used = account.run([sys.executable, "-c", work])
    assert used.code == 3 and used.peak_mib > 200 and 0.1 < used.cpu < 10


def test_what_probing_took_is_taken_off():
    ticks = clocks.Ticks()
    ticks.read = [(0.0, 0.0), (1.0, 2.0), (1.5, 2.5), (3.0, 4.0), (5.0, 5.0)]  # two probes
    assert ticks.probing(2) == (0.5 + 2.0, 0.5 + 1.0)


@pytest.mark.exhaustive  # three trainings; the parts are tested above
@pytest.mark.timeout(2400)
def test_the_whole_bench_on_synthetic_digits_and_going_on_with_it(tmp_path):
    made = project(tmp_path)
    command = [sys.executable, "-m", "bench.train", "--quick", "--only", "fast,sample", "--seeds", "1"]
    done = made.run(*command, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert "run 5 of 5: canonicalisation fast, seed 1: " in done.stdout
    assert "figures mean nothing" in done.stdout
    for shown in ("\n| S1 | 1 | ", "\n| fast | 1 | ", "\n| gaussian noise | ", "Canonicalisation"):
        assert shown in done.stdout
    kept = [record["kind"] for record in records.read(made.root / ".bench" / "train.jsonl")]
    assert kept == ["peak", "training", "training", "sample", "canonicalisation"]
