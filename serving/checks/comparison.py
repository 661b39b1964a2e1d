"""Decides whether a candidate may replace the version in service: a test of non-inferiority, with reasons.

Promotion uses it. It is no stage of the graph, since what is in service does not follow from data and code.
`gate.decide` says whether a model may be exported at all; this, whether it may replace one that works.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """How much worse a candidate may be. Accuracies are shares in [0, 1]."""

    loss: float = 0.0005  # below the champion: 5 of MNIST's 10,000 images, about the spread between seeds
    loss_sample: float = 0.005  # both made on the sample: one of its 1,000 test images weighs 0.001
    drift: float = 0.001  # below the best ever promoted, so that allowed losses do not add up
    drift_sample: float = 0.01  # ten times, as `loss_sample` is
    p_worse: float = 0.05  # of the exact paired test: below it the candidate counts as worse
    size_ratio: float = 1.5  # × the champion's bytes …
    size_extra: int = MIB  # … and so much more: small models must be free to grow a layer
    size_lines: int = 6 * MIB  # and so much more where the champion reads no lines yet
    loss_lines: float = 0.005  # of lines read exactly, below the champion: 10 of 2,000
    latency_ratio: float = 1.5  # × the champion's median for one image or line …
    latency_extra: float = 1.0  # … and so many milliseconds more: the noise of a busy machine


@dataclass(frozen=True)
class Contender:
    """A published version. accuracy: as recorded on its test images, None when unknown. size: bytes.

    lines: whether it reads lines of writing; versions made before there was a line reader don't.
    """

    number: int
    sample: bool
    size: int
    accuracy: float | None = None
    lines: bool = False


@dataclass(frozen=True)
class Duel:
    """The results of both on the candidate's test images. right: bool [n]. latency: median ms an image.

    lines: the same on lines of writing, where right is a line that is read exactly.
    """

    candidate_right: NDArray[np.bool_]
    champion_right: NDArray[np.bool_]
    candidate_latency: float
    champion_latency: float
    lines: Duel | None = None


NO_LINES = Duel(np.array([], np.bool_), np.array([], np.bool_), float("nan"), float("nan"))


@dataclass(frozen=True)
class Best:
    """The best version ever promoted that was tested on the same images."""

    number: int
    accuracy: float


@dataclass(frozen=True)
class Rule:
    """The outcome of one rule, as the gate's: value and threshold are None where they are unknown."""

    rule: str
    value: float | None
    threshold: float | None
    passed: bool
    reason: str


@dataclass(frozen=True)
class Comparison:
    """The result: passed if every rule passed. champion: None when nothing was in service."""

    candidate: int
    champion: int | None
    passed: bool
    rules: tuple[Rule, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """The reasons of the rules that failed."""
        return tuple(rule.reason for rule in self.rules if not rule.passed)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "rules": [asdict(rule) for rule in self.rules]}


def compare(
    candidate: Contender, champion: Contender, duel: Duel, best: Best | None, limits: Limits | None = None
) -> Comparison:
    """Judge a candidate by every rule against the version in service."""
    bounds = limits or Limits()
    most = bounds.loss_sample if candidate.sample and champion.sample else bounds.loss
    rules: tuple[Rule, ...] = (
        _sample(candidate, champion),
        _accuracy(IMAGES, champion, duel, most),
        _paired(IMAGES, duel, bounds),
        _drift(candidate, duel, best, bounds),
        _signatures(candidate, champion),
        _size(candidate, champion, bounds),
        _latency(IMAGES, duel, bounds),
    )
    if candidate.lines and champion.lines:
        lines = duel.lines or NO_LINES
        rules += (
            _accuracy(LINES, champion, lines, bounds.loss_lines),
            _paired(LINES, lines, bounds),
            _latency(LINES, lines, bounds),
        )
    return Comparison(candidate.number, champion.number, all(rule.passed for rule in rules), rules)


def without_champion(candidate: Contender, best: Best | None, limits: Limits | None = None) -> Comparison:
    """Judge a candidate when nothing is in service: it passes, unless a better one was promoted before."""
    first = Rule(
        "champion", None, None, True, "nothing is in service yet, so there is nothing to compare with"
    )
    rules = (first, _drift(candidate, None, best, limits or Limits()))
    return Comparison(candidate.number, None, all(rule.passed for rule in rules), rules)


