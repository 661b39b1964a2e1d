"""Fits the numbers of digits_client.reading.ways to strips of training digits.

    python -m bench.strips.fitting               prints SHAPES and WEIGHTS; a quarter of an hour

SHAPES are medians and spreads of single digits. WEIGHTS are a conditional logit: of the ways to cut a blob
those with the right text share the likelihood (McFadden 1974). `--held` strips, of other seeds, show how
many blobs of one, two and more digits the best way reads right, with the old weights and the new.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bench.records import ROOT
from bench.strips.__main__ import serve
from bench.strips.generator import Strip, strip
from digits import dataset
from digits.dataset import Split
from digits.runtime.progress import track
from digits_client import DigitClient
from digits_client.reading import cuts, plan, ways
from digits_client.reading.cuts import Piece
from digits_client.reading.reader import read
from digits_client.results import Prediction

TOUCHING = 0.2  # of the neighbours
KEPT = 80  # ways of a blob that are looked at
RIDGE = 0.002
SINGLE = 0.5  # weight of a blob of several digits, beside that of a single one: there are more of the latter
LONGEST = 4  # digits of a blob that is fitted to
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cut:
    """A blob that was cut: its text, pieces, what each was read as, and heights of the row in its patch."""

    text: str
    pieces: Sequence[Piece]
    reads: Sequence[Prediction]
    rows: float


@dataclass(frozen=True)
class Ways:
    """The ways to cut a blob: sums of what is known of their pieces [n, k], and which give its text [n]."""

    known: Floats
    right: NDArray[np.bool_]
    digits: int


def main(argv: Sequence[str] | None = None) -> int:
    """Collect strips, fit, print the numbers and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.strips.fitting")
    parser.add_argument("--strips", type=int, default=1500, help="number of strips to fit to; default: 1500")
    parser.add_argument("--held", type=int, default=500, help="number of strips for comparison; default: 500")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "prepared")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "exported")
    given = parser.parse_args(argv)
    split = dataset.load_split(given.data / "train")
    with tempfile.TemporaryDirectory() as scratch, serve(given.model, Path(scratch)) as client:
        singles, blobs = collect(client, split, given.strips, 1)
        rows = shapes(singles)
        print("SHAPES = (", *(f"    {row}," for row in rows), ")", sep="\n")
        ways.SHAPES = rows
        _, held = collect(client, split, given.held, 2)
    old = np.array(ways.WEIGHTS)
    weights = old
    for _ in range(2):  # the ways that are looked at depend on the weights
        weights = fit([lay_out(each, weights) for each in blobs], weights)
    print("WEIGHTS = (", *(f"    {weight:.3f}," for weight in weights), ")", sep="\n")
    for name, each in (("old", old), ("new", weights)):
        print(name, share_right([lay_out(blob, each) for blob in held], each))
    return 0


def collect(
    client: DigitClient, split: Split, n: int, seed: int
) -> tuple[list[tuple[int, Piece]], list[Cut]]:
    """Return (single digits with their pieces, blobs that were cut) of n strips."""
    singles: list[tuple[int, Piece]] = []
    blobs: list[Cut] = []
    seen: list[Any] = []
    decide = plan._decided

    def record(item: Any, made: list[Piece], answers: list[Prediction], images: Any) -> Any:
        seen.append((item, made, answers))
        return decide(item, made, answers, images)

    plan._decided = record
    try:
        for one in track(_strips(split, n, seed), "strips", n):
            seen.clear()
            read(one.picture, client.predict)
            for item, pieces, answers in seen:
                text = _text(one, item.box)
                if len(text) == 1:
                    singles.append((int(text), cuts.whole(item.patch.ink)))
                if pieces and 1 <= len(text) <= LONGEST:
                    blobs.append(Cut(text, pieces, answers, item.ratio / max(pieces[-1].width, 0.05)))
    finally:
        plan._decided = decide
    return singles, blobs


