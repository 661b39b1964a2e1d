"""What numbers stand and lie on, paper and desks, and what light, a hand and a camera make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from bench.strips.writing import Floats, Ink, Number, floats

Rng = np.random.Generator
Size = tuple[int, ...]  # rows and columns

PAPERS = ((250, 250, 248), (244, 244, 246), (246, 241, 224), (232, 228, 220), (250, 242, 205))
BOARD = (52, 60, 56)  # for chalk
RULINGS = ("plain", "squared", "ruled", "form")


def clouds(size: Size, cell: tuple[float, float], rng: Rng) -> Floats:
    """Return smooth noise of standard deviation about 1, with bumps of so many rows and columns."""
    coarse = [max(2, round(full / each)) for full, each in zip(size, cell, strict=True)]
    noise = rng.standard_normal(coarse, np.float32)
    return floats(cv2.resize(noise, (size[1], size[0]), interpolation=cv2.INTER_CUBIC))


def coloured(shade: Floats, colour: Sequence[float] | Floats) -> Floats:
    """Return [h, w, 3] of a colour that is lighter and darker in places."""
    return floats(shade[..., None] * floats(colour))


def paper(size: Size, rng: Rng, colour: Sequence[float] | None = None) -> Floats:
    """Return an empty sheet, float32 [h, w, 3]: fibres, waves, on a quarter of them a fold."""
    shade = 1 + 0.012 * clouds(size, (2, 3), rng) + 0.015 * clouds(size, (size[0] / 3, size[1] / 3), rng)
    if rng.random() < 0.25:
        along = int(rng.integers(2))
        place = np.arange(size[along]) / 8 - rng.uniform(0.35, 0.65) * size[along] / 8
        fold = 0.06 * np.tanh(place / 8) - 0.12 * np.exp(-(place**2))
        shade = floats(shade + (fold[:, None] if along == 0 else fold[None, :]))
    return coloured(shade, colour or PAPERS[rng.integers(len(PAPERS))])


def write(sheet: Floats, ink: Ink, colour: Sequence[float] | Floats) -> None:
    """Lay ink on paper."""
    sheet += (floats(colour) - sheet) * ink[..., None]


def rule(sheet: Floats, ruling: str, height: float, base: float, down: float, rng: Rng) -> None:
    """Print squares or lines on paper for digits so high that stand on `base`, the next line `down` below."""
    ink: Ink = np.zeros(sheet.shape[:2], np.float32)
    pitch = down / max(1, round(down / (height * rng.uniform(0.7, 1.1)))) if ruling == "squared" else down
    if ruling in ("squared", "ruled"):
        ink[np.arange(len(ink)) % pitch // 2 == base % pitch // 2] = 1
    if ruling == "squared":
        ink[:, np.arange(ink.shape[1]) % pitch < 2] = 1
    write(sheet, ink * np.float32(rng.uniform(0.3, 0.75)), (110, 140, 190))


def comb(sheet: Floats, left: float, base: float, pitch: float, height: float, n: int) -> None:
    """Print n boxes for digits so high that stand on `base`."""
    room = (pitch - height) / 2 + 0.1 * height
    for i in range(n):
        first = (round(left + i * pitch), round(base - height - room))
        cv2.rectangle(sheet, first, (round(left + (i + 1) * pitch), round(base + room)), (95, 100, 105), 2)


def _wood(size: Size, rng: Rng) -> Floats:
    rows = np.arange(size[0])[:, None] + 25 * clouds(size, (300, 700), rng)
    rings = np.sin(rows * rng.uniform(0.03, 0.08) + 2 * clouds(size, (60, 900), rng))
    shade = 1 + 0.05 * rings + 0.06 * clouds(size, (3, 250), rng) + 0.03 * clouds(size, (2, 40), rng)
    plank = size[0] // int(rng.integers(3, 7))
    for i, top in enumerate(range(0, size[0], plank)):
        shade[top : top + plank] *= (0.93, 1.0, 1.05)[i % 3]
        shade[top : top + max(2, plank // 80)] *= 0.55
    return coloured(shade, ((168, 120, 76), (120, 78, 48), (205, 170, 125))[rng.integers(3)])


def _cloth(size: Size, rng: Rng, checks: bool = False) -> Floats:
    y, x = np.mgrid[0 : size[0], 0 : size[1]] / rng.uniform(1.0, 1.8)
    weave = np.sin(x + clouds(size, (40, 40), rng)) * np.sin(y + clouds(size, (40, 40), rng))
    folds = 0.07 * clouds(size, (400, 250), rng) + 0.05 * rng.standard_normal(size, np.float32)
    cloth = coloured(floats(1 + 0.1 * weave + folds), floats(rng.uniform(60, 180) + rng.normal(0, 22, 3)))
    if checks:
        pitch = rng.uniform(40, 100)
        write(cloth, floats((y // pitch % 2 + x // pitch % 2) / 2.3), (238, 236, 230))
    return cloth


def _plain(size: Size, rng: Rng, low: float, high: float) -> Floats:
    shade = 1 + 0.03 * clouds(size, (300, 300), rng) + 0.03 * clouds(size, (3, 3), rng)
    return coloured(shade, floats(rng.uniform(low, high) * rng.uniform(0.9, 1.05, 3)))


def _keyboard(size: Size, rng: Rng) -> Floats:
    case, cap, sign = (28, 45, 190) if rng.random() < 0.7 else (170, 228, 90)
    ground = np.full((*size, 3), case, np.uint8)
    gap = int(rng.integers(7, 13))
    pitch = 12 * gap
    for i, y in enumerate(range(0, size[0], pitch)):
        for x in range(-(i % 4) * pitch // 4, size[1], pitch):
            low = (x + pitch - 2 * gap, y + pitch - 3 * gap)
            cv2.rectangle(ground, (x + 2 * gap, y + gap), low, (cap,) * 3, -1)
            cv2.putText(ground, chr(ord("A") + rng.integers(26)), (x + 3 * gap, y + 5 * gap),
                        cv2.FONT_HERSHEY_SIMPLEX, pitch / 110, (sign,) * 3, 1, cv2.LINE_AA)  # fmt: skip
    return floats(cv2.GaussianBlur(ground, (0, 0), 1.2))


GROUNDS: dict[str, Callable[[Size, Rng], Floats]] = {  # float32 [h, w, 3] of 0–255
    "wood": _wood,
    "cloth": _cloth,
    "dark": lambda size, rng: _plain(size, rng, 20, 70),
    "light": lambda size, rng: _plain(size, rng, 150, 205),
    "checks": lambda size, rng: _cloth(size, rng, checks=True),
    "keyboard": _keyboard,
}


def photographed(scene: Floats, rng: Rng) -> Floats:
    """Return a picture of 0–255: lit, blurred, tinted, exposed, with noise, sharpened."""
    low, high = ((0.5, 4), (0.7, 8)) if rng.random() < 0.2 else ((0.88, 1), (1.05, 5))  # dim, or not
    exposure, grain = rng.uniform(low, high)
    tint = ((1, 1, 1), (1, 0.93, 0.8), (0.92, 0.98, 1.04))[rng.integers(3)]  # day, lamp, shade
    seen = scene * _shine(scene.shape[:2], rng)[..., None] * floats(exposure * floats(tint))
    seen = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.4, 0.8 if len(scene) < 500 else 1.4))
    if rng.random() < 0.15:  # the hand shook
        n = int(rng.integers(3, 6))
        seen = cv2.filter2D(seen, -1, np.eye(n, dtype=np.float32) / n)
    noise = 0.8 * rng.standard_normal((*seen.shape[:2], 1), np.float32)
    seen = seen + floats(grain) * (noise + 0.6 * rng.standard_normal(seen.shape, np.float32))
    if rng.random() < 0.6:
        seen = seen + 0.6 * (seen - cv2.GaussianBlur(seen, (0, 0), 1.5))
    return floats(255 * np.clip(seen / 255, 0, 1) ** rng.uniform(0.85, 1.15))


def _shine(size: Size, rng: Rng) -> Floats:
    """Return the light: a slope, a lamp's pool, on a third the shadow of a hand or phone."""
    small = max(8, size[0] // 8), max(8, size[1] // 8)
    y, x = (np.linspace(-1, 1, n) - rng.uniform(-1, 1) for n in small)
    slope = rng.uniform(-0.22, 0.22, 2)
    shine = 0.82 + slope[0] * y[:, None] + slope[1] * x - rng.uniform(0, 0.12) * (y[:, None] ** 2 + x**2)
    shine = floats(np.maximum(shine / shine.max(), 0.55))
    if rng.random() < 0.35:
        cast, wide = np.zeros(small, np.float32), max(75, min(small))  # a close-up shows a part
        middle = (rng.uniform(0.1, 0.9, 2) * small[::-1]).tolist()
        where = (middle, (0.5 * wide, 0.95 * wide), rng.uniform(-40, 40))
        if rng.random() < 0.5:  # a phone, or a hand
            cv2.fillConvexPoly(cast, cv2.boxPoints(where).astype(np.int32), 1)
        else:
            cv2.ellipse(cast, where, 1, -1)
        shine *= 1 - rng.uniform(0.25, 0.5) * cv2.GaussianBlur(cast, (0, 0), rng.uniform(0.015, 0.05) * wide)
    return floats(cv2.resize(shine, (size[1], size[0]), interpolation=cv2.INTER_CUBIC))


def hold(picture: Floats, numbers: Sequence[Number], rng: Rng) -> None:
    """Hold the sheet by a thumb from the picture's edge, if there is a place where it hides no number."""
    h, w = picture.shape[:2]
    radius = rng.uniform(0.07, 0.1) * min(h, w)
    for _ in range(20):
        y, reach, up = rng.uniform((0.3 * h, 0.8 * radius, radius), (0.9 * h, 2.2 * radius, 4 * radius))
        tip, root = np.array([reach, y]), np.array([-3 * radius, y + up])
        if rng.random() < 0.5:  # from the right
            tip[0], root[0] = w - reach, w + 3 * radius
        mask = np.zeros((h, w), np.float32)
        for step in np.linspace(0, 1, 40):  # wider towards the hand
            middle = tip + step * (root - tip)
            cv2.circle(mask, middle.astype(int).tolist(), int(radius * (0.8 + 0.5 * step)), 1, -1)
        if any(mask[y : y + b, x : x + a].any() for x, y, a, b in (each.box for each in numbers)):
            continue
        depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) / radius
        skin = floats((232, 178, 150)) * np.float32(rng.uniform(0.5, 1.05))
        shade = 0.72 + 0.28 * np.clip(2 * depth, 0, 1) + 0.015 * clouds((h, w), (4, 4), rng)
        thumb, nail, way = floats(shade[..., None] * skin), np.zeros((h, w), np.float32), root - tip
        cv2.ellipse(nail, tip.astype(int).tolist(), (int(0.62 * radius), int(0.5 * radius)),
                    float(np.degrees(np.arctan2(way[1], way[0]))), 0, 360, 0.8, -1)  # fmt: skip
        write(thumb, floats(cv2.GaussianBlur(nail, (0, 0), 0.04 * radius)), skin * floats((1.08, 1.13, 1.16)))
        picture += (thumb - picture) * cv2.GaussianBlur(mask, (0, 0), 2)[..., None]
        return
