"""What the monitor found, as plain values: `dataclasses.asdict` of each can be written as JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A watched event that has become too frequent, or too rare.

    name: "contrast below 239", "not accepted", "digit 5 missing", "errors", "corrected answers".
    group: inputs, answers, digits, errors, latency or accuracy.
    since: unix seconds where the evidence begins. at: when the alarm was raised.
    observed: the event's share in the `rows` rows since then. expected: the bound of that share.
    text: one sentence of plain English.
    """

    name: str
    group: str
    since: float
    at: float
    observed: float
    expected: float
    rows: int
    text: str


@dataclass(frozen=True)
class Event:
    """A watched event in this look, for time lines.

    rows: how many rows it could be seen in. share: in how many of them it was; None where there were none.
    bound: of that share, the most where `too_often`, else the least.
    """

    name: str
    group: str
    rows: int
    share: float | None
    bound: float
    too_often: bool


@dataclass(frozen=True)
class Findings:
    """What a look at the rows since the last one found.

    rows: of this version in this look. first, last: unix seconds of the first and the last; None of none.
    alarms: those that stand, raised now or before. cleared: those that ended in this look.
    """

    version: int
    rows: int
    first: float | None
    last: float | None
    alarms: tuple[Finding, ...]
    cleared: tuple[Finding, ...]
    events: tuple[Event, ...]
