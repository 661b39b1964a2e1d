"""Bad data at the source: one clear line, a non-zero exit, nothing half-written, and the rerun heals."""

import shutil

import numpy as np
import pytest

from tests._digits import digits
from tests._project import project
from tests.ingest._idx import NAMES, write_idx_dataset


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return project(tmp_path_factory.mktemp("clean"), git=False)


@pytest.fixture
def made(clean, tmp_path):
    return clean.copy(tmp_path / "project")


def said(done, stage):
    """The stage's own line: just one, no traceback, and a non-zero exit."""
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{stage}: ")]
    assert done.returncode != 0, done.stdout
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return lines[0]


def test_a_page_in_place_of_a_file_of_a_named_mirror_is_refused(made, tmp_path):
    folder = tmp_path / "mirror"
    shutil.copytree(made.environment["DIGITS_MIRROR"], folder)
    file = folder / f"{NAMES['train-images']}.gz"
    file.write_bytes(b"<!DOCTYPE html><html><body>Sign in to the network</body></html>")
    line = said(made.digits("run", "ingest", DIGITS_MIRROR=str(folder)), "ingest")
    assert NAMES["train-images"] in line and "web page" in line
    assert not (made.root / "data/raw").exists()
    assert made.digits("run", "ingest").returncode == 0


def flipped(labels, share):
    rng = np.random.default_rng(7)
    rows = rng.choice(len(labels), round(share * len(labels)), replace=False)
    changed = labels.copy()
    changed[rows] = (labels[rows] + rng.integers(1, 10, len(rows))) % 10
    return changed


def without(split, digit):
    images, labels = split
    keep = labels != digit
    return images[keep], labels[keep]


BAD_SETS = {
    "a class is missing": lambda train, test: (without(train, 7), test),
    "the same images in two splits": lambda train, test: (
        (np.concatenate([train[0], test[0][:5]]), np.concatenate([train[1], test[1][:5]])),
        test,
    ),
    "blank images": lambda train, test: (
        (np.where(np.arange(len(train[0]))[:, None, None] < 3, 0, train[0]).astype(np.uint8), train[1]),
        test,
    ),
    "inverted images": lambda train, test: ((255 - train[0], train[1]), test),
    "5 % wrong labels": lambda train, test: ((train[0], flipped(train[1], 0.05)), test),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD_SETS)
def test_a_bad_data_set_stops_at_validate_and_the_report_says_why(made, tmp_path, name):
    train, test = BAD_SETS[name](digits(1200, seed=1), digits(400, seed=2))
    files = write_idx_dataset(tmp_path / "bad", train=train, test=test)
    good = (made.root / "params.yaml").read_text()
    made.edit({"ingest": {"files": files}})
    line = said(made.digits("run", "preprocess", DIGITS_MIRROR=str(tmp_path / "bad")), "validate")
    assert "reports/validation" in line
    assert not (made.root / "data/validated").exists()
    assert not (made.root / "data/prepared/train").exists()
    assert (made.root / "reports/validation.json").exists()

    (made.root / "params.yaml").write_text(good)
    made.repro("validate")
    assert (made.root / "data/validated").exists()
