"""The bench's own logic on made-up records; what it measures is measured by running it."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from bench import account, figures, one, pipeline, table, train
from bench.references import REFERENCES, build, steps
from bench.targets import targets
from digits.errors import DigitsError

from ._project import project

NAMES = ("shift", "inverted", "dim", "bright", "low_contrast", "line")
HEADER = {
    "kind": "header",
    "code": "c0de",
    "commit": "abc1234",
    "dirty": False,
    "date": "2026-01-31",
    "command": "python -m bench.train",
    "quick": False,
    "machine": {
        "cpu": "A CPU",
        "cores": 2,
        "bf16": True,
        "memory_gib": 24.0,
        "load": 0.1,
        "software": "Python 3.11, tensorflow 2.21",
    },
}


def training(model, seed, wall, accuracy, *, part="full", line=0.8, harmed=0.001, **more):
    corruptions = {name: accuracy - harmed for name in NAMES} | {"line": line}
    return {
        "kind": "training",
        "part": part,
        "model": model,
        "seed": seed,
        "parameters": 93_322,
        "steps": 4690,
        "batch": 64,
        "n": 60_000,
        "wall": wall,
        "cpu": 2 * wall,
        "device": "CPU",
        "accuracy": accuracy,
        "corruptions": corruptions,
        **more,
    }


def ours(model, seed, wall, accuracy, **more):
    curve = [
        {"step": s, "seconds": t, "accuracy": a}
        for s, t, a in [(10, 5, 0.97), (20, 9, 0.985), (99, 40, 0.995)]
    ]
    return training(model, seed, wall, accuracy, **{"curve": curve, "validation_accuracy": 0.995} | more)


def on_sample(seed, heldout, **more):
    extra = {
        "accuracy": 0.992,
        "wall": 100,
        "part": "sample",
        "heldout_accuracy": heldout,
        "gate_accuracy": 0.98,
        "gate_passed": heldout >= 0.98,
        "gate_reasons": "" if heldout >= 0.98 else "too few right",
        "n_validation": 333,
        "n_heldout": 1000,
    }
    return ours("fast", seed, 0, 0.0) | extra | more


def everything():
    return [
        HEADER,
        training("S1", 1, 50, 0.99),
        ours("speedrun", 1, 40, 0.9955),
        ours("fast", 1, 60, 0.996),
        training("S0", 1, 30, 0.975),
        training("S1", 2, 100, 0.991),
        ours("speedrun", 2, 100, 0.9957),
        ours("fast", 2, 120, 0.995),
        training("S1", 3, 52, 0.992),
        ours("speedrun", 3, 42, 0.9956),
        ours("fast", 3, 65, 0.9955),
        *(on_sample(seed, 0.985 + seed / 1000) for seed in range(1, 6)),
        {
            "kind": "canonicalisation",
            "part": "canonicalisation",
            "model": "fast",
            "seed": 1,
            "batch": 32,
            "pairs": 50,
        }
        | {"ms_per_image": 0.05, "with_ms": 0.15, "without_ms": 0.1},
        *(
            {"kind": "stage", "stage": stage, "wall": 5.0, "cpu": 8.0, "peak_mib": 900.0}
            for stage in ("ingest", "validate", "preprocess", "train", "evaluate", "export")
        ),
        {"kind": "repro", "wall": 90.0, "dvc_cpu": 3.0, "noop": [1.9, 2.0, 9.0, 2.1, 1.8]},
    ]


def target(records, text):
    (found,) = [t for t in targets(records) if text in t.what]
    return found


def replaced(records, **changes):
    """The records, those of (model, seed=1, full) changed."""
    model = changes.pop("model")
    return [
        r | changes if r.get("model") == model and r["seed"] == 1 and r["part"] == "full" else r
        for r in records
    ]


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_models_have_the_size_and_steps_that_their_tutorials_give(name):
    parameters = {"S0": 101_770, "S1": 93_322, "S2": 693_962, "S3": 104_938, "S4": 93_322}
    taken = {"S0": 5 * 1875, "S1": 5 * 938, "S2": 10 * 1875, "S3": 25 * 1500, "S4": 5 * 1875}
    assert build(name).count_params() == parameters[name]
    assert steps(name, 60_000) == taken[name]


def test_ratios_are_taken_within_a_round_and_their_median_counts():
    assert figures.ratios(everything(), "speedrun", "wall") == [0.8, 1.0, pytest.approx(42 / 52)]
    assert target(everything(), "`speedrun`: wall").measured == pytest.approx(42 / 52)


def test_a_round_without_its_yardstick_gives_no_ratio():
    records = [r for r in everything() if (r.get("model"), r.get("seed")) != ("S1", 2)]
    assert len(figures.ratios(records, "fast", "wall")) == 2


def test_accuracy_over_time_is_the_last_score_before_that_moment():
    curve = [{"seconds": 5, "accuracy": 0.97}, {"seconds": 9, "accuracy": 0.985}]
    assert figures.reached(curve, 4.9) is None
    assert figures.reached(curve, 5) == 0.97
    assert figures.reached(curve, 100) == 0.985
    assert (
        figures.over_time(everything(), "speedrun", 0.2) == [0.985] * 3
    )  # S1's median wall is 52 s: at 10.4 s


def test_a_training_that_has_no_score_in_time_fails_that_target():
    late = [{"step": 1, "seconds": 20, "accuracy": 0.99}]
    assert target(replaced(everything(), model="speedrun", curve=late), "0.2 × S1").met is False


def test_a_good_run_meets_every_target_that_it_measured():
    found = targets(everything())
    assert {t.what: t.met for t in found if t.met is False} == {}
    assert [t.what for t in found if t.measured is None] == ["cold `make run` on the sample"]


@pytest.mark.parametrize(
    "text, change",
    [
        ("`speedrun`: mean test", {"model": "speedrun", "accuracy": 0.99}),
        ("`fast`: mean test", {"model": "fast", "accuracy": 0.98}),
        ("worst corruption", {"model": "fast", "corruptions": dict.fromkeys(NAMES, 0.99) | {"line": 0.74}}),
        ("mean over the", {"model": "fast", "corruptions": dict.fromkeys(NAMES, 0.8)}),
        ("points lost", {"model": "fast", "corruptions": dict.fromkeys(NAMES, 0.9929)}),
    ],
)
def test_each_target_notices_a_miss_in_one_seed(text, change):
    assert target(everything(), text).met
    assert target(replaced(everything(), **change), text).met is False


@pytest.mark.parametrize(
    "text, record",
    [
        ("held-out images", on_sample(6, 0.982)),
        ("whole gate", on_sample(6, 0.99, gate_passed=False)),
        ("real test images", on_sample(6, 0.99, accuracy=0.9899)),
        ("wall time of fit, longest", on_sample(6, 0.99, wall=181)),
        ("peak memory", {"kind": "stage", "stage": "train", "wall": 1, "cpu": 1, "peak_mib": 2049}),
        ("cold", {"kind": "cold", "wall": 361, "cpu": 1, "sample": True}),
    ],
)
def test_one_bad_record_is_enough_where_the_worst_counts(text, record):
    assert target([*everything(), record], text).met is False


def test_light_stages_count_together_without_train_and_only_when_all_were_measured():
    def slow(stage, cpu):
        return [r | {"cpu": cpu} if r.get("stage") == stage else r for r in everything()]

    assert target(slow("train", 1000.0), "besides train").measured == 40.0
    assert target(slow("export", 60.0), "besides train").met is False
    partly = [r for r in everything() if r.get("stage") != "export"]
    assert target(partly, "besides train").measured is None


def test_targets_for_cpus_with_bfloat16_are_only_reported_elsewhere():
    plain = [HEADER | {"machine": HEADER["machine"] | {"bf16": False}}, *everything()[1:]]
    text = table.document(replaced(plain, model="speedrun", accuracy=0.9))
    assert "reported (the target is for a CPU with bfloat16)" in text
    assert "**not met**" not in text


def test_the_document_shows_every_part_and_owns_up_to_a_miss():
    text = table.document(everything())
    for expected in (
        "A CPU, 2 cores, 24 GiB",
        "`abc1234`",
        "2026-01-31",
        "| low contrast |",
        "| S0 | 93,322 |",
    ):
        assert expected in text
    assert "**not met**" not in text
    missed = table.document(replaced(everything(), model="fast", accuracy=0.98))
    assert missed.count("**not met**") == 1
    assert "not committed" in table.document([HEADER | {"dirty": True}, *everything()[1:]])


def test_every_table_row_has_as_many_cells_as_its_head():
    for block in table.document(everything()).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count(" | ") for line in block.splitlines()}) == 1, block


@pytest.mark.parametrize("kept", [set(), {"training"}, {"stage", "repro"}])
def test_what_was_left_out_is_said_not_guessed(kept):
    records = [HEADER, *(r for r in everything() if r["kind"] in kept)]
    text = table.document(records)
    assert "not measured in this run" in text
    assert "nan" not in text.lower().split()


def test_a_round_holds_the_yardstick_and_ours_then_the_other_references():
    jobs = train.plan(("references", "profiles"), seeds=2, reference_seeds=1, sample_seeds=5)
    order = [(job["model"], job["seed"]) for job in jobs if job["part"] == "full"]
    first = [(name, 1) for name in ("S1", "speedrun", "fast", "S0", "S2", "S3", "S4")]
    assert order == first + [(name, 2) for name in ("S1", "speedrun", "fast")]


def test_seeds_can_be_ones_that_no_choice_was_made_by():
    jobs = train.plan(
        ("references", "profiles", "sample"), seeds=2, reference_seeds=1, sample_seeds=2, first_seed=11
    )
    assert {job["seed"] for job in jobs if job["part"] != "canonicalisation"} == {11, 12}


def test_only_what_is_missing_is_done_again():
    jobs = train.plan(("references", "profiles", "sample"), seeds=3, reference_seeds=1, sample_seeds=5)
    left = train.missing(jobs, everything())
    assert [(job["model"], job["part"]) for job in left] == [("S2", "full"), ("S3", "full"), ("S4", "full")]


def test_going_on_with_other_code_is_refused(tmp_path, capsys):
    raw = tmp_path / "results.jsonl"
    raw.write_text(json.dumps(HEADER) + "\n")
    assert train.main(["--continue", "--raw", str(raw), "--only", "references"]) == 3
    assert "other code" in capsys.readouterr().err
    assert raw.read_text() == json.dumps(HEADER) + "\n"


def test_without_the_full_data_set_it_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DIGITS_MIRROR", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the public sources must not answer
    assert train.main(["--raw", str(tmp_path / "raw.jsonl"), "--only", "references", "--quick"]) != 0
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
        [sys.executable, "-m", "bench.shim", str(log), "-m", "digits.stages.ingest", "--nonsense"],
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
    ticks = one.Ticks()
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
    ticks = one.Ticks()
    ticks()
    assert ticks.probing(0) == (0, 0)


def test_probes_are_dense_at_first_and_end_with_the_last_step():
    steps = one.probe_steps(1000)
    assert steps == sorted(set(steps))
    assert steps[0] == 25 and steps[-1] == 1000
    assert sum(step <= 250 for step in steps) > len(steps) / 2
    assert one.probe_steps(3) == [1, 2, 3]


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


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_whole_bench_on_synthetic_digits_and_going_on_with_it(tmp_path):
    made = project(tmp_path)
    command = [sys.executable, "-m", "bench.train", "--quick", "--only", "references,profiles,sample"]
    command += ["--seeds", "1", "--reference-seeds", "0", "--sample-seeds", "1"]
    done = made.run(*command, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert "run 5 of 5: fast seed 1, canonicalisation: " in done.stdout
    text = (made.root / ".bench" / "results.md").read_text()
    assert "figures mean nothing" in text
    for shown in ("S1", "`speedrun`", "`fast`"):
        assert f"\n| {shown} | " in text

    raw = made.root / ".bench" / "results.jsonl"
    lines = raw.read_text().splitlines()
    raw.write_text("\n".join(lines[:-2]) + "\n" + lines[-2][:40])  # as a killed run leaves it
    again = made.run(*command, "--continue")
    assert again.returncode == 0, again.stderr
    assert [line.split("] ")[1][:12] for line in again.stdout.splitlines() if " …" in line] == [
        "run 4 of 5: ",
        "run 5 of 5: ",
    ]
    assert len(raw.read_text().splitlines()) == len(lines)


def test_the_front_page_gets_its_table_between_the_marks():
    from bench import front

    records = [
        {"kind": "header", "commit": "abc", "machine": {"cores": 2, "cpu": "a CPU"}},
        *(
            {"kind": "training", "part": "full", "model": m, "seed": s, "accuracy": a, "wall": w}
            | {"corruptions": {"blur": a - 0.01, "hole": a - 0.03}}
            for m, s, a, w in [("S1", 1, 0.99, 50.0), ("fast", 1, 0.995, 60.0), ("fast", 2, 0.997, 40.0)]
        ),
    ]
    before = f"# x\n{front.BEGIN}old\n{front.END}\nrest\n"
    page = front.page(before, records)
    assert page.startswith("# x\n") and page.endswith("rest\n") and "old" not in page
    assert "99.60 ± 0.14 %, n = 2" in page and "commit `abc`" in page
    assert front.page(page, records) == page
