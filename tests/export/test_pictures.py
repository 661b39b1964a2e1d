"""PNG and JPEG bytes become 28×28 in the graph, equal to the NumPy pipeline, and safe from what they hold."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from digits.export.signatures import pictures
from digits.ingest import batches as by_pillow
from digits.normalize import normalize
from tests._digits import digits
from tests._nearest import nearest
from tests._pictures import encode, hostile, jpeg_claiming, kinds, page

MAX_PIXELS = 1_000_000
IMAGES, LABELS = digits(120, seed=4)
KINDS = [kinds(image) for image in IMAGES[:20]]


@pytest.fixture(scope="module")
def read():
    """A batch of files → uint8 [n, 28, 28], traced once as in an exported model."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def graph(files):
        return pictures(files, MAX_PIXELS)

    return lambda files: graph(tf.constant(list(files), tf.string)).numpy()


def test_it_draws_as_the_numpy_pipeline_does(read):
    rng = np.random.default_rng(0)
    files = []
    for row, image in enumerate(IMAGES):
        picture = page(image, int(rng.integers(40, 400)), tuple(rng.random(2)))
        if row % 2:
            picture = ImageOps.invert(picture)
        if row % 3 == 0:
            picture = ImageOps.colorize(picture, (30, 20, 120), (240, 230, 200))
        files.append(encode(picture, "JPEG" if row % 4 == 0 else "PNG"))
    expected = np.stack([normalize(by_pillow.decode(file)) for file in files]).astype(int)
    difference = np.abs(read(files) - expected)
    assert difference.max() <= 3  # of 255; one is rounding
    assert difference.mean() < 0.01
    assert (read([encode(Image.fromarray(image)) for image in IMAGES]) == IMAGES).all(), "MNIST's own form"


def test_every_kind_of_picture_shows_the_digit_and_all_share_a_batch(read):
    files = [file for each in KINDS for file in each.values()]
    read_as = nearest()(read(files), training=False).numpy().argmax(axis=1).reshape(20, -1)
    assert ((read_as == LABELS[:20, None]).sum(axis=0) >= 19).all()


@pytest.mark.parametrize("name", list(hostile()))
def test_what_cant_be_read_is_refused_with_a_reason(read, name):
    file, reason = hostile()[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        read([encode(page(IMAGES[0])), file])


def test_the_limit_is_on_the_whole_picture_and_a_refusal_names_the_row(read):
    assert read([encode(ImageOps.pad(page(IMAGES[0]), (1000, 1000)))]).shape == (1, 28, 28)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[1\] .*1 to 1000000 pixels"):
        read([encode(page(IMAGES[0])), jpeg_claiming(1001, 1000)])


def test_pictures_too_thin_for_a_border_are_drawn_too(read):
    for side in ((1, 60), (60, 1), (2, 2), (3, 3)):
        levels = np.zeros(side[::-1], np.uint8)
        levels.flat[0] = 200
        assert read([encode(Image.fromarray(levels))]).max() == 255, side


@pytest.mark.parametrize("endian", ["<", ">"])
def test_photos_are_turned_as_their_exif_says_and_nonsense_is_passed_over(read, endian):
    turns = [*range(10), 60_000]
    files = []
    for turn in turns:
        exif = Image.Exif()
        exif.endian = endian
        exif[0x010F], exif[0x0112] = "a maker", turn
        files.append(encode(page(IMAGES[7]), "JPEG", exif=exif, quality=95))
    expected = np.stack([normalize(by_pillow.decode(file)) for file in files]).astype(int)
    assert np.abs(read(files) - expected).max() <= 3
    upright = read(files[:2])
    assert (read(files[-2:]) == upright).all() and (upright[0] == upright[1]).all()


def test_a_damaged_exif_block_is_passed_over(read):
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, file = (encode(page(IMAGES[7]), "JPEG", **options) for options in ({}, {"exif": exif}))
    start = file.index(b"Exif\0\0") + 6
    for place in range(start, start + 10):  # byte order, magic, offset, count
        damaged = file[:place] + b"\xff" + file[place + 1 :]
        assert read([damaged]).shape == (1, 28, 28)
    assert (read([file[: start + 4] + b"\xff\xff\xff\xff" + file[start + 8 :]]) == read([plain])).all()
