import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import center_of_mass

from digits.normalize import normalize, to_grey
from digits.runtime.errors import DataError
from tests._digits import digits

IMAGES, _ = digits(30, seed=5)
Picture = NDArray[np.uint8]


def drawn(image, side, share, corner):
    """The image enlarged to `share` of a black picture of `side`², at a relative place in what is left."""
    size = int(side * share)
    big = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    canvas = np.zeros((side, side), np.uint8)
    top, left = (int((side - size) * place) for place in corner)
    canvas[top : top + size, left : left + size] = big
    return canvas


def similarity(a, b):
    """Correlation of two images, at the best shift by one pixel: the centre is rounded to whole ones."""
    places = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(np.roll(a, by, (0, 1)).ravel(), b.ravel())[0, 1]) for by in places)


def test_a_picture_that_is_mnist_already_is_unchanged():
    for image in IMAGES:
        np.testing.assert_array_equal(normalize(image), image)


@pytest.mark.parametrize("side", [60, 280])
@pytest.mark.parametrize("corner", [(0.0, 1.0), (0.5, 0.5), (0.9, 0.1)])
def test_size_place_polarity_and_contrast_do_not_matter(side, corner):
    alike = []
    for image in IMAGES[:10]:
        picture = drawn(image, side, 0.6, corner)
        plain = normalize(picture)
        alike.append(similarity(plain, image))
        np.testing.assert_array_equal(normalize(255 - picture), plain)
        dim = (40 + picture * 0.25).astype(np.uint8)
        assert min(similarity(normalize(each), plain) for each in (dim, 255 - dim)) > 0.98
    assert min(alike) > 0.8 and np.mean(alike) > 0.93


def test_paper_grain_specks_shade_and_jpeg_do_not_matter():
    rng = np.random.default_rng(3)
    for image in IMAGES[:10]:
        picture = drawn(image, 200, 0.6, (0.3, 0.6))
        plain = normalize(picture)
        ink = 30 + picture * 0.7
        shade = np.linspace(-15, 15, 200)
        for spoilt in (
            ink + rng.normal(0, 12, ink.shape),
            ink + shade,
            np.where(rng.random(ink.shape) < 5e-4, 255, ink),
        ):
            stored = io.BytesIO()
            levels = np.clip(255 - spoilt, 0, 255).astype(np.uint8)
            Image.fromarray(levels).save(stored, "JPEG", quality=60)
            result = normalize(np.asarray(Image.open(stored)))
            assert similarity(result, plain) > 0.9
            assert (result == 0).mean() > 0.5, "paper is exactly black"


def test_the_result_has_mnists_form():
    for image in IMAGES:
        result = normalize(255 - drawn(image, 150, 0.5, (0.9, 0.2)))
        assert result.shape == (28, 28) and result.dtype == np.uint8 and result.max() == 255
        rows, columns = np.flatnonzero(result.any(axis=1)), np.flatnonzero(result.any(axis=0))
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        assert np.abs(np.array(center_of_mass(result)) - 14).max() <= 0.6


def test_extreme_shapes_stay_inside_the_frame():
    bar = np.full((300, 90), 255, np.uint8)
    bar[20:280, 40:43] = 0
    result = normalize(bar)
    assert result[:, :10].max() == 0 and result[:, 18:].max() == 0 and result.max() == 255
    lopsided = np.zeros((60, 60), np.uint8)
    lopsided[10:50, 10:14] = 255
    lopsided[48:50, 10:50] = 255
    result = normalize(lopsided)
    assert result.any(axis=1).sum() == 20, "nothing is cut off at the edge"


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (np.full((100, 80), 255), "blank: its contrast is 0 of 255 levels, expected 10"),
        (np.full((9, 9), np.nan), "NaN or infinite"),
        (np.zeros((9, 9, 5), np.uint8), r"this is \[9, 9, 5\]"),
        (np.zeros((0, 9), np.uint8), r"this is \[0, 9\]"),
        (np.zeros(9, np.uint8), r"this is \[9\]"),
    ],
)
def test_what_is_blank_or_no_picture_is_refused(picture, says):
    with pytest.raises(DataError, match=says):
        normalize(picture)


def test_every_form_of_a_picture_gives_the_same_digit():
    grey = drawn(IMAGES[0], 100, 0.6, (0.5, 0.2))
    plain = normalize(grey)
    opaque = np.full_like(grey, 255)
    forms = {
        "one channel": grey[..., None],
        "colour": np.dstack([grey] * 3),
        "colour and alpha": np.dstack([grey, grey, grey, opaque]),
        "16 bits": grey.astype(np.uint16) * 257,
        "float": grey.astype(np.float64),
        "black ink on nothing": np.dstack([np.zeros_like(grey), grey]),
        "white ink on nothing": np.dstack([opaque, opaque, opaque, grey]),
    }
    for name, picture in forms.items():
        before = picture.copy()
        assert np.abs(normalize(picture).astype(int) - plain).max() <= 1, name
        np.testing.assert_array_equal(picture, before, err_msg=f"{name} was changed in place")
    colours = np.eye(3, dtype=np.uint8)[None] * 255
    np.testing.assert_allclose(to_grey(colours), [[76.245, 149.685, 29.07]], rtol=1e-5)
