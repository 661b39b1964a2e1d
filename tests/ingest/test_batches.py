import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.ingest.batches import Batch, read_batch, read_batches
from digits.runtime.errors import DataError
from tests._digits import digits

IMAGES, LABELS = digits(12, seed=7)


def pictures(directory: Path, table: str | None = None, images: Any = IMAGES, labels: Any = LABELS) -> Path:
    """A batch of PNG files 0.png, 1.png … with a labels.csv, or with the given one."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(255 - image).resize((90, 90)).save(directory / f"{number}.png")
    rows = "".join(f"{number}.png,{label}\n" for number, label in enumerate(labels))
    (directory / "labels.csv").write_text(f"file,label\n{rows}" if table is None else table, encoding="utf-8")
    return directory


def archive(directory: Path, **arrays: Any) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / "batch.npz", **arrays)
    return directory


def reasons(batch: Batch) -> list[tuple[int, str, str]]:
    return [(row.row, row.file, row.reason) for row in batch.rejected]


def test_pictures_become_rows_in_the_order_of_the_table(tmp_path: Path) -> None:
    batch = read_batch(pictures(tmp_path / "letters"))
    assert batch.name == "letters" and not batch.rejected
    assert batch.labels.tolist() == LABELS.tolist()
    assert batch.images.shape == (12, 28, 28) and batch.images.dtype == np.uint8
    for made, image in zip(batch.images, IMAGES, strict=True):
        assert np.corrcoef(made.ravel(), image.ravel())[0, 1] > 0.75, "black on white became white on black"


def test_a_table_as_spreadsheets_write_it(tmp_path: Path) -> None:
    batch = read_batch(
        pictures(tmp_path / "b", '\ufefflabel, file\r\n7,"0.png"\r\n\r\n 1 ,./1.png\r\n', IMAGES[:2])
    )
    assert batch.labels.tolist() == [7, 1] and not batch.rejected


def test_pictures_in_subfolders_and_other_files_beside_them(tmp_path: Path) -> None:
    directory = pictures(tmp_path / "b", "file,label\nsub/a.JPG,3\n", [])
    (directory / "sub").mkdir()
    Image.fromarray(255 - IMAGES[0]).resize((90, 90)).convert("RGB").save(directory / "sub" / "a.JPG", "JPEG")
    (directory / "notes.txt").write_text("from the post office")
    (directory / ".hidden.png").write_bytes(b"")
    batch = read_batch(directory)
    assert batch.labels.tolist() == [3] and not batch.rejected


def test_rows_that_can_not_be_used_are_set_aside_with_their_reason(tmp_path: Path) -> None:
    directory = tmp_path / "b"
    rows = [
        "0.png,5",
        "missing.png,5",
        "text.png,5",
        "short.png,5",
        "blank.png,5",
        "1.png,10",
        "2.png,seven",
        "../b/0.png,5",
        "/etc/hostname,5",
        "3.png,1",
        "3.png,2",
        "4.png",
        "5.png,1,2",
        ",5",
        f"{'x' * 300}.png,5",
    ]
    pictures(directory, "file,label\n" + "\n".join(rows) + "\n", IMAGES[:7])
    (directory / "text.png").write_text("hello")
    (directory / "short.png").write_bytes((directory / "0.png").read_bytes()[:-60])
    Image.new("L", (50, 50), 200).save(directory / "blank.png")
    batch = read_batch(directory)
    assert len(batch.labels) == 1 and batch.labels[0] == 5
    found = reasons(batch)
    expected = [
        (1, "missing.png", "can't be read: No such file"),
        (2, "text.png", "no PNG or JPEG"),
        (3, "short.png", "damaged"),
        (4, "blank.png", "blank"),
        (5, "1.png", "the label is '10', expected 0–9"),
        (6, "2.png", "the label is 'seven', expected 0–9"),
        (7, "../b/0.png", "leads out of the batch"),
        (8, "/etc/hostname", "leads out of the batch"),
        (9, "3.png", "names the file 2 times"),
        (10, "3.png", "names the file 2 times"),
        (11, "4.png", "1 cells"),
        (12, "5.png", "3 cells"),
        (13, "", "leads out of the batch"),
        (14, f"{'x' * 300}.png", "can't be read: File name too long"),
        (-1, "6.png", "labels.csv does not name this picture"),
    ]
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for (_, file, reason), (_, _, says) in zip(found, expected, strict=True):
        assert says in reason, file
    by_file = {row.file: row.picture for row in batch.rejected}
    assert by_file["1.png"].min() < 60 and by_file["1.png"].max() == 255, "shown as it is, black on white"
    assert by_file["text.png"].max() == 0, "nothing to show"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "has the columns nothing; expected file,label"),
        ("0.png,5\n", "has the columns 0.png,5; expected file,label"),
        ("file;label\n0.png;5\n", "has the columns file;label; expected file,label"),
        ("file,label,writer\n", "has the columns file,label,writer; expected file,label"),
        ('file,label\n"0.png,5\n', "is no CSV file in UTF-8"),
    ],
)
def test_a_table_that_can_not_be_read_refuses_the_batch(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_batch(pictures(tmp_path / "b", table))


def test_a_table_in_another_encoding_refuses_the_batch(tmp_path: Path) -> None:
    directory = pictures(tmp_path / "b")
    (directory / "labels.csv").write_bytes("file,label\nübung.png,5\n".encode("latin-1"))
    with pytest.raises(DataError, match="no CSV file in UTF-8"):
        read_batch(directory)


def test_what_is_no_batch_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds nothing; expected pictures with a labels.csv, or one .npz"):
        read_batch(tmp_path / "empty")
    both = archive(pictures(tmp_path / "both"), images=IMAGES, labels=LABELS)
    with pytest.raises(DataError, match=r"expected pictures with a labels\.csv"):
        read_batch(both)
    with pytest.raises(DataError, match="holds no row"):
        read_batch(pictures(tmp_path / "rowless", "file,label\n", []))
    with pytest.raises(DataError, match="is missing: make that folder"):
        read_batches(tmp_path / "nowhere")
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "loose.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"loose.npz is not in a batch: move it to .*incoming/loose/"):
        read_batches(tmp_path / "incoming")


def test_batches_come_by_name_and_dvcs_files_are_none(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        archive(tmp_path / name, images=IMAGES, labels=LABELS)
    (tmp_path / "a.dvc").write_text("outs: []")
    (tmp_path / ".gitignore").write_text("/a\n")
    assert [batch.name for batch in read_batches(tmp_path)] == ["a", "b", "c"]


def test_arrays_of_28_by_28_are_taken_as_they_are(tmp_path: Path) -> None:
    images = IMAGES.copy()
    images[0] = 0  # blank: for validate to judge
    batch = read_batch(archive(tmp_path / "b", images=images, labels=LABELS.astype(np.int64)))
    np.testing.assert_array_equal(batch.images, images)
    assert batch.labels.tolist() == LABELS.tolist() and batch.labels.dtype == np.uint8


def test_arrays_of_another_size_or_in_colour_are_normalised(tmp_path: Path) -> None:
    big = np.stack([np.asarray(Image.fromarray(255 - image).resize((64, 64))) for image in IMAGES])
    colour = np.repeat(big[..., None], 3, axis=3)
    for name, images in {"big": big, "colour": colour}.items():
        batch = read_batch(archive(tmp_path / name, images=images, labels=LABELS))
        assert batch.images.shape == (12, 28, 28) and not batch.rejected
        assert np.corrcoef(batch.images.ravel(), IMAGES.ravel())[0, 1] > 0.85


def test_array_rows_with_a_wrong_label_are_set_aside(tmp_path: Path) -> None:
    labels = LABELS.astype(int)
    labels[3], labels[8] = 10, -1
    batch = read_batch(archive(tmp_path / "b", images=IMAGES, labels=labels))
    assert len(batch.labels) == 10
    assert reasons(batch) == [
        (3, "batch.npz", "the label is '10', expected 0–9"),
        (8, "batch.npz", "the label is '-1', expected 0–9"),
    ]
    np.testing.assert_array_equal(batch.rejected[0].picture, IMAGES[3])


FLOATS = IMAGES / np.float32(255)
NANS = np.where(IMAGES == 0, np.float32(np.nan), FLOATS)[:, 10:18, 10:18]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": FLOATS, "labels": LABELS}, "images are float32, 0 to 1; expected uint8, 0 to 255"),
        ({"images": NANS, "labels": LABELS}, r"images are float32, .* values NaN; expected uint8"),
        ({"images": IMAGES.astype(np.int64), "labels": LABELS}, "images are int64, 0 to 255; expected uint8"),
        (
            {"images": IMAGES.reshape(12, -1), "labels": LABELS},
            r"images are \[12, 784\]; expected \[n, h, w\]",
        ),
        ({"images": IMAGES, "labels": LABELS[:5]}, r"labels are uint8\[5\]; expected integers \[12\]"),
        ({"images": IMAGES, "labels": LABELS / 1.0}, r"labels are float64\[12\]; expected integers"),
        ({"x": IMAGES, "labels": LABELS}, "lacks images; it holds x, labels"),
        ({"images": np.array([{}]), "labels": LABELS}, "can't be read .*allow_pickle"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "holds no row"),
    ],
)
def test_arrays_that_are_not_as_expected_refuse_the_batch(
    tmp_path: Path, arrays: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        read_batch(archive(tmp_path / "b", **arrays))


def test_a_damaged_or_lying_archive_refuses_the_batch(tmp_path: Path) -> None:
    directory = archive(tmp_path / "b", images=IMAGES, labels=LABELS)
    whole = (directory / "batch.npz").read_bytes()
    (directory / "batch.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"can't be read .*: save it again with numpy.savez"):
        read_batch(directory)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)}
    )
    with zipfile.ZipFile(directory / "batch.npz", "w") as lying:
        lying.writestr("images.npy", header.getvalue())
        lying.writestr("labels.npy", header.getvalue())
    with pytest.raises(DataError, match="can't be read"):
        read_batch(directory)
