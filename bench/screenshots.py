"""Pictures of the page as people see it, from a gateway that runs, into a folder.

    digits app &                                          then
    python -m bench.screenshots docs/screenshots --url http://127.0.0.1:8080/

Desktop, phone, dark, a photo with boxes, where the version comes from, the server away, a file refused, the
description of the API. The photo is a strip of validation digits of data/prepared, or `--photo FILE`. Needs
Chromium. Colours are reduced to a palette, so that a picture stays small in Git.
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.browser import ROOT
from bench.devtools import Chromium, Page, Point
from bench.strips.generator import strip
from digits import dataset

DESKTOP, PHONE = (1100, 720), (390, 844)
COLOURS = 256
READY = "!document.querySelector('[value=browser]').disabled"
KEPT = "document.querySelector('#offline').textContent !== ''"
DRAWN = "document.querySelector('#digit').textContent !== '–'"
COMPARED = "document.querySelector('#agreement').textContent !== ''"
READ = "!document.querySelector('#result').hidden"


def arc(middle: Point, radius: Point, start: float, end: float) -> list[Point]:
    """Points on an ellipse, angles in degrees, clockwise from the right."""
    angles = [math.radians(start + (end - start) * i / 14) for i in range(15)]
    return [(middle[0] + radius[0] * math.cos(a), middle[1] + radius[1] * math.sin(a)) for a in angles]


THREE = arc((0.48, 0.34), (0.17, 0.15), -160, 90) + arc((0.48, 0.65), (0.20, 0.16), -90, 155)


def main(argv: Sequence[str] | None = None) -> int:
    """Take them all."""
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots")
    parser.add_argument("out", type=Path, help="folder for the PNG files; made if it is missing")
    parser.add_argument(
        "--url", default="http://127.0.0.1:8080/", help="of the gateway; default: %(default)s"
    )
    parser.add_argument("--photo", type=Path, help="a picture with digits; default: a strip of digits")
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True, exist_ok=True)
    with Chromium() as browser, tempfile.TemporaryDirectory() as scratch:
        photo = given.photo or write_strip(Path(scratch))
        for name, scene in scenes(photo, Path(scratch)).items():
            page = browser.page(given.url + ("docs" if name == "api" else ""), size=DESKTOP)
            scene(page)
            page.evaluate("new Promise((resolve) => setTimeout(resolve, 400))")  # bars come to rest
            page.screenshot(file := given.out / f"{name}.png")
            page.close()
            shrink(file)
            print(f"{file}: {file.stat().st_size / 1000:.0f} kB" + "".join(f"; {p}" for p in page.problems))
    return 0


def scenes(photo: Path, scratch: Path) -> dict[str, Callable[[Page], None]]:
    """What is done before each picture is taken."""
    pretender = scratch / "invoice.png"
    pretender.write_bytes(b"%PDF-1.7\n")

    def drawn(page: Page) -> None:
        page.wait_for(f"{READY} && {KEPT}", 60)
        draw(page, THREE)
        page.wait_for(f"{DRAWN} && {COMPARED}")

    def phone(page: Page) -> None:
        page.resize(*PHONE, mobile=True)
        drawn(page)

    def dark(page: Page) -> None:
        page.prefer(prefers_color_scheme="dark")
        drawn(page)

    def boxes(page: Page) -> None:
        page.wait_for(f"{READY} && {KEPT}", 60)
        page.upload("#file", photo)
        page.wait_for(READ, 60)
        page.click(".box:nth-of-type(3)")

    def boxes_on_a_phone(page: Page) -> None:
        page.resize(*PHONE, mobile=True)
        boxes(page)
        page.evaluate("scrollTo(0, 0)")

    def provenance(page: Page) -> None:
        page.wait_for("!document.querySelector('#badge').disabled")
        page.click("#badge")
        page.wait_for("document.querySelector('#provenance-body dl, #provenance-body .no') !== null")

    def away(page: Page) -> None:
        page.wait_for(f"{READY} && {KEPT}", 60)
        page.offline(True)
        draw(page, THREE)
        page.wait_for("!document.querySelector('#banner').hidden")
        page.wait_for(DRAWN)

    def refused(page: Page) -> None:
        page.resize(*PHONE, mobile=True)
        page.wait_for("!document.querySelector('#badge').disabled")
        page.upload("#file", pretender)
        page.wait_for("document.querySelector('#photo-said').textContent.includes('PDF')")

    def api(page: Page) -> None:
        page.wait_for("document.querySelector('#calls section') !== null")

    return {
        "desktop": drawn, "phone": phone, "dark": dark, "photo": boxes, "photo-phone": boxes_on_a_phone,
        "provenance": provenance, "away": away, "refused": refused, "api": api,
    }  # fmt: skip


def draw(page: Page, shape: Sequence[Point]) -> None:
    """With the mouse; points in shares of the paper's side."""
    x, y, side, _ = page.box("#canvas")
    page.drag([(x + across * side, y + down * side) for across, down in shape])


def write_strip(folder: Path) -> Path:
    """Eight validation digits on ruled paper, as a JPEG. Raises DigitsError where nothing is prepared."""
    split = dataset.load_split(ROOT / "data" / "prepared" / "validation")
    chosen = np.random.default_rng(8).integers(len(split.labels), size=8)  # a sample lies sorted
    picture = strip(
        split.images[chosen], split.labels[chosen], np.random.default_rng(8), 0.0, "lines"
    ).picture
    Image.fromarray(picture).save(file := folder / "strip.jpg", quality=90)
    return file


def shrink(file: Path) -> None:
    """The same picture in few colours."""
    stream = io.BytesIO()
    Image.open(file).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        stream, "PNG", optimize=True
    )
    file.write_bytes(stream.getvalue())


if __name__ == "__main__":
    raise SystemExit(main())
