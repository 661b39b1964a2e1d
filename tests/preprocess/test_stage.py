"""What the stage writes to data/prepared: the split, what is refused, and the preview."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from digits import dataset, files
from digits.dataset import Split
from digits.line_model.lines import load_real_lines, save_real_lines
from digits.preprocess.stage import run
from digits.runtime import params
from digits.runtime.errors import DataError
from tests._digits import digits
from tests._lines import real_lines

SETTINGS = params.load_all()
OUTS = ("train", "validation", "test", "heldout", "lines", "heldout_lines", "manifest", "preview")
LINES = {"lines": real_lines(48, 64), "heldout_lines": real_lines(200)}
NAMES = {"manifest": "manifest.json", "preview": "augmentation.png"}


@pytest.fixture
def given():
    sizes = {"train": (300, 1, "mnist"), "test": (100, 2, "mnist"), "heldout": (20, 3, "letters")}
    return {name: Split(*digits(n, seed), np.full(n, batch)) for name, (n, seed, batch) in sizes.items()}


@pytest.fixture
def call(tmp_path):
    def prepare(given, to="prepared", seed=1, **train):
        validated = tmp_path / "validated"
        with files.replacing(validated) as new:
            for name, each in given.items():
                dataset.save_split(new / name, each)
            for name, some in LINES.items():
                save_real_lines(new / name, some)
            content = {"dataset": "mnist", "sample": False, "batches": {"letters": {"rows": 100}}}
            files.write_json(new / "manifest.json", content | {"splits": {}})
        section = SETTINGS["preprocess"].model_copy(update={"validation_share": 0.2, "seed": seed})
        outs = {name: tmp_path / to / NAMES.get(name, name) for name in OUTS}
        run(validated, **outs, params=section, train_params=SETTINGS["train"].model_copy(update=train))
        return outs

    return prepare


def test_a_stratified_part_of_training_becomes_validation_and_the_rest_stays_as_it_was(call, given):
    outs = call(given)
    train, validation = (dataset.load_split(outs[name]) for name in ("train", "validation"))
    assert (np.bincount(validation.labels) == 6).all() and (np.bincount(train.labels) == 24).all()

    def labelled(*splits):
        pairs = [pair for split in splits for pair in zip(split.images, split.labels, strict=True)]
        return sorted((image.tobytes(), label) for image, label in pairs)

    assert labelled(train, validation) == labelled(given["train"])
    for name in ("test", "heldout"):
        through = dataset.load_split(outs[name])
        assert (through.images == given[name].images).all() and (through.batches == given[name].batches).all()
    manifest = json.loads(outs["manifest"].read_text())
    assert manifest["dataset"] == "mnist" and manifest["batches"] == {"letters": {"rows": 100}}
    counts = {"train": 240, "validation": 60, "test": 100, "heldout": 20, "lines": 2, "heldout_lines": 1}
    assert {name: facts["n"] for name, facts in manifest["splits"].items()} == counts
    digest = dataset.array_sha256(validation.images)
    assert manifest["splits"]["validation"]["images_sha256"] == digest
    for name, some in LINES.items():
        through = load_real_lines(outs[name])
        assert through.facts() == some.facts() == manifest["splits"][name]
        assert through.batches.tolist() == some.batches.tolist()
    other = call(given | {"heldout": given["heldout"].take(np.arange(0))}, "other", seed=2)
    assert not np.array_equal(dataset.load_split(other["train"]).images, train.images)
    assert len(dataset.load_split(other["heldout"])) == 0


def test_the_preview_shows_the_real_digits_and_follows_the_augmentation(call, given):
    plain = call(given, "plain", profile="speedrun")["preview"]
    robust = call(given, "robust", profile="fast")["preview"]
    drawn = np.asarray(Image.open(plain).convert("L"))
    train = dataset.load_split(plain.parent / "train")
    first = train.images[np.flatnonzero(train.labels == 0)[0]]
    tile = np.kron(first, np.ones((3, 3), np.uint8))
    windows = np.lib.stride_tricks.sliding_window_view(drawn, tile.shape)[20:40, :12]
    assert (windows == tile).all(axis=(2, 3)).any()
    assert plain.read_bytes() != robust.read_bytes()


def test_a_missing_digit_and_a_picture_in_two_splits_are_refused(call, given, tmp_path):
    for name in ("train", "test"):
        without = given[name].take(given[name].labels != 7)
        with pytest.raises(DataError, match=f"{name} has no image of 7"):
            call(given | {name: without})
    for one, other in (("train", "test"), ("train", "heldout"), ("test", "heldout")):
        twice = replace(given[other], images=given[other].images.copy())
        twice.images[5] = given[one].images[9]
        with pytest.raises(DataError, match=rf"\w+ and {other} share 1 picture \(row \d .* mnist\)"):
            call(given | {other: twice})
    assert not (tmp_path / "prepared").exists()
