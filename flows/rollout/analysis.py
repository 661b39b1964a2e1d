"""Judges a version on trial by its answers to the same requests as the version in service.

The canary uses it. It checks what the comparison on test images can't: whether the version answers inside the
production servers, as fast, and on the requests that really arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import exp, lgamma, log
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rules:
    """How far the version on trial may be from the one in service.

    agreement: share of golden images read alike. Two good models of MNIST differ on about 1 %; 3 % leaves
    room for models made on the sample.
    agreement_logged: the same for logged requests. Lower, since those that the old model misreads are why
    there is a new one.
    agreement_lines: the same for lines of writing that are read alike to the last character: composed lines
    are hard, and a reader that is broken agrees on none.
    chance: a few images may differ by chance: a candidate is refused when that many would differ in fewer
    than this share of trials if the true share were at the bound. Of 32 golden images 4 may differ, of 1,000
    logged ones 123.
    latency_ratio, latency_extra: refused when its median exceeds the other's by this factor and by this many
    seconds: doubled work shows, and the noise of a busy machine on answers of 1 ms does not.
    timed: with fewer requests than this latency is not judged.
    off: how far the sum of an answer's probabilities may be from 1; float32 sums are within 1e-6.
    """

    agreement: float = 0.97
    agreement_logged: float = 0.90
    agreement_lines: float = 0.70
    chance: float = 0.01
    latency_ratio: float = 2.0
    latency_extra: float = 0.002
    timed: int = 8
    off: float = 1e-3


@dataclass(frozen=True)
class Answer:
    """One model's answer to one request. digits: int [n]; probabilities: [n, 10]; seconds: how long it took.

    For lines of writing digits are texts, str [n], and probabilities those of columns, [m, 12].
    error: why there is none; the arrays are empty then.
    """

    digits: NDArray[np.int64] | NDArray[np.str_]
    probabilities: NDArray[np.float64]
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Responses:
    """The answers to requests of one kind: item i of both sequences answers request i.

    name: for messages, such as "golden images". logged: whether they come from the request log. lines:
    whether they are about lines of writing. beside: what the `stable` answers are from, for messages.
    """

    name: str
    stable: Sequence[Answer]
    candidate: Sequence[Answer]
    logged: bool = False
    lines: bool = False
    beside: str = "the version in service"


@dataclass(frozen=True)
class Trial:
    """The verdict on a candidate. passed: no rule was broken.

    figures: what was measured, by kind of request; times in ms. at_fault: whether the reasons are the
    candidate's fault, and not that of a server that could not try it. slow: only latency speaks against it,
    so it is tried again: the machine may have been busy. golden: the digits that it read in the golden
    requests, in their order.
    """

    passed: bool
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    at_fault: bool = True
    slow: bool = False
    golden: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def judge(responses: Sequence[Responses], rules: Rules | None = None) -> Trial:
    """Judge a candidate by every rule, each kind of request by itself. rules: the defaults if None."""
    bounds = rules or Rules()
    reasons: list[str] = []
    slow = 0
    figures: dict[str, dict[str, float]] = {}
    for kind in responses:
        both = [(s, c) for s, c in zip(kind.stable, kind.candidate, strict=True) if not (s.error or c.error)]
        figures[kind.name] = {"requests": len(kind.stable)}
        for rule in (_errors, _probabilities, _agreement, _latency):
            measured, reason = rule(kind, both, bounds)
            figures[kind.name] |= measured
            reasons += [reason] if reason else []
            slow += bool(reason) and rule is _latency
    if not any(measured.get("images") for measured in figures.values()):
        reasons.append("no request was answered by both versions, so they can't be compared")
    return Trial(not reasons, tuple(reasons), figures, slow=0 < slow == len(reasons))


def excess_probability(differing: int, n: int, share: float) -> float:
    """The probability that at least `differing` of n differ, each with probability `share` in (0, 1)."""
    total = 0.0
    for k in range(differing, n + 1):
        ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        total += exp(ways + k * log(share) + (n - k) * log(1 - share))
    return min(1.0, total)


Pairs = Sequence[tuple[Answer, Answer]]
Outcome = tuple[dict[str, float], str]  # figures, and the reason of a rule that was broken


def _errors(kind: Responses, _: Pairs, __: Rules) -> Outcome:
    n = len(kind.stable)
    lost = [c.error for s, c in zip(kind.stable, kind.candidate, strict=True) if c.error and not s.error]
    broken = [s.error for s in kind.stable if s.error]
    figures = {"candidate_failed": float(len(lost)), "stable_failed": float(len(broken))}
    if broken:
        said = f"{kind.beside} failed {len(broken)} of {n} {kind.name} during the trial, 0 allowed"
        return figures, f"{said}: {broken[0]}"
    if lost:
        said = f"it failed {len(lost)} of {n} {kind.name} that {kind.beside} answered, 0 allowed"
        return figures, f"{said}: {lost[0]}"
    return figures, ""


def _probabilities(kind: Responses, both: Pairs, rules: Rules) -> Outcome:
    sums = [np.asarray(c.probabilities, np.float64).sum(axis=1) for _, c in both]
    off = np.abs(np.concatenate(sums) - 1) if sums else np.zeros(0)
    wrong = int((~(off <= rules.off)).sum())  # this way round, since NaN is below nothing
    if not wrong:
        return {"odd_probabilities": 0.0}, ""
    what = "columns" if kind.lines else "digits"
    worst = "not numbers" if np.isnan(off).any() else f"off by {off.max():.2g}"
    return {"odd_probabilities": float(wrong)}, (
        f"its probabilities of {wrong} of {len(off)} {what} in {kind.name} do not sum to 1: {worst}, "
        f"at most {rules.off:g} allowed"
    )


def _agreement(kind: Responses, both: Pairs, rules: Rules) -> Outcome:
    n = sum(len(s.digits) for s, _ in both)
    if not n:
        return {"images": 0.0}, ""
    short = sum(len(s.digits) != len(c.digits) for s, c in both)
    if short:
        return {"images": float(n)}, f"{short} of {len(both)} {kind.name} got a different number of answers"
    differing = sum(int((s.digits != c.digits).sum()) for s, c in both)
    least = rules.agreement_logged if kind.logged else rules.agreement
    what = "digits"
    if kind.lines:
        least, what = rules.agreement_lines, "lines"
    figures = {"images": float(n), "differing": float(differing), "agreement": 1 - differing / n}
    p = excess_probability(differing, n, 1 - least)
    if differing <= (1 - least) * n or p >= rules.chance:
        return figures, ""
    return figures, (
        f"it reads {differing} of {n} {what} in {kind.name} differently from {kind.beside}: "
        f"{1 - differing / n:.1%} alike, {least:.0%} expected (p = {p:.2g} by chance, below {rules.chance:g} "
        "is refused)"
    )


def _latency(kind: Responses, both: Pairs, rules: Rules) -> Outcome:
    if len(both) < rules.timed:
        return {}, ""
    stable, candidate = median(s.seconds for s, _ in both), median(c.seconds for _, c in both)
    figures = {"stable_ms": stable * 1000, "candidate_ms": candidate * 1000}
    most = max(rules.latency_ratio * stable, stable + rules.latency_extra)
    if candidate <= most:
        return figures, ""
    return figures, (
        f"it takes {candidate * 1000:.1f} ms for one of the {kind.name}, {kind.beside} "
        f"{stable * 1000:.1f} ms, at most {most * 1000:.1f} ms allowed"
    )
