"""data/raw → data/validated, the reports, and the refusals."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits import dataset, files
from digits.dataset import Split
from digits.runtime import params
from digits.runtime.errors import DataError
from digits.validate import stage
from tests._digits import digits
from tests._project import tree_digest
from tests._raw import NAME, base, split, with_batch, write_raw

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "data" / "reference.json"


@pytest.fixture
def section():
    return params.load("validate", ROOT / "params.yaml")


@pytest.fixture
def check(tmp_path, section):
    """Write data/raw, run the stage; the folder of its outs."""

    def run(splits, out="out", **more):
        changes = more.pop("params", {})
        raw = write_raw(tmp_path / f"raw-{out}", splits, **more)
        where = tmp_path / out
        stage.run(
            raw,
            REFERENCE,
            where / "validated",
            where / "validation.json",
            where / "details",
            section.model_copy(update=changes),
        )
        return where

    return run


def report(where):
    return json.loads((where / "validation.json").read_text())


def alarms(where):
    return [group["group"] for group in report(where)["labels"] if group["alarm"]]


def quarantined(where):
    with (where / "details" / "quarantine.csv").open() as stream:
        return list(csv.DictReader(stream))


def batch_of(images, labels=None, name="post"):
    labels = np.full(len(images), 3) if labels is None else labels
    return Split(np.asarray(images, np.uint8), np.asarray(labels, np.uint8), np.full(len(images), name))


def refused(check, tmp_path, splits, **more):
    """The one line of a refusal; nothing was passed on, yet the reports are there."""
    with pytest.raises(DataError) as error:
        check(splits, **more)
    where = tmp_path / "out"
    assert not (where / "validated").exists()
    assert report(where)["passed"] is False
    assert (where / "details" / "index.html").is_file()
    assert (where / "details" / "quarantine.png").is_file()
    assert not list(where.glob(".*"))
    assert "\n" not in str(error.value)
    assert "validation.json" in str(error.value)
    return str(error.value)


def test_a_clean_data_set_passes_on_whole_and_without_a_reference_it_is_not_compared(check, capsys):
    splits = base()
    where = check(splits)
    for name, part in splits.items():
        got = dataset.load_split(where / "validated" / name)
        assert (got.images == part.images).all() and (got.labels == part.labels).all()
        assert (got.batches == part.batches).all()
    found = report(where)
    assert found["passed"] and found["rows"] == {"train": 300, "test": 100, "heldout": 0}
    assert found["quarantined"] == {}
    assert quarantined(where) == []
    with Image.open(where / "details" / "quarantine.png") as sheet:
        assert sheet.height < 60  # it says that there are none
    said = f"no reference for data set {NAME}: not compared"
    assert said in capsys.readouterr().out
    [rule] = [r for r in found["rules"] if r["rule"] == "reference"]
    assert rule["observed"] == said and rule["passed"]


def test_the_manifest_goes_on_with_the_accepted_counts(check):
    good = split(20, 5, "post")
    bad = batch_of([np.zeros((28, 28))])
    where = check(
        with_batch(with_batch(base(), bad), good, heldout=4),
        rejected=[("post", 7, "seven.png", "x", "label x is not a digit")],
    )
    manifest = files.read_json(where / "validated" / "manifest.json")
    train = dataset.load_split(where / "validated" / "train")
    assert manifest["dataset"] == NAME and manifest["sample"] is False
    assert manifest["splits"]["train"]["n"] == len(train) == 316
    assert manifest["splits"]["train"]["images_sha256"] == dataset.array_sha256(train.images)
    assert manifest["splits"]["heldout"]["n"] == 4
    assert manifest["batches"] == {
        "post": {"rows": 22, "train": 16, "heldout": 4, "rejected": 1, "quarantined": 1}
    }
    assert report(where)["batches"] == [{"batch": "post", "accepted": 20, "quarantined": 2}]


def test_unusable_rows_of_a_batch_are_quarantined_with_reason_and_picture(check, capsys):
    splits = base()
    digit = split(1, 77).images[0]
    bad = [
        np.zeros((28, 28)),
        np.full((28, 28), 255),
        255 - digit,
        splits["train"].images[5],
        splits["test"].images[6],
        digit,
        digit,
    ]
    where = check(
        with_batch(splits, batch_of(bad, [1, 2, 3, 4, 5, 6, 10])),
        rejected=[("post", 9, "torn.png", "4", "not an image")],
    )
    rows = quarantined(where)
    assert [row["reason"].split(":")[0] for row in rows] == [
        "blank",
        "saturated",
        "inverted",
        "copy of train row 5",
        "copy of test row 6",
        "label 10 is not a digit",
        "not an image",
    ]
    assert {row["batch"] for row in rows} == {"post"}
    assert [row["action"] for row in rows] == ["quarantined"] * 6 + ["rejected by ingest"]
    assert rows[-1]["file"] == "torn.png"
    assert len(dataset.load_split(where / "validated" / "train")) == 301
    assert report(where)["quarantined"] == {
        "blank": 1, "copy": 2, "inverted": 1, "label": 1, "not": 1, "saturated": 1,
    }  # fmt: skip
    assert "7 rows of incoming batches quarantined" in capsys.readouterr().out
    with Image.open(where / "details" / "quarantine.png") as sheet:
        assert sheet.height > 150


def test_what_a_batch_wrote_runs_in_no_spreadsheet_and_on_no_terminal(check):
    hostile = ("=cmd|' /C calc'!A0", " +1+1", "@SUM(A1)", "\x1b[2Jgone", "-9")
    where = check(base(), rejected=[("post", -1, text, text, f"the label is {text}") for text in hostile])
    raw = (where / "details" / "quarantine.csv").read_text()
    assert "\x1b" not in raw
    cells = [cell for row in quarantined(where) for cell in (row["file"], row["label"])]
    assert cells[::2] == cells[1::2]
    assert cells[::2] == ["'=cmd|' /C calc'!A0", "' +1+1", "'@SUM(A1)", "\\x1b[2Jgone", "'-9"]


def test_the_report_is_the_same_each_time_and_so_is_all_else(check, tmp_path):
    splits = with_batch(base(), batch_of([np.zeros((28, 28))]))
    first, second = check(splits, out="one"), check(splits, out="two")
    assert tree_digest(first, ".") == tree_digest(second, ".")


def test_inverted_images_of_the_data_set_are_refused_and_shown(check, tmp_path):
    splits = base()
    splits["train"] = Split(255 - splits["train"].images, splits["train"].labels, splits["train"].batches)
    said = refused(check, tmp_path, splits)
    assert "train: no inverted image: 300 of 300 rows outside" in said
    rows = quarantined(tmp_path / "out")
    assert len(rows) == 300 and {row["action"] for row in rows} == {"refused"}


def test_many_failures_are_counted_not_listed(check, tmp_path):
    blank = {name: Split(part.images * 0, part.labels, part.batches) for name, part in base().items()}
    assert "and 4 more" in refused(check, tmp_path, blank)


def test_flipped_labels_of_the_data_set_are_refused(check, tmp_path):
    splits = base(1000, 100)
    given = splits["train"].labels.copy()
    rows = np.random.default_rng(4).permutation(1000)[:20]
    given[rows] = (given[rows] + 3) % 10
    splits["train"] = Split(splits["train"].images, given, splits["train"].batches)
    said = refused(check, tmp_path, splits)
    assert f"labels: doubted in {NAME} train" in said
    assert "doubted.png" in said
    with (tmp_path / "out" / "details" / "doubted.csv").open() as stream:
        doubted = {int(row["row"]) for row in csv.DictReader(stream) if row["split"] == "train"}
    assert len(doubted & set(rows.tolist())) > 0.7 * len(rows)


def poisoned():
    images, labels = digits(200, 31)
    return with_batch(
        base(1000, 100), batch_of(images, np.where(np.arange(200) < 30, labels + 1, labels) % 10)
    )


def test_a_poisoned_batch_is_refused_by_name_with_what_to_do(check, tmp_path):
    said = refused(check, tmp_path, poisoned())
    assert "labels: doubted in post" in said
    assert "fix labels of post in data/incoming, or list post in validate.labels_checked" in said
    assert alarms(tmp_path / "out") == ["post"]


def test_a_batch_that_a_person_checked_passes_with_the_alarm_on_record(check):
    where = check(poisoned(), params={"labels_checked": ["post"]})
    assert report(where)["passed"] is True
    assert alarms(where) == ["post"]


def test_rows_changed_behind_the_manifest_are_refused(check, tmp_path, section):
    raw = write_raw(tmp_path / "raw", base())
    labels = np.load(raw / "train" / "labels.npy")
    np.save(raw / "train" / "labels.npy", labels[::-1])
    where = tmp_path / "out"
    with pytest.raises(DataError, match="splits: digests"):
        stage.run(raw, REFERENCE, where / "validated", where / "v.json", where / "details", section)


@pytest.mark.parametrize(
    "images", [np.full((300, 28, 28), np.nan, np.float32), np.zeros((300, 32, 32), np.uint8)]
)
def test_nan_float_or_wrongly_shaped_images_are_refused(tmp_path, section, images):
    raw = write_raw(tmp_path / "raw", base())
    np.save(raw / "train" / "images.npy", images)
    where = tmp_path / "out"
    with pytest.raises(DataError, match=r"expected uint8\[n, 28, 28\]"):
        stage.run(raw, REFERENCE, where / "validated", where / "v.json", where / "details", section)


def test_the_refusal_names_what_is_missing_and_starts_with_the_data_set(check, tmp_path):
    splits = base()
    splits["train"] = splits["train"].take(splits["train"].labels != 4)
    said = refused(check, tmp_path, splits)
    assert said.startswith(f"{NAME} is refused: train: share of digit 4: 0.0, expected 0.02–1.0")
