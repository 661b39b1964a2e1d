import numpy as np
import pytest

from bench.canny import canny

from ._digits import digits

IMAGES = digits(20, seed=6)[0].astype(np.float32) / np.float32(255)


def test_a_square_has_an_outline_and_nothing_inside():
    square = np.zeros((1, 28, 28), np.float32)
    square[:, 7:21, 7:21] = 0.5
    square[:, 8:20, 8:20] = 1
    edges = canny(square)[0]
    assert 4 * 10 <= edges.sum() <= 4 * 14
    assert not edges[10:18, 10:18].any()
    assert not edges[:6].any() and not edges[:, 22:].any()
    assert (edges[11:17].sum(axis=1) == 2).all()  # a pixel wide, on either side


def test_a_faint_edge_counts_only_where_it_is_joined_to_a_strong_one():
    rising = np.zeros((1, 28, 28), np.float32)
    rising[:, :, 14:] = np.linspace(0.02, 0.3, 28, dtype=np.float32)[:, None]  # times 2.5 is the gradient
    seen = canny(rising)[0, :, 12:16].any(axis=1)
    assert not seen[:2].any()  # too faint for any
    assert seen[5:27].all()
    assert not canny(np.minimum(rising, 0.07)).any()  # from row 5 on as steep as that, and nowhere more


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_image_has_turned_edges(turns):
    turned = canny(np.rot90(IMAGES, turns, axes=(1, 2)))
    assert (turned == np.rot90(canny(IMAGES), turns, axes=(1, 2))).mean() > 0.999


def test_an_image_is_alone_in_its_batch():
    together = canny(IMAGES)
    assert all(np.array_equal(canny(IMAGES[i : i + 1])[0], together[i]) for i in range(len(IMAGES)))


def test_nothing_stays_nothing():
    assert canny(IMAGES[:0]).shape == (0, 28, 28)
    assert not canny(np.zeros((2, 28, 28), np.float32)).any()
    assert not canny(np.ones((2, 28, 28), np.float32)).any()  # the edge of the image is none
