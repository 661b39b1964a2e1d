"""What monitoring compares requests with: how often each watched event is seen among the images of training.

An event is plain: the contrast of an image lies below 239, its answer is not accepted, the digit read is a
5. What is served may be any mixture of the sources that the version was made of (the data set, each incoming
batch), so an event's share may be as large as in the source that has the most of it. A source counts by
itself where its rows are surely unlike all of them together, and then with the end of its interval (Clopper
& Pearson 1934): of 40 images without an event nobody knows that it never happens, and 40 that have it often
must not hide it for good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from digits.dataset import CLASSES, Split
from digits.facts import FACTS, facts
from digits.line_model.lines import Lines
from digits.wire import ACCEPTED, CONFIDENCE, DIGIT

FORMAT = 1
LEVELS = (0.001, 0.01)  # shares of the data set's images beyond a threshold, at either end
UNSURE = 0.01  # how likely a share lies beyond one end of its interval
AT_ONCE = 4096  # images whose facts are taken; bounds the memory
BATCH = 50  # images and lines that the model is asked about; ditto
ALL = "all"  # the sources together
SINGLE = ("digit", "picture")  # kinds of images that show one digit
CENTRES = ("centre_x", "centre_y")
COMPOSED = "composed"  # the source of the validation lines
# The end of a fact's range, beyond which nothing can lie
ENDS = dict.fromkeys(("low", "high", "contrast", "mean"), (0.0, 255.0))
ENDS |= dict.fromkeys(("left", "top", "width", "height", "stroke"), (0.0, 28.0))
ENDS |= {"ink": (0.0, 1.0), "levels": (1.0, 256.0), "polarity": (-255.0, 255.0), CONFIDENCE: (0.0, 1.0)}

Columns = Mapping[str, NDArray[Any]]  # by name, each [n]
Sources = Mapping[str, NDArray[np.intp]]  # by name, the rows that came from it


def of_version(
    splits: Sequence[Split],
    digits: Callable[..., Mapping[str, Any]],
    lines: Callable[..., Mapping[str, Any]],
    groups: Sequence[Lines],
    accuracy: float,
) -> dict[str, Any]:
    """Plain values for monitoring.json, of a model's served functions of pixels, of digits and of lines.

    splits: the training images and, last, the validation images. groups: validation lines, by width.
    accuracy: share of the test images right.
    """
    known = splits[-1]
    parts = [facts(split.images[at : at + AT_ONCE]) for split in splits for at in _starts(split, AT_ONCE)]
    labels = np.concatenate([split.labels for split in splits])
    answers = [digits(known.images[at : at + BATCH]) for at in _starts(known, BATCH)]
    read = [
        lines(
            group.images[at : at + BATCH], np.full(len(group.images[at : at + BATCH]), group.width, np.int32)
        )
        for group in groups
        for at in _starts(group, BATCH)
    ]
    return reference(
        {name: np.concatenate([part[name] for part in parts]) for name in FACTS} | {DIGIT: labels},
        np.concatenate([split.batches for split in splits]),
        _columns(answers, (CONFIDENCE, ACCEPTED)),
        known.batches,
        _columns(read, (CONFIDENCE, ACCEPTED)),
        accuracy,
    )


def _starts(rows: Sized, step: int) -> range:
    return range(0, len(rows), step)


def _columns(answers: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([np.asarray(each[name]) for each in answers]) for name in names}


def reference(
    inputs: Columns,
    came_from: NDArray[np.str_],
    answers: Columns,
    answered: NDArray[np.str_],
    lines: Columns,
    accuracy: float,
) -> dict[str, Any]:
    """The same from columns.

    inputs: facts and labels of all images that the model was made of, whose sources `came_from` has. answers:
    confidence and accepted of the validation images, with their sources. lines: confidence and accepted of
    the validation lines.
    """
    sources, asked = _by_name(came_from), _by_name(answered)
    composed = {COMPOSED: np.arange(len(lines[ACCEPTED]))}
    every = {"images": sources, "answers": asked, "lines": composed}
    events = [
        _event(f"{name} {_told(where)}", "inputs", ["digit"], name, inputs[name], sources, where)
        for name in FACTS
        for where in _ends(name, inputs[name], sources)
    ]
    for kinds, prefix, table, origin in (
        (SINGLE, "", answers, asked),
        (["line"], "line ", lines, composed),
    ):
        watched = [("not accepted", ACCEPTED, {"equal": 0.0})]
        ends = [where for where in _ends(CONFIDENCE, table[CONFIDENCE], origin) if "below" in where]
        watched += [(f"{CONFIDENCE} {_told(where)}", CONFIDENCE, where) for where in ends]
        events += [
            _event(prefix + name, "answers", kinds, column, table[column], origin, where)
            for name, column, where in watched
        ]
    events += [
        _event(f"digit {digit}", "digits", SINGLE, DIGIT, inputs[DIGIT], sources, {"equal": float(digit)})
        for digit in range(CLASSES)
    ]
    names = sorted({name for each in every.values() for name in each})
    return {
        "format": FORMAT,
        "accuracy": accuracy,
        "sources": {name: {what: len(each.get(name, ())) for what, each in every.items()} for name in names},
        "events": events,
    }


def _by_name(sources: NDArray[np.str_]) -> Sources:
    return {str(name): np.flatnonzero(sources == name) for name in np.unique(sources)}


def _event(
    name: str,
    group: str,
    kinds: Sequence[str],
    column: str,
    values: NDArray[Any],
    sources: Sources,
    where: Mapping[str, float],
) -> dict[str, Any]:
    """An event: that a value lies below, above, or at what `where` says."""
    beyond = (values < where.get("below", -np.inf)) | (values > where.get("above", np.inf))
    hit = beyond | (values == where.get("equal", np.nan))
    told = {"name": name, "group": group, "kinds": list(kinds), "column": column}
    return {**told, **where, **_shares(hit, sources)}


def _ends(column: str, values: NDArray[Any], sources: Sources) -> list[dict[str, float]]:
    """Where few values of the largest source, the data set, lie: at either end; of a centre, at both at once,
    since it may be off to any side."""
    largest = values[max(sources.values(), key=len)]
    known = largest[~np.isnan(largest)]
    levels = np.array(LEVELS)
    low, high = (
        list(dict.fromkeys(float(f"{end:.6g}") for end in np.quantile(known, at, method="inverted_cdf")))
        for at in (levels, 1 - levels)
    )
    if column in CENTRES:
        return [{"below": below, "above": above} for below, above in zip(low, high, strict=False)]
    least, most = ENDS[column]
    return [{"below": end} for end in low if end != least] + [{"above": end} for end in high if end != most]


def _told(where: Mapping[str, float]) -> str:
    if len(where) == 2:
        return f"outside {where['below']:g} to {where['above']:g}"
    return " ".join(f"{side} {end:g}" for side, end in where.items())


def _shares(hit: NDArray[np.bool_], sources: Sources) -> dict[str, Any]:
    """The share of hits, of all and of each source that is surely unlike that; the least and most to
    expect."""
    share = float(hit.mean())
    least, most = interval(int(hit.sum()), len(hit))
    shares = {ALL: share}
    for name, rows in sources.items():
        of_source = hit[rows]
        low, high = interval(int(of_source.sum()), len(of_source))
        if low > share or high < share:
            shares[name] = float(of_source.mean())
            least, most = (min(least, low), most) if high < share else (least, max(most, high))
    rounded = {name: round(value, 6) for name, value in shares.items()}
    return {"shares": rounded, "least": round(least, 6), "most": round(most, 6)}


def interval(hits: int, rows: int) -> tuple[float, float]:
    """Both ends of a share's interval, each wrong with probability UNSURE."""
    low = float(stats.beta.ppf(UNSURE, hits, rows - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - UNSURE, hits + 1, rows - hits)) if hits < rows else 1.0
    return low, high
