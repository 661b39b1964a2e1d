import contextlib
import io
import re
import zipfile
from functools import partial

import numpy as np
import pytest
from PIL import Image

from digits.ingest import batches
from digits.ingest.batches import decode, hold_out
from digits.normalize import normalize
from digits.runtime.errors import DataError
from tests._digits import digits
from tests._lines import line_batch, written
from tests._pictures import encode, hostile, kinds, png_claiming

IMAGES, LABELS = digits(12, seed=7)
LIMITS = {"rows": 20, "size": 1 << 20}
read_batch, read_batches = partial(batches.read_batch, **LIMITS), partial(batches.read_batches, **LIMITS)


def pictures(directory, table=None, images=IMAGES, labels=LABELS):
    """A batch of PNG files 0.png, 1.png … with a labels.csv, or with the given one."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(255 - image).resize((90, 90)).save(directory / f"{number}.png")
    rows = "".join(f"{number}.png,{label}\n" for number, label in enumerate(labels))
    (directory / "labels.csv").write_text(f"file,label\n{rows}" if table is None else table, encoding="utf-8")
    return directory


def archive(directory, **arrays):
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / "batch.npz", **arrays)
    return directory


def reasons(batch):
    return [(row.row, row.file, row.reason) for row in batch.rejected]


def test_pictures_become_rows_in_the_order_of_the_table(tmp_path):
    batch = read_batch(pictures(tmp_path / "letters"))
    assert batch.name == "letters" and not batch.rejected
    assert batch.labels.tolist() == LABELS.tolist()
    assert batch.images.shape == (12, 28, 28) and batch.images.dtype == np.uint8
    for made, image in zip(batch.images, IMAGES, strict=True):
        assert np.corrcoef(made.ravel(), image.ravel())[0, 1] > 0.75, "black on white became white on black"


def test_names_and_labels_are_taken_as_other_systems_write_them(tmp_path):
    directory = pictures(tmp_path / "b", "", IMAGES[:6])
    (directory / "sub").mkdir()
    for old, new in {"1.png": "sub/one.png", "2.png": "u\u0308bung.png", "3.png": "THREE.PNG"}.items():
        (directory / old).rename(directory / new)
    Image.fromarray(255 - IMAGES[6]).resize((90, 90)).save(directory / "sub" / "a.JPG", "JPEG")
    (directory / "notes.txt").write_text("from the post office")
    (directory / ".hidden.png").write_bytes(b"")
    table = '7.0,0.PNG\n07,sub\\one.png\r\n7.,\u00fcbung.png\n\r\n007.00,three.png\n 7 ,./4.png\n7,"5.png"\n'
    (directory / "labels.csv").write_text(f"\ufefflabel, file\r\n{table}7,sub/a.JPG\n", encoding="utf-8")
    batch = read_batch(directory)
    assert batch.labels.tolist() == [7] * 7 and not batch.rejected


def test_a_name_that_may_mean_two_files_means_neither_and_each_picture_counts_once(tmp_path):
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


def test_what_a_batch_wrote_is_shown_on_one_line_without_control_characters(tmp_path):
    batch = read_batch(pictures(tmp_path / "b", f"file,label\n0.png,\x1b[2J{'9' * 5000}\n", IMAGES[:1]))
    ((_, _, reason),) = reasons(batch)
    assert reason.startswith(r"the label is '\x1b[2J999") and len(reason) < 300
    with pytest.raises(DataError) as refused:
        read_batch(pictures(tmp_path / "c", f"\x1b[2J,{'x' * 5000}\n"))
    assert "\x1b" not in str(refused.value) and len(str(refused.value)) < 500


def test_lines_become_rows_with_their_texts_and_bad_ones_are_rejected_beside_them(tmp_path):
    line = written(4, 1)
    folder = line_batch(tmp_path / "b", [(line, "12.34"), (line[:, :40], ""), (line, "1z"), (line * 0, "1")])
    Image.fromarray(line).save(folder / "unnamed.png")
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:60])
    with (folder / "labels.csv").open("a", encoding="utf-8") as table:
        table.write("gone.png,1\ntorn.png,1\nunnamed.png,1,5\n")
    Image.fromarray(line).save(folder / "forgotten.png")
    batch = read_batch(folder)
    assert not len(batch.labels) and not len(batch.images)
    assert [batch.lines.characters(row) for row in range(2)] == [[1, 2, 10, 3, 4], []]
    assert batch.lines.widths.tolist() == [100, 44] and batch.lines.batches.tolist() == ["b", "b"]
    shown = {row.file: (row.row, row.label, row.reason) for row in batch.rejected}
    assert shown["2.png"][:2] == (2, "1z")
    assert shown["2.png"][2].startswith("the text is '1z': expected digits")
    assert "blank" in shown["3.png"][2] and "damaged" in shown["torn.png"][2]
    assert "can't be read" in shown["gone.png"][2]
    assert shown["unnamed.png"][2] == "the row has 3 cells, expected file,text"
    assert shown["forgotten.png"] == (-1, "", "labels.csv does not name this picture")


def test_lines_may_take_so_many_bytes(tmp_path):
    folder = line_batch(tmp_path / "b", [(written(4, seed), "1") for seed in range(3)])
    assert len(batches.read_batch(folder, rows=3, size=3 * 32 * 100).lines) == 3
    with pytest.raises(DataError, match="unpacks to more than 0 MiB: split the batch"):
        batches.read_batch(folder, rows=3, size=3 * 32 * 100 - 1)


def test_a_batch_may_have_so_many_rows_and_bytes_and_no_more(tmp_path):
    folder, packed = pictures(tmp_path / "b"), archive(tmp_path / "a", images=IMAGES, labels=LABELS)
    with zipfile.ZipFile(packed / "batch.npz") as members:
        size = sum(member.file_size for member in members.infolist())
    for most in (13, 12):
        for each in (folder, packed):
            assert len(batches.read_batch(each, rows=most, size=size).labels) == 12
    for each in (folder, packed):
        with pytest.raises(DataError, match=r"rows.*split"):
            batches.read_batch(each, rows=11, size=size)
    assert len(batches.read_batch(packed, rows=12, size=size + 1).labels) == 12
    with pytest.raises(DataError, match="unpacks to more than 0 MiB: split the batch"):
        batches.read_batch(packed, rows=12, size=size - 1)


def test_a_file_that_is_read_whole_may_have_so_many_bytes(tmp_path, monkeypatch):
    directory = pictures(tmp_path / "b", None, IMAGES[:1], LABELS[:1])
    largest = (directory / "0.png").stat().st_size
    for most, rejected in ((largest + 1, 0), (largest, 0), (largest - 1, 1)):
        monkeypatch.setattr(batches, "MAX_FILE", most)
        assert len(read_batch(directory).rejected) == rejected
    monkeypatch.setattr(batches, "MAX_FILE", 10)
    with pytest.raises(DataError, match=r"labels.csv is larger than 0 MiB: split the batch"):
        read_batch(directory)


def test_rows_that_can_not_be_used_are_set_aside_with_their_reason(tmp_path):
    directory = tmp_path / "b"
    bad = {
        "missing.png,5": "can't be read: No such file",
        "text.png,5": "no PNG or JPEG",
        "short.png,5": "damaged",
        "blank.png,5": "blank",
        "1.png,10": "the label is '10', expected 0–9",
        "2.png,seven": "the label is 'seven', expected 0–9",
        "../b/0.png,5": "leads out of the batch",
        "/etc/hostname,5": "leads out of the batch",
        "3.png,1": "names the file 2 times",
        "3.png,2": "names the file 2 times",
        "4.png": "1 cells",
        "5.png,1,2": "3 cells",
        ",5": "leads out of the batch",
        f"{'x' * 300}.png,5": "can't be read: File name too long",
    }
    pictures(directory, "\n".join(["file,label", "0.png,5", *bad, ""]), IMAGES[:7])
    (directory / "text.png").write_text("hello")
    (directory / "short.png").write_bytes((directory / "0.png").read_bytes()[:-60])
    Image.new("L", (50, 50), 200).save(directory / "blank.png")
    batch = read_batch(directory)
    assert batch.labels.tolist() == [5]
    expected = [(number, row.split(",")[0], says) for number, (row, says) in enumerate(bad.items(), 1)]
    expected.append((-1, "6.png", "labels.csv does not name this picture"))
    for (*found, reason), (*row, says) in zip(reasons(batch), expected, strict=True):
        assert found == row and says in reason
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
        ("file,label\nübung.png,5\n", "is no CSV file in UTF-8"),
    ],
)
def test_a_table_that_can_not_be_read_refuses_the_batch(tmp_path, table, says):
    directory = pictures(tmp_path / "b")
    (directory / "labels.csv").write_bytes(table.encode("latin-1"))
    with pytest.raises(DataError, match=says):
        read_batch(directory)


def test_what_is_no_batch_is_refused(tmp_path):
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


def test_arrays_of_28_by_28_are_taken_as_they_are_without_rows_whose_label_is_wrong(tmp_path):
    images, labels = IMAGES.copy(), LABELS.astype(np.int64)
    images[0] = 0  # blank: for validate to judge
    labels[3], labels[8] = 10, -1
    for name in ("b", "a"):
        archive(tmp_path / name, images=images, labels=labels)
    (tmp_path / "a.dvc").write_text("outs: []")
    (tmp_path / ".gitignore").write_text("/a\n")
    found = read_batches(tmp_path)
    assert [batch.name for batch in found] == ["a", "b"]
    batch, kept = found[0], np.delete(np.arange(12), [3, 8])
    np.testing.assert_array_equal(batch.images, images[kept])
    assert batch.labels.tolist() == LABELS[kept].tolist() and batch.labels.dtype == np.uint8
    assert reasons(batch) == [
        (3, "batch.npz", "the label is '10', expected 0–9"),
        (8, "batch.npz", "the label is '-1', expected 0–9"),
    ]
    np.testing.assert_array_equal(batch.rejected[0].picture, IMAGES[3])


def test_arrays_of_another_size_or_in_colour_are_normalised(tmp_path):
    big = np.stack([np.asarray(Image.fromarray(255 - image).resize((64, 64))) for image in IMAGES])
    for name, images in {"big": big, "colour": np.repeat(big[..., None], 3, axis=3)}.items():
        batch = read_batch(archive(tmp_path / name, images=images, labels=LABELS))
        assert batch.images.shape == (12, 28, 28) and not batch.rejected
        assert np.corrcoef(batch.images.ravel(), IMAGES.ravel())[0, 1] > 0.85


def zipped(members, **options):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def encrypted(data):
    """The archive with the flag set in each member's two headers."""
    made = bytearray(data)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(signature), made):
            made[found.start() + at] |= 1
    return bytes(made)


