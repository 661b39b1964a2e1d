"""Judges what was served: the requests' rows become events, and the detector says which have changed.

What is taken for granted is that the traffic is any mixture of the sources that the version was made from.
The bound of an event is its share in the source with the most of it, plus a slack, since people's hands
differ: the writers of MNIST's test images are others than those of its training images. So once somebody's
foggy digits are part of the training, fog raises no alarm any more.

Only 28 × 28 pixels are compared with the inputs of the training. Pictures, which are read with the same
network, are compared by their answers; lines by theirs, with those to the composed validation lines.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.runtime.errors import DataError
from serving.monitoring.detector import LEAST, Alarm, Detector, bets
from serving.monitoring.findings import Event, Finding, Findings
from serving.monitoring.reference import Known, Reference

DAY = 86_400.0  # seconds
KINDS = ("digit", "picture", "line")  # of images
RARER = (
    0.6  # times as often as in training a digit may be read: the digits of amounts are not all as frequent
)
FAILED, FAILING = 499, 0.01  # status above which the service is at fault, and the share of that
LEARNT = 500  # first rows of each source and kind that show how long a version takes
SLOWER, SLOW_SHARE = 2.0, 0.05  # times what 99 % of these took, and the share of rows that may take longer
CLEARING = 500  # rows in which an event must be within its bound for its alarm to end
OF_ONE_REQUEST = 20  # rows that count, evenly taken
Z95 = 1.959964
COLUMNS = ("at", "source", "route", "kind", "status", "digest", "version", "latency")  # the least of a row
PLAIN = ("not accepted",)  # what a row is, where others have something
SLOW, WRONG = "slow", "wrong"  # columns that are worked out here
# What the rows of a group's events are called
OF = {"inputs": "images", "answers": "answers", "digits": "answers", "errors": "requests"}
OF |= {"latency": "answers", "accuracy": "answers"}

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How watchful the monitor is.

    alarm_days: in so many days one false alarm is allowed, on average. slack: added to each bound. latency:
    seconds that a request may take; None: as learnt from a version's first rows.
    """

    alarm_days: float = 30.0
    slack: float = 0.02
    latency: float | None = None


@dataclass(frozen=True)
class _Watch:
    """An event with its bound. says: what rows with it do, for a sentence."""

    event: Known
    bound: float
    says: str
    too_often: bool = True


@dataclass(frozen=True)
class _Rows:
    """Which rows show each event, and which could: bool [rows, events] each."""

    hit: Mask
    seen: Mask


@dataclass
class _Standing:
    """An alarm that has not ended. rows, hits: since the evidence began. window…: since the last check."""

    name: str
    since: float
    at: float
    rows: int
    hits: int
    window_rows: int = 0
    window_hits: int = 0


@dataclass
class State:
    """What one look leaves to the next. Of one version, and of one set of bounds: `key` tells them apart."""

    version: int
    key: str
    detector: dict[str, Any] | None = None
    standing: list[_Standing] = field(default_factory=list)
    latencies: dict[str, list[float]] = field(default_factory=dict)  # the first ones, by source and kind
    corrections: tuple[int, int] = (0, 0)  # right, and all

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> State:
        """Read what `to_json` gave. Raises DataError when it is damaged."""
        try:
            right, asked = map(int, content["corrections"])
            return cls(
                int(content["version"]),
                str(content["key"]),
                None if content["detector"] is None else dict(content["detector"]),
                [_standing(each) for each in content["standing"]],
                {str(kind): list(map(float, times)) for kind, times in content["latencies"].items()},
                (right, asked),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"the monitor's state is damaged ({error!r}): delete it, and monitoring begins anew"
            ) from None


def _standing(content: Mapping[str, Any]) -> _Standing:
    return _Standing(
        str(content["name"]),
        float(content["since"]),
        float(content["at"]),
        int(content["rows"]),
        int(content["hits"]),
        int(content["window_rows"]),
        int(content["window_hits"]),
    )


