"""Stage `preprocess`: divides the data into splits, and draws a picture of what augmentation does.

dvc repro --single-item preprocess
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits import dataset, files
from digits.augment.policies import augmentation
from digits.dataset import CLASSES, Split
from digits.line_model.lines import load_real_lines, save_real_lines
from digits.preprocess.duplicates import refuse_leaks, split_train
from digits.runtime.errors import DataError
from digits.runtime.params import PreprocessParams, TrainParams
from digits.runtime.progress import say
from digits.runtime.stage_main import stage_main
from digits.runtime.tf_import import load_tensorflow

TITLE = (
    "Real digits (framed) and what one training batch makes of them with the profile '{}': "
    "bent far, bent, bent and damaged"
)


def run(
    validated: Path,
    train: Path,
    validation: Path,
    test: Path,
    heldout: Path,
    lines: Path,
    heldout_lines: Path,
    manifest: Path,
    preview: Path,
    params: PreprocessParams,
    train_params: TrainParams,
) -> None:
    """Divide the training rows; check that every split has every digit and no two share a picture. The lines
    that people brought pass through.
    """
    facts = files.read_json(validated / "manifest.json")
    given = {name: dataset.load_split(validated / name) for name in ("train", "test", "heldout")}
    for name in ("train", "test"):
        _refuse_empty_class(name, given[name])
    kept, held = split_train(given["train"], params.validation_share, params.seed)
    splits = {"train": kept, "validation": held, "test": given["test"], "heldout": given["heldout"]}
    refuse_leaks(splits)
    for name in ("train", "validation"):  # copies follow each other, and could have emptied one
        _refuse_empty_class(name, splits[name])

    for name, path in {"train": train, "validation": validation, "test": test, "heldout": heldout}.items():
        with files.replacing(path) as new:
            dataset.save_split(new, splits[name])
    described = {name: _facts(split) for name, split in splits.items()}
    for name, path in {"lines": lines, "heldout_lines": heldout_lines}.items():
        brought = load_real_lines(validated / name)
        described[name] = brought.facts()
        with files.replacing(path) as new:
            save_real_lines(new, brought)
    files.write_json(manifest, facts | {"splits": described})
    files.write_bytes(preview, _preview(kept, params.seed, train_params))
    say(
        f"preprocess: {facts['dataset']}: "
        + ", ".join(f"{len(split):,} {name}" for name, split in splits.items() if len(split))
    )


def _refuse_empty_class(name: str, split: Split) -> None:
    counts = np.bincount(split.labels, minlength=CLASSES)
    if missing := [str(digit) for digit in np.flatnonzero(counts == 0)]:
        raise DataError(
            f"{name} has no image of {', '.join(missing)} among its {len(split):,}; a model can "
            "neither learn nor be tested without: add images of every digit"
        )


def _facts(split: Split) -> dict[str, Any]:
    return {
        "n": len(split),
        "images_sha256": dataset.array_sha256(split.images),
        "labels_sha256": dataset.array_sha256(split.labels),
    }


def _preview(train: Split, seed: int, params: TrainParams) -> bytes:
    """PNG bytes: the first image of each digit, and its variants."""
    load_tensorflow()  # here, not above: refused data need not wait for it
    from digits.preprocess.preview import sheet, variants

    strengths = augmentation(params.profile, len(train), params.augmentation.model_dump())
    shown = train.images[np.unique(train.labels, return_index=True)[1]]
    picture = sheet(shown, variants(shown, strengths, seed), TITLE.format(params.profile))
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


if __name__ == "__main__":
    stage_main("preprocess", run)
