"""The bench's own logic on made-up records; what it measures is measured by running it."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from bench import account, clocks, document, figures, pipeline, profile_targets, train
from bench.references import REFERENCES, build, steps
from bench.targets import targets
from digits.errors import DigitsError

from ._project import project

NAMES = ("shift", "inverted", "dim", "bright", "low_contrast", "line")
MADE = {"session": 1, "commit": "abc1234", "dirty": False, "date": "2026-01-31", "code": "c0de"}
MACHINE = {
    "cpu": "A CPU",
    "cores": 2,
    "bf16": True,
    "memory_gib": 24.0,
    "load": 0.1,
    "software": "Python 3.11, tensorflow 2.21",
}
SESSION = {"kind": "session", "session": 1, "command": "python -m bench.train", "quick": False}
SESSION |= {"machine": MACHINE}


def training(model, seed, wall, accuracy, *, part="full", line=0.8, harmed=0.001, **more):
    corruptions = {name: accuracy - harmed for name in NAMES} | {"line": line}
    return {
        **MADE,
        "kind": "training",
        "part": part,
        "model": model,
        "seed": seed,
        "round": str(seed),
        "parameters": 93_322,
        "forward_flop": 5_588_480,
        "flop": 5e9 * wall,
        "precision": "float32",
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
    both = {"us": 500.0, "yardstick_us": 400.0, "ratio": 1.25}
    found = {"curve": curve, "validation_accuracy": 0.995, "precision": "bfloat16"}
    found |= {"calibration_error": 0.002, "temperature": 1.1, "saved_bytes": 700_000}
    found |= {"latency": {threads: {"1": both, "32": both} for threads in ("one", "all")}}
    found |= {"mnist_c": {"fog": 0.97, "zigzag": 0.98}}
    return training(model, seed, wall, accuracy, **found | more)


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
    measured = [
        training("S1", 1, 50, 0.99),
        ours("speedrun", 1, 40, 0.9965),
        ours("fast", 1, 60, 0.996),
        training("S0", 1, 30, 0.975),
        training("S1", 2, 100, 0.991),
        ours("speedrun", 2, 80, 0.9967),
        ours("fast", 2, 120, 0.995),
        training("S1", 3, 52, 0.992),
        ours("speedrun", 3, 40, 0.9966),
        ours("fast", 3, 62, 0.9957),
        training("S1", 4, 50, 0.992),
        ours("speedrun", 4, 40, 0.9966),
        training("S1", 5, 50, 0.992),
        ours("speedrun", 5, 40, 0.9966),
        *(ours("standard", seed, 200, 0.9975) for seed in (1, 2, 3)),
        *(ours("full", seed, 1400, 0.9985) for seed in (1, 2, 3)),
        *(ours("robust", seed, 100, 0.996) for seed in (1, 2, 3)),
        *(ours("tiny", seed, 200, 0.994) | {"parameters": 9144} for seed in (1, 2, 3)),
        *(on_sample(seed, 0.985 + seed / 1000) for seed in range(1, 6)),
        {"kind": "peak", "part": "peak", "model": "matmul", "seed": 1, "round": "1"}
        | {"gflops": {"float32": 200.0, "bfloat16": 400.0}},
        {"kind": "peak", "part": "peak", "model": "matmul", "seed": 2, "round": "2"}
        | {"gflops": {"float32": 100.0, "bfloat16": 500.0}},
        {"kind": "canonicalisation", "part": "canonicalisation", "model": "fast", "seed": 1}
        | {"round": "canonicalisation", "batch": 32, "pairs": 50}
        | {"ms_per_image": 0.05, "with_ms": 0.15, "without_ms": 0.1},
        {"kind": "compression", "part": "compression", "model": "tiny", "seed": 1, "round": "compression"}
        | {"accuracy": 0.994, "validation_accuracy": 0.993, "files": [TFLITE]},
        *(
            {"kind": "stage", "stage": stage, "wall": 5.0, "cpu": 8.0, "peak_mib": 900.0}
            for stage in ("ingest", "validate", "preprocess", "train", "evaluate", "export", "convert")
        ),
        {"kind": "repro", "wall": 90.0, "dvc_cpu": 3.0, "noop": [1.9, 2.0, 9.0, 2.1, 1.8]},
    ]
    return [SESSION, *(MADE | record for record in measured)]


TFLITE = {"format": "int8", "normalizes": False, "bytes": 15_480, "gzip_bytes": 11_627}
TFLITE |= {"validation_accuracy": 0.993, "accuracy": 0.9937, "agreement": 0.9991, "us": 7.0, "ratio": 0.61}


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
    assert figures.ratios(everything(), "fast", "wall") == [1.2, 1.2, pytest.approx(62 / 52)]
    assert target(everything(), "`fast`: wall").measured == 1.2


def test_a_ratio_is_never_taken_across_sessions_but_to_the_yardstick_timed_again():
    later = [
        r | {"session": 2} if (r.get("model"), r.get("seed")) == ("fast", 2) else r for r in everything()
    ]
    assert len(figures.ratios(later, "fast", "wall")) == 2
    again = training("S1", 2, 240, 0.5, part="yardstick") | {"session": 2}
    assert figures.ratios([*later, again], "fast", "wall")[1] == 0.5
    assert len(figures.trainings([*later, again], "S1")) == 5, "a yardstick that is only timed is not scored"


def test_a_round_without_its_yardstick_gives_no_ratio():
    records = [r for r in everything() if (r.get("model"), r.get("seed")) != ("S1", 2)]
    assert len(figures.ratios(records, "fast", "wall")) == 2


def test_accuracy_over_time_is_the_last_score_before_that_moment():
    curve = [{"seconds": 5, "accuracy": 0.97}, {"seconds": 9, "accuracy": 0.985}]
    assert figures.reached(curve, 4.9) is None
    assert figures.reached(curve, 5) == 0.97
    assert figures.reached(curve, 100) == 0.985
    assert figures.over_time(everything(), "speedrun", 0.2) == [0.985] * 5
    assert figures.over_time(everything(), "speedrun", 0.1)[:2] == [0.97, 0.985], "5 and 10 s: their own S1's"


def test_a_training_that_has_no_score_in_time_fails_that_target():
    late = [{"step": 1, "seconds": 20, "accuracy": 0.99}]
    assert target(replaced(everything(), model="speedrun", curve=late), "0.2 × S1").met is False


def test_a_good_run_meets_every_target_that_it_measured():
    found = targets(everything())
    assert {t.what: t.met for t in found if t.met is False} == {}
    assert [t.what for t in found if t.measured is None] == ["cold `make run` on the sample"]
    assert not [t.what for t in found if t.only_reported]


@pytest.mark.parametrize(
    "text, change",
    [
        ("`speedrun`: mean test", {"model": "speedrun", "accuracy": 0.99}),
        ("`fast`: mean test", {"model": "fast", "accuracy": 0.98}),
        ("worst corruption", {"model": "fast", "corruptions": dict.fromkeys(NAMES, 0.99) | {"line": 0.74}}),
        ("mean over the", {"model": "fast", "corruptions": dict.fromkeys(NAMES, 0.8)}),
        ("`fast`: points lost", {"model": "fast", "corruptions": dict.fromkeys(NAMES, 0.9929)}),
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
    assert target([*everything(), MADE | record], text).met is False


def test_light_stages_count_together_without_train_and_only_when_all_were_measured():
    def slow(stage, cpu):
        return [r | {"cpu": cpu} if r.get("stage") == stage else r for r in everything()]

    assert target(slow("train", 1000.0), "besides train").measured == 48.0
    assert target(slow("export", 60.0), "besides train").met is False
    partly = [r for r in everything() if r.get("stage") != "export"]
    assert target(partly, "besides train").measured is None


def test_targets_for_cpus_with_bfloat16_are_only_reported_elsewhere():
    plain = [SESSION | {"machine": MACHINE | {"bf16": False}}, *everything()[1:]]
    text = document.document(replaced(plain, model="speedrun", accuracy=0.9))
    assert "reported (the target is for a CPU with bfloat16)" in text
    assert "**not met**" not in text


def test_the_document_shows_every_part_and_owns_up_to_a_miss():
    text = document.document(everything())
    for expected in (
        "A CPU, 2 cores, 24 GiB",
        "| 1 | 2026-01-31 | `abc1234` |",
        "float32 200 GFLOP/s, bfloat16 500 GFLOP/s",
        "| low contrast |",
        "| zigzag |",
        "| S0 | 93,322 |",
        "| `tiny` | before | int8 | 15,480 | 11,627 | 99.30 | 99.37 | 99.91 | 7 | 0.61 |",
    ):
        assert expected in text
    assert "**not met**" not in text
    missed = document.document(replaced(everything(), model="fast", accuracy=0.98))
    assert missed.count("**not met**") == 1
    changed = [r | {"dirty": True} if r.get("model") == "fast" else r for r in everything()]
    assert "not committed" in document.document(changed)


def test_every_table_row_has_as_many_cells_as_its_head():
    for block in document.document(everything()).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count(" | ") for line in block.splitlines()}) == 1, block


@pytest.mark.parametrize("kept", [set(), {"training"}, {"stage", "repro"}])
def test_what_was_left_out_is_said_not_guessed(kept):
    records = [SESSION, *(r for r in everything() if r["kind"] in kept)]
    text = document.document(records)
    assert "not measured in this run" in text
    assert "nan" not in text.lower().split()


def test_targets_of_a_profile_appear_once_it_exists_or_was_measured(monkeypatch):
    monkeypatch.setattr(profile_targets, "OURS", ("speedrun", "fast"))
    without = [r for r in everything() if r.get("model") != "full"]
    assert not [t for t in targets(without) if "`full`" in t.what]
    full = [*without, ours("full", 1, 1400, 0.9979)]
    assert target(full, "`full`: mean test").met is False
    assert target(full, "`full`: wall").measured == 28


def test_a_mean_over_too_few_seeds_is_only_reported():
    few = [r for r in everything() if r.get("seed") != 5]
    assert "5 seeds or more" in target(few, "`speedrun`: mean").only_reported
    assert "reported (the target is for 5 seeds" in document.document(few)


def test_confidences_that_are_off_fail_the_target_of_calibration():
    dishonest = replaced(everything(), model="fast", calibration_error=0.02)
    assert target(dishonest, "`fast`: expected calibration").met is False


def test_speed_is_held_against_the_fastest_product_of_any_round_on_the_same_cpu():
    assert figures.speed(everything(), "fast") == (5.0, pytest.approx(5 / 500))
    assert figures.speed(everything(), "S1") == (5.0, pytest.approx(5 / 200))
    other = SESSION | {"session": 2, "machine": MACHINE | {"cpu": "B"}}
    records = [*everything(), other, training("S4", 1, 50, 0.99, session=2)]
    assert figures.speed(records, "S4") == (5.0, None)


def test_a_run_of_several_sessions_lists_the_commits_of_each():
    later = SESSION | {"session": 2, "command": "python -m bench.train --continue"}
    made = {"session": 2, "commit": "fed9876", "date": "2026-02-01"}
    text = document.document([*everything(), later, ours("fast", 4, 60, 0.995) | made])
    assert "| 1 | 2026-01-31 | `abc1234` | `python -m bench.train` | 0.1 | 31 |" in text
    assert "| 2 | 2026-02-01 | `fed9876` | `python -m bench.train --continue` | 0.1 | 1 |" in text


def test_without_mnist_c_its_section_is_left_out_and_its_targets_are_not_measured():
    records = [{k: v for k, v in r.items() if k != "mnist_c"} for r in everything()]
    assert "## MNIST-C" in document.document(everything())
    assert "## MNIST-C" not in document.document(records)
    assert target(records, "`fast`: mean over MNIST-C").measured is None


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


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_whole_bench_on_synthetic_digits_and_going_on_with_it(tmp_path):
    made = project(tmp_path)
    command = [sys.executable, "-m", "bench.train", "--quick", "--only", "references,speedrun,fast,sample"]
    command += ["--seeds", "1", "--reference-seeds", "0", "--sample-seeds", "1"]
    done = made.run(*command, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert "run 6 of 6: fast seed 1, canonicalisation: " in done.stdout
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
        "run 1 of 2: ",
        "run 2 of 2: ",
    ]
    assert len(raw.read_text().splitlines()) == len(lines) + 1, "and the second session"
    text = (made.root / ".bench" / "results.md").read_text()
    assert "--continue` |" in text and " GFLOP/s |" in text


def test_the_front_page_gets_its_table_between_the_marks():
    from bench import front

    records = [
        SESSION,
        *(
            training(m, s, w, a, corruptions={"blur": a - 0.01, "hole": a - 0.03})
            for m, s, a, w in [("S1", 1, 0.99, 50.0), ("fast", 1, 0.995, 60.0), ("fast", 2, 0.997, 40.0)]
        ),
    ]
    before = f"# x\n{front.BEGIN}old\n{front.END}\nrest\n"
    page = front.page(before, records)
    assert page.startswith("# x\n") and page.endswith("rest\n") and "old" not in page
    assert "99.60 ± 0.14 %, n = 2" in page and "commit `abc1234`" in page
    assert front.page(page, records) == page


@pytest.mark.slow
def test_every_format_of_a_profile_is_measured_beside_the_model_that_it_is_made_of(monkeypatch):
    import numpy as np
    import tensorflow as tf

    from bench import compression, inputs
    from digits.dataset import Split
    from digits.quantize import FORMATS

    from ._digits import digits

    def splits(job, data, folder, *names):
        made = {name: digits(n, n) for name, n in (("train", 300), ("validation", 40), ("test", 50))}
        return [Split(*made[name], np.full(len(made[name][0]), "synthetic")) for name in names]

    monkeypatch.setattr(inputs, "splits", splits)
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
    job = {"part": "compression", "model": "fast", "seed": 1, "round": "compression", "quick": True}
    found = compression.compression(job)
    assert [(f["normalizes"], f["format"]) for f in found["files"]] == [
        (inside, form) for inside in (True, False) for form in FORMATS
    ]
    exact = found["files"][0]
    assert exact["agreement"] == 1 and exact["accuracy"] == found["accuracy"]
    assert all(f["us"] > 0 and f["gzip_bytes"] < f["bytes"] for f in found["files"])
    assert min(f["bytes"] for f in found["files"]) < exact["bytes"] / 3
