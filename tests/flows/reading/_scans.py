"""Scans of numbers, and a table as rows."""

import csv
from pathlib import Path

from PIL import Image

from tests.serving.client.reading._sheet import sheet


def page(text: str) -> Image.Image:
    return Image.fromarray(sheet(text)[0])


def write(folder: Path, names: dict[str, str]) -> Path:
    """Write a picture for each name, with the number that it shows."""
    for name, text in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        page(text).save(folder / name)
    return folder


def tiff(path: Path, *texts: str) -> Path:
    first, *others = map(page, texts)
    first.save(path, save_all=True, append_images=others, compression="tiff_deflate")
    return path


def pdf(path: Path, *texts: str) -> Path:
    """A PDF whose pages are pictures, as scanners make them."""
    first, *others = map(page, texts)
    first.save(path, save_all=True, append_images=others, resolution=200)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