def archived(images=IMAGES, labels=LABELS):
    return zipped({"images.npy": npy(images), "labels.npy": npy(labels)})


TOO_LARGE = npy(IMAGES)[:128].replace(b"(12, 28, 28), }" + b" " * 11, b"(1000000000000, 28, 28), }")
FLOATS = IMAGES / np.float32(255)
NANS = np.where(IMAGES == 0, np.float32(np.nan), FLOATS)[:, 10:18, 10:18]
ODD_ARCHIVES = {
    "nothing": (b"", "can't be read"),
    "no zip": (npy(IMAGES), "can't be read"),
    "half": (archived()[:5000], r"can't be read .*: save it again with numpy.savez"),
    "encrypted": (encrypted(archived()), "encrypted"),
    "claims 784 TB": (zipped({"images.npy": TOO_LARGE, "labels.npy": npy(LABELS)}), "can't be read"),
    "no member": (zipped({}), "lacks images and labels; it holds nothing"),
    "another member": (zipped({"x.npy": npy(IMAGES), "labels.npy": npy(LABELS)}), "it holds x, labels"),
    "no array": (
        zipped({"images": b"x", "images.npy": b"x", "labels.npy": npy(LABELS)}),
        "images is no array",
    ),
    "an object": (archived(np.array([{}])), "can't be read .*allow_pickle"),
    "no row": (archived(IMAGES[:0], LABELS[:0]), "holds no row"),
    "floats": (archived(FLOATS), "images are float32, 0 to 1; expected uint8, 0 to 255"),
    "NaN": (archived(NANS), r"images are float32, .* values NaN; expected uint8"),
    "long integers": (archived(IMAGES.astype(np.int64)), "images are int64, 0 to 255; expected uint8"),
    "structures": (archived(np.zeros(12, "u1,u1")), "images are .*expected uint8"),
    "texts": (archived(np.full((12, 28, 28), "x")), "images are <U1; expected"),
    "flat": (archived(IMAGES.reshape(12, -1)), r"images are \[12, 784\]; expected \[n, h, w\]"),
    "huge": (archived(np.zeros((12, 400, 300), "u1")), "at most 0.1 million"),
    "few labels": (archived(labels=LABELS[:5]), r"labels are uint8\[5\]; expected integers \[12\]"),
    "labels of floats": (archived(labels=LABELS / 1.0), r"labels are float64\[12\]; expected integers"),
}