def look(
    rows: pd.DataFrame,
    reference: Reference,
    state: State | None,
    settings: Settings = Settings(),
    corrections: tuple[int, int] = (0, 0),
) -> tuple[Findings, State]:
    """Judge the rows since the last look, in the order of time; those of other versions are left out.

    state: what the last look returned; None, or that of another version or other bounds: begins anew.
    corrections: how many of this version's answers were right, as far as people corrected them, and how many
    there were, all so far.
    """
    watches = _watches(reference, settings)
    key = hashlib.sha256(repr([(watch.event, watch.bound) for watch in watches]).encode()).hexdigest()[:16]
    if state is None or (state.version, state.key) != (reference.version, key):
        state = State(reference.version, key)
    table = _counted(_of_version(rows, reference.version))
    at = table["at"].to_numpy(np.float64)
    slow, timed, latencies = _slow(table, state.latencies, settings)
    events = _events(table, watches, slow, timed)
    shares = [_event(watch, events, place) for place, watch in enumerate(watches)]

    detector = _detector(watches, settings, state.detector)
    last = float(at[-1]) if len(at) else detector.last
    if last is None:  # corrections wait for a first row, which tells the time
        corrections = state.corrections
    else:
        wrong = _new_corrections(state.corrections, corrections)
        at, events = np.append(at, np.full(len(wrong), last)), _with_corrections(events, wrong, watches)
    alarms = detector.look(at, events.hit, events.seen)
    standing, ended = _follow(state.standing, watches, alarms, at, events)
    named = {watch.event.name: watch for watch in watches}
    findings = Findings(
        version=reference.version,
        rows=len(table),
        first=float(at[0]) if len(table) else None,
        last=last if len(table) else None,
        alarms=tuple(_finding(each, named[each.name]) for each in standing),
        cleared=tuple(_finding(each, named[each.name]) for each in ended),
        events=tuple(shares),
    )
    return findings, State(reference.version, key, detector.to_json(), standing, latencies, corrections)


def _watches(reference: Reference, settings: Settings) -> list[_Watch]:
    wrong = _within(1 - reference.accuracy + settings.slack)
    return [
        *(_known(event, settings.slack) for event in reference.events),
        _Watch(_fixed("errors", "errors", ("", *KINDS), "status", above=FAILED), FAILING, "failed"),
        _Watch(_fixed("latency", "latency", KINDS, SLOW), SLOW_SHARE, "took too long"),
        _Watch(_fixed("corrected answers", "accuracy", (), WRONG), wrong, "were corrected"),
    ]


def _known(event: Known, slack: float) -> _Watch:
    if event.group == "digits":
        rare = replace(event, name=f"{event.name} missing")
        return _Watch(rare, _within(RARER * event.least), f"were read as {event.equal:.0f}", too_often=False)
    name = event.name.removeprefix("line ")
    return _Watch(event, _within(event.most + slack), f"were {name}" if name in PLAIN else f"have {name}")


def _fixed(name: str, group: str, kinds: tuple[str, ...], column: str, above: float = 0.0) -> Known:
    return Known(name, group, kinds, column, -math.inf, above, math.nan, 0.0, 1.0)


def _within(bound: float) -> float:
    """Keep a bound where one row in doubt is no proof."""
    return min(max(bound, LEAST), 1 - LEAST)


def _detector(watches: Sequence[_Watch], settings: Settings, state: Any) -> Detector:
    """Give each group of events the same weight, however many they are."""
    groups = [watch.event.group for watch in watches]
    weights = [1 / len(set(groups)) / groups.count(group) for group in groups]
    bounds, too_often = [watch.bound for watch in watches], [watch.too_often for watch in watches]
    return Detector(bets(bounds, too_often, weights), settings.alarm_days * DAY, state)


