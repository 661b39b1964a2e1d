"""What moved: the facts of a window of digits beside those of training, and pictures of the strangest.

Arrays and frames in, plain values out.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from digits.facts import FACTS
from serving.app.feedback.corrections import PIXELS, SIDE
from serving.monitoring.reference import Known

RARE = 0.01  # of the training images are beyond the thresholds that the table is made of, at either end
COMMON = 0.05  # share of the training images from which on an event makes no image strange
FEWEST = 20  # rows that quantiles are worth showing of
SHOWN = 60  # pictures
ACROSS, SCALE, GAP = 12, 2, 2  # pictures a row; screen pixels a pixel; pixels between two


def facts(digits: pd.DataFrame, watched: Sequence[Known]) -> list[dict[str, Any]]:
    """One entry a fact, the one that moved most first: its values in training and in the window.

    low, high: what about a hundredth of the training images lie below and above; None where none can.
    """
    digits = digits[digits["low"].notna()]  # the log has no facts of some when there is too much to do
    if len(digits) < FEWEST:
        return []
    found = []
    for name in FACTS:
        values = digits[name].dropna().to_numpy(float)
        mine = [each for each in watched if (each.group, each.column) == ("inputs", name)]
        low = _rare([each for each in mine if np.isfinite(each.below)])
        high = _rare([each for each in mine if np.isfinite(each.above)])
        outside = np.zeros(len(digits), bool)
        for event in filter(None, (low, high)):
            outside |= shows(digits, event)
        entry: dict[str, Any] = {"name": name, "low": low and low.below, "high": high and high.above}
        quantiles = np.quantile(values, (0.05, 0.5, 0.95)) if len(values) else ()
        entry["window"] = [float(each) for each in quantiles]
        trained = sum({each.name: each.most for each in filter(None, (low, high))}.values())
        found.append(entry | {"outside": float(outside.mean()), "trained": trained})
    return sorted(found, key=lambda fact: -(fact["outside"] - fact["trained"]))


def _rare(watched: Sequence[Known]) -> Known | None:
    """The event that about one in a hundred training images shows."""
    return min(watched, key=lambda each: abs(np.log(max(each.most, 1e-6) / RARE)), default=None)


def strangeness(digits: pd.DataFrame, watched: Sequence[Known]) -> NDArray[np.float64]:
    """How unlike training images each row is: the sum of how surprising each event is that it shows."""
    found = np.zeros(len(digits))
    for event in watched:
        if event.group == "inputs" and event.most < COMMON:
            found += shows(digits, event) * -np.log(max(event.most, 1e-4))
    return found


def shows(rows: pd.DataFrame, event: Known) -> NDArray[np.bool_]:
    """Which rows show an event."""
    values = rows[event.column].to_numpy(float)
    beyond = (values < event.below) | (values > event.above) | (values == event.equal)
    found: NDArray[np.bool_] = beyond & rows["kind"].isin(event.kinds).to_numpy()
    return found


def picture(digits: pd.DataFrame, strange: NDArray[np.float64]) -> str | None:
    """A PNG file of the strangest digits, in base64; None where no pixels are kept, or none are strange."""
    order = np.argsort(-strange, kind="stable")[: int((strange > 0).sum())]
    chosen = digits.iloc[order].drop_duplicates("digest")["image"]
    pixels = [image for image in chosen if isinstance(image, bytes) and len(image) == PIXELS][:SHOWN]
    if not pixels:
        return None
    across = min(ACROSS, len(pixels))
    step = SIDE + GAP
    sheet = np.full((-(-len(pixels) // across) * step, across * step), 90, np.uint8)
    for number, image in enumerate(pixels):
        top, left = step * (number // across), step * (number % across)
        sheet[top : top + SIDE, left : left + SIDE] = np.frombuffer(image, np.uint8).reshape(SIDE, SIDE)
    stream = io.BytesIO()
    large = np.repeat(np.repeat(sheet, SCALE, axis=0), SCALE, axis=1)
    Image.fromarray(large).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()
