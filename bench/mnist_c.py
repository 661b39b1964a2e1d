"""MNIST-C: the fifteen corruptions of clean digits of Mu & Gilmer 2019, arXiv:1906.02337.

Written from the published definitions, at the severities of the published data set. Random numbers are
this project's own, so figures are comparable with the paper's, but not equal. Further differences:

- Motion blur samples as ImageMagick does, and edges are found as scikit-image does, both written here.
- Fog's least and greatest height are taken from fewer points (see `plasma`): pictures are 1 % brighter.
- Pixels are rounded to uint8; whether the published ones were rounded or truncated is not documented.
- Surprising definitions are kept: glass blur blurs up and down only, shear also stretches, and the strength
  of a line depends on the vertical distance to it.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digits.evaluate.corruptions import SIZE, Corruption, Images, either_way, rotate, scale, shift

TURN = 0.4  # radians, of rotate and shear
CHUNK = 500  # images whose fog is made at once


def _shot_noise(images: Images, rng: np.random.Generator) -> Images:
    """Count photons, three of which make white: a Poisson number, where more than three count as three."""
    mean = np.float32(3) * images
    drawn = rng.random(images.shape, dtype=np.float32)  # compared with the distribution function at 0, 1, 2
    term = np.exp(-mean)
    upto, count = term.copy(), np.zeros_like(images)
    for photons in (1, 2, 3):
        count += drawn >= upto
        term = term * mean / photons
        upto += term
    return count / np.float32(3)


def _impulse_noise(images: Images, rng: np.random.Generator) -> Images:
    """Change 17 % of the pixels: half of them to white, half to black."""
    draw = rng.random(images.shape, dtype=np.float32)
    return np.where(draw < 0.085, np.float32(1), np.where(draw < 0.17, np.float32(0), images))


def _glass_blur(images: Images, rng: np.random.Generator) -> Images:
    """Swap pixels with the one before, above, or before and above, twice, between two blurs."""

    def blurred(pixels: Images) -> Images:
        smooth: Images = ndimage.gaussian_filter(pixels, (0, 0.7, 0), mode="nearest")
        return smooth

    n = len(images)
    levels = (blurred(images) * 255).astype(np.uint8).reshape(n, SIZE * SIZE)
    pixels = np.ascontiguousarray(levels.T)
    each = np.arange(n)
    steps = np.array([0, 0, 0, 0, 0, 1, SIZE, SIZE + 1])  # half try; of four places one is their own
    places = [row * SIZE + column for row in range(27, 1, -1) for column in range(27, 1, -1)]
    for place in places * 2:  # one after the other: what has come from elsewhere may move on
        other = place - steps[rng.integers(0, 8, n, dtype=np.uint8)]
        here = pixels[place].copy()
        pixels[place] = pixels[other, each]
        pixels[other, each] = here
    return blurred(pixels.T.reshape(images.shape).astype(np.float32) / np.float32(255))


def _motion_blur(images: Images, rng: np.random.Generator) -> Images:
    """Blur by half a Gaussian of 3 px to one side, up to 20 px, at −45° to 45°; edge pixels are repeated."""
    angles = np.radians(rng.uniform(-45, 45, len(images)))
    order = np.argsort(angles)  # so that images whose samples are in the same place stand together
    taps = np.arange(21)
    weights = np.exp(-(taps**2) / (2 * 3**2))
    weights = (weights / weights.sum()).astype(np.float32)
    down = np.ceil(np.outer(taps, np.sin(angles[order])) - 0.5).astype(int)
    right = np.ceil(np.outer(taps, np.cos(angles[order])) - 0.5).astype(int)
    padded = np.pad(images[order], ((0, 0), (20, 20), (0, 20)), mode="edge")
    blurred = np.zeros_like(images)
    for tap, weight in enumerate(weights):
        changes = np.flatnonzero(np.diff(down[tap]) | np.diff(right[tap])) + 1
        for rows in np.split(np.arange(len(images)), changes):
            if len(rows):
                top, left = 20 + down[tap, rows[0]], right[tap, rows[0]]
                here = slice(rows[0], rows[-1] + 1)
                blurred[here] += weight * padded[here, top : top + SIZE, left : left + SIZE]
    result = np.empty_like(blurred)
    result[order] = blurred
    return result


def _stripe(images: Images, _: np.random.Generator) -> Images:
    """Invert the leftmost and the rightmost seven columns."""
    striped = images.copy()
    striped[:, :, :7], striped[:, :, 21:] = 1 - images[:, :, :7], 1 - images[:, :, 21:]
    return striped


def _fog(images: Images, rng: np.random.Generator) -> Images:
    """Add three times the plasma, and dim all to a quarter."""
    fog = np.concatenate(
        [np.zeros((0, SIZE, SIZE), np.float32)]
        + [plasma(len(images[i : i + CHUNK]), SIZE, 1.4, rng) for i in range(0, len(images), CHUNK)]
    )
    brightest = images.max(axis=(1, 2), keepdims=True)
    foggy: Images = (images + 3 * fog) * brightest / (brightest + 3)
    return foggy


def _spatter(images: Images, rng: np.random.Generator) -> Images:
    """Cover with dark grey blobs: where smooth noise is above its mean, and far from where it is not."""
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    wet = ndimage.gaussian_filter(noise, (0, 1, 1), mode="nearest") > 0
    cover: Images = ndimage.gaussian_filter(wet.astype(np.float32), (0, 1.5, 1.5), mode="nearest")
    cover[cover < 0.8] = 0
    return images * (1 - cover) + np.float32(63 / 255) * cover


def _segment(start: float, from_row: Images, end: float, to_row: Images) -> Images:
    """Return the ink of lines from column `start` to `end`, between rows float32 [m]: [m, 28, 28]."""
    columns = np.arange(SIZE, dtype=np.float32)
    slope = (to_row - from_row) / np.float32(end - start)
    course = from_row[:, None] + slope[:, None] * (columns - np.float32(start))
    apart = np.abs(columns[:, None] - course[:, None, :])
    ink: Images = np.maximum(1 + np.log1p(-np.minimum(apart, 2.2) / np.float32(2.3)), 0)
    ink[:, :, (columns < math.floor(start)) | (columns >= math.ceil(end))] = 0
    return ink


def _dotted_line(images: Images, rng: np.random.Generator) -> Images:
    """Draw a line from the left edge to the right, between any two rows: two columns on, two off."""
    left, right = rng.integers(0, 27, (2, len(images))).astype(np.float32)
    ink = _segment(0, left, 27, right)
    ink[:, :, np.arange(SIZE) // 2 % 2 == 0] = 0
    return images + ink


def _zigzag(images: Images, rng: np.random.Generator) -> Images:
    """Draw a zigzag of 2 px to each side, from column 2 to 25, that rises or falls by up to 5 px."""
    first = rng.integers(0, 27, len(images))
    rise = rng.integers(-5, 5, len(images))
    starts = np.arange(27, dtype=np.float32)
    bank = np.stack([_zigzags(int(r), starts) for r in range(-5, 5)])
    return images + bank[rise + 5, first]


def _zigzags(rise: int, starts: Images) -> Images:
    """Return the ink of the zigzags that begin in the rows `starts` float32 [m]: [m, 28, 28]."""
    length = math.hypot(23, rise)
    turns = 1 + int((length - 2) // 4)
    along = np.array([0.0, *(2 + 4 * np.arange(turns)), length])
    aside = np.array([0.0, *(2 * (-1.0) ** np.arange(turns)), 0.0])
    aside[-1] = aside[-2] / (2 * (length % 4))
    columns = 2 + (23 * along - rise * aside) / length
    rows = (rise * along + 23 * aside) / length
    ink = np.zeros((len(starts), SIZE, SIZE), np.float32)
    for i in range(turns + 1):
        a, b = (starts + np.float32(rows[j]) for j in (i, i + 1))
        ink += _segment(float(columns[i]), a, float(columns[i + 1]), b)
    return ink


CORRUPTIONS: dict[str, Corruption] = {
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "shear": either_way(lambda sign: [[math.cos(TURN), 0], [-sign * math.sin(TURN), 1]]),
    "scale": scale(0.7),
    "rotate": rotate(math.degrees(TURN)),
    "brightness": lambda images, _: images + np.float32(0.5),
    "translate": shift(3),
    "stripe": _stripe,
    "fog": _fog,
    "spatter": _spatter,
    "dotted_line": _dotted_line,
    "zigzag": _zigzag,
    "canny_edges": lambda images, _: canny(images).astype(np.float32),
}


def corrupt(name: str, images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return the images, uint8 [n, 28, 28], under one corruption of CORRUPTIONS, as a new array.

    Equal name, images and seed give equal pixels; each corruption draws from a stream of its own, and the
    random numbers of an image depend on its place and their number, not on the other images. Raises
    ValueError.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"MNIST-C has no corruption {name!r}: expected one of {', '.join(CORRUPTIONS)}")
    rng = np.random.default_rng([seed, zlib.crc32(f"mnist-c/{name}".encode())])
    pixels = CORRUPTIONS[name](images.astype(np.float32) / np.float32(255), rng)
    levels: Images = np.rint(np.clip(pixels, 0, 1) * np.float32(255))
    return levels.astype(np.uint8)


SIGMA = 1.0  # pixels, of the blur before
WEAK, STRONG = 0.1, 0.2  # gradients, by a Sobel filter whose weights add up to 4 on each side


def canny(images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the edges, one pixel wide, of images [n, height, width] of 0–1; n may be 0.

    Canny 1986, "A computational approach to edge detection".

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
    """Return Sobel's filter along axis 1 or 2; SciPy's own would smooth along the images too."""
    slope: NDArray[np.float32] = ndimage.correlate1d(images, [-1, 0, 1], axis)
    return ndimage.correlate1d(slope, [1, 2, 1], 3 - axis)


def _is_crest(
    steep: NDArray[np.float32],
    down: NDArray[np.float32],
    right: NDArray[np.float32],
    places: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Return, for each pixel of `places`, whether no gradient next to it, along its own, is greater."""
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


