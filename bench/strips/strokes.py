"""Digits that MNIST has few of, drawn by strokes: ones with flag and foot, crossed sevens, open nines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from bench.strips.writing import Ink, cut

Stroke = Sequence[tuple[float, float]]  # points of a smooth curve; x to the right, y down, 0–1
FINE = 4  # times enlarged, strokes are drawn


def ring(x: float, y: float, a: float, b: float, start: float = -100, turn: float = -370) -> Stroke:
    """Return an arc of an ellipse around (x, y) of these half axes, from `start` through `turn` degrees."""
    angles = np.radians(np.linspace(start, start + turn, 10))
    return [(x + a * math.cos(each), y + b * math.sin(each)) for each in angles]


def one(flag: float, degrees: float, foot: bool = False) -> list[Stroke]:
    """Return a 1 with a flag so long, in heights, at so many degrees to the stem."""
    turn = math.radians(degrees)
    tip, top = (0.6 - flag * math.sin(turn), flag * math.cos(turn)), (0.6, 0.0)
    strokes: list[Stroke] = [[tip, top], [top, (0.59, 0.5), (0.6, 1)], [(0.35, 1), (0.85, 0.99)]]
    return strokes if foot else strokes[:2]


STYLES: dict[str, tuple[str, list[Stroke]]] = {
    "0 slashed": ("0", [ring(0.4, 0.5, 0.33, 0.5), [(0.7, 0.08), (0.1, 0.92)]]),
    "1 with flag and foot": ("1", one(0.45, 45, foot=True)),
    "1 with a long flag": ("1", one(0.7, 40)),
    "2 with a loop": ("2", [[(0.1, 0.25), (0.35, 0), (0.65, 0.2), (0.45, 0.6), (0.1, 0.95), (0.05, 0.85),
                             (0.2, 0.82), (0.45, 0.98), (0.75, 0.95)]]),
    "3 with a flat top": ("3", [[(0.1, 0.02), (0.65, 0)], [(0.65, 0), (0.32, 0.4)],
                                [(0.32, 0.4), (0.66, 0.55), (0.6, 0.9), (0.3, 1), (0.05, 0.88)]]),
    "4 open": ("4", [[(0.2, 0.02), (0.08, 0.55)], [(0.08, 0.55), (0.75, 0.55)], [(0.6, 0.05), (0.56, 1)]]),
    "5 with a bar apart": ("5", [[(0.2, 0.06), (0.16, 0.45)], [(0.28, 0.02), (0.72, 0)],
                                 [(0.16, 0.45), (0.5, 0.4), (0.66, 0.68), (0.42, 0.98), (0.08, 0.92)]]),
    "6 with a ring": ("6", [[(0.55, 0), (0.25, 0.3), (0.1, 0.7)], ring(0.36, 0.74, 0.26, 0.26, 190)]),
    "7 crossed": ("7", [[(0.08, 0.04), (0.7, 0.02)], [(0.7, 0.02), (0.45, 0.5), (0.3, 1)],
                        [(0.22, 0.52), (0.68, 0.48)]]),
    "8 of two rings": ("8", [ring(0.4, 0.23, 0.22, 0.23), ring(0.4, 0.73, 0.29, 0.27)]),
    "9 open": ("9", [[(0.62, 0.1), (0.35, 0), (0.1, 0.22), (0.3, 0.47), (0.56, 0.4)],
                     [(0.64, 0.08), (0.62, 0.55), (0.56, 1)]]),
    "9 with a curl": ("9", [ring(0.38, 0.25, 0.28, 0.25, -20, -360),
                            [(0.66, 0.2), (0.66, 0.7), (0.48, 1), (0.12, 0.92)]]),
}  # fmt: skip


def drawn(strokes: Sequence[Stroke], height: float, rng: np.random.Generator, pen: float = 0.1) -> Ink:
    """Return strokes as ink so high, never twice the same. pen: width of the stroke in heights."""
    size, margin = height * FINE, 0.4 * height * FINE
    lean, wide = rng.normal(0.08, 0.08), rng.uniform(0.85, 1.1)
    ink = np.zeros((round(size + 2 * margin), round(size + 2 * margin)), np.uint8)
    ends: dict[tuple[float, float], np.ndarray] = {}  # strokes that begin where another ended still do
    for stroke in strokes:
        moved = [ends.setdefault(point, np.array(point) + rng.normal(0, 0.01, 2)) for point in stroke]
        curve = _smooth(np.array(moved))
        x = (curve[:, 0] * wide + lean * (1 - curve[:, 1])) * size + margin
        points = np.stack([x, curve[:, 1] * size + margin], 1).round().astype(np.int32)
        cv2.polylines(ink, [points], False, 255, max(1, round(pen * size)), cv2.LINE_AA)
    small = cv2.resize(ink, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)
    return cut(small.astype(np.float32) / 255)


def _smooth(points: np.ndarray) -> np.ndarray:
    """Return many points of a curve through these (Catmull and Rom 1974)."""
    ends = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, 12)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        bend = (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
        parts.append(b + ((c - a) * t + bend) / 2)
    return np.concatenate(parts)
