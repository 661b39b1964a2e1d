"""Compares readings of strips with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.strips.generator import Strip
from digits_client.reading import Box, Reading

SAME_PLACE = 0.4  # intersection over union from which on a digit read is the one that was written
PRECISION = 0.999  # of fields, at which coverage is given


@dataclass(frozen=True)
class Judgement:
    """The comparison for one strip."""

    separated: tuple[bool, ...]  # of digits that touch none, whether each was read right, in its place
    touching: tuple[bool, ...]  # of the others
    whole: bool  # every digit right, nothing else read
    accepted: bool  # as one field, by the reader itself
    confidence: float  # of the field; 0 where it was not read as one


def judge(truth: Strip, reading: Reading) -> Judgement:
    """Compare a reading with the truth."""
    right = [_right(box, text, reading) for box, text in zip(truth.boxes, truth.text, strict=True)]
    one = len(reading.fields) == 1
    return Judgement(
        tuple(ok for ok, touches in zip(right, truth.touching, strict=True) if not touches),
        tuple(ok for ok, touches in zip(right, truth.touching, strict=True) if touches),
        reading.text == truth.text,
        one and reading.fields[0].accepted,
        reading.fields[0].confidence if one else 0.0,
    )


def figures(strips: Sequence[Judgement]) -> dict[str, Any]:
    """Return shares right, and how many fields are answered at what precision."""
    answered = [strip for strip in strips if strip.accepted]
    return {
        "n": len(strips),
        "separated": _share([ok for strip in strips for ok in strip.separated]),
        "touching": _share([ok for strip in strips for ok in strip.touching]),
        "whole": _share([strip.whole for strip in strips]),
        "accepted": _share([strip.accepted for strip in strips]),
        "accepted_right": _share([strip.whole for strip in answered]),
        "coverage_at_precision": {"precision": PRECISION, **_coverage(strips)},
    }


def _right(box: Any, text: str, reading: Reading) -> bool:
    best = max(reading.digits, key=lambda digit: _overlap(box, digit.box), default=None)
    return best is not None and _overlap(box, best.box) >= SAME_PLACE and str(best.digit) == text


def _overlap(truth: Any, box: Box) -> float:
    x, y, w, h = (int(each) for each in truth)
    across = min(x + w, box.x + box.w) - max(x, box.x)
    down = min(y + h, box.y + box.h) - max(y, box.y)
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (w * h + box.w * box.h - across * down)


def _share(right: Sequence[bool]) -> dict[str, Any]:
    n, k = len(right), sum(right)
    if not n:
        return {"n": 0}
    return {"n": n, "right": k, "share": k / n}


def _coverage(strips: Sequence[Judgement]) -> dict[str, float]:
    """Return the threshold, chosen on these strips, that answers most of them at `PRECISION`."""
    ranked = sorted(strips, key=lambda strip: -strip.confidence)
    wrong = np.cumsum([not strip.whole for strip in ranked])
    enough = np.flatnonzero(wrong <= (1 - PRECISION) * np.arange(1, len(ranked) + 1))
    if not len(enough):
        return {"coverage": 0.0, "threshold": 1.0}
    last = int(enough[-1])
    return {"coverage": (last + 1) / len(ranked), "threshold": ranked[last].confidence}
