import io
import re
import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.ingest import batches
from digits.ingest.batches import Batch, decode, hold_out
from digits.normalize import to_grey
from digits.runtime.errors import DataError
from tests._digits import digits

IMAGES, LABELS = digits(12, seed=7)
LIMITS = {"rows": 20, "size": 1 << 20}
read_batch, read_batches = partial(batches.read_batch, **LIMITS), partial(batches.read_batches, **LIMITS)


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


def test_names_and_labels_are_taken_as_other_systems_write_them(tmp_path: Path) -> None:
    directory = pictures(tmp_path / "b", "file,label\n", IMAGES[:5])
    (directory / "sub").mkdir()
    for old, new in {"1": "sub/one", "2": "u\u0308bung", "3": "THREE"}.items():
        (directory / f"{old}.png").rename(directory / f"{new}.png")
    rows = "0.PNG,7.0\nsub\\one.png,07\n\u00fcbung.png,7.\nthree.png,007.00\n./4.png,7\n"
    (directory / "labels.csv").write_text(f"file,label\n{rows}", encoding="utf-8")
    batch = read_batch(directory)
    assert batch.labels.tolist() == [7] * 5 and not batch.rejected


def test_a_name_that_may_mean_two_files_means_neither_and_each_picture_counts_once(tmp_path: Path) -> None:
    directory = pictures(tmp_path / "b", "file,label\na.png,1\nA.png,2\nb.PNG,3\nB.png,4\nc.png,7.5\n", [])
    for name in ("a.png", "A.png", "b.png", "c.png"):
        Image.fromarray(255 - IMAGES[0]).resize((90, 90)).save(directory / name)
    batch = read_batch(directory)
    assert batch.labels.tolist() == [1, 2]
    assert reasons(batch) == [
        (2, "b.PNG", "labels.csv names the file 2 times, expected once"),
        (3, "B.png", "labels.csv names the file 2 times, expected once"),
        (4, "c.png", "the label is '7.5', expected 0–9"),
    ]
    (directory / "labels.csv").write_text("file,label\nx/A.PNG,1\n")
    (directory / "x").mkdir()
    for name in ("a.png", "A.png"):
        (directory / name).rename(directory / "x" / name)
    assert {(row, file) for row, file, _ in reasons(read_batch(directory))} == {
        (0, "x/A.PNG"), (-1, "x/a.png"), (-1, "x/A.png"), (-1, "b.png"), (-1, "c.png"),
    }  # fmt: skip


def test_what_a_batch_wrote_is_shown_on_one_line_without_control_characters(tmp_path: Path) -> None:
    batch = read_batch(pictures(tmp_path / "b", f"file,label\n0.png,\x1b[2J{'9' * 5000}\n", IMAGES[:1]))
    ((_, _, reason),) = reasons(batch)
    assert reason.startswith(r"the label is '\x1b[2J999") and len(reason) < 300
    with pytest.raises(DataError) as refused:
        read_batch(pictures(tmp_path / "c", f"\x1b[2J,{'x' * 5000}\n"))
    assert "\x1b" not in str(refused.value) and len(str(refused.value)) < 500


def test_a_batch_may_have_so_many_rows_and_bytes_and_no_more(tmp_path: Path) -> None:
    folder, packed = pictures(tmp_path / "b"), archive(tmp_path / "a", images=IMAGES, labels=LABELS)
    with zipfile.ZipFile(packed / "batch.npz") as members:
        size = sum(member.file_size for member in members.infolist())
    for most, fits in ((13, True), (12, True), (11, False)):
        for each in (folder, packed):
            if fits:
                assert len(batches.read_batch(each, rows=most, size=size).labels) == 12
            else:
                with pytest.raises(DataError, match=r"rows.*split"):
                    batches.read_batch(each, rows=most, size=size)
    assert len(batches.read_batch(packed, rows=12, size=size + 1).labels) == 12
    with pytest.raises(DataError, match="unpacks to more than 0 MiB: split the batch"):
        batches.read_batch(packed, rows=12, size=size - 1)


def test_a_file_that_is_read_whole_may_have_so_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = pictures(tmp_path / "b", None, IMAGES[:1], LABELS[:1])
    largest = (directory / "0.png").stat().st_size
    for most, rejected in ((largest + 1, 0), (largest, 0), (largest - 1, 1)):
        monkeypatch.setattr(batches, "MAX_FILE", most)
        assert len(read_batch(directory).rejected) == rejected
    monkeypatch.setattr(batches, "MAX_FILE", 10)
    with pytest.raises(DataError, match=r"labels.csv is larger than 0 MiB: split the batch"):
        read_batch(directory)


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


