import csv

import numpy as np
import pytest
from PIL import Image

from digits import dataset, files
from digits.ingest import stage
from digits.line_model.lines import load_real_lines
from digits.runtime.errors import DataError
from tests._digits import digits
from tests._lines import line_batch, text_of, written
from tests._loopback import PAGE, refused_url, serving
from tests._project import tree_digest
from tests.ingest._idx import ingest_params, write_idx_dataset

TRAIN, TEST = digits(60, seed=1), digits(30, seed=2)


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.delenv("DIGITS_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def incoming(tmp_path):
    made = tmp_path / "incoming"
    made.mkdir()
    (made / ".gitignore").write_text("# batches\n")
    return made


@pytest.fixture
def chosen(tmp_path):
    return ingest_params(write_idx_dataset(tmp_path / "mirror", TRAIN, TEST), [str(tmp_path / "mirror")])


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "data" / "raw"


def test_batches_are_appended_to_the_data_set_and_a_fifth_of_a_large_one_held_out(
    incoming, chosen, raw, capsys
):
    images, labels = digits(120, seed=3)
    (incoming / "office").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(255 - image).resize((64, 64)).save(incoming / "office" / f"{number:03}.png")
    rows = "".join(f"{number:03}.png,{label}\n" for number, label in enumerate(labels))
    (incoming / "office" / "labels.csv").write_text(f"file,label\n{rows}gone.png,3\n")
    (incoming / "small").mkdir()
    np.savez(incoming / "small" / "scans.npz", images=images[:99], labels=labels[:99])
    stage.run(incoming, raw, chosen)
    train, test, heldout = (dataset.load_split(raw / name) for name in ("train", "test", "heldout"))
    assert set(test.batches) == {"synthetic"}, "the test split is the data set's alone"
    for split, (wanted, digit) in ((train.take(np.arange(60)), TRAIN), (test, TEST)):
        np.testing.assert_array_equal(split.images, wanted)
        np.testing.assert_array_equal(split.labels, digit)
    names, counts = np.unique(train.batches, return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"office": 100, "small": 99, "synthetic": 60}
    assert set(heldout.batches) == {"office"} and np.bincount(heldout.labels).tolist() == [2] * 10
    manifest = files.read_json(raw / "manifest.json")
    assert manifest["dataset"] == "synthetic" and manifest["sample"] is False
    assert {name: part["n"] for name, part in manifest["splits"].items()} == {
        "train": 259, "test": 30, "heldout": 20, "lines": 0, "heldout_lines": 0,
    }  # fmt: skip
    assert manifest["splits"]["test"]["images_sha256"] == dataset.array_sha256(TEST[0])
    assert manifest["splits"]["test"]["labels_sha256"] == dataset.array_sha256(TEST[1])
    assert manifest["batches"] == {
        "office": {"rows": 121, "train": 100, "heldout": 20, "rejected": 1},
        "small": {"rows": 99, "train": 99, "heldout": 0, "rejected": 0},
    }
    heading, refused = (raw / "rejected" / "rejected.csv").read_text().splitlines()
    reason = "the file can't be read: No such file or directory"
    assert (heading, refused) == ("batch,row,file,label,reason", f"office,120,gone.png,3,{reason}")
    with (raw / "files.csv").open() as stream:
        origin = [row for row in csv.DictReader(stream) if row["split"] != "test"]
    assert [row["split"] for row in origin] == ["train"] * 199 + ["heldout"] * 20
    assert (origin[0]["row"], origin[100]["file"]) == ("60", "scans.npz row 0")
    for row in (origin[0], origin[99], *origin[-20:]):
        split = {"train": train, "heldout": heldout}[row["split"]]
        assert split.labels[int(row["row"])] == labels[int(row["file"].removesuffix(".png"))]
    assert np.load(raw / "rejected" / "images.npy").shape == (1, 28, 28)
    assert f"batch office: 1 row refused, the first: {reason}" in capsys.readouterr().out


def test_lines_are_kept_apart_from_digits_and_a_fifth_of_a_large_batch_held_out(
    incoming, chosen, raw, capsys
):
    rows = [(written(3, seed), text_of(3, seed)) for seed in range(120)]
    stage.run(incoming, raw, chosen)
    before = tree_digest(raw, "train", "test", "heldout")
    line_batch(incoming / "cheques", [*rows, (rows[0][0], "1l")])
    line_batch(incoming / "form", [(255 - rows[0][0], text_of(3, 0))])
    stage.run(incoming, raw, chosen)
    kept, held = load_real_lines(raw / "lines"), load_real_lines(raw / "heldout_lines")
    assert (len(kept), len(held)) == (97, 24) and set(held.batches) == {"cheques"}
    names, counts = np.unique(kept.batches, return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"cheques": 96, "form": 1}
    assert "".join(map(str, kept.characters(96))) == text_of(3, 0) and kept.image(96).mean() < 128
    assert tree_digest(raw, "train", "test", "heldout") == before, "or the candidate would be trained again"
    manifest = files.read_json(raw / "manifest.json")
    assert manifest["splits"]["lines"] == kept.facts() and manifest["splits"]["heldout_lines"]["n"] == 24
    assert manifest["batches"]["cheques"] == {"rows": 121, "train": 96, "heldout": 24, "rejected": 1}
    refused = (raw / "rejected" / "rejected.csv").read_text()
    assert "cheques,120,120.png,1l,\"the text is '1l': expected digits" in refused
    assert "121 lines; 2 incoming batches" in capsys.readouterr().out


def test_the_sample_is_loud_and_does_not_stick(incoming, chosen, raw, capsys):
    with serving(lambda _: (200, PAGE)) as portal:
        without = chosen.model_copy(update={"sources": [refused_url(), portal.url]})
        stage.run(incoming, raw, without)
    manifest = files.read_json(raw / "manifest.json")
    assert manifest["dataset"] == "mnist-sample-5k" and manifest["sample"] is True
    train, test = (dataset.load_split(raw / name) for name in ("train", "test"))
    assert len(train) == 4000 and np.bincount(test.labels).tolist() == [100] * 10
    images = np.concatenate([train.images, test.images])
    assert len({image.tobytes() for image in images}) == 5000, "no image in both"
    assert 25 < images.mean() < 40, "white ink on black"
    loud = [line for line in capsys.readouterr().out.splitlines() if "NO SOURCE GAVE SYNTHETIC" in line]
    assert len(loud) == 1
    for part in ("mnist-sample-5k", "refuses the connection", "is a web page", "DIGITS_MIRROR"):
        assert part in loud[0]
    stage.run(incoming, raw, chosen)
    assert files.read_json(raw / "manifest.json")["dataset"] == "synthetic"
    assert len(dataset.load_split(raw / "train")) == 60


def test_without_leave_to_use_the_sample_it_stops(incoming, chosen, raw):
    alone = chosen.model_copy(update={"sources": [refused_url()], "allow_sample": False})
    with pytest.raises(DataError, match=r"no source gave synthetic .*refuses the connection.*DIGITS_MIRROR"):
        stage.run(incoming, raw, alone)
    assert not raw.exists()


def test_an_unreadable_batch_stops_it_and_what_was_there_stays(incoming, chosen, raw):
    stage.run(incoming, raw, chosen)
    before = tree_digest(raw, ".")
    (incoming / "odd").mkdir()
    np.savez(incoming / "odd" / "x.npz", images=TRAIN[0] / 255, labels=TRAIN[1])
    with pytest.raises(DataError, match="images are float64, 0 to 1; expected uint8"):
        stage.run(incoming, raw, chosen)
    assert tree_digest(raw, ".") == before
    assert [p.name for p in raw.parent.iterdir()] == ["raw"]


@pytest.mark.parametrize("name", ["synthetic", "mnist-sample-5k"])
def test_a_batch_named_like_a_data_set_is_refused(incoming, chosen, raw, name):
    (incoming / name).mkdir()
    np.savez(incoming / name / "digits.npz", images=TRAIN[0][:3], labels=TRAIN[1][:3])
    with pytest.raises(DataError, match=f"{name} is named like the data set"):
        stage.run(incoming, raw, chosen)
    assert not raw.exists()
