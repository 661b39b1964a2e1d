"""Chooses the likeliest of all ways to cut digits that touch.

A way's score is the sum over its pieces of a weighted sum of what is known of each: how surely the model
reads it, whether it has the shape and the length of stroke of the digit that it is read as (an 8 and a 0
that touch have twice the stroke of a 6), and what the cuts went through. The shares of all ways are the
softmax of their scores. Weights: a conditional logit fitted on strips of validation digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digits_client.reading.cuts import Piece
from digits_client.results import Prediction

MUCH, RARE = 2.5, 0.012  # standard deviations, and share, from which on a blob may be two digits
KEPT = 40  # ways that are followed at each cut

# Of single digits on strips of training digits, each with its standard deviation: width and length of
# stroke, in heights (medians; the deviations are of their logarithms), strokes that a row crosses, the mean;
# and the shares with 0, 1, 2 and more holes. Like WEIGHTS by `python -m bench.strips.fitting`.
SHAPES = (
    (0.86, 0.2, 3.06, 0.11, 1.64, 0.12, (0.099, 0.886, 0.0145, 0.0006)),  # 0
    (0.33, 0.43, 1.38, 0.11, 1.0, 0.05, (0.9985, 0.0005, 0.0005, 0.0005)),  # 1
    (0.91, 0.24, 2.81, 0.15, 1.27, 0.17, (0.6362, 0.3591, 0.0041, 0.0006)),  # 2
    (0.78, 0.2, 2.79, 0.14, 1.19, 0.12, (0.968, 0.0284, 0.003, 0.0006)),  # 3
    (0.77, 0.21, 2.38, 0.12, 1.41, 0.13, (0.933, 0.0658, 0.0006, 0.0006)),  # 4
    (0.87, 0.27, 2.84, 0.16, 1.18, 0.12, (0.961, 0.0376, 0.0007, 0.0007)),  # 5
    (0.71, 0.23, 2.55, 0.18, 1.36, 0.21, (0.2651, 0.725, 0.008, 0.0019)),  # 6
    (0.76, 0.22, 2.21, 0.13, 1.14, 0.12, (0.9948, 0.004, 0.0006, 0.0006)),  # 7
    (0.73, 0.22, 2.88, 0.16, 1.47, 0.15, (0.0502, 0.3319, 0.611, 0.0068)),  # 8
    (0.67, 0.19, 2.44, 0.14, 1.32, 0.14, (0.2224, 0.7687, 0.0082, 0.0006)),  # 9
)
ODDEST = 25.0  # squared standard deviations: more are not worse

WEIGHTS = (
    -4.846,  # a piece more
    0.966,  # ln p, p the confidence
    0.768,  # -log10 of 1 - p
    0.232,  # whether it is accepted
    -0.170,  # wider than such a digit, in squared standard deviations
    -0.112,  # narrower
    -0.062,  # more stroke
    0.056,  # less
    -0.509,  # width, in heights of the row
    -0.594,  # its square
    -0.905,  # height, in heights of the row
    0.648,  # its square
    -0.038,  # ink that its two cuts run through, in heights
    -0.034,  # share of stray ink
    -0.171,  # more strokes in a row than such a digit has, in squared standard deviations
    0.001,  # fewer
    0.106,  # ln of the share of such digits with so many holes
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to cut: its pieces from left to right, and the share that its text has among all ways."""

    pieces: tuple[int, ...]
    share: float


def known(piece: Piece, read: Prediction, rows: float) -> tuple[float, ...]:
    """What is known of a piece as the digit that it was read as, for each of WEIGHTS.

    rows: heights of the row in its patch's.
    """
    width, width_sd, length, length_sd, runs, runs_sd, holes = SHAPES[read.digit]
    across, down = min(piece.width * rows, 2.5), min(piece.height * rows, 2.0)
    wider = math.log(max(across, 0.02) / width) / width_sd
    longer = _longer(piece, length) / length_sd
    more = (piece.runs - runs) / runs_sd
    return (
        1.0,
        math.log(max(read.confidence, 1e-9)),
        -math.log10(1 - min(read.confidence, 1.0) + 1e-4),
        float(bool(read.accepted)),
        *(_above(wider), _above(-wider), _above(longer), _above(-longer)),
        *(across, across**2, down, down**2),
        piece.crossed,
        piece.stray,
        *(_above(more), _above(-more)),
        math.log(holes[min(piece.holes, len(holes) - 1)]),
    )


def score(piece: Piece, read: Prediction, rows: float) -> float:
    """How well a piece would do as the digit that it was read as. rows: heights of the row in its patch's."""
    return sum(weight * each for weight, each in zip(WEIGHTS, known(piece, read, rows), strict=True))


def too_much(piece: Piece, read: Prediction) -> bool:
    """Whether it has more strokes or holes than the digit that it was read as ever has."""
    _, _, length, length_sd, runs, runs_sd, holes = SHAPES[read.digit]
    share = holes[min(piece.holes, len(holes) - 1)]
    return _longer(piece, length) > MUCH * length_sd or piece.runs > runs + MUCH * runs_sd or share < RARE


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