def _of_version(rows: pd.DataFrame, version: int) -> pd.DataFrame:
    if missing := [name for name in COLUMNS if name not in rows.columns]:
        raise DataError(f"the request log's rows lack {', '.join(missing)}: expected {', '.join(COLUMNS)}")
    # A request that failed may have reached no version.
    return rows[(rows["version"] == version) | rows["version"].isna()]


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out what would make rows depend on each other: equal images, and most of a large request.

    The lines of a photo have its digest, and come in one request.
    """
    again = rows.duplicated("digest")
    of_first = rows["at"] == rows.groupby("digest", sort=False)["at"].transform("first")
    failed = (rows["digest"] == "") | (rows["status"] > FAILED)
    rows = rows[failed | ~again | ((rows["kind"] == "line") & of_first)]
    request = rows.groupby(["source", "route", "at"], sort=False)["at"]
    place, size = request.cumcount(), request.transform("size")
    return rows[(place * OF_ONE_REQUEST) % size < OF_ONE_REQUEST]


def _slow(
    rows: pd.DataFrame, first: Mapping[str, list[float]], settings: Settings
) -> tuple[Mask, Mask, dict[str, list[float]]]:
    """Tell which rows took too long, and for which that is known; the first latencies by source and kind."""
    latency = rows["latency"].to_numpy(np.float64)
    place = (rows["source"] + " " + rows["kind"]).where(rows["kind"].isin(KINDS) & np.isfinite(latency))
    slow, timed = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    learnt = dict(first)
    for name in place.dropna().unique():
        here = np.flatnonzero(place == name)
        known = learnt.get(name, [])
        learning = LEARNT - len(known)
        learnt[name] = [*known, *latency[here[:learning]].tolist()]
        limit = settings.latency or SLOWER * float(np.quantile(learnt[name], 0.99))
        judged = here if settings.latency else here[learning:]
        slow[judged], timed[judged] = latency[judged] > limit, True
    return slow, timed, learnt


def _events(rows: pd.DataFrame, watches: Sequence[_Watch], slow: Mask, timed: Mask) -> _Rows:
    hit = np.zeros((len(rows), len(watches)), bool)
    seen = np.zeros_like(hit)
    kind = rows["kind"].to_numpy(object)
    events = [watch.event for watch in watches]
    of_kinds = {kinds: np.isin(kind, kinds) for kinds in {event.kinds for event in events}}
    columns = {name: rows[name].to_numpy(np.float64) for name in {e.column for e in events} - {SLOW, WRONG}}
    columns[SLOW] = np.where(timed, slow, np.nan)
    columns[WRONG] = np.full(len(rows), np.nan)
    for place, event in enumerate(events):
        values = columns[event.column]
        seen[:, place] = of_kinds[event.kinds] & ~np.isnan(values)
        hit[:, place] = (values < event.below) | (values > event.above) | (values == event.equal)
    return _Rows(hit & seen, seen)


def _event(watch: _Watch, rows: _Rows, place: int) -> Event:
    n, hits = int(rows.seen[:, place].sum()), int(rows.hit[:, place].sum())
    return Event(
        watch.event.name, watch.event.group, n, hits / n if n else None, watch.bound, watch.too_often
    )


def _with_corrections(rows: _Rows, wrong: Mask, watches: Sequence[_Watch]) -> _Rows:
    """Append rows in which only the event of corrections could be seen."""
    hit, seen = (np.pad(each, ((0, len(wrong)), (0, 0))) for each in (rows.hit, rows.seen))
    place = [watch.event.column for watch in watches].index(WRONG)
    before = len(rows.hit)
    hit[before:, place], seen[before:, place] = wrong, True
    return _Rows(hit, seen)


def _new_corrections(before: tuple[int, int], now: tuple[int, int]) -> Mask:
    """Tell which of the new answers were wrong. Nobody knows their order, so it is drawn."""
    if not 0 <= now[0] <= now[1]:
        raise DataError(f"{now[0]} of {now[1]} answers were right, expected none to all of them")
    # One that counted as right may be corrected later, and a correction may be deleted.
    wrong = max(0, (now[1] - now[0]) - (before[1] - before[0]))
    new = max(wrong, now[1] - before[1])
    drawn: Mask = np.random.default_rng(now[1]).permutation(new) < wrong
    return drawn


def _follow(
    standing: Sequence[_Standing],
    watches: Sequence[_Watch],
    alarms: Sequence[Alarm],
    at: Numbers,
    rows: _Rows,
) -> tuple[list[_Standing], list[_Standing]]:
    """Return the alarms that stand after these rows, and those that ended in them."""
    places = {watch.event.name: place for place, watch in enumerate(watches)}
    now = {each.name: replace(each) for each in standing}
    ended: list[_Standing] = []
    done = 0
    for alarm in [*alarms, None]:
        until = len(at) if alarm is None else alarm.row + 1
        for each in list(now.values()):
            place = places[each.name]
            hit = rows.hit[done:until, place][rows.seen[done:until, place]]
            if _ends(each, hit, watches[place]):
                ended.append(now.pop(each.name))
        if alarm is not None:
            name = watches[alarm.event].event.name
            if name not in now:
                now[name] = _Standing(name, alarm.since, float(at[alarm.row]), alarm.rows, alarm.hits)
            now[name].window_rows = now[name].window_hits = 0
        done = until
    return list(now.values()), ended


def _ends(standing: _Standing, hit: Mask, watch: _Watch) -> bool:
    """Count rows, and tell whether an alarm ends in them: when CLEARING rows on end are within the bound."""
    while len(hit):
        part = hit[: CLEARING - standing.window_rows]
        hit = hit[len(part) :]
        for name, more in (("rows", len(part)), ("hits", int(part.sum()))):
            setattr(standing, name, getattr(standing, name) + more)
            setattr(standing, f"window_{name}", getattr(standing, f"window_{name}") + more)
        if standing.window_rows == CLEARING:
            share = standing.window_hits / CLEARING
            if share <= watch.bound if watch.too_often else share >= watch.bound:
                return True
            standing.window_rows = standing.window_hits = 0
    return False


def _finding(standing: _Standing, watch: _Watch) -> Finding:
    share, event = standing.hits / standing.rows, watch.event
    since = f"{datetime.fromtimestamp(standing.since, UTC):%Y-%m-%d %H:%M} UTC"
    text = (
        f"{share:.1%} of {standing.rows:,} {OF[event.group]} since {since} {watch.says}: "
        f"at {'most' if watch.too_often else 'least'} {watch.bound:.1%} expected"
    )
    if event.group == "accuracy":
        low, high = wilson(standing.hits, standing.rows)
        text += f" (95% interval {low:.1%} to {high:.1%})"
    return Finding(
        event.name, event.group, standing.since, standing.at, share, watch.bound, standing.rows, text
    )


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """Both ends of the 95 % interval of a share of one row or more (Wilson 1927)."""
    share, spread = hits / rows, Z95 * Z95 / rows
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
