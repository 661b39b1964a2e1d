"""Images → their edges, one pixel wide: Canny 1986, "A computational approach to edge detection"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIGMA = 1.0  # pixels, of the blur before
WEAK, STRONG = 0.1, 0.2  # gradients, by a Sobel filter whose weights add up to 4 on each side


def canny(images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[n, height, width] of 0–1 → where an edge is. n may be 0.

    An edge pixel's gradient is at least WEAK and not below its neighbours' along the gradient, interpolated;
    it is joined through such pixels, diagonals too, to one of at least STRONG. The outermost are none.
    """
    sigmas = (0, SIGMA, SIGMA)
    covered = ndimage.gaussian_filter(np.ones((1, *images.shape[1:]), np.float32), sigmas, mode="constant")
    smooth = ndimage.gaussian_filter(images, sigmas, mode="constant") / covered  # outside counts for nothing
    down, right = _slope(smooth, 1), _slope(smooth, 2)
    steep = np.hypot(down, right)
    weak = np.zeros(images.shape, np.bool_)
    weak[:, 1:-1, 1:-1] = steep[:, 1:-1, 1:-1] >= WEAK
    weak[weak] = _is_crest(steep, down, right, np.flatnonzero(weak))
    alone = np.zeros((3, 3, 3), np.bool_)
    alone[1] = True  # neighbours within an image, never of the one before or after
    parts, count = ndimage.label(weak, alone)
    kept = np.zeros(count + 1, np.bool_)
    kept[parts[weak & (steep >= STRONG)]] = True
    edges: NDArray[np.bool_] = kept[parts]
    return edges


def _slope(images: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Sobel's filter along axis 1 or 2; SciPy's own would smooth along the images too."""
    slope: NDArray[np.float32] = ndimage.correlate1d(images, [-1, 0, 1], axis)
    return ndimage.correlate1d(slope, [1, 2, 1], 3 - axis)


def _is_crest(
    steep: NDArray[np.float32],
    down: NDArray[np.float32],
    right: NDArray[np.float32],
    places: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """For each pixel of `places`, whether no gradient next to it, along its own, is greater."""
    gradients, row = steep.ravel(), steep.shape[2]
    here, dy, dx = gradients[places], down.ravel()[places], right.ravel()[places]
    step_y, step_x = np.where(dy < 0, -row, row), np.where(dx < 0, -1, 1)
    tall, broad = np.abs(dy), np.abs(dx)
    slant = np.minimum(tall, broad) / np.maximum(tall, broad)
    straight, diagonal = np.where(tall >= broad, step_y, step_x), step_y + step_x
    crest = np.ones(len(places), np.bool_)
    for way in (-1, 1):
        ahead, across = gradients[places + way * straight], gradients[places + way * diagonal]
        crest &= across * slant + ahead * (1 - slant) <= here
    return crest
