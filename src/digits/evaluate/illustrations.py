"""Scorecard, images and answers → every picture and table of an evaluation, by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from digits.dataset import Split
from digits.evaluate import figures as draw
from digits.evaluate import plots
from digits.evaluate.corruptions import CORRUPTIONS, corrupt
from digits.evaluate.metrics import confidence, worst_mistakes
from digits.evaluate.scorecard import Answers, Scorecard

WORST = 40  # mistakes on the sheet
EXAMPLES = 8  # images that show each corruption; pictures of each kind without a digit
Images = NDArray[np.uint8]


def figures(
    card: Scorecard,
    test: Split,
    answers: Answers,
    strangers: Mapping[str, tuple[Images, Answers]],
    history: draw.Curves,
    seed: int,
) -> dict[str, bytes]:
    """PNG bytes by name. strangers: kind → pictures without a digit, and the answers to them."""
    content = card.content
    temperature, abstention = content["temperature"], content["abstention"]
    worst = worst_mistakes(answers.logits / temperature, answers.labels, WORST)
    sure = confidence(answers.logits[worst], temperature)
    wrong = len(test) - content["correct"]
    shown = test.images[np.unique(test.labels, return_index=True)[1][-EXAMPLES:]]
    examples = {name: corrupt(name, shown, seed) for name in CORRUPTIONS}
    return {
        "confusion": draw.confusion(card.matrix),
        "learning_curves": draw.learning_curves(history),
        "reliability": draw.reliability(card.raw, card.calibrated),
        "mistakes": draw.mistakes(
            test.images[worst], test.labels[worst], answers.predicted[worst], sure, wrong
        ),
        "corruptions": draw.corruptions(content["corruptions"], content["accuracy"], examples),
        "risk_coverage": draw.risk_coverage(card.curve, abstention["threshold"], abstention["target"]),
        "non_digits": _fooled(strangers, temperature, abstention["threshold"]),
    }


def _fooled(strangers: Mapping[str, tuple[Images, Answers]], temperature: float, threshold: float) -> bytes:
    """A row of each kind: the pictures that were taken for a digit most surely, equal ones once.

    Those without ink, which are refused whatever the confidence, count as unsure.
    """
    rows = []
    for images, answers in strangers.values():
        first = np.sort(np.unique(images, axis=0, return_index=True)[1])
        sure = answers.inked[first] * confidence(answers.logits[first], temperature)
        top = np.argsort(-sure, kind="stable")[:EXAMPLES]
        rows.append((images[first[top]], answers.predicted[first[top]], sure[top]))
    pictures, digits, sure = (np.concatenate(column) for column in zip(*rows, strict=True))
    return draw.strangers(pictures, digits, sure, threshold)


def tables(card: Scorecard, answers: Answers, history: str) -> dict[str, str]:
    """CSV text by name. history: train's own table."""
    return {
        "confusion": plots.confusion(answers.labels, answers.predicted),
        "corruptions": plots.corruptions(card.content["corruptions"], card.content["accuracy"]),
        "history": history,
        "reliability": plots.reliability(card.calibrated),
        "risk_coverage": plots.risk_coverage(card.curve),
    }