@pytest.mark.parametrize("kind", ODD_ARCHIVES)
def test_an_odd_archive_refuses_the_batch_with_its_name(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(batches, "MAX_PIXELS", 100_000)
    data, says = ODD_ARCHIVES[kind]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "batch.npz").write_bytes(data)
    with pytest.raises(DataError, match=says) as refused:
        batches.read_batch(tmp_path / "b", rows=20, size=1 << 22)
    assert str(tmp_path / "b") in str(refused.value) and "\n" not in str(refused.value)


def damaged(rng, whole):
    """The bytes, sometimes cut, with three changed near the ends, where the headers are."""
    data = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.25 else whole)
    for place in (*rng.integers(0, 200, 2), len(data) - rng.integers(1, 250)):
        data[min(max(place, 0), len(data) - 1)] = rng.integers(256)
    return bytes(data)


def test_random_damage_of_an_archive_or_a_picture_never_escapes_as_another_error(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "b").mkdir()
    small = {"images.npy": npy(IMAGES[:2]), "labels.npy": npy(LABELS[:2])}
    wholes = [zipped(small), zipped(small, compression=zipfile.ZIP_DEFLATED)]
    for number in range(400):
        (tmp_path / "b" / "batch.npz").write_bytes(damaged(rng, wholes[number % 2]))
        try:
            read_batch(tmp_path / "b")
        except DataError as refused:
            assert str(tmp_path / "b") in str(refused)
    exif, colour = Image.Exif(), Image.fromarray(IMAGES[0]).convert("RGB")
    exif[0x0112] = 6
    clear = encode(colour.quantize(9), transparency=3)
    for whole in (encode(colour), encode(colour, "JPEG", exif=exif), clear):
        for _ in range(300):
            with contextlib.suppress(DataError):
                decode(damaged(rng, whole))


