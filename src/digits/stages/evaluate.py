"""models/candidate + data/prepared/test → reports/metrics.json, verdict.json, figures, plots, report.html

The only reader of the test split. A weak model is scored, the verdict refuses it and the stage succeeds: so
the bad score is on record, and `export` is what stops.

    dvc repro --single-item evaluate
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from digits import figures as draw
from digits import files, gate
from digits import plots as csv
from digits.corruptions import CORRUPTIONS, corrupt
from digits.errors import DataError
from digits.metrics import confidence, rounded, worst_mistakes
from digits.params import EvaluateParams
from digits.progress import say, track
from digits.quiet import load_tensorflow
from digits.report import render
from digits.scorecard import Answers, Scorecard, scorecard
from digits.splits import Split
from digits.stages._main import stage_main

WORST = 40  # mistakes on the sheet
EXAMPLES = 8  # images that show each corruption


def run(
    candidate: Path,
    validation: Path,
    test: Path,
    heldout: Path,
    manifest: Path,
    metrics: Path,
    verdict: Path,
    figures: Path,
    plots: Path,
    report: Path,
    params: EvaluateParams,
) -> None:
    """Score the candidate on the test images, clean and corrupted, and judge it."""
    facts, summary = files.read_json(manifest), files.read_json(candidate / "summary.json")
    history_text = (candidate / "history.csv").read_text(encoding="utf-8")
    history = csv.history(history_text)
    tested, new = files.load_split(test), files.load_split(heldout)
    if not len(tested):
        raise DataError(
            f"{test} holds no image, so nothing can be scored: check the data and run ingest again"
        )
    load_tensorflow()  # after all cheap checks
    from digits.model_files import load_candidate
    from digits.scoring import scorer

    predict = scorer(load_candidate(candidate))

    def answers(split: Split) -> Answers:
        return Answers.of(predict(split.images), split.labels)

    clean = answers(tested)
    corrupted = {
        name: Answers.of(predict(corrupt(name, tested.images, params.seed)), tested.labels)
        for name in track(CORRUPTIONS, "scoring corrupted images")
    }
    card = scorecard(
        facts, summary, answers(files.load_split(validation)), clean, answers(new), new.batches, corrupted
    )
    outcome = rounded(gate.decide(card.content, params).as_dict())

    pictures = _pictures(card, clean, tested, history, params.seed)
    with files.replacing(figures) as folder:
        folder.mkdir()
        for name, png in pictures.items():
            (folder / f"{name}.png").write_bytes(png)
    with files.replacing(plots) as folder:
        folder.mkdir()
        for name, text in {
            "confusion": csv.confusion(clean.labels, clean.predicted),
            "corruptions": csv.corruptions(card.content["corruptions"], card.content["accuracy"]),
            "history": history_text,
            "reliability": csv.reliability(card.calibrated),
        }.items():
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    files.write_text(report, render(card.content, outcome, pictures))
    files.write_json(metrics, card.content)
    files.write_json(verdict, outcome)
    refused = [rule["reason"] for rule in outcome["rules"] if not rule["passed"]]
    say(
        f"{facts['dataset']}: {card.content['accuracy']:.2%} of {len(tested):,} test images right; "
        + (f"refused: {'; '.join(refused)}" if refused else "passed")
    )


def _pictures(
    card: Scorecard, clean: Answers, tested: Split, history: draw.Curves, seed: int
) -> dict[str, bytes]:
    """PNG bytes by name."""
    temperature, table = card.content["temperature"], card.content["corruptions"]
    worst = worst_mistakes(clean.logits / temperature, clean.labels, WORST)
    sure = confidence(clean.logits[worst], temperature)
    wrong = len(tested) - card.content["correct"]
    shown = tested.images[np.unique(tested.labels, return_index=True)[1][-EXAMPLES:]]
    examples = {name: corrupt(name, shown, seed) for name in CORRUPTIONS}
    return {
        "confusion": draw.confusion(card.matrix),
        "learning_curves": draw.learning_curves(history),
        "reliability": draw.reliability(card.raw, card.calibrated),
        "mistakes": draw.mistakes(
            tested.images[worst], tested.labels[worst], clean.predicted[worst], sure, wrong
        ),
        "corruptions": draw.corruptions(table, card.content["accuracy"], examples),
    }


if __name__ == "__main__":
    stage_main("evaluate", run)
