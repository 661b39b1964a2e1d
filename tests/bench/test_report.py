"""The tables of training and of the smaller benches, from records."""

import json

from bench import report

MACHINE = {"cpu": "A CPU", "cores": 2, "bf16": True, "memory_gib": 24.0, "load": 0.1}
MACHINE |= {"software": "Python 3.11, tensorflow 2.21"}
ABOUT = {"date": "2026-01-31T10:00:00+00:00", "commit": "abc1234", "quick": False, "machine": MACHINE}
LATER = {"date": "2026-02-01T10:00:00+00:00"}


def training(model, seed, wall, accuracy, **more):
    size = {"parameters": 93_322, "forward_flop": 5_588_480, "steps": 4690, "batch": 64}
    took = {"wall": wall, "cpu": 2 * wall, "flop": 5e9 * wall, "precision": "float32"}
    scored = {"accuracy": accuracy, "mnist_c": {"fog": 0.97, "zigzag": 0.98}}
    scored |= {"corruptions": {"shift": accuracy - 0.01, "low_contrast": accuracy - 0.03}}
    return {**ABOUT, "kind": "training", "model": model, "seed": seed, **size, **took, **scored, **more}


def ours(model, seed, wall, accuracy, **more):
    both = {"us": 500.0, "baseline_us": 400.0, "ratio": 1.25}
    extra = {
        "curve": [{"seconds": 5, "accuracy": 0.97}, {"seconds": 9, "accuracy": 0.985}],
        "latency": {threads: {"1": both, "32": both} for threads in ("one", "all")},
        "abstention": {"target": 0.9995, "n": 10_000, "answered": 9_800, "correct": 9_796},
        "refused": {"letters": 0.9, "noise": 1.0},
    }
    extra |= {"validation_accuracy": 0.995, "precision": "bfloat16"}
    extra |= {"calibration_error": 0.002, "saved_bytes": 700_000}
    return training(model, seed, wall, accuracy, **extra | more)


PEAK = ABOUT | {"kind": "peak", "model": "matmul", "seed": 1, "gflops": {"float32": 200.0, "bfloat16": 500.0}}
SAMPLE = {"kind": "sample", "heldout_accuracy": 0.99, "gate_accuracy": 0.98, "gate_passed": True}
SAMPLE = ours("fast", 1, 100, 0.992) | SAMPLE | {"gate_reasons": ""}
LINES = {"kind": "line_reader", "model": "full", "seed": 1, "n": 55_000, "lines_exact": 0.8}
LINES |= {"lines": {"wall": 300.0, "steps": 2600}, "fast": {"wall": 80.0, "steps": 1800}}
STAGE = {"kind": "stage", "wall": 5.0, "cpu": 8.0, "peak_mib": 900.0}
RECORDS = [
    PEAK,
    *(training("S1", 1, 50, 0.99), ours("fast", 1, 60, 0.996)),
    *(training("S1", 2, 100, 0.991), ours("fast", 2, 110, 0.994)),
    *(training("S1", 3, 50, 0.991), ours("fast", 3, 100, 0.995)),
    *(SAMPLE, ABOUT | LINES),
    *(ABOUT | STAGE | {"stage": stage} for stage in ("ingest", "train")),
    ABOUT | {"kind": "repro", "wall": 90.0, "dvc_cpu": 3.0, "noop": [1.9, 2.0, 9.0]},
    ABOUT | {"kind": "cold", "wall": 232.0, "cpu": 1.0, "sample": True},
    ABOUT
    | {"kind": "canonicalisation", "model": "fast", "seed": 1, "batch": 32, "pairs": 50}
    | {"ms_per_image": 0.05, "with_ms": 0.15, "without_ms": 0.1},
]


def section(text, title):
    return text.split(f"## {title}\n\n")[1].split("\n## ")[0]


def row(text, title, name):
    """The cells of the row of that name, by the head of their column."""
    lines = section(text, title).splitlines()
    (found,) = [line for line in lines if line.startswith(f"| {name} |")]
    heads, cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], found))
    return dict(zip(heads, cells, strict=True))


def test_a_model_is_shown_with_mean_and_spread_over_its_seeds():
    cells = row(report.report(RECORDS), "Models", "fast")
    assert (cells["n"], cells["test %"], cells["ECE %"]) == ("3", "99.50 ± 0.10", "0.20")
    assert (cells["corruptions: mean %"], cells["corruptions: worst %"]) == ("97.5", "96.4")
    assert (cells["MNIST-C: mean %"], cells["MNIST-C: worst %"]) == ("97.5", "97.0")
    assert (cells["wall s"], cells["wall ÷ S1"]) == ("100.0", "1.20")
    one = row(report.report(RECORDS[:3]), "Models", "fast")
    assert (one["n"], one["test %"]) == ("1", "99.60")
    again = ours("fast", 3, 100, 0.999) | LATER
    assert row(report.report([*RECORDS, again]), "Models", "fast")["n"] == "3", "trained twice, counted once"
    assert row(report.report([*RECORDS, again | {"commit": "fed9876"}]), "Models", "fast")["n"] == "4"


def test_a_ratio_is_taken_within_a_round_of_one_run():
    assert report.ratios(RECORDS, "fast") == [1.2, 1.1, 2.0]
    later = [record | LATER if record is RECORDS[4] else record for record in RECORDS]
    assert report.ratios(later, "fast") == [1.2, 2.0], "no baseline in that run"
    assert row(report.report(RECORDS), "The line reader's training", "full")["÷ `fast`"] == "3.75"
    again = training("S1", 2, 220, 0.5) | LATER
    assert report.ratios([*later, again], "fast") == [1.2, 0.5, 2.0]


