"""A picture of lines of writing, each with a caption below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SCALE = 2  # screen pixels a pixel; less where a line would be wider than the sheet
GAP, CAPTION = 10, 24  # pixels: around a line, of its caption
PAPER, INK = (255, 255, 255), (20, 20, 20)


def line_sheet(lines: Sequence[NDArray[np.uint8]], captions: Sequence[str], width: int) -> NDArray[np.uint8]:
    """Draw lines, uint8 [32, w] each, below one another as uint8 [height, width, 3]."""
    scales = [min(float(SCALE), (width - 2 * GAP) / line.shape[1]) for line in lines]
    heights = [round(line.shape[0] * scale) for line, scale in zip(lines, scales, strict=True)]
    sheet = Image.new("RGB", (width, sum(heights) + len(lines) * (CAPTION + GAP)), PAPER)
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(12), 0
    for line, caption, scale, height in zip(lines, captions, scales, heights, strict=True):
        size = (max(1, round(line.shape[1] * scale)), height)
        sheet.paste(Image.fromarray(line).resize(size), (GAP, top))
        draw.text((GAP, top + height + 2), caption, fill=INK, font=font)
        top += height + CAPTION + GAP
    return np.asarray(sheet)
