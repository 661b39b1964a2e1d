"""Of all ways to cut digits that touch, the likeliest.

Pure. A way's score is the sum over its pieces of a weighted sum of what is known of each: how surely the
model reads it, whether it has the shape and the length of stroke of the digit that it is read as (an 8 and a
0 that touch have twice the stroke of a 6), and what the cuts went through. The shares of all ways are the
softmax of their scores. Weights: a conditional logit fitted on strips of validation digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digits_client.reading.cuts import Piece
from digits_client.results import Prediction

LONG = 2.5  # standard deviations of the length of stroke from which on a blob may be two digits
KEPT = 40  # ways that are followed at each cut

# Of MNIST's digits in training: median width and median length of stroke, in heights; the standard deviations
# of their logarithms.
SHAPES = (
    (0.90, 0.19, 3.13, 0.12),  # 0
    (0.44, 0.46, 1.44, 0.15),  # 1
    (0.95, 0.24, 2.93, 0.15),  # 2
    (0.81, 0.21, 2.87, 0.15),  # 3
    (0.79, 0.21, 2.45, 0.13),  # 4
    (0.97, 0.26, 2.92, 0.15),  # 5
    (0.69, 0.23, 2.53, 0.18),  # 6
    (0.75, 0.23, 2.20, 0.15),  # 7
    (0.76, 0.23, 3.04, 0.15),  # 8
    (0.66, 0.21, 2.44, 0.13),  # 9
)
ODDEST = 25.0  # squared standard deviations: more are not worse

WEIGHTS = (
    -4.908,  # a piece more
    0.276,  # ln p, p the confidence
    0.839,  # -log10 of 1 - p
    0.417,  # whether it is accepted
    -0.158,  # wider than such a digit, in squared standard deviations
    -0.084,  # narrower
    -0.251,  # more stroke
    -0.051,  # less
    -0.447,  # width, in heights of the row
    -1.05,  # its square
    -0.581,  # height, in heights of the row
    1.231,  # its square
    -0.465,  # ink that its two cuts run through, in heights
    -0.367,  # share of stray ink
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to cut: its pieces from left to right, and the share that its text has among all ways."""

    pieces: tuple[int, ...]
    share: float


def score(piece: Piece, read: Prediction, rows: float) -> float:
    """How well a piece would do as the digit that it was read as. rows: heights of the row in its patch's."""
    width, width_sd, length, length_sd = SHAPES[read.digit]
    across, down = min(piece.width * rows, 2.5), min(piece.height * rows, 2.0)
    wider = math.log(max(across, 0.02) / width) / width_sd
    longer = _longer(piece, length) / length_sd
    known = (
        1.0,
        math.log(max(read.confidence, 1e-9)),
        -math.log10(1 - min(read.confidence, 1.0) + 1e-4),
        float(bool(read.accepted)),
        *(_above(wider), _above(-wider), _above(longer), _above(-longer)),
        *(across, across**2, down, down**2),
        piece.crossed,
        piece.stray,
    )
    return sum(weight * each for weight, each in zip(WEIGHTS, known, strict=True))


def too_long(piece: Piece, read: Prediction) -> bool:
    """Whether it has more stroke than the digit that it was read as ever has."""
    _, _, length, deviation = SHAPES[read.digit]
    return _longer(piece, length) > LONG * deviation


def best(found: Sequence[Piece], reads: Sequence[Prediction], rows: float) -> Way:
    """The way whose text is likeliest among all ways from the left edge to the right.

    found: of `cuts.pieces`; reads: what each was read as.
    """
    scores = [score(piece, read, rows) for piece, read in zip(found, reads, strict=True)]
    end = found[-1].last
    ways: dict[int, list[tuple[float, tuple[int, ...]]]] = {0: [(0.0, ())]}
    starting: dict[int, list[int]] = {}
    for i, piece in enumerate(found):
        starting.setdefault(piece.first, []).append(i)
    for place in range(end):
        for so_far, taken in _ranked(ways.get(place, [])):
            for i in starting.get(place, ()):
                ways.setdefault(found[i].last, []).append((so_far + scores[i], (*taken, i)))
    ranked = _ranked(ways[end])
    texts: dict[tuple[int, ...], float] = {}
    for value, taken in ranked:
        text = tuple(reads[i].digit for i in taken)
        texts[text] = texts.get(text, 0.0) + math.exp(value - ranked[0][0])
    likeliest = max(texts, key=lambda text: texts[text])
    chosen = next(taken for _, taken in ranked if tuple(reads[i].digit for i in taken) == likeliest)
    return Way(chosen, texts[likeliest] / sum(texts.values()))


def _ranked(ways: list[tuple[float, tuple[int, ...]]]) -> list[tuple[float, tuple[int, ...]]]:
    return sorted(ways, key=lambda way: -way[0])[:KEPT]


def _longer(piece: Piece, usual: float) -> float:
    return math.log(max(piece.length, 0.02) / max(piece.height, 0.02) / usual)


def _above(deviations: float) -> float:
    return min(max(deviations, 0.0) ** 2, ODDEST)
