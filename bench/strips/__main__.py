"""Scores `digits read` on strips of test digits, through a real embedded server.

    python -m bench.strips                      1,000 strips of each kind of models/exported; ten minutes
    python -m bench.strips --split validation   for tuning: choices are made on this split

Records are added to .bench/strips.jsonl, and their table printed.
Three kinds: mixed (3 to 9 digits, every tenth pair touches), five (no pair touches), five touching (at least
one does). Each strip is a JPEG of a quality between 60 and 95.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.records import FOLDER, ROOT, Record, Run
from bench.report import report
from bench.serving import children
from bench.strips.generator import Strip, strip
from bench.strips.scoring import figures, judge
from digits import dataset
from digits.dataset import Split
from digits.runtime.progress import track
from digits_client import DigitClient
from digits_client.reading import decoded, read

KINDS = ("mixed", "five", "five touching")
SIZE = (1200, 1680)  # rows and columns of a photo
DIGITS = 10  # on it
START = 120.0  # seconds for the server to load the model


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.strips")
    parser.add_argument("--strips", type=int, default=1000, help="strips of each kind; default: 1000")
    parser.add_argument("--photos", type=int, default=30, help="photos that are timed; default: 30")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--split", choices=("test", "validation"), default="test", help="default: test")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "prepared", help="the prepared splits")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "exported", help="a SavedModel")
    parser.add_argument("--out", type=Path, default=FOLDER / "strips.jsonl", help="the file of records")
    given = parser.parse_args(argv)
    run = Run(given.out, split=given.split, seed=given.seed)
    split = dataset.load_split(given.data / given.split)
    with tempfile.TemporaryDirectory() as scratch, serve(given.model, Path(scratch)) as client:
        for kind in KINDS:
            run.keep({"kind": "strips", "strips": kind} | score(kind, split, given, client))
        run.keep({"kind": "photo"} | time_photos(split, given, client))
    print(report(run.records()))
    return 0


@contextlib.contextmanager
def serve(model: Path, scratch: Path) -> Iterator[DigitClient]:
    """Yield a client of an embedded server for a SavedModel, which ends with the block."""
    shutil.copytree(model, scratch / "digits" / "1")  # a rerun of the pipeline may take it away meanwhile
    port, rest = children.free_ports(2)
    command = [sys.executable, "-m", "serving.model_server", f"--port={port}", f"--rest_api_port={rest}"]
    command += ["--model_name=digits", f"--model_base_path={scratch / 'digits'}"]
    process = children.start(command, ROOT, scratch / "log")
    try:
        with DigitClient(f"127.0.0.1:{port}", timeout=60) as client:
            children.wait(process, client.health, scratch / "log", "the model server", START)
            yield client
    finally:
        children.stop(process)


def strips(kind: str, split: Split, n: int, seed: int) -> Iterator[tuple[Strip, bytes]]:
    """Yield n strips of a kind, each with its JPEG file."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    done = 0
    while done < n:
        count = 5 if kind != "mixed" else int(rng.integers(3, 10))
        chosen = rng.integers(len(split.labels), size=count)
        ruling = ("plain", "plain", "lines")[rng.integers(3)] if kind == "five touching" else None
        touching = {"mixed": 0.1, "five": 0.0, "five touching": 0.3}[kind]
        one = strip(split.images[chosen], split.labels[chosen], rng, touching, ruling)
        if kind == "five touching" and not one.touching.any():
            continue
        stream = io.BytesIO()
        Image.fromarray(one.picture).save(stream, "JPEG", quality=int(rng.integers(60, 96)))
        done += 1
        yield one, stream.getvalue()


def score(kind: str, split: Split, given: argparse.Namespace, client: DigitClient) -> Record:
    """Return the figures of one kind."""
    drawn = strips(kind, split, given.strips, given.seed)
    rows = track(drawn, f"strips, {kind}", given.strips)
    return figures([judge(one, read(decoded(data), client.predict)) for one, data in rows])


def photo(images: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    """Return a JPEG of a strip of all these digits on a sheet."""
    picture = strip(images, labels, rng, 0.0, "plain").picture
    fit = min(1.0, 0.95 * SIZE[1] / picture.shape[1])
    picture = cv2.resize(picture, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
    below, beside = SIZE[0] - picture.shape[0], SIZE[1] - picture.shape[1]
    top, left = int(rng.integers(below // 2)), int(rng.integers(1 + beside // 2))
    sheet = cv2.copyMakeBorder(picture, top, below - top, left, beside - left, cv2.BORDER_REFLECT_101)
    # Mirrored writing is no writing: what surrounds the strip is its paper, without its ink.
    paper = cv2.medianBlur(cv2.resize(sheet, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA), 61)
    paper = cv2.resize(paper, SIZE[::-1]).astype(np.float64) + rng.normal(0, 3, sheet.shape)
    paper[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    stream = io.BytesIO()
    Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def time_photos(split: Split, given: argparse.Namespace, client: DigitClient) -> Record:
    """Measure milliseconds from a file's bytes to its reading, predictions included, the first left out."""
    rng = np.random.default_rng([given.seed, len(KINDS)])
    photos = []
    for _ in range(given.photos):
        chosen = rng.integers(len(split.labels), size=DIGITS)
        data = photo(split.images[chosen], split.labels[chosen], rng)
        photos.append((data, "".join(map(str, split.labels[chosen]))))
    times, right = [], 0
    for i, (data, text) in enumerate([photos[0], *photos]):
        began = time.perf_counter()
        reading = read(decoded(data), client.predict)
        if i:
            times.append(1000 * (time.perf_counter() - began))
            right += reading.text == text
    low, median, high = (float(each) for each in np.percentile(times, [5, 50, 95]))
    return {"photos": len(photos), "median_ms": median, "p5_ms": low, "p95_ms": high, "whole": right}


if __name__ == "__main__":
    sys.exit(main())