def _strips(split: Split, n: int, seed: int) -> Iterator[Strip]:
    rng = np.random.default_rng([seed, 99])
    for _ in range(n):
        chosen = rng.integers(len(split.labels), size=int(rng.integers(3, 10)))
        yield strip(split.images[chosen], split.labels[chosen], rng, TOUCHING)


def _text(one: Strip, box: Any) -> str:
    """Return the digits that were written within a box."""
    return "".join(
        sign
        for sign, (x, y, w, h) in zip(one.text, one.boxes, strict=True)
        if box.x <= x + w / 2 <= box.x + box.w and box.y - 5 <= y + h / 2 <= box.y + box.h + 5
    )


def shapes(singles: Sequence[tuple[int, Piece]]) -> tuple[Any, ...]:
    """Return a row for each digit, as in `ways.SHAPES`."""
    rows = []
    for digit in range(10):
        own = [piece for label, piece in singles if label == digit]
        widths = np.log([piece.width / piece.height for piece in own])
        lengths = np.log([piece.length / piece.height for piece in own])
        runs = np.array([piece.runs for piece in own])
        holes = np.bincount([min(piece.holes, 3) for piece in own], minlength=4) + 0.5
        figures = [np.exp(np.median(widths)), _spread(widths), np.exp(np.median(lengths)), _spread(lengths)]
        figures += [runs.mean(), max(runs.std(), 0.05)]
        shares = tuple(round(float(share), 4) for share in holes / holes.sum())
        rows.append((*(round(float(each), 2) for each in figures), shares))
    return tuple(rows)


def _spread(values: Floats) -> float:
    low, high = np.percentile(values, [16, 84])
    return float(high - low) / 2


def lay_out(blob: Cut, weights: Floats) -> Ways:
    """Return the best ways to cut a blob by these weights."""
    rows = [
        ways.known(piece, read_as, blob.rows) for piece, read_as in zip(blob.pieces, blob.reads, strict=True)
    ]
    known = np.array(rows)
    scores = known @ weights
    end = blob.pieces[-1].last
    paths: dict[int, list[tuple[float, tuple[int, ...]]]] = {0: [(0.0, ())]}
    starting = defaultdict(list)
    for i, piece in enumerate(blob.pieces):
        starting[piece.first].append(i)
    for place in range(end):
        for so_far, taken in sorted(paths.get(place, []), reverse=True)[:KEPT]:
            for i in starting[place]:
                paths.setdefault(blob.pieces[i].last, []).append((so_far + scores[i], (*taken, i)))
    best = [taken for _, taken in sorted(paths[end], reverse=True)[:KEPT]]
    texts = ["".join(str(blob.reads[i].digit) for i in taken) for taken in best]
    return Ways(
        np.array([known[list(taken)].sum(axis=0) for taken in best]),
        np.array([text == blob.text for text in texts]),
        len(blob.text),
    )


def fit(laid: Sequence[Ways], start: Floats) -> Floats:
    """Return the weights under which the right texts are most likely."""
    useful = [each for each in laid if each.right.any()]

    def loss(weights: Floats) -> tuple[float, Floats]:
        total, slope = RIDGE * len(useful) * float(weights @ weights) / 2, RIDGE * len(useful) * weights
        for each in useful:
            scores = each.known @ weights
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            of_right = np.where(each.right, shares, 0.0)
            weight = 1.0 if each.digits == 1 else SINGLE
            total -= weight * math.log(max(of_right.sum(), 1e-300))
            slope = slope - weight * (each.known.T @ (of_right / max(of_right.sum(), 1e-300) - shares))
        return total, slope

    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x)


def share_right(laid: Sequence[Ways], weights: Floats) -> dict[int, str]:
    """Return the share of blobs that the best way reads right, by their number of digits."""
    right_by_size = defaultdict(list)
    for each in laid:
        right_by_size[each.digits].append(bool(each.right[int(np.argmax(each.known @ weights))]))
    return {n: f"{np.mean(hits):.3f} of {len(hits)}" for n, hits in sorted(right_by_size.items())}


if __name__ == "__main__":
    sys.exit(main())
