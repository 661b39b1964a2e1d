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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from bench.browser import ROOT, Point, chromium, draw, problems
from bench.strips.scenes import strip
from digits import dataset

DESKTOP: dict[str, Any] = {"viewport": {"width": 1100, "height": 720}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
COLOURS = 256
PRETENDER = FilePayload(name="invoice.png", mimeType="image/png", buffer=b"%PDF-1.7\n")

Scene = Callable[[Page], None]  # what is done before a picture is taken


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
    expect.set_options(timeout=60_000)  # the page loads a model
    with chromium() as browser:
        for name, (window, scene) in scenes(given.photo or digits_photo()).items():
            with browser.new_page(**window) as page:
                page.goto(given.url + ("docs" if name == "api" else ""))
                scene(page)
                picture = few_colours(page.screenshot(animations="disabled"))  # bars at rest
                (file := given.out / f"{name}.png").write_bytes(picture)
                print("; ".join([f"{file}: {len(picture) / 1000:.0f} kB", *problems(page)]))
    return 0


def scenes(photo: Path | FilePayload) -> dict[str, tuple[dict[str, Any], Scene]]:
    """The window of each picture, and its scene."""

    def boxes(page: Page) -> None:
        ready(page)
        page.locator("#file").set_input_files(photo)
        page.locator(".box").nth(2).click()

    def boxes_from_the_top(page: Page) -> None:
        boxes(page)
        page.evaluate("scrollTo(0, 0)")

    return {
        "desktop": (DESKTOP, drawing),
        "phone": (PHONE, drawing),
        "dark": (DESKTOP | {"color_scheme": "dark"}, drawing),
        "photo": (DESKTOP, boxes),
        "photo-phone": (PHONE, boxes_from_the_top),
        "provenance": (DESKTOP, provenance),
        "away": (DESKTOP, away),
        "refused": (PHONE, refusal),
        "api": (DESKTOP, calls),
    }


def ready(page: Page) -> None:
    """Wait until the page has its model, and is kept for a visit without a server."""
    expect(page.get_by_role("radio", name="In this browser")).to_be_enabled()
    expect(page.locator("#offline")).not_to_be_empty()


def drawing(page: Page) -> None:
    """A 3, answered by server and browser."""
    ready(page)
    draw(page, THREE)
    expect(page.locator("#digit")).not_to_have_text("–")
    expect(page.locator("#agreement")).not_to_be_empty()


def provenance(page: Page) -> None:
    """Where the version comes from."""
    ready(page)
    page.locator("#badge").click()
    expect(page.locator("#provenance-body").locator("dl, .no").first).to_be_visible()


def away(page: Page) -> None:
    """A 3, drawn while the server is out of reach."""
    ready(page)
    page.context.set_offline(True)
    draw(page, THREE)
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator("#digit")).not_to_have_text("–")


def refusal(page: Page) -> None:
    """A PDF by the name of a picture."""
    ready(page)
    page.locator("#file").set_input_files(PRETENDER)
    expect(page.locator("#photo-said")).to_contain_text("PDF")


def calls(page: Page) -> None:
    """The description of the API."""
    expect(page.locator("#calls section").first).to_be_visible()


def digits_photo() -> FilePayload:
    """Eight validation digits on ruled paper, as a JPEG. Raises DigitsError where nothing is prepared."""
    split = dataset.load_split(ROOT / "data" / "prepared" / "validation")
    chosen = np.random.default_rng(8).integers(len(split.labels), size=8)  # a sample lies sorted
    photo = strip(split, "".join(map(str, split.labels[chosen])), np.random.default_rng(8), "ruled")
    return FilePayload(name="strip.jpg", mimeType="image/jpeg", buffer=photo.data)


def few_colours(picture: bytes) -> bytes:
    """The same PNG with a palette."""
    reduced = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    reduced.save(stream, "PNG", optimize=True)
    return stream.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
