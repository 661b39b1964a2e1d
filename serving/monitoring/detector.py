"""Finds, row by row, that an event has become more frequent than its bound, or rarer.

The method is an e-detector of the Shiryaev–Roberts kind: Shin, Ramdas and Rinaldo, "E-detectors: a
nonparametric framework for sequential change detection", 2022 (arXiv:2203.03532). For each event there are a
few bets on what its share has become. A row multiplies the sum of a bet by how much likelier the row is under
the bet than at the bound, after the time since the last row was added to it. An alarm is raised when the
weighted mean of all sums reaches the budget, and then all begin anew.

The guarantee. As long as each event's probability, whatever the rows before were, is within its bound, no bet
is expected to grow: the mean of the sums less the time that has passed falls or stays in expectation, and an
alarm takes a whole budget out of it. So the expected number of alarms within a time T is at most T divided by
the budget, however often somebody looks and however many requests there are in that time. Nothing is assumed
about the events' dependence on each other, and no row is left out.

The assumption is that of exchangeable rows: "whatever the rows before were". A long series from one sender,
who writes with a thick pen or sends nothing but sevens, breaks it, and may raise an alarm; that is softened
by `serving.monitoring.judge`, which takes equal images once and a bounded number of rows from one request,
and by bounds that leave room.

No sum can overflow: it is below the budget over its weight before a row, and a row multiplies it by at most
one over the bound, which is kept away from zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.runtime.errors import DataError

REPLACED = (0.05, 0.15, 0.4)  # of what is too frequent: which share of the rows is now ones that all show it
GONE = 0.99  # of what is too rare: which share of the event's rows has gone
LEAST = 0.005  # bounds are kept within this and one less this
LONGEST = 3600.0  # seconds that a pause adds to the sums at most
AT_ONCE = 1024  # rows; bounds the memory

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Bets:
    """What is bet on, by component: arrays [components], but for `events`.

    event: which event, by its place. hit, miss: what a row with it, and one without, multiplies the sum by.
    weight: of the sum; they add up to 1. events: how many there are.
    """

    event: NDArray[np.intp]
    hit: Numbers
    miss: Numbers
    weight: Numbers
    events: int


def bets(bounds: Sequence[float], too_often: Sequence[bool], weights: Sequence[float]) -> Bets:
    """The bets on events with these bounds of their shares. weights: of the events; they add up to 1."""
    event, hit, miss, weight = [], [], [], []
    for place, (bound, upward, whole) in enumerate(zip(bounds, too_often, weights, strict=True)):
        share = min(max(bound, LEAST), 1 - LEAST)
        guesses = [share + part * (1 - share) for part in REPLACED]
        if not upward:
            guesses = [share * (1 - GONE)]
        for guess in guesses:
            event.append(place)
            hit.append(guess / share)
            miss.append((1 - guess) / (1 - share))
            weight.append(whole / len(guesses))
    return Bets(np.array(event, np.intp), np.array(hit), np.array(miss), np.array(weight), len(bounds))


@dataclass(frozen=True)
class Alarm:
    """An event's share has changed.

    event: its place. row: place in the rows given of the one that raised it. since: unix seconds of the first
    row of the evidence. rows, hits: how many rows it could be seen in since then, and in how many it was.
    """

    event: int
    row: int
    since: float
    rows: int
    hits: int


class Detector:
    """The sums, and where the evidence for each begins."""

    def __init__(self, bets: Bets, budget: float, state: Any = None) -> None:
        """budget: seconds in which one false alarm is allowed. state: what `to_json` gave, to go on from
        there.

        Raises DataError when the state is damaged, or that of other bets.
        """
        n = len(bets.event)
        self._bets, self._budget = bets, budget
        self._last: float | None = None  # unix seconds of the last row
        self._sums, self._evidence = np.zeros(n), np.zeros(n)
        self._start = np.zeros((3, n))  # unix seconds, rows and hits of the component's event by then
        self._counts = np.zeros((2, bets.events))  # rows and hits of each event so far
        if state is not None:
            self._restore(state)

    @property
    def last(self) -> float | None:
        """Unix seconds of the last row; None before the first."""
        return self._last

    def look(self, at: Numbers, hit: NDArray[np.bool_], seen: NDArray[np.bool_]) -> list[Alarm]:
        """Take rows in the order of time, and return the alarms that they raise.

        at: [n] unix seconds. hit: [n, events], whether the row shows the event. seen: [n, events], whether it
        could: a line has no contrast.
        """
        alarms = []
        for first in range(0, len(at), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            alarms += self._part(at[part], hit[part] & seen[part], seen[part], first)
        return alarms

    def _part(self, at: Numbers, hit: NDArray[np.bool_], seen: NDArray[np.bool_], first: int) -> list[Alarm]:
        bets, alarms = self._bets, []
        event = bets.event
        could, did = seen[:, event], hit[:, event]
        factors = np.where(could, np.where(did, bets.hit, bets.miss), 1.0)
        logarithms = np.where(could, np.where(did, np.log(bets.hit), np.log(bets.miss)), 0.0)
        before = np.empty((len(at), 2, bets.events))
        before[0] = 0
        np.cumsum(np.stack([seen[:-1], hit[:-1]], 1), axis=0, out=before[1:])
        before += self._counts
        starts = np.empty((len(at), 3, len(event)))
        starts[:, 0], starts[:, 1:] = at[:, np.newaxis], before[:, :, event]
        earlier = at[:1] if self._last is None else np.array([self._last])
        passed = np.clip(np.diff(at, prepend=earlier), 0.0, LONGEST)
        sums, evidence, start = self._sums, self._evidence, self._start
        for row, seconds in enumerate(passed.tolist()):
            # Evidence is counted from where it was last gone, as Page's CUSUM does.
            np.copyto(start, starts[row], where=evidence <= 0)
            np.maximum(evidence, 0.0, out=evidence)
            evidence += logarithms[row]
            sums += seconds
            sums *= factors[row]
            if bets.weight @ sums >= self._budget:
                alarms.append(self._alarm(first + row, before[row], hit[row], seen[row]))
                sums[:] = evidence[:] = 0.0
        self._counts += [seen.sum(axis=0), hit.sum(axis=0)]
        self._last = float(at[-1])
        return alarms

    def _alarm(self, row: int, before: Numbers, hit: NDArray[np.bool_], seen: NDArray[np.bool_]) -> Alarm:
        """Name the event with the most evidence, and where that of its best bet began."""
        shares = self._bets.weight * self._sums
        event = int(np.bincount(self._bets.event, shares, self._bets.events).argmax())
        component = int(np.where(self._bets.event == event, shares, -1.0).argmax())
        since, rows, hits = self._start[:, component]
        now = before[:, event] + [seen[event], hit[event]]
        return Alarm(event, row, float(since), int(now[0] - rows), int(now[1] - hits))

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"last": self._last, **{name: array.tolist() for name, array in self._arrays().items()}}

    def _arrays(self) -> dict[str, Numbers]:
        return {
            "sums": self._sums,
            "evidence": self._evidence,
            "start": self._start,
            "counts": self._counts,
        }

    def _restore(self, state: Any) -> None:
        try:
            for name, array in self._arrays().items():
                kept = np.asarray(state[name], np.float64)
                if kept.shape != array.shape or not np.isfinite(kept).all():
                    raise ValueError(f"{name} has {list(kept.shape)} numbers, expected {list(array.shape)}")
                array[:] = kept
            self._last = None if state["last"] is None else float(state["last"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"the monitor's state is damaged ({error!r}): delete it, and monitoring begins anew"
            ) from None