@pytest.mark.parametrize("kind", kinds(IMAGES[0]))
def test_a_digit_is_read_from_every_kind_of_picture(kind):
    seen = normalize(decode(kinds(IMAGES[0])[kind]))
    assert np.corrcoef(seen.ravel(), IMAGES[0].ravel())[0, 1] > 0.75


@pytest.mark.parametrize("kind", hostile())
def test_what_can_not_be_read_is_refused(kind):
    with pytest.raises(DataError):
        normalize(decode(hostile()[kind][0]))


def test_a_picture_of_too_many_pixels_is_not_decoded():
    with pytest.raises(DataError, match="5000×4000 pixels, expected at most 16 million"):
        decode(png_claiming(5000, 4000))


BALANCED = np.repeat(np.arange(10, dtype=np.uint8), 20)


def held_out(labels=BALANCED, name="batch", share=0.2, at_least=100, seed=1):
    rest, part = hold_out(labels, name, share=share, at_least=at_least, seed=seed)
    assert sorted([*rest, *part]) == list(range(len(labels)))
    return part.tolist()


def test_a_fifth_of_every_digit_is_held_out_of_a_large_batch_by_seed_and_name():
    part = held_out()
    assert np.bincount(BALANCED[part]).tolist() == [4] * 10
    assert part == held_out() and part != held_out(name="other") and part != held_out(seed=2)
    assert [len(held_out(BALANCED[:n])) for n in (99, 100)] == [0, 20]
    one_nine = np.append(BALANCED[BALANCED < 9], np.uint8(9))
    assert len(held_out(one_nine)) == 36 and 180 not in held_out(one_nine), "a lone row is trained on"
    assert held_out(share=0.0) == held_out(np.arange(10, dtype=np.uint8), at_least=1) == []
