"""Draws pictures of numbers in handwriting: fields that fill a picture, and sheets of paper on a desk."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.strips import desk
from bench.strips.desk import RULINGS, Rng, Size
from bench.strips.writing import Floats, Number, Photo, chosen, digit, encoded, floats, numerals, row
from digits.dataset import Split

Touches = Sequence[bool] | NDArray[np.bool_]
Written = tuple[str, Floats]  # a number and [n, 2] points x, y of its ink on the sheet

FIELDS = {"five": 0.0, "five touching": 0.3, "mixed": 0.1}  # the chance of each pair of neighbours to touch
PENS: dict[str, tuple[tuple[int, int, int], float, float, float]] = {  # colour, width from and to, cover
    "blue ball pen": ((32, 48, 140), 0.06, 0.09, 0.9),
    "black ball pen": ((35, 35, 42), 0.06, 0.09, 0.92),
    "pencil": ((75, 75, 80), 0.06, 0.1, 0.75),
    "felt": ((25, 25, 35), 0.11, 0.16, 0.97),
    "as scanned": ((30, 30, 60), 0.0, 0.0, 0.9),  # the stroke of the data set
    "chalk": ((225, 225, 215), 0.09, 0.14, 0.9),
}


def field(kind: str, split: Split, rng: Rng) -> Photo:
    """Return a picture of one number of a kind of FIELDS; one in seven is chalk on a board."""
    text = numerals(rng, int(rng.integers(3, 10)) if kind == "mixed" else 5)
    touches, ruling = rng.random(len(text) - 1) < FIELDS[kind], RULINGS[rng.integers(len(RULINGS))]
    if kind == "five touching":
        touches[rng.integers(len(touches))] = True
        ruling = RULINGS[rng.integers(3)]  # in the boxes of a form nothing touches
    return strip(split, text, rng, "board" if rng.random() < 1 / 7 else ruling, touches)


def strip(split: Split, text: str, rng: Rng, ruling: str, touches: Touches = ()) -> Photo:
    """Return a picture that one number fills, tilted a little. For the rest see `filled`."""
    height = float(np.exp(rng.uniform(np.log(28), np.log(90))))
    size = (round(8 * height), round((1.75 * len(text) + 6) * height))
    sheet, written = filled(split, [[text]], height, 2.5 * height, size, rng, ruling, touches)
    turn, room = np.eye(3), rng.uniform(0.5, 1.2, 2) * height
    turn[:2] = cv2.getRotationMatrix2D((0, 0), rng.uniform(-5, 5), 1.0)
    there = cv2.perspectiveTransform(written[0][1][:, None], turn)[:, 0]
    turn[:2, 2] = room - there.min(0)
    w, h = np.ptp(there, axis=0) + 2 * room
    picture, numbers = lay(np.zeros((int(h), int(w), 3), np.float32), sheet, written, turn, rng)
    return Photo(encoded(desk.photographed(picture, rng), int(rng.integers(60, 96))), tuple(numbers))


def filled(
    split: Split, lines: Sequence[Sequence[str]], height: float, margin: float, size: Size, rng: Rng,
    ruling: str, touches: Touches = (),
) -> tuple[Floats, list[Written]]:  # fmt: skip
    """Return a sheet with lines of numbers in columns, of digits about so high, by one hand with one pen.

    A number that is too wide for its column loses its last digits. ruling: of RULINGS, or board. touches: of
    each pair of neighbours in a number whether they touch, none by default; in a form's boxes none does.
    """
    sheet = desk.paper(size, rng, desk.BOARD if ruling == "board" else None)
    pen = "chalk" if ruling == "board" else list(PENS)[rng.integers(len(PENS) - 1)]
    colour, thinnest, thickest, cover = PENS[pen]
    thick, lean, spacing = rng.uniform((thinnest, -0.12, 0.1), (thickest, 0.2, 0.4))
    across, room = (size[1] - 2 * margin) / max(map(len, lines)), size[0] - 2 * margin
    down = min(rng.uniform(1.8, 3.2) * height, room / len(lines))
    top = margin + rng.uniform(0, max(0, room - len(lines) * down))
    pitch = height * rng.uniform(1.15, 1.35) if ruling == "form" else 0.0
    desk.rule(sheet, ruling, height, top + 0.85 * down, down, rng)
    marks, written = np.zeros(size, np.float32), []
    for i, j, text in ((i, j, text) for i, line in enumerate(lines) for j, text in enumerate(line)):
        images = chosen(split, text, rng)
        inks = [digit(each, height * rng.uniform(0.9, 1.1), rng, thick, lean) for each in images]
        while (ink := row(inks, height, rng, spacing, touches, pitch)).shape[1] > across - 0.8 * height:
            inks, text = inks[:-1], text[:-1]
        left, base = margin + j * across, top + (i + 0.85) * down
        if pitch:
            desk.comb(sheet, left, base, pitch, height, len(text))
        x = int(left + ((pitch - inks[0].shape[1]) / 2 if pitch else rng.uniform(0, 0.2) * height))
        y = int(base - rng.uniform(0.0, 0.06) * height) - len(ink)
        marks[y : y + len(ink), x : x + ink.shape[1]] += ink
        written.append((text, floats(np.argwhere(ink > 0.4)[::5, ::-1] + (x, y))))
    flow = cover + 0.08 * desk.clouds(size, (height / 2, height / 2), rng)  # more where the pen presses
    if pen in ("pencil", "chalk"):
        flow *= 1 - 0.35 * np.abs(rng.standard_normal(size, np.float32)).clip(0, 1.5)
    desk.write(sheet, (marks * flow).clip(0, 1), colour)
    return sheet, written


def posed(sheet: Sequence[float], photo: Size, rng: Rng, steepest: float = 25) -> NDArray[np.float64]:
    """Return the homography of a sheet before a camera, turned at most so many degrees away from it."""
    away = np.radians(rng.uniform(-steepest, steepest, 2))
    turn = np.radians(np.clip(rng.normal(0, 5), -15, 15))
    rotation = cv2.Rodrigues(np.array([*away, 0]))[0] @ cv2.Rodrigues(np.array([0, 0, turn]))[0]
    focus, (h, w) = 1.3 * max(photo), sheet
    corners = floats([(0, 0), (w, 0), (w, h), (0, h)])
    space = np.c_[corners - floats((w / 2, h / 2)), np.zeros(4)] @ rotation.T
    seen = space[:, :2] * focus / (focus + space[:, 2:]) + floats(photo[::-1]) / 2
    return np.asarray(cv2.getPerspectiveTransform(corners, floats(seen + rng.normal(0, 0.02, 2) * photo)))


def lay(
    ground: Floats, sheet: Floats, written: Sequence[Written], pose: NDArray[np.float64], rng: Rng
) -> tuple[Floats, list[Number]]:
    """Return a sheet laid on a ground by a homography, with its shadow, and the numbers in the picture."""
    size = (ground.shape[1], ground.shape[0])
    cover = cv2.warpPerspective(np.ones(sheet.shape[:2], np.float32), pose, size)
    turned = cv2.warpPerspective(sheet, pose, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    off = rng.uniform(-0.008, 0.008, 2) * size[0]
    cast = cv2.warpAffine(cover, floats([[1, 0, off[0]], [0, 1, off[1]]]), size)
    picture = floats(ground * (1 - 0.45 * cv2.GaussianBlur(cast, (0, 0), 0.006 * size[0]))[..., None])
    desk.write(picture, floats(cover), floats(turned))
    numbers = []
    for text, each in written:
        x, y = cv2.perspectiveTransform(each[:, None], pose)[:, 0].T
        numbers.append(Number(text, (int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1)))
    return picture, numbers


def scene(split: Split, rng: Rng) -> Photo:
    """Return a photo of a sheet on a desk, of one to four megapixels."""
    pixels, aspect = rng.uniform(1e6, 4e6), rng.choice([3 / 4, 4 / 3, 9 / 16])
    size = (round((pixels / aspect) ** 0.5), round((pixels * aspect) ** 0.5))
    ground = list(desk.GROUNDS.values())[rng.integers(len(desk.GROUNDS))](size, rng)
    part, narrow = rng.uniform((0.7, 0.8), (1.1, 1.0))
    there = (round(part * size[0]), round(part * narrow * size[1]))
    n, columns = int(rng.integers(1, 8)), int(rng.choice([1, 1, 2, 3]))
    longest = int(rng.integers(3, 9) if columns == 1 else rng.integers(2, 6))
    lines = [[numerals(rng, int(rng.integers(1, longest + 1))) for _ in range(columns)] for _ in range(n)]
    margin = rng.uniform(0.05, 0.12) * min(there)
    down, across = (there[0] - 2 * margin) / max(n, 3), (there[1] - 2 * margin) / columns
    height = min(down / rng.uniform(1.8, 2.6), across / (longest + 1) / rng.uniform(0.8, 1.3), 130)
    sheet, written = filled(split, lines, height, margin, there, rng, RULINGS[rng.integers(len(RULINGS))])
    scale, ink = 1.0, np.concatenate([each for _, each in written])[:, None]
    while True:
        pose = posed((scale * there[0], scale * there[1]), size, rng) @ np.diag([scale, scale, 1])
        x, y = cv2.perspectiveTransform(ink, pose)[:, 0].T
        if min(x.min(), y.min()) >= 4 and x.max() < size[1] - 4 and y.max() < size[0] - 4:
            break
        scale *= 0.96  # step back
    picture, numbers = lay(ground, sheet, written, pose, rng)
    if rng.random() < 0.25:
        desk.hold(picture, numbers, rng)
    return Photo(encoded(desk.photographed(picture, rng), int(rng.integers(60, 96))), tuple(numbers))


def upright(split: Split, rng: Rng) -> Photo:
    """Return a photo of two megapixels that an upright sheet with two numbers of five digits fills."""
    size, height = (1632, 1224), float(rng.uniform(80, 130))
    lines = [[numerals(rng, 5)], [numerals(rng, 5)]]
    sheet, written = filled(split, lines, height, 150, size, rng, RULINGS[rng.integers(3)])
    picture, numbers = lay(np.zeros((*size, 3), np.float32), sheet, written, np.eye(3), rng)
    return Photo(encoded(desk.photographed(picture, rng), int(rng.integers(60, 96))), tuple(numbers))


def contact_sheet(photos: Sequence[Photo]) -> bytes:
    """Return a PNG of some photos, five in a row, their numbers framed."""
    sheet = Image.new("RGB", (5 * 480, 480 * -(-len(photos) // 5)), "white")
    for i, photo in enumerate(photos):
        picture = np.array(Image.open(io.BytesIO(photo.data)).convert("RGB"))
        for x, y, w, h in (number.box for number in photo.numbers):
            cv2.rectangle(picture, (x, y), (x + w, y + h), (230, 40, 40), max(1, len(picture) // 500))
        tile = Image.fromarray(picture)
        tile.thumbnail((470, 470))
        sheet.paste(tile, (i % 5 * 480 + 5, i // 5 * 480 + 5))
    return encoded(np.array(sheet))