def zipped(members: dict[str, bytes], **options: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def lying(shape: tuple[int, ...]) -> bytes:
    """An array's header without the array."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


WHOLE = {"images.npy": npy(IMAGES), "labels.npy": npy(LABELS)}
ENCRYPTED = bytearray(zipped(WHOLE))
for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag in each member's two headers
    for start in (found.start() for found in re.finditer(re.escape(signature), ENCRYPTED)):
        ENCRYPTED[start + at] |= 1
ODD_ARCHIVES = {
    "nothing": (b"", "can't be read"),
    "no zip": (npy(IMAGES), "can't be read"),
    "half": (zipped(WHOLE)[:5000], r"can't be read .*: save it again with numpy.savez"),
    "encrypted": (bytes(ENCRYPTED), "encrypted"),
    "claims 784 TB": (zipped(WHOLE | {"images.npy": lying((10**12, 28, 28))}), "can't be read"),
    "no member": (zipped({}), "lacks images and labels; it holds nothing"),
    "members that are no arrays": (
        zipped(WHOLE | {"images": b"x", "images.npy": b"x"}),
        "images is no array",
    ),
    "structures": (zipped(WHOLE | {"images.npy": npy(np.zeros(12, "u1,u1"))}), "images are .*expected uint8"),
    "voids": (zipped(WHOLE | {"images.npy": npy(np.zeros(12, "V784"))}), "images are .*expected uint8"),
    "texts": (zipped(WHOLE | {"images.npy": npy(np.full((12, 28, 28), "x"))}), "images are <U1; expected"),
    "times": (zipped(WHOLE | {"images.npy": npy(np.zeros((12, 28, 28), "M8[s]"))}), "images are datetime64"),
    "complex": (zipped(WHOLE | {"images.npy": npy(np.zeros((12, 28, 28), "c8"))}), "images are complex64"),
    "labels of a text": (zipped(WHOLE | {"labels.npy": npy(np.full(12, "7"))}), "labels are <U1"),
    "huge images": (
        zipped(WHOLE | {"images.npy": npy(np.zeros((12, 400, 300), "u1"))}),
        "at most 0.1 million",
    ),
}


@pytest.mark.parametrize("kind", ODD_ARCHIVES)
def test_an_odd_archive_refuses_the_batch_with_its_name(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_PIXELS", 100_000)
    data, says = ODD_ARCHIVES[kind]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "batch.npz").write_bytes(data)
    with pytest.raises(DataError, match=says) as refused:
        batches.read_batch(tmp_path / "b", rows=20, size=1 << 22)
    assert str(tmp_path / "b") in str(refused.value) and "\n" not in str(refused.value)


def test_random_damage_of_an_archive_never_escapes_as_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "b").mkdir()
    small = {"images.npy": npy(IMAGES[:2]), "labels.npy": npy(LABELS[:2])}
    wholes = [zipped(small), zipped(small, compression=zipfile.ZIP_DEFLATED)]
    for number in range(400):
        whole = wholes[number % 2]
        data = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.2 else whole)
        for _ in range(3):
            near = rng.integers(0, 150) if rng.random() < 0.5 else len(data) - rng.integers(1, 250)
            data[min(max(near, 0), len(data) - 1)] = rng.integers(256)  # where the headers are
        (tmp_path / "b" / "batch.npz").write_bytes(data)
        try:
            read_batch(tmp_path / "b")
        except DataError as refused:
            assert str(tmp_path / "b") in str(refused)


def test_whatever_a_library_raises_the_batch_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprising(*_: Any) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(batches, "normalize", surprising)
    with pytest.raises(DataError, match=r"batch .*/b can't be read \(RecursionError: maximum"):
        read_batch(pictures(tmp_path / "b"))


BALANCED = np.repeat(np.arange(10, dtype=np.uint8), 20)


def split(labels=BALANCED, name="batch", share=0.2, at_least=100, seed=1):
    return hold_out(labels, name, share=share, at_least=at_least, seed=seed)


def test_a_fifth_of_every_digit_is_held_out() -> None:
    rest, part = split()
    assert np.bincount(BALANCED[part]).tolist() == [4] * 10
    assert sorted([*rest, *part]) == list(range(200))


def test_a_small_batch_is_trained_on_whole() -> None:
    assert len(split(BALANCED[:99])[1]) == 0
    assert len(split(BALANCED[:100])[1]) == 20


def test_the_choice_hangs_on_seed_and_name() -> None:
    np.testing.assert_array_equal(split()[1], split()[1])
    assert split()[1].tolist() != split(name="other")[1].tolist()
    assert split()[1].tolist() != split(seed=2)[1].tolist()


def test_a_digit_with_one_row_is_trained_on() -> None:
    labels = np.append(np.repeat(np.arange(9, dtype=np.uint8), 20), np.uint8(9))
    rest, part = split(labels)
    assert 180 in rest and len(part) == 36


@pytest.mark.parametrize("labels", [BALANCED, np.arange(10, dtype=np.uint8)])
def test_nothing_is_held_out_when_nothing_is_asked_or_possible(labels) -> None:
    assert len(split(labels, share=0.0 if len(labels) > 10 else 0.2, at_least=1)[1]) == 0


GREY = np.arange(40 * 60, dtype=np.uint32).reshape(40, 60).astype(np.uint8)


def stored(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def palette() -> Image.Image:
    picture = Image.fromarray(GREY).quantize(64)
    assert picture.mode == "P"
    return picture


@pytest.mark.parametrize(
    ("data", "tolerance"),
    [
        (stored(Image.fromarray(GREY)), 0.01),
        (stored(Image.fromarray(GREY).convert("RGB")), 0.01),
        (stored(Image.fromarray(GREY).convert("RGBA")), 0.01),
        (stored(Image.fromarray(GREY).convert("LA")), 0.01),
        (stored(Image.fromarray(GREY.astype(np.uint16) * 257)), 0.01),
        (stored(palette()), 4),
        (stored(Image.fromarray(GREY), "JPEG", quality=95), 25),
        (stored(Image.fromarray(GREY).convert("CMYK"), "JPEG", quality=95), 25),
    ],
    ids=["grey", "RGB", "RGBA", "grey and alpha", "16 bits", "palette", "JPEG", "CMYK"],
)
def test_every_mode_gives_the_same_grey(data: bytes, tolerance: float) -> None:
    np.testing.assert_allclose(to_grey(decode(data)), GREY, atol=tolerance)


def test_one_bit_and_transparent_palette() -> None:
    black_and_white = (GREY > 127).astype(np.uint8) * 255
    np.testing.assert_array_equal(
        decode(stored(Image.fromarray(black_and_white).convert("1"))), black_and_white
    )
    see_through = stored(Image.fromarray(black_and_white).convert("P"), transparency=0)
    assert decode(see_through).shape == (40, 60, 4)


def test_orientation_noted_by_the_camera_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    turned: NDArray[Any] = decode(stored(Image.fromarray(GREY), "JPEG", quality=95, exif=exif))
    assert turned.shape == (60, 40)
    np.testing.assert_allclose(turned, np.rot90(GREY, -1), atol=25)


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + struct.pack(">I", 1000) + b"IDAT" + bytes(8)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bomb(5000, 4000), "5000×4000 pixels, expected at most 16 million"),
        (bomb(100_000, 100_000), "too many pixels, expected at most 16 million"),
        (stored(Image.fromarray(GREY).resize((300, 200)))[:-100], "damaged"),
        (stored(Image.fromarray(GREY), "JPEG")[:300], "damaged|no PNG"),
        (b"not a picture", "no PNG or JPEG"),
        (b"", "no PNG or JPEG"),
        (stored(Image.fromarray(GREY), "BMP"), "no PNG or JPEG"),
    ],
)
def test_what_can_not_be_decoded_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        decode(data)


def test_random_damage_never_escapes_as_another_error() -> None:
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    colour = Image.fromarray(GREY).convert("RGB")
    for whole in (stored(colour), stored(colour, "JPEG", exif=exif), stored(palette(), transparency=3)):
        for _ in range(300):
            data = bytearray(whole[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.3 else whole)
            for place in rng.integers(0, min(len(data), 200), size=3):  # where the headers are
                data[place] = rng.integers(256)
            try:
                decode(bytes(data))
            except DataError:
                continue


def test_exif_that_makes_no_sense_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def nonsense(_: Image.Image) -> Image.Image:
        raise TypeError("bad operand type for abs(): 'str'")  # seen with one changed byte in the EXIF data

    monkeypatch.setattr("digits.ingest.batches.ImageOps.exif_transpose", nonsense)
    with pytest.raises(DataError, match="damaged: bad operand"):
        decode(stored(Image.fromarray(GREY)))
