"""Shell helper: the rows that ingest rejected in, tables and contact sheets of bad and doubted rows out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from digits.runtime.errors import DataError
from digits.validate.contact_sheet import contact_sheet
from digits.validate.quarantine import COLUMNS

SHOWN = 96  # images on a sheet; the table beside it lists them all


def read_rejected(directory: Path) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
    """What ingest could not use, as rows of quarantine.csv, with thumbnails uint8 [n, 28, 28]."""
    try:
        listed = pd.read_csv(directory / "rejected.csv", dtype=str, keep_default_na=False)
        images = np.load(directory / "images.npy", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing: run `dvc repro` to make it") from None
    if len(listed) != len(images):
        raise DataError(f"{directory} is damaged: delete data/raw and run `dvc repro`")
    return listed.assign(split="incoming", action="rejected by ingest")[COLUMNS], images


def write_bad(directory: Path, listed: pd.DataFrame, images: NDArray[np.uint8]) -> None:
    """quarantine.csv and quarantine.png, of images uint8 [n, 28, 28]. Without a bad row both say so."""
    listed.to_csv(directory / "quarantine.csv", index=False, lineterminator="\n")
    captions = [
        f"{row['batch']}: {row['file'] or row['split'] + ' row ' + str(row['row'])}\n"
        f"label {row['label']}: {row['reason']}"
        for row in listed.head(SHOWN).to_dict("records")
    ]
    _write_sheet(directory / "quarantine.png", images, captions, _title("unusable images", len(listed)))


def write_doubted(directory: Path, listed: pd.DataFrame, images: NDArray[np.uint8]) -> None:
    """doubted.csv and doubted.png: the labels that the linear model doubts, alarming groups first."""
    listed.to_csv(directory / "doubted.csv", index=False, lineterminator="\n")
    captions = [
        f"{row['batch']}: {row['split']} row {row['row']}\n"
        f"label {row['label']}, looks like {row['predicted']}"
        for row in listed.head(SHOWN).to_dict("records")
    ]
    _write_sheet(directory / "doubted.png", images, captions, _title("doubted labels", len(listed)))


def _title(what: str, count: int) -> str:
    return f"{count or 'No'} {what}" + (f"; the first {SHOWN} are shown" if count > SHOWN else "")


def _write_sheet(path: Path, images: NDArray[np.uint8], captions: list[str], title: str) -> None:
    Image.fromarray(contact_sheet(images[: len(captions)], captions, title)).save(path)
