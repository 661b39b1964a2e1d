"""What the training bench runs, keeps and measures around its trainings."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from bench import account, clocks, pipeline, recipes, records, train
from bench.references import REFERENCES, build, steps
from digits.runtime.errors import DataError, DigitsError
from digits.train import profiles
from tests._project import project

ABOUT = {"commit": "abc1234", "quick": False}


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_models_have_the_size_and_steps_that_their_tutorials_give(name):
    parameters = {"S0": 101_770, "S1": 93_322, "S2": 693_962, "S3": 104_938, "S4": 93_322}
    taken = {"S0": 5 * 1875, "S1": 5 * 938, "S2": 10 * 1875, "S3": 25 * 1500, "S4": 5 * 1875}
    assert build(name).count_params() == parameters[name]
    assert steps(name, 60_000) == taken[name]


# --- what is run


def test_every_model_is_a_tutorials_or_a_profile():
    assert set(train.OURS) <= set(profiles.PROFILES) and "fast" in train.OURS
    assert not set(train.OURS) & set(REFERENCES)
    for name in (*train.OURS, *train.VARIANTS):
        assert recipes.params_of(name, 1).profile == name.removesuffix("-plain")


def test_a_profile_is_benched_as_it_stands():
    section = recipes.params_of("fast", 7)
    assert (section.profile, section.seed, section.steps, section.augmentation.shift) == (
        "fast",
        7,
        None,
        None,
    )


def test_every_seed_is_a_round_that_begins_with_the_peak_and_the_baseline():
    jobs = train.plan(("fast", "S0"), (11, 12))
    expected = ["matmul", "S1", "S0", "fast"]
    assert [(job["model"], job["seed"]) for job in jobs[:-1]] == [(m, s) for s in (11, 12) for m in expected]
    assert jobs[-1]["kind"] == "canonicalisation"


def test_the_sample_needs_no_round():
    assert [(job["kind"], job["seed"]) for job in train.plan(("sample",), (1, 2))] == [
        ("sample", 1),
        ("sample", 2),
    ]
    assert train.plan(("pipeline",), (1,)) == []


def test_what_this_commit_has_trained_is_not_trained_twice():
    jobs = train.plan(("S0", "fast", "sample"), (1, 2))
    assert train.missing(jobs, [job | ABOUT for job in jobs], ABOUT) == []
    done = [job | ABOUT for job in jobs if (job["model"], job["seed"]) != ("S0", 2)]
    left = train.missing(jobs, done, ABOUT)
    assert [(job["model"], job["seed"]) for job in left] == [("matmul", 2), ("S1", 2), ("S0", 2)], (
        "a ratio is taken within one run"
    )


@pytest.mark.parametrize("other", [{"commit": "fed9876"}, {"quick": True}, {"commit": "abc1234+"}])
def test_what_other_code_or_a_trial_has_trained_counts_for_nothing(other):
    jobs = train.plan(("fast",), (1,))
    assert train.missing(jobs, [job | ABOUT | other for job in jobs], ABOUT) == jobs
    assert train.missing(jobs, [job | ABOUT | other for job in jobs], ABOUT | {"commit": "abc1234+"}) == jobs


# --- records


def test_a_record_says_when_where_and_by_what_it_was_made(tmp_path):
    run = records.Run(tmp_path / "new" / "raw.jsonl", quick=True)
    run.keep({"kind": "peak"}, {"kind": "training"})
    first, second = map(json.loads, run.path.read_text().splitlines())
    assert (first["kind"], second["kind"], first["quick"]) == ("peak", "training", True)
    assert first["machine"]["cores"] >= 1 and first["commit"] and first["date"] == second["date"]


def test_another_run_adds_its_records_to_the_file(tmp_path):
    path = tmp_path / "raw.jsonl"
    for name in ("one", "two"):
        run = records.Run(path)
        run.about["date"] = name
        run.keep({"kind": name})
    assert [r["kind"] for r in records.read(path)] == ["one", "two"]
    assert [r["kind"] for r in run.records()] == ["two"]
    assert records.read(tmp_path / "none") == []


def test_a_line_that_is_no_record_is_named(tmp_path):
    (tmp_path / "raw.jsonl").write_text('{"kind": "peak"}\n{"kind": "tra')
    with pytest.raises(DataError, match=r"raw.jsonl, line 2 is no record"):
        records.read(tmp_path / "raw.jsonl")


# --- the command


def test_without_the_full_data_set_it_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DIGITS_MIRROR", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the public sources must not answer
    assert train.main(["--out", str(tmp_path / "raw.jsonl"), "--only", "S0", "--quick"]) != 0
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "no source gave mnist" in said


def test_an_unknown_part_is_named(capsys):
    with pytest.raises(SystemExit):
        train.main(["--only", "profile"])
    assert "unknown part 'profile'" in capsys.readouterr().err


def test_what_a_process_takes_includes_the_processes_that_it_waited_for():
    hungry = "b = bytearray(200 << 20); sum(range(10**7))"
    work = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{hungry}'])"
    used = account.run([sys.executable, "-c", work])
    assert used.code == 0
    assert used.peak_mib > 200
    assert 0.1 < used.cpu < 10
    assert account.run([sys.executable, "-c", "raise SystemExit(3)"]).code == 3


def test_the_stand_in_for_python_measures_a_stage_and_passes_its_exit_code_on(tmp_path):
    log = tmp_path / "stages.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "bench.account", str(log), "-m", "digits.ingest.stage", "--nonsense"],
        capture_output=True,
        cwd=train.ROOT,
        check=False,
    )
    assert done.returncode == 2
    record = json.loads(log.read_text())
    assert record["stage"] == "ingest"
    assert record["cpu"] > 0


@pytest.mark.parametrize("readings", [2, 3])
def test_what_probing_took_is_taken_off(readings):
    ticks = clocks.Ticks()
    ticks()
    for _ in range(2):
        time.sleep(0.05)  # training
        for _ in range(readings - 1):
            ticks()
        time.sleep(0.1)  # probing
        ticks()
    wall, cpu = ticks.probing(2)
    assert 0.2 <= wall < 0.3
    assert 0 <= cpu < 0.1


def test_nothing_is_taken_off_where_nothing_was_probed():
    ticks = clocks.Ticks()
    ticks()
    assert ticks.probing(0) == (0, 0)


def test_probes_are_dense_at_first_and_end_with_the_last_step():
    steps = clocks.probe_steps(1000)
    assert steps == sorted(set(steps))
    assert steps[0] == 25 and steps[-1] == 1000
    assert sum(step <= 250 for step in steps) > len(steps) / 2
    assert clocks.probe_steps(3) == [1, 2, 3]


STAGES = """
stages:
  first:
    cmd: python -m work make.txt
    deps: [work.py]
    outs: [make.txt]
  second:
    cmd: python -m work more.txt
    deps: [make.txt]
    outs: [more.txt]
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A repository with a graph of two stages, under a Git of its own."""
    root = tmp_path / "small"
    shutil.copytree(train.ROOT / "bench", root / "bench")
    shutil.copytree(train.ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (root / "dvc.yaml").write_text(STAGES)
    (root / "work.py").write_text("import pathlib, sys\npathlib.Path(sys.argv[1]).write_text('made')\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setattr(pipeline, "IDLE_RUNS", 2)
    return root


@pytest.mark.slow
def test_a_pipeline_is_measured_in_a_copy_stage_by_stage(small, tmp_path):
    said = []
    records = pipeline.measure(small, tmp_path / "log", said.append)
    assert [r["kind"] for r in records] == ["stage", "stage", "repro"]
    assert all(0 < r["cpu"] < 10 and r["peak_mib"] > 1 for r in records[:2])
    assert len(records[2]["noop"]) == 2
    assert not (small / "make.txt").exists()
    assert said[-1].endswith("2 of 2")


def test_a_pipeline_that_fails_is_told_with_its_log(small, tmp_path):
    (small / "work.py").write_text("raise SystemExit('broken')\n")
    with pytest.raises(DigitsError, match="ended with"):
        pipeline.measure(small, tmp_path / "log", print)
    assert "broken" in (tmp_path / "log").read_text()


@pytest.mark.exhaustive  # two trainings and a pipeline; the parts are tested above
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
    lines = (made.root / ".bench" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == [
        *("peak", "training", "training", "sample", "canonicalisation")
    ]
