"""Stage `evaluate`: scores the candidate on the test split, and writes metrics, verdict, figures and report.

The only reader of the test split. A weak model is scored, the verdict refuses it and the stage succeeds: so
the bad score is on record, and `export` is what stops.

    dvc repro --single-item evaluate
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits import dataset, files, non_digits
from digits.dataset import Split
from digits.evaluate import gate
from digits.evaluate import plots as csv
from digits.evaluate.corruptions import CORRUPTIONS, corrupt
from digits.evaluate.figures import draw_figures, plot_tables
from digits.evaluate.line_figures import draw_line_figures
from digits.evaluate.line_sets import composed, without_digits
from digits.evaluate.lines import score_lines
from digits.evaluate.metrics import round_floats
from digits.evaluate.report import data_facts, render
from digits.evaluate.scorecard import Answers, headline, scorecard
from digits.line_model.lines import load_lines, load_real_lines
from digits.runtime.errors import DataError
from digits.runtime.params import EvaluateParams
from digits.runtime.progress import say, track
from digits.runtime.stage_main import stage_main
from digits.runtime.tf_import import load_tensorflow

NON_DIGITS = 300  # pictures of each kind that shows no digit


def run(
    candidate: Path,
    lines: Path,
    validation: Path,
    test: Path,
    heldout: Path,
    heldout_lines: Path,
    manifest: Path,
    metrics: Path,
    summary: Path,
    verdict: Path,
    figures: Path,
    plots: Path,
    report: Path,
    params: EvaluateParams,
) -> None:
    """Score the candidate on the test images, clean and corrupted, and on what is no digit, and the line
    reader on lines that are composed of them, and both on what was held out of incoming batches; judge both.
    """
    facts, training = files.read_json(manifest), files.read_json(candidate / "summary.json")
    history_text = (candidate / "history.csv").read_text(encoding="utf-8")
    history = csv.history(history_text)
    tested, new = dataset.load_split(test), dataset.load_split(heldout)
    new_lines = load_real_lines(heldout_lines)
    if not len(tested):
        raise DataError(
            f"{test} holds no image, so nothing can be scored: check the data and run ingest again"
        )
    load_tensorflow()  # after all cheap checks
    from digits.evaluate.line_reading import reader
    from digits.ink import has_ink
    from digits.line_model import candidate as line_candidate
    from digits.model.candidate import load_candidate, scorer

    predict = scorer(load_candidate(candidate))

    def read(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Answers:
        return Answers.of(predict(images), labels, has_ink(images).numpy())

    def answers(split: Split) -> Answers:
        return read(split.images, split.labels)

    clean = answers(tested)
    corrupted = {
        name: read(corrupt(name, tested.images, params.seed), tested.labels)
        for name in track(CORRUPTIONS, "scoring corrupted images")
    }
    drawn = non_digits.every(NON_DIGITS, params.seed, tested)
    without_digit = {  # which have no true label: 0 stands in
        kind: (images, read(images, np.zeros(len(images), np.uint8))) for kind, images in drawn.items()
    }
    read_lines = reader(line_candidate.load_candidate(lines))
    n = params.lines_of_a_kind
    sets = composed(n, params.seed, tested), without_digits(n // 5, params.seed)
    said, silent = ({kind: read_lines(groups) for kind, groups in kinds.items()} for kinds in sets)
    held_out = {
        str(batch): read_lines(new_lines.take(new_lines.batches == batch).groups())
        for batch in np.unique(new_lines.batches)
    }
    known = read_lines(load_lines(lines / line_candidate.VALIDATION))
    fitted, of_lines = score_lines(known, said, silent, held_out, params.lines_answered_precision)
    card = scorecard(
        facts,
        training,
        answers(dataset.load_split(validation)),
        clean,
        answers(new),
        new.batches,
        corrupted,
        {kind: told for kind, (_, told) in without_digit.items()},
        params.answered_precision,
        of_lines,
    )
    outcome = round_floats(gate.decide(card.content, params).as_dict())

    pictures = draw_figures(card, tested, clean, without_digit, history, params.seed)
    pictures |= draw_line_figures(card.content["lines"], fitted, sets[0] | sets[1], said | silent)
    with files.replacing(figures) as folder:
        folder.mkdir()
        for name, png in pictures.items():
            (folder / f"{name}.png").write_bytes(png)
    with files.replacing(plots) as folder:
        folder.mkdir()
        for name, text in plot_tables(card, clean, history_text).items():
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    files.write_text(report, render(card.content, outcome, pictures, list(data_facts(facts))))
    files.write_json(metrics, card.content)
    files.write_json(summary, headline(card.content))
    files.write_json(verdict, outcome)
    refused = [rule["reason"] for rule in outcome["rules"] if not rule["passed"]]
    say(
        f"{facts['dataset']}: {card.content['accuracy']:.2%} of {len(tested):,} test images right; "
        + (f"refused: {'; '.join(refused)}" if refused else "passed")
    )


if __name__ == "__main__":
    stage_main("evaluate", run)