def test_accuracy_over_time_is_the_last_score_before_that_moment():
    cells = row(report.report(RECORDS), "Accuracy over time", "fast")
    assert cells["0.1 × S1"] == "97.50 (worst 97.00)", "5, 10 and 5 s: their own S1's"
    assert cells["0.2 × S1"] == "98.50 (worst 98.50)" and cells["at the end"] == "99.50"
    late = [r | {"curve": [{"seconds": 20, "accuracy": 0.99}]} if r.get("curve") else r for r in RECORDS]
    assert row(report.report(late), "Accuracy over time", "fast")["0.1 × S1"] == "–"


def test_speed_is_a_share_of_the_fastest_product_on_the_same_cpu():
    assert row(report.report(RECORDS), "Training speed", "fast")["share of peak %"] == "1.0"
    other = PEAK | {"machine": MACHINE | {"cpu": "B"}, "gflops": {"float32": 9.0}}
    assert row(report.report([*RECORDS, other]), "Training speed", "S1")["share of peak %"] == "2.5"
    assert row(report.report(RECORDS[1:]), "Training speed", "S1")["share of peak %"] == "–"


def test_coverage_and_precision_have_the_interval_of_one_test_split():
    cells = row(report.report(RECORDS), "Answers withheld", "fast")
    assert cells["answered %"] == "98.00 (97.71 to 98.26)"
    assert cells["of those right %"].startswith("99.96 (")
    assert cells["wrong, by seed"] == "4, 4, 4"
    assert (cells["no digit: refused %"], cells["worst kind %"]) == ("95.0", "90.0")
    nothing = {"target": 0.9995, "n": 10_000, "answered": 0, "correct": 0}
    cells = row(report.report([ours("fast", 1, 60, 0.996, abstention=nothing)]), "Answers withheld", "fast")
    assert (cells["answered %"], cells["of those right %"]) == ("0.00 (0.00 to 0.04)", "–")


OTHERS = [
    ABOUT
    | {"kind": "gateway", "case": case, "clients": 1, "round": turn, "failed": 0}
    | {"p50_ms": p50 + turn, "requests_per_s": rate / (1 + turn)}
    for turn in (0, 1)
    for case, p50, rate in (("REST", 1.0, 1000.0), ("JSON", 2.5, 500.0))
]
OTHERS += [
    ABOUT
    | {"kind": "strips", "strips": "cheques, odd", "split": None, "n": 1}
    | {key: {"n": 1, "right": 0, "share": 0.0} for key in ("right", "answered", "accepted")}
    | {"wrong": [{"file": "7.jpg", "text": "10", "read": "16"}]},
    ABOUT | {"kind": "case", "case": "a smiley", "split": "test", "n": 50, "right": 49, "sure_and_wrong": 1},
    ABOUT | {"kind": "photo", "photos": "a sheet", "median_ms": 85.0},
]


def test_ways_are_compared_with_the_first_of_their_round_and_the_last_run_of_a_bench_is_shown():
    text = report.report([*OTHERS, OTHERS[-1] | {"median_ms": 99.0} | LATER])
    cells = row(text, "The gateway", "JSON")
    assert (cells["more"], cells["÷ first"]) == ("1.50", "0.50") and "0 failed requests" in text
    assert "a sheet: 99 ms" in text and "85 ms" not in text
    assert "wrong of cheques, odd: 7.jpg (10: '16')." in text
    assert "| a smiley, test digits | 50 | 49 | 1 |" in text


def test_the_origin_of_figures_stands_first_and_a_trial_says_so():
    text = report.report([*RECORDS, ours("fast", 4, 60, 0.995) | LATER | {"commit": "fed9876+"}])
    runs, commits, *_ = text.splitlines()
    assert runs == f"- runs begun: {ABOUT['date']}, {LATER['date']}"
    assert commits.startswith("- commit abc1234, fed9876+ (")
    assert "A CPU, 2 cores, 24 GiB; Python 3.11" in text
    assert "figures mean nothing" in report.report([RECORDS[1] | {"quick": True}])


def test_every_row_has_as_many_cells_as_its_head_and_what_is_missing_is_not_guessed():
    every = [*RECORDS, *OTHERS]
    parts = [[r for r in every if r["kind"] == kind] for kind in {r["kind"] for r in every} - {"peak"}]
    for text in map(report.report, [every, *parts]):
        assert "nan" not in text.lower().split() and "None" not in text
        for block in text.split("\n\n"):
            assert block[0] != "|" or len({line.count(" | ") for line in block.splitlines()}) == 1, block


def test_the_command_prints_files_and_says_what_it_cannot_show(tmp_path, capsys):
    (tmp_path / "a").write_text(json.dumps(RECORDS[1]) + "\n")
    assert report.main([str(tmp_path / "a")]) == 0
    assert "## Models" in capsys.readouterr().out
    assert report.main([str(tmp_path / "none")]) == 3
    assert "none of the 0 records" in capsys.readouterr().err


def test_piles_are_compared_with_one_worker_of_the_same_way():
    def pile(way, steady):
        figures = {"seconds": 500.0, "steady": steady, "files": 20000, "worker_ms": 40.0, "driver_ms": 0.1}
        grown = {f"{name}_{what}": 0.01 for name in ("driver", "worker") for what in ("mib", "growth")}
        return ABOUT | {"kind": "pile", "way": way, "round": 0} | figures | grown

    text = report.report([pile("1 with the model", 20.0), pile("2 with the model", 37.0)])
    assert "| 2 with the model | 20000 | 500 | 37.0 | 1.85 | 40.00 | 0.10 |" in text