def worse_probability(only_champion: int, only_candidate: int) -> float:
    """The one-sided p of the exact paired test (McNemar 1947).

    It is the probability of at least this many images that only the champion reads, if both were equally
    good. Images that both or neither read have no influence.
    """
    n = only_champion + only_candidate
    term = comb(n, only_champion)
    tail = 0
    for k in range(only_champion, n + 1):
        tail += term
        term = term * (n - k) // (k + 1)
    share: float = tail / 2**n
    return share


def _sample(candidate: Contender, champion: Contender) -> Rule:
    passed = champion.sample or not candidate.sample
    reason = (
        "trained on no less data"
        if passed
        else f"trained on the sample, while version {champion.number} was trained on the full data set"
    )
    return Rule("sample", float(candidate.sample), float(champion.sample), passed, reason)


@dataclass(frozen=True)
class _Kind:
    """What a duel is about. prefix: of its rules. one, many: for messages."""

    prefix: str
    one: str
    many: str


IMAGES, LINES = _Kind("", "image", "images"), _Kind("lines_", "line", "lines")


def _accuracy(kind: _Kind, champion: Contender, duel: Duel, most: float) -> Rule:
    rule, n = f"{kind.prefix}accuracy", len(duel.candidate_right)
    if n == 0 or len(duel.champion_right) != n:
        return Rule(rule, None, None, False, f"there are no test {kind.many} to compare on")
    lost = int(duel.champion_right.sum()) - int(duel.candidate_right.sum())
    value, floor = float(duel.candidate_right.mean()), float(duel.champion_right.mean()) - most
    reason = (
        f"{value:.2%} right where version {champion.number} has {duel.champion_right.mean():.2%} "
        f"on the same {n:,} {kind.many}, at most {most:.2%} less allowed"
    )
    return Rule(rule, value, floor, lost <= most * n + 1e-9, reason)


def _paired(kind: _Kind, duel: Duel, limits: Limits) -> Rule:
    rule = f"{kind.prefix}paired_test"
    if len(duel.candidate_right) == 0 or len(duel.champion_right) != len(duel.candidate_right):
        return Rule(rule, None, limits.p_worse, False, f"there are no test {kind.many} to compare on")
    only_champion = int((duel.champion_right & ~duel.candidate_right).sum())
    only_candidate = int((duel.candidate_right & ~duel.champion_right).sum())
    p = worse_probability(only_champion, only_candidate)
    reason = (
        f"{only_champion:,} {kind.many} are read by the champion alone and {only_candidate:,} by the "
        f"candidate: p = {p:.3f}, below {limits.p_worse:g} counts as worse"
    )
    return Rule(rule, p, limits.p_worse, p >= limits.p_worse, reason)


def _drift(candidate: Contender, duel: Duel | None, best: Best | None, limits: Limits) -> Rule:
    if best is None:
        return Rule("best_ever", None, None, True, "no version promoted so far was tested on these images")
    value = float(duel.candidate_right.mean()) if duel and len(duel.candidate_right) else candidate.accuracy
    most = limits.drift_sample if candidate.sample else limits.drift
    floor = best.accuracy - most
    if value is None:
        return Rule("best_ever", None, floor, False, "its accuracy is not on record, so it can't be judged")
    reason = (
        f"{value:.2%} right where the best ever promoted, version {best.number}, had {best.accuracy:.2%}, "
        f"at most {most:.2%} less allowed"
    )
    return Rule("best_ever", value, floor, value >= floor - 1e-9, reason)


def _signatures(candidate: Contender, champion: Contender) -> Rule:
    lost = champion.lines and not candidate.lines
    reason = f"it reads no lines, as version {champion.number} does" if lost else "it answers every call"
    return Rule("signatures", float(candidate.lines), float(champion.lines), not lost, reason)


def _size(candidate: Contender, champion: Contender, limits: Limits) -> Rule:
    new = limits.size_lines if candidate.lines and not champion.lines else 0
    most = limits.size_ratio * champion.size + limits.size_extra + new
    reason = f"{candidate.size / MIB:.2f} MiB, at most {most / MIB:.2f} MiB beside version {champion.number}"
    return Rule("size", candidate.size, most, candidate.size <= most, reason)


def _latency(kind: _Kind, duel: Duel, limits: Limits) -> Rule:
    most = limits.latency_ratio * duel.champion_latency + limits.latency_extra
    reason = (
        f"{duel.candidate_latency:.2f} ms for one {kind.one}, the champion takes "
        f"{duel.champion_latency:.2f} ms, at most {most:.2f} ms allowed"
    )
    return Rule(f"{kind.prefix}latency", duel.candidate_latency, most, duel.candidate_latency <= most, reason)
