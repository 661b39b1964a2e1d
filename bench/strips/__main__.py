"""Scores `digits read` on drawn and on real pictures of numbers, through a real embedded server.

    python -m bench.strips                      models/exported on test digits; a quarter of an hour
    python -m bench.strips --split validation   for tuning: choices are made on this split
    python -m bench.strips --real FOLDER        pictures of FOLDER instead: labels.csv has file,text,unsure

Records are added to .bench/strips.jsonl, and their table printed. Drawn are fields that fill a picture (five
digits, none or some of which touch, and 3 to 9), sheets on a desk, and the cases that readers have failed on.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench.records import FOLDER, ROOT, Record, Run
from bench.report import report
from bench.serving import children
from bench.strips.cases import CASES
from bench.strips.scenes import FIELDS, contact_sheet, field, scene, upright
from bench.strips.scoring import Judgement, figures, judge
from bench.strips.writing import Number, Photo
from digits import dataset
from digits.runtime.errors import DataError, DigitsError
from digits.runtime.progress import track
from digits_client import BadRequest, DigitClient
from digits_client.reading import Reading, decoded, read
from digits_client.reading.reader import Ask

KINDS = {kind: partial(field, kind) for kind in FIELDS} | {"scenes": scene, "upright": upright} | CASES
PHOTOS = {"scenes": "a sheet on a desk, one to four megapixels", "upright": "a sheet upright, two megapixels"}
START = 120.0  # seconds for the server to load the model


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.strips")
    for what, n in (("strips", 1000), ("scenes", 200), ("cases", 50)):
        parser.add_argument(f"--{what}", type=int, default=n, help=f"pictures of each kind; default: {n}")
    parser.add_argument("--real", type=Path, help="read the pictures of this folder, and draw none")
    parser.add_argument("--wrong", type=Path, help="a folder for the pictures that were not read right")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--split", choices=("test", "validation"), default="test", help="default: test")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "prepared", help="the prepared splits")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "exported", help="a SavedModel")
    parser.add_argument("--out", type=Path, default=FOLDER / "strips.jsonl", help="the file of records")
    parser.add_argument("--sheet", type=Path, help="only write a PNG with twenty scenes")
    given = parser.parse_args(argv)
    try:
        if given.sheet:
            twenty = draw("scenes", dataset.load_split(given.data / given.split), given.seed, 20)
            given.sheet.write_bytes(contact_sheet(list(twenty)))
            return 0
        run = Run(given.out, seed=given.seed)
        with (
            tempfile.TemporaryDirectory() as scratch,
            serve(given.model, Path(scratch)) as address,
            DigitClient(address, timeout=60) as client,
        ):
            for record in (real if given.real else drawn)(given, client.predict_lines):
                run.keep(record)
        print(report(run.records()))
    except DigitsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


@contextlib.contextmanager
def serve(model: Path, scratch: Path) -> Iterator[str]:
    """Yield the address of an embedded server for a SavedModel, which ends with the block."""
    if not model.is_dir():
        raise DataError(f"{model} is no SavedModel: train one (digits run) or name another with --model")
    shutil.copytree(model, scratch / "digits" / "1")  # a rerun of the pipeline may take it away meanwhile
    port, rest = children.free_ports(2)
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "digits_model_server", f"--port={port}", f"--rest_api_port={rest}"]
    command += ["--model_name=digits", f"--model_base_path={scratch / 'digits'}"]
    process = children.start(command, ROOT, scratch / "log")
    try:
        with DigitClient(address) as client:
            children.wait(process, client.health, scratch / "log", "the model server", START)
        yield address
    finally:
        children.stop(process)


def draw(name: str, split: dataset.Split, seed: int, n: int) -> Iterator[Photo]:
    """Yield n pictures of a kind of KINDS."""
    for i in track(range(n), name, n):
        yield KINDS[name](split, np.random.default_rng([seed, i, *name.encode()]))


def drawn(given: argparse.Namespace, ask: Ask) -> Iterator[Record]:
    """Yield the records of fields, scenes and cases."""
    split = dataset.load_split(given.data / given.split)
    about: Record = {"split": given.split}
    fields = dict.fromkeys(FIELDS, given.strips)
    for name, n in {**fields, **dict.fromkeys(PHOTOS, given.scenes)}.items():
        judged, times = score(name, draw(name, split, given.seed, n), ask, given.wrong)
        yield {"kind": "strips", "strips": name} | about | figures(judged)
        if name in PHOTOS:
            yield {"kind": "photo", "photos": PHOTOS[name], "median_ms": float(np.median(times))} | about
    for name in CASES:
        judged, _ = score(name, draw(name, split, given.seed, given.cases), ask, given.wrong)
        right, sure = sum(one.whole for one in judged), sum(not all(one.accepted) for one in judged)
        yield {"kind": "case", "case": name, "n": given.cases, "right": right, "sure_and_wrong": sure} | about


def real(given: argparse.Namespace, ask: Ask) -> Iterator[Record]:
    """Yield the records of a folder of pictures: every other one, the rest, those of both marked unsure."""
    folder, whole = given.real, (0, 0, 10**6, 10**6)
    try:
        with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
            rows = sorted(csv.DictReader(stream), key=lambda row: row["file"])
        photos = [Photo((folder / row["file"]).read_bytes(), (Number(row["text"], whole),)) for row in rows]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} needs labels.csv (file,text,unsure) and its pictures: {error!r}") from None
    judged, _ = score(folder.name, track(photos, folder.name, len(photos)), ask, given.wrong)
    both = list(zip(rows, judged, strict=True))
    unsure = [each for each in both if each[0].get("unsure")]
    for name, own in (("even", both[::2]), ("odd", both[1::2]), ("unsure", unsure)):
        wrong = [row | {"read": one.read} for row, one in own if not all(one.accepted)]
        record = {"kind": "strips", "strips": f"{folder.name}, {name}", "split": None, "wrong": wrong}
        yield record | figures([one for _, one in own])


def score(
    name: str, photos: Iterable[Photo], ask: Ask, wrong: Path | None
) -> tuple[list[Judgement], list[float]]:
    """Return a judgement of each photo, and the milliseconds from its bytes to its reading.

    wrong: a folder for what was not read right, by names that say the truth and what was read.
    """
    judged, times = [], []
    for i, photo in enumerate(photos):
        began = time.perf_counter()
        try:
            reading = read(decoded(photo.data), ask)
        except BadRequest:  # a photo that the reader refuses is one that it does not read
            reading = Reading(0, 0, (), (), None)
        times.append(1000 * (time.perf_counter() - began))
        judged.append(judge(photo, reading))
        if wrong and not judged[-1].whole:
            wrong.mkdir(parents=True, exist_ok=True)
            texts = " ".join(number.text for number in photo.numbers), " ".join(reading.text.split())
            said = f"{name} {i}, {texts[0]}, read {texts[1]}"[:200].replace("/", "-")
            ending = "png" if photo.data[1:4] == b"PNG" else "jpg"
            (wrong / f"{said}.{ending}").write_bytes(photo.data)
    return judged, times


if __name__ == "__main__":
    sys.exit(main())
