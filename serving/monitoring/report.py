"""The report of monitoring as one HTML page that needs nothing else: no script, no outside reference.

The template is page.html.j2. Equal content gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jinja2

# By group of the watched events: what an alarm means, and what to do first. docs/operations.md has more.
ADVICE = {
    "inputs": "The pictures differ from those that the version was trained on. Look at some: if a camera, a "
    "form or a client has changed, repair that; if they are here to stay, have them labelled and retrain.",
    "answers": "The model is sure less often than in validation. Look at what it is unsure of, and label it.",
    "digits": "A digit is read more often or more seldom than was learnt. If what people write has not "
    "changed, the model confuses it: label some of these pictures.",
    "errors": "Requests fail. Look at the log of the gateway or the server; it is seldom the model's fault.",
    "latency": "Answers are slow. Look for overload first, then for a version slower than the last.",
    "accuracy": "People correct more answers than the test had wrong. Review what waits, and retrain.",
}
WIDTH, HEIGHT = 320, 72  # of a time line, in units of its own
POINTS = 240  # of a line at most: more looks are joined, the worst of them shown
LINES = 12  # that are shown, those nearest to their bounds first; those with an alarm are always among them
GROUPS = {
    "inputs": "Pictures",
    "answers": "Answers",
    "digits": "Digits",
    "errors": "Errors",
    "latency": "Latency",
    "accuracy": "Accuracy",
}


@dataclass(frozen=True)
class Line:
    """A watched event over time, as parts of an SVG drawing."""

    name: str
    group: str
    too_often: bool
    share: float | None  # the last one
    bound: float  # the last one
    top: float  # the share at the upper edge
    path: str  # of the shares
    bounds: str  # of their bounds
    versions: tuple[tuple[float, int], ...]  # where another version begins, and its number
    alarms: tuple[tuple[float, float], ...]  # from where to where an alarm stood
    standing: bool


def page(latest: Mapping[str, Any], history: Sequence[Mapping[str, Any]], project: str) -> str:
    """The page, of the last look and of all that were kept, the oldest first."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("serving.monitoring", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "when": when, "count": lambda n: f"{n:,}", "level": level}
    lines = time_lines(history)
    return environment.get_template("page.html.j2").render(
        look=latest,
        project=project,
        advice=ADVICE,
        groups=GROUPS,
        shown=lines[:LINES],
        others=lines[LINES:],
        width=WIDTH,
        height=HEIGHT,
        begin=history[0]["at"] if history else latest["at"],
        looks=len(history),
        past=past(history),
    )


def time_lines(history: Sequence[Mapping[str, Any]]) -> list[Line]:
    """A line for each event of the last look: those with an alarm, then those nearest to their bounds."""
    if not history:
        return []
    begin, end = history[0]["at"], history[-1]["at"]
    span = max(end - begin, 1.0)
    joined = _joined(history)
    changes, before = [], history[0]["version"]
    for look in history:
        if look["version"] != before:
            changes.append((_across(look["at"], begin, span), look["version"]))
            before = look["version"]
    found = [_line(name, history, joined, begin, span, tuple(changes)) for name in history[-1]["events"]]
    return sorted(
        found,
        key=lambda line: (not line.standing, -_nearness(line.share, line.bound, too_often=line.too_often)),
    )


def _joined(history: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    """The looks in at most POINTS groups."""
    each = max(1, -(-len(history) // POINTS))
    return [history[start : start + each] for start in range(0, len(history), each)]


def _line(
    name: str,
    history: Sequence[Mapping[str, Any]],
    joined: Sequence[Sequence[Mapping[str, Any]]],
    begin: float,
    span: float,
    changes: tuple[tuple[float, int], ...],
) -> Line:
    last = history[-1]["events"][name]
    worst = max if last["too_often"] else min
    shares, bounds = [], []
    for group in joined:
        known = [look["events"][name] for look in group if name in look["events"]]
        across = _across(group[-1]["at"], begin, span)
        seen = [event["share"] for event in known if event["share"] is not None]
        shares.append((across, worst(seen) if seen else None))
        bounds.append((across, known[-1]["bound"] if known else None))
    highest = max([share for _, share in (*shares, *bounds) if share is not None], default=0.0)
    top = min(1.0, max(0.05, 1.15 * highest)) if highest <= 1.0 else 1.15 * highest
    return Line(
        name=name,
        group=last["group"],
        too_often=last["too_often"],
        share=last["share"],
        bound=last["bound"],
        top=top,
        path=_path(shares, top),
        bounds=_path(bounds, top),
        versions=changes,
        alarms=tuple(_stood(name, history, begin, span)),
        standing=name in history[-1]["alarms"],
    )


def _across(at: float, begin: float, span: float) -> float:
    return round(WIDTH * (at - begin) / span, 1)


def _path(points: Sequence[tuple[float, float | None]], top: float) -> str:
    """An SVG path, broken where there is no share."""
    parts, open_ = [], False
    for across, share in points:
        if share is None:
            open_ = False
            continue
        parts.append(f"{'L' if open_ else 'M'}{across:g} {HEIGHT * (1 - min(share, top) / top):.1f}")
        if not open_:
            parts.append("h0.1")  # a share alone is a dot
        open_ = True
    return "".join(parts)


def _stood(
    name: str, history: Sequence[Mapping[str, Any]], begin: float, span: float
) -> list[tuple[float, float]]:
    """From where to where an alarm stood, in units of the drawing."""
    spans: list[tuple[float, float]] = []
    start: float | None = None
    for look in history:
        across = _across(look["at"], begin, span)
        if name in look["alarms"] and start is None:
            start = across
        elif name not in look["alarms"] and start is not None:
            spans.append((start, max(across - start, 1.5)))
            start = None
    if start is not None:
        spans.append((start, max(WIDTH - start, 1.5)))
    return spans


def nearest(latest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The events of a look: those with an alarm first, then those nearest to their bounds."""
    alarms = {alarm["name"] for alarm in latest["alarms"]}

    def order(event: Mapping[str, Any]) -> tuple[bool, float]:
        near = _nearness(event["share"], event["bound"], too_often=event["too_often"])
        return event["name"] not in alarms, -near

    return sorted(latest["events"], key=order)


def _nearness(share: float | None, bound: float, *, too_often: bool) -> float:
    """How near a share is to its bound, 1 at the bound."""
    if share is None:
        return -1.0
    return share / max(bound, 1e-9) if too_often else bound / max(share, 1e-9)


def past(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Alarms that stand no more, the newest first: name, when raised and when cleared."""
    raised: dict[str, float] = {}
    ended = []
    for look in history:
        for name in list(raised):
            if name not in look["alarms"]:
                ended.append({"name": name, "from": raised.pop(name), "until": look["at"]})
        for name in look["alarms"]:
            raised.setdefault(name, look["at"])
    return ended[::-1][:20]


def percent(share: float | None) -> str:
    """A share as people read it; one above 1 is no share, and is given as it is."""
    if share is None:
        return "–"
    if share > 1:
        return f"{share:.3g}"
    text = f"{100 * share:.{1 if share >= 0.001 or share == 0 else 2}f}%"
    return "99.9%" if text == "100.0%" and share < 1 else text


def level(value: float | None) -> str:
    """A fact's value in three digits."""
    return "–" if value is None else f"{value:.3g}"


def when(at: float | None) -> str:
    """A time in UTC, to the minute."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
