"""data/validated → data/prepared: the split, what is refused, and the preview."""

import json

import numpy as np
import pytest
from PIL import Image

from digits import dataset, files
from digits.dataset import Split
from digits.preprocess.stage import run
from digits.runtime import params
from digits.runtime.errors import DataError
from tests._digits import digits

SETTINGS = params.load_all()
OUTS = ("train", "validation", "test", "heldout", "manifest", "preview")
NAMES = {"manifest": "manifest.json", "preview": "augmentation.png"}


def split(n, seed, batch="mnist"):
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, batch))


@pytest.fixture
def given():
    return {"train": split(300, 1), "test": split(100, 2), "heldout": split(20, 3, "letters")}


@pytest.fixture
def call(tmp_path):
    def prepare(given, to="prepared", seed=1, **train):
        validated = tmp_path / "validated"
        with files.replacing(validated) as new:
            for name, each in given.items():
                dataset.save_split(new / name, each)
            content = {
                "dataset": "mnist",
                "sample": False,
                "batches": {"letters": {"rows": 100}},
                "splits": {},
            }
            (new / "manifest.json").write_text(files.to_json(content))
        section = SETTINGS["preprocess"].model_copy(update={"validation_share": 0.2, "seed": seed})
        outs = {name: tmp_path / to / NAMES.get(name, name) for name in OUTS}
        run(validated, **outs, params=section, train_params=SETTINGS["train"].model_copy(update=train))
        return outs

    return prepare


def test_a_stratified_part_of_training_becomes_validation_and_the_rest_stays_as_it_was(call, given):
    outs = call(given)
    train, validation = (dataset.load_split(outs[name]) for name in ("train", "validation"))
    assert (np.bincount(validation.labels) == 6).all() and (np.bincount(train.labels) == 24).all()
    back = {
        image.tobytes(): label
        for s in (train, validation)
        for image, label in zip(s.images, s.labels, strict=True)
    }
    assert back == dict(zip((i.tobytes() for i in given["train"].images), given["train"].labels, strict=True))
    for name in ("test", "heldout"):
        through = dataset.load_split(outs[name])
        assert (through.images == given[name].images).all() and (through.batches == given[name].batches).all()


def test_images_can_be_memory_mapped(call, given):
    images = dataset.load_split(call(given)["train"], mmap=True).images
    assert isinstance(images, np.memmap) and images.dtype == np.uint8


def test_the_manifest_passes_on_what_it_got_and_adds_the_splits(call, given):
    outs = call(given)
    manifest = json.loads(outs["manifest"].read_text())
    assert manifest["dataset"] == "mnist" and manifest["batches"] == {"letters": {"rows": 100}}
    assert {name: facts["n"] for name, facts in manifest["splits"].items()} == {
        "train": 240,
        "validation": 60,
        "test": 100,
        "heldout": 20,
    }
    validation = dataset.load_split(outs["validation"])
    assert manifest["splits"]["validation"]["images_sha256"] == dataset.array_sha256(validation.images)


def test_equal_input_gives_equal_bytes_and_another_seed_another_split(call, given):
    first, again, other = call(given), call(given, "again"), call(given, "other", seed=2)
    for name in OUTS[:4]:
        one, two = (sorted(p.read_bytes() for p in outs[name].iterdir()) for outs in (first, again))
        assert one == two
    for name in ("manifest", "preview"):
        assert first[name].read_bytes() == again[name].read_bytes()
    assert not np.array_equal(
        dataset.load_split(first["train"]).images, dataset.load_split(other["train"]).images
    )


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


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_missing_digit_is_refused(call, given, name, tmp_path):
    given[name] = given[name].take(given[name].labels != 7)
    with pytest.raises(DataError, match=f"{name} has no image of 7"):
        call(given)
    assert not (tmp_path / "prepared").exists()


def test_no_held_out_rows_is_fine(call, given):
    given["heldout"] = given["heldout"].take(np.arange(0))
    assert len(dataset.load_split(call(given)["heldout"])) == 0


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("train", "heldout"), ("test", "heldout")])
def test_a_picture_in_two_splits_is_refused(call, given, one, other, tmp_path):
    given[other].images[5] = given[one].images[9]
    with pytest.raises(DataError, match=f"and in {other}"):
        call(given)
    assert not (tmp_path / "prepared").exists()


def test_a_picture_twice_in_training_stays_on_one_side(call, given):
    given["train"].images[10:40] = given["train"].images[100:130]
    given["train"].labels[10:40] = given["train"].labels[100:130]
    outs = call(given)
    sides = [
        {image.tobytes() for image in dataset.load_split(outs[name]).images}
        for name in ("train", "validation")
    ]
    assert not sides[0] & sides[1]


def test_missing_input_is_told(tmp_path, call, given):
    call(given)
    (tmp_path / "validated" / "train" / "labels.npy").unlink()
    outs = {name: tmp_path / "prepared" / name for name in OUTS}
    with pytest.raises(DataError, match=r"labels\.npy is missing"):
        run(tmp_path / "validated", **outs, params=SETTINGS["preprocess"], train_params=SETTINGS["train"])
