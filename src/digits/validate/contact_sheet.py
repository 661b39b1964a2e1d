"""Contact sheets: small images with captions in one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 8
SCALE = 4  # screen pixels a pixel
TILE = 28 * SCALE
WIDTH, LINE, GAP = 172, 15, 10  # of a cell, a line of its caption, the space between cells; pixels
CAPTION_LINES = 4
DRAWN = str.maketrans({"–": "-", "…": "..."})  # Pillow's own font has no sign for these
PAPER, INK, GREY = (255, 255, 255), (20, 20, 20), (200, 200, 200)


def contact_sheet(images: NDArray[np.uint8], captions: Sequence[str], title: str) -> NDArray[np.uint8]:
    """Lay n images out as uint8 [height, width, 3], eight a row under a title, each with its caption.

    images: uint8 [n, 28, 28]. A caption breaks at its newlines and where it is too wide; what goes past four
    lines is cut. With no image the sheet holds the title alone.
    """
    if len(images) != len(captions):
        raise ValueError(f"{len(images)} images and {len(captions)} captions")
    body, head = ImageFont.load_default(12), ImageFont.load_default(16)
    rows = -(-len(images) // COLUMNS)
    cell = TILE + CAPTION_LINES * LINE + GAP
    sheet = Image.new("RGB", (COLUMNS * WIDTH + 2 * GAP, 2 * GAP + 24 + rows * cell), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, fill=INK, font=head)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = GAP + (i % COLUMNS) * WIDTH, GAP + 34 + (i // COLUMNS) * cell
        tile = Image.fromarray(image).resize((TILE, TILE), Image.Resampling.NEAREST)
        sheet.paste(tile, (x, y))
        draw.rectangle((x - 1, y - 1, x + TILE, y + TILE), outline=GREY)  # a white image needs an edge
        for line, text in enumerate(_wrap(caption, draw, body)):
            draw.text((x, y + TILE + 2 + line * LINE), text, fill=INK, font=body)
    return np.asarray(sheet)


def _wrap(
    caption: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> list[str]:
    lines: list[str] = []
    plain = caption.translate(DRAWN).encode("latin-1", "replace").decode("latin-1")
    for paragraph in plain.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and draw.textlength(longer, font=font) > WIDTH - GAP:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    if len(lines) > CAPTION_LINES:
        lines = [*lines[: CAPTION_LINES - 1], lines[CAPTION_LINES - 1] + " ..."]
    return lines
