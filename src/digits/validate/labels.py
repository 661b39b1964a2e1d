"""Labels that a linear model doubts, and whether they are more than is normal, per split and per batch.

The model is ridge regression on the products of principal components of the halved image, in closed form.
Rows that it was fitted on are judged by cross-validation, all others by the model of the whole data set. A
row is *doubted* when another digit scores higher than its label by at least `MARGIN` (targets are 0 and 1):
a confident disagreement in the sense of Northcutt, Jiang and Chuang, "Confident Learning" (JAIR 70, 2021).

Measured on MNIST, parts drawn at random: 0.1 % of clean labels are doubted (0.05–0.3 % by models of a few
thousand rows), and about 80 % of randomly flipped ones. No clean part raised the alarm. 1 % of flips raised
it always in 4,000 training rows and more, in 29 of 30 cases in 2,000, rarely in fewer. Rows judged by a model
of 60,000 (of 4,000) rows: 1 % of flips is found in 2,000 rows always, in 1,000 rows in 99 % (91 %) of cases,
in 500 in half (a seventh). Smaller batches need more: 1.5 % (2 %) of 500 rows, 3 % of 200, 5 % of 100, 10 %
of 50. Training sets below 600 rows are too few to learn from: only gross mislabelling shows in them. Digits
in a hand or a pen that the data set does not know are doubted too; a person has to look at them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, stats

from digits.dataset import CLASSES, Split

FOLDS = 5
COMPONENTS = 40  # of 196: 861 features with products; 30 lose a point of accuracy, 50 cost twice the time
MARGIN = 0.6  # 0.5 doubts twice as many clean labels, 0.7 finds a tenth fewer flips
CHUNK = 8192  # rows at a time
SEEN = 10_000  # rows, evenly spread, that the principal components are taken from: more change nothing

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """Scores of the ten digits from an image. fitted_on: rows."""

    mean: Floats
    basis: Floats
    weights: Floats
    fitted_on: int

    def scores(self, images: NDArray[np.uint8]) -> Floats:
        """Float32 [n, 10]; near 1 for the digit that the image shows, near 0 for others."""
        parts = [
            _features(images[start : start + CHUNK], self.mean, self.basis) @ self.weights
            for start in range(0, len(images), CHUNK)
        ]
        return np.concatenate(parts) if parts else np.empty((0, CLASSES), np.float32)


@dataclass(frozen=True)
class LabelIssues:
    """What the model holds of n rows. margin: how far `predicted` scores above the given label, per row."""

    predicted: NDArray[np.intp]
    margin: Floats
    expected: float  # number of doubted rows among as many clean ones
    limit: int  # most that pass

    @property
    def doubted(self) -> NDArray[np.bool_]:
        """The rows whose labels are doubted."""
        return self.margin >= MARGIN

    @property
    def alarm(self) -> bool:
        """Whether more labels are doubted than clean data would have."""
        return int(self.doubted.sum()) > self.limit


def fit(images: NDArray[np.uint8], labels: NDArray[np.uint8], seed: int) -> tuple[Model, Floats]:
    """The model of all rows, and the cross-validated scores [n, 10] of each row by a model that never saw it.

    images: uint8 [n, 28, 28]; labels: uint8 [n], 0–9; n ≥ 1.
    """
    n = len(labels)
    mean, basis = _principal(images)
    fold = np.random.default_rng(seed).permutation(n) % FOLDS
    target = np.eye(CLASSES, dtype=np.float32)[labels]
    held = [np.flatnonzero(fold == f) for f in range(FOLDS)]
    features = [_features(images[rows], mean, basis) for rows in held]
    gram = [each.T @ each for each in features]
    moment = [each.T @ target[rows] for each, rows in zip(features, held, strict=True)]
    all_gram, all_moment = np.sum(gram, axis=0), np.sum(moment, axis=0)
    scores = np.empty((n, CLASSES), np.float32)
    for rows, each, g, m in zip(held, features, gram, moment, strict=True):
        scores[rows] = each @ _solve(all_gram - g, all_moment - m, n - len(rows))
    return Model(mean, basis, _solve(all_gram, all_moment, n), n), scores


def judge(scores: Floats, labels: NDArray[np.uint8], fitted_on: int, excess: float) -> LabelIssues:
    """Compare given labels, uint8 [n] in 0–9, with scores [n, 10] of a model fitted on `fitted_on` rows.

    Clean rows exceed `limit` once in a thousand times at most, and only when they are also more than a share
    `excess` of the rows above the clean rate.
    """
    n = len(labels)
    rate = clean_rate(fitted_on)
    limit = max(int(stats.binom.ppf(0.999, n, rate)), int((rate + excess) * n)) if n else 0
    margin = scores.max(axis=1) - scores[np.arange(n), labels]
    return LabelIssues(scores.argmax(axis=1), margin, rate * n, limit)


def clean_rate(fitted_on: int) -> float:
    """Share of clean labels that a model fitted on so many rows doubts; measured on parts of MNIST."""
    return min(1.0, 0.001 + 2 / max(fitted_on, 1))


def _halved(images: NDArray[np.uint8]) -> Floats:
    """Means of 2×2 pixels: float32 [n, 196], 0–1."""
    blocks = images.reshape(-1, 14, 2, 14, 2).sum(axis=(2, 4), dtype=np.uint16)
    return np.asarray(blocks.reshape(len(images), 196) / 1020, dtype=np.float32)


def _principal(images: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Mean [196] and leading directions [196, COMPONENTS], scaled to projections of unit mean square."""
    halved = _halved(images[:: max(1, len(images) // SEEN)])
    mean = halved.mean(axis=0)
    halved -= mean
    variance, directions = np.linalg.eigh((halved.T @ halved).astype(np.float64) / len(halved))
    scale = np.sqrt(variance[-COMPONENTS:].mean())
    basis = directions[:, : -COMPONENTS - 1 : -1] / (scale if scale > 0 else 1.0)
    return np.asarray(mean), np.asarray(basis, dtype=np.float32)


def _features(images: NDArray[np.uint8], mean: Floats, basis: Floats) -> Floats:
    """1, the projections, and the product of every two of them: float32 [n, 861]."""
    projected = (_halved(images) - mean) @ basis
    k = projected.shape[1]
    features = np.empty((len(images), 1 + k + k * (k + 1) // 2), np.float32)
    features[:, 0] = 1
    features[:, 1 : k + 1] = projected
    start = k + 1
    for i in range(k):  # in place: index arrays would take a gigabyte
        np.multiply(projected[:, i:], projected[:, i : i + 1], out=features[:, start : start + k - i])
        start += k - i
    return features


def _solve(gram: Floats, moment: Floats, n: int) -> Floats:
    """Ridge weights. The penalty grows as rows get few, which keeps a small set's rate of doubts low."""
    system = gram.astype(np.float64)
    penalty = (0.01 + 300 / max(n, 1)) * np.trace(system) / len(system)
    system[np.diag_indices_from(system)] += penalty if penalty > 0 else 1.0
    return np.asarray(linalg.solve(system, moment.astype(np.float64), assume_a="pos"), dtype=np.float32)


@dataclass(frozen=True)
class Group:
    """Rows that are judged together. rows: positions in the table of images, as long as `doubts` is."""

    rows: NDArray[np.intp]
    doubts: LabelIssues


def by_group(
    rows: pd.DataFrame, everything: Split, usable: NDArray[np.bool_], *, excess: float, seed: int
) -> dict[str, Group]:
    """Judge the usable rows of `everything` (in the table's order): "<data set> train" and "<data set> test",
    then each incoming batch, train and held-out rows together, by name. {} when the data set has no usable
    training row, since nothing can be learnt then.
    """
    base = rows["base"].to_numpy(dtype=bool) & usable
    training = np.flatnonzero(base & (rows["split"] == "train").to_numpy(dtype=bool))
    if not len(training):
        return {}
    learnt = everything.take(training)
    model, scores = fit(learnt.images, learnt.labels, seed)
    name = str(learnt.batches[0])
    judged = {f"{name} train": Group(training, judge(scores, learnt.labels, model.fitted_on, excess=excess))}
    others = {f"{name} test": np.flatnonzero(base & (rows["split"] == "test").to_numpy(dtype=bool))}
    came = ~rows["base"].to_numpy(dtype=bool) & usable
    for batch in sorted(set(rows.loc[came, "batch"])):
        others[batch] = np.flatnonzero(came & (rows["batch"] == batch).to_numpy(dtype=bool))
    for group, members in others.items():
        part = everything.take(members)
        verdict = judge(model.scores(part.images), part.labels, model.fitted_on, excess=excess)
        judged[group] = Group(members, verdict)
    return judged


def list_issues(rows: pd.DataFrame, groups: dict[str, Group]) -> pd.DataFrame:
    """The doubted rows, groups with an alarm first, the most doubted first.

    Columns batch, split, row, file (empty), label, predicted, margin; the index is the position in the table
    of images.
    """
    parts = [rows.loc[[], ["batch", "split", "row", "label"]].assign(predicted=0, margin=0.0, alarm=False)]
    for group in groups.values():
        doubted = group.doubts.doubted
        part = rows.loc[group.rows[doubted], ["batch", "split", "row", "label"]]
        parts.append(
            part.assign(
                predicted=group.doubts.predicted[doubted],
                margin=np.round(
                    group.doubts.margin[doubted].astype(float), 2
                ),  # the third differs by machine
                alarm=group.doubts.alarm,
            )
        )
    found = pd.concat([part for part in parts if len(part)] or parts[:1])
    found = found.sort_values(["alarm", "margin"], ascending=False, kind="stable")
    return found.assign(file="")[["batch", "split", "row", "file", "label", "predicted", "margin"]]