Maps = NDArray[np.float32]  # [n, side, side]
MARGIN = 1  # points of the coarse grid before the window, and after what covers it
COARSE = 5  # doublings that make the whole map's coarse grid: 32 points a side, 8 pixels apart
FINE = 3  # more that make its pixels: 256 a side


def plasma(n: int, size: int, decay: float, rng: np.random.Generator) -> Maps:
    """Return `n` windows of `size` pixels, ≤ 28, a side from the corners of as many maps of 256: in [0, 1].

    Plasma: the rough, cloudy height maps of the diamond-square algorithm (Fournier et al. 1982).

    Each doubling of the grid adds noise `decay`² times weaker than the last. A map's least and greatest
    height, 0 and 1, are those of its every eighth pixel and of the window: others are not computed.
    """
    heights, spread = np.zeros((n, 1, 1), np.float32), 1.0
    for _ in range(COARSE):
        heights = _doubled(heights, spread, rng)
        spread /= decay**2
    low, high = heights.min(axis=(1, 2)), heights.max(axis=(1, 2))
    # A doubling takes the opposite edge for the neighbour of an edge: right for a whole map. In the window's
    # part of one, the margin keeps what is wrong there away from the window.
    points = np.arange(-MARGIN, -(-size // 2**FINE) + 2 * MARGIN)
    heights = heights[:, points[:, None], points]
    for _ in range(FINE):
        heights = _doubled(heights, spread, rng)
        spread /= decay**2
    first = MARGIN * 2**FINE
    window = heights[:, first : first + size, first : first + size]
    low = np.minimum(low, window.min(axis=(1, 2)))[:, None, None]
    high = np.maximum(high, window.max(axis=(1, 2)))[:, None, None]
    maps: Maps = (window - low) / (high - low)
    return maps


def _doubled(heights: Maps, spread: float, rng: np.random.Generator) -> Maps:
    """Return the grids [n, k, k] doubled, edges joined: new points are means of four neighbours and noise."""
    n, k, _ = heights.shape

    def new(total: Maps) -> Maps:
        return total / 4 + np.float32(spread) * (2 * rng.random((n, k, k), dtype=np.float32) - 1)

    right, below = np.roll(heights, -1, axis=2), np.roll(heights, -1, axis=1)
    middle = new(heights + right + below + np.roll(right, -1, axis=1))
    doubled = np.empty((n, 2 * k, 2 * k), np.float32)
    doubled[:, ::2, ::2], doubled[:, 1::2, 1::2] = heights, middle
    doubled[:, ::2, 1::2] = new(heights + right + middle + np.roll(middle, 1, axis=1))
    doubled[:, 1::2, ::2] = new(heights + below + middle + np.roll(middle, 1, axis=2))
    return doubled
