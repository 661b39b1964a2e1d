"""Lines of writing as people bring them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from digits.line_model.lines import RealLines
from tests._digits import digits


def written(n: int, seed: int) -> np.ndarray:
    """Return a line of `n` digits, dark on light, 28 pixels high and 22 wide for each."""
    images, _ = digits(n, seed)
    return 255 - np.concatenate([image[:, 3:25] for image in images], axis=1)


def text_of(n: int, seed: int) -> str:
    return "".join(map(str, digits(n, seed)[1]))


def line_batch(folder: Path, rows: Sequence[tuple[np.ndarray, str]]) -> Path:
    """Write a batch: pictures 0.png, 1.png … and a labels.csv that says what stands in them."""
    folder.mkdir(parents=True)
    for number, (picture, _) in enumerate(rows):
        Image.fromarray(picture).save(folder / f"{number}.png")
    table = "".join(f'{number}.png,"{text}"\n' for number, (_, text) in enumerate(rows))
    (folder / "labels.csv").write_text(f"file,text\n{table}", encoding="utf-8")
    return folder


def real_lines(*widths: int, text: Sequence[int] = (1, 10, 2), batch: str = "cheques") -> RealLines:
    """Return lines of noise of these widths, no two alike, that all say the same."""
    rng = np.random.default_rng(len(widths))
    images = [rng.integers(0, 256, (32, width), dtype=np.uint8) for width in widths]
    return RealLines.of(images, [text] * len(widths), [batch] * len(widths))
