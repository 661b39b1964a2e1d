"""What the stage writes to data/validated, the reports, and what it refuses."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from digits import dataset, files
from digits.dataset import Split
from digits.line_model.lines import RealLines, load_real_lines
from digits.runtime import params
from digits.runtime.errors import DataError
from digits.validate import stage
from tests._digits import digits
from tests._lines import real_lines
from tests._project import ROOT
from tests._raw import NAME, base, split, with_batch, write_raw

REFERENCE = ROOT / "data" / "reference.json"
COUNTS = {"train": 300, "test": 100, "heldout": 0, "lines": 0, "heldout_lines": 0}
SETTINGS = params.load("validate", ROOT / "params.yaml")


def run(raw, where, **changes):
    section = SETTINGS.model_copy(update=changes)
    outs = (where / "validated", where / "validation.json", where / "details")
    stage.run(raw, REFERENCE, *outs, section)
    return where


@pytest.fixture
def check(tmp_path):
    """Write data/raw, run the stage; the folder of its outs."""

    def make(splits, rejected=(), **changes):
        return run(write_raw(tmp_path / "raw", splits, rejected=rejected), tmp_path / "out", **changes)

    return make


def report(where):
    return json.loads((where / "validation.json").read_text())


def quarantined(where):
    with (where / "details" / "quarantine.csv").open() as stream:
        return list(csv.DictReader(stream))


def batch_of(images, labels):
    return Split(np.asarray(images, np.uint8), np.asarray(labels, np.uint8), np.full(len(images), "post"))


def refused(check, tmp_path, splits):
    """The one line of a refusal; nothing was passed on, yet the reports are there."""
    with pytest.raises(DataError) as error:
        check(splits)
    where = tmp_path / "out"
    assert not (where / "validated").exists()
    assert report(where)["passed"] is False
    page = (where / "details" / "index.html").read_text()
    assert "the data are refused" in page and "https:" not in page
    links = re.findall(r'(?:src|href)="([^":]*)"', page)
    assert links and all((where / "details" / link).is_file() for link in links)
    assert (where / "details" / "quarantine.png").is_file()
    assert not list(where.glob(".*"))
    assert "\n" not in str(error.value) and "validation.json" in str(error.value)
    return str(error.value)


def test_a_clean_data_set_passes_on_whole_and_without_a_reference_it_is_not_compared(check, capsys):
    splits = base()
    where = check(splits)
    for name, part in splits.items():
        got = dataset.load_split(where / "validated" / name)
        assert (got.images == part.images).all() and (got.labels == part.labels).all()
        assert (got.batches == part.batches).all()
    found = report(where)
    assert found["passed"] and found["rows"] == COUNTS
    assert found["quarantined"] == {}
    assert quarantined(where) == []
    with Image.open(where / "details" / "quarantine.png") as sheet:
        assert sheet.height < 60  # it says that there are none
    said = f"no reference for data set {NAME}: not compared"
    assert said in capsys.readouterr().out
    [rule] = [r for r in found["rules"] if r["rule"] == "reference"]
    assert rule["observed"] == said and rule["passed"]


def test_unusable_rows_of_a_batch_are_quarantined_with_reason_and_picture(check, capsys):
    splits = base()
    digit = split(1, 77).images[0]
    known = [splits["train"].images[5], splits["test"].images[6]]
    bad = [np.zeros((28, 28)), np.full((28, 28), 255), 255 - digit, *known, digit, digit]
    splits = with_batch(splits, batch_of(bad, [1, 2, 3, 4, 5, 6, 10]))
    torn = ("post", 9, "torn.png", "4", "not an image")
    where = check(with_batch(splits, split(20, 5, "post"), heldout=4), rejected=[torn])
    rows = quarantined(where)
    said = "blank, saturated, inverted, copy of train row 5, copy of test row 6, label 10 is not a digit"
    assert [row["reason"].split(":")[0] for row in rows] == [*said.split(", "), "not an image"]
    assert {row["batch"] for row in rows} == {"post"}
    assert [row["action"] for row in rows] == ["quarantined"] * 6 + ["rejected by ingest"]
    assert rows[0]["file"] == f"post-{rows[0]['row']}.png" and rows[-1]["file"] == "torn.png"
    found = report(where)
    kinds = {"blank": 1, "copy": 2, "inverted": 1, "label": 1, "not": 1, "saturated": 1}
    assert found["quarantined"] == kinds
    assert found["batches"] == [{"batch": "post", "accepted": 21, "quarantined": 7}]
    assert "7 rows of incoming batches quarantined" in capsys.readouterr().out
    with Image.open(where / "details" / "quarantine.png") as sheet:
        assert sheet.height > 150
    manifest = files.read_json(where / "validated" / "manifest.json")
    train = dataset.load_split(where / "validated" / "train")
    assert manifest["dataset"] == NAME and manifest["sample"] is False
    assert manifest["splits"]["train"]["n"] == len(train) == 317
    assert manifest["splits"]["train"]["images_sha256"] == dataset.array_sha256(train.images)
    assert manifest["splits"]["heldout"]["n"] == 4
    counts = {"rows": 28, "train": 17, "heldout": 4, "rejected": 1, "quarantined": 6}
    assert manifest["batches"] == {"post": counts}


def test_lines_are_judged_and_passed_on_apart_from_images(tmp_path, capsys):
    two = real_lines(40, 80)
    lines = RealLines.joined([two, two.take(np.array([1])), real_lines(2048, text=[])])
    raw = write_raw(
        tmp_path / "raw",
        base(),
        rejected=[("cheques", 9, "torn.png", "1z", "not a line")],
        lines=lines,
        heldout_lines=RealLines.of([lines.image(0), lines.image(0)[:, ::-1]], [[9], []], ["cheques"] * 2),
    )
    where = run(raw, tmp_path / "out")
    rows = [(row["split"], row["row"], row["label"], row["reason"]) for row in quarantined(where)]
    assert rows == [
        ("lines", "2", "1.2", "copy of lines row 1"),
        ("heldout_lines", "0", "9", "copy of lines row 0, which says '1.2'"),
        ("incoming", "9", "1z", "not a line"),
    ]
    kept, held = (load_real_lines(where / "validated" / name) for name in ("lines", "heldout_lines"))
    assert (kept.widths.tolist(), held.widths.tolist()) == ([40, 80, 2048], [40])
    found = report(where)
    assert found["rows"] == {"train": 300, "test": 100, "heldout": 0, "lines": 3, "heldout_lines": 1}
    assert found["batches"] == [{"batch": "cheques", "accepted": 4, "quarantined": 3}]
    assert {"lines: no blank line", "lines: no line twice"} <= {rule["rule"] for rule in found["rules"]}
    manifest = files.read_json(where / "validated" / "manifest.json")
    assert manifest["splits"]["lines"] == kept.facts() and manifest["splits"]["heldout_lines"] == held.facts()
    counts = {"rows": 7, "train": 3, "heldout": 1, "rejected": 1, "quarantined": 2}
    assert manifest["batches"] == {"cheques": counts}
    assert "404 rows accepted" in capsys.readouterr().out


def test_what_a_batch_wrote_runs_in_no_spreadsheet_and_on_no_terminal(check):
    hostile = ("=cmd|' /C calc'!A0", " +1+1", "@SUM(A1)", "\x1b[2Jgone", "-9")
    where = check(base(), rejected=[("post", -1, text, text, f"the label is {text}") for text in hostile])
    raw = (where / "details" / "quarantine.csv").read_text()
    assert "\x1b" not in raw
    cells = [cell for row in quarantined(where) for cell in (row["file"], row["label"])]
    assert cells[::2] == cells[1::2]
    assert cells[::2] == ["'=cmd|' /C calc'!A0", "' +1+1", "'@SUM(A1)", "\\x1b[2Jgone", "'-9"]


def test_inverted_images_of_the_data_set_are_refused_and_shown(check, tmp_path):
    splits = base()
    splits["train"] = Split(255 - splits["train"].images, splits["train"].labels, splits["train"].batches)
    splits["test"] = Split(splits["test"].images * 0, splits["test"].labels, splits["test"].batches)
    said = refused(check, tmp_path, splits)
    assert said.startswith(f"{NAME} is refused: train: no inverted image: 300 of 300 rows outside")
    assert re.search(r"and \d more", said)
    rows = quarantined(tmp_path / "out")
    assert len(rows) == 400 and {row["action"] for row in rows} == {"refused"}


def test_a_poisoned_batch_is_refused_by_name_until_a_person_has_checked_it(check, tmp_path):
    images, labels = digits(200, 31)
    wrong = np.where(np.arange(200) < 30, labels + 1, labels) % 10
    said = refused(check, tmp_path, with_batch(base(1000, 100), batch_of(images, wrong)))
    assert "labels: doubted in post" in said and "doubted.png" in said
    assert "fix labels of post in data/incoming, or list post in validate.labels_checked" in said
    checked = run(tmp_path / "raw", tmp_path / "checked", labels_checked=["post"])
    assert report(checked)["passed"] is True
    for where in (tmp_path / "out", checked):
        assert [group["group"] for group in report(where)["labels"] if group["alarm"]] == ["post"]
        listed = (where / "details" / "doubted.csv").read_text().splitlines()
        rows = [row for row in csv.DictReader(listed) if row["batch"] == "post"]
        assert len(rows) > 20 and all(row["file"] == f"post-{row['row']}.png" for row in rows)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("labels", split(300, 1).labels[::-1], "splits: digests"),  # changed behind the manifest
        ("images", np.full((300, 28, 28), np.nan, np.float32), r"expected uint8\[n, 28, 28\]"),
        ("images", np.zeros((300, 32, 32), np.uint8), r"expected uint8\[n, 28, 28\]"),
    ],
)
def test_arrays_that_ingest_did_not_write_are_refused(tmp_path, name, array, says):
    raw = write_raw(tmp_path / "raw", base())
    np.save(raw / "train" / f"{name}.npy", array)
    with pytest.raises(DataError, match=says):
        run(raw, tmp_path / "out")
