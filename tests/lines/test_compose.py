import itertools
from dataclasses import replace

import numpy as np
import pytest

from digits import non_digits
from digits.line_model.lines import HEIGHT, LONGEST, SEPARATOR, STEP
from digits.lines import compose
from digits.lines.compose import KINDS, TRAINED, WIDTHS
from tests.lines._written import to_compose_of


def batch(chances=TRAINED, n=60, seed=1, width=None, others=None):
    return compose.batch((seed, 7), n, *to_compose_of(), others, chances, width)


@pytest.mark.parametrize("width", [20, *WIDTHS])
def test_lines_are_pictures_of_one_width_beside_what_they_say(width):
    lines = batch(width=width)
    assert lines.images.shape == (60, HEIGHT, width) and lines.images.dtype == np.uint8
    assert (np.ptp(lines.images, axis=(1, 2))[lines.lengths > 0] > 20).all()
    inside = np.arange(LONGEST) < lines.lengths[:, None]
    assert ((lines.texts >= 0) == inside).all() and (lines.texts[~inside] == -1).all()
    assert lines.texts.max() <= SEPARATOR
    assert lines.lengths.max() <= min(LONGEST, width // STEP)


def test_equal_seeds_give_equal_lines_and_others_others():
    first, again, other = batch(), batch(), batch(seed=2)
    assert np.array_equal(first.images, again.images) and np.array_equal(first.texts, again.texts)
    assert first.images.shape != other.images.shape or not np.array_equal(first.images, other.images)
    assert {batch(seed=seed, n=1).width for seed in range(40)} == set(WIDTHS)


def test_a_separator_stands_between_digits():
    texts = batch(KINDS["separators"], n=300, width=160).characters()
    for text in texts:
        assert SEPARATOR in text and SEPARATOR not in (text[0], text[-1])
        assert (SEPARATOR, SEPARATOR) not in itertools.pairwise(text)


def test_numbers_end_in_zeros_more_often_than_by_chance_and_begin_with_them_less():
    numbers = [compose.numerals(np.random.default_rng(seed), 6) for seed in range(400)]
    assert np.mean([number[-1] == 0 for number in numbers]) > 0.2
    assert np.mean([number[0] == 0 for number in numbers]) < 0.06
    assert compose.numerals(np.random.default_rng(1), 1).shape == (1,)


def test_lines_of_every_kind_hold_a_digit_and_all_of_them_are_written():
    for kind in KINDS:
        texts = batch(KINDS[kind], width=96).characters()
        assert all(any(character < SEPARATOR for character in text) for text in texts), kind
    texts = batch(KINDS["mixed"], n=200).characters()
    assert {character for text in texts for character in text} == {*range(10), SEPARATOR}


def test_a_line_without_digits_says_nothing_whatever_is_drawn_on_it():
    others = non_digits.make("letters", 5, seed=1)
    bare = batch(replace(KINDS["clean"], empty=1), width=96)
    drawn = batch(replace(KINDS["clean"], empty=1), width=96, others=others)
    assert not bare.lengths.any() and not drawn.lengths.any()
    assert spread(drawn.images).mean() > 3 * spread(bare.images).mean()


def spread(images):
    return images.astype(float).std(axis=(1, 2))


@pytest.fixture(scope="module")
def papers():
    """Bare paper of every kind, 60 pieces each."""

    def bare(chances):
        rng, page = np.random.default_rng(3), np.zeros((HEIGHT, 96), np.uint8)
        return np.stack([compose.on_paper(rng, page, to_compose_of()[1], chances) for _ in range(60)])

    return {kind: bare(chances).astype(float) for kind, chances in KINDS.items()}


def test_clean_paper_is_bare_and_light_and_the_others_are_what_their_names_say(papers):
    for kind in ("clean", "touching", "separators", "low_contrast"):
        assert np.median(spread(papers[kind])) < 4 and spread(papers[kind]).max() < 20, kind  # noise at most
        assert papers[kind].mean(axis=(1, 2)).min() > 110
    assert np.median(spread(papers["textured"])) > 1.5 * np.median(spread(papers["clean"]))
    rows = papers["ruled"].mean(axis=2)
    assert np.mean(np.ptp(rows, axis=1) > 10) > 0.8, "most rules run along the line"
    mixed = papers["mixed"].mean(axis=(1, 2))
    assert 0 < np.mean(mixed < 100) < 0.3, "some are light on dark"


def test_low_contrast_is_faint_and_touching_digits_leave_fewer_gaps():
    faint, clean = (np.ptp(batch(KINDS[k], width=96).images, axis=(1, 2)) for k in ("low_contrast", "clean"))
    assert np.median(faint) < 75 < np.median(clean)

    def gaps(kind):
        """Columns without ink for each digit, between the first and the last that have some."""
        lines = batch(KINDS[kind], n=120, width=128)
        light, dark = (each(lines.images, axis=(1, 2), keepdims=True) for each in (np.max, np.min))
        inked = (lines.images < 0.4 * light + 0.6 * dark).any(axis=1)
        ends = [np.flatnonzero(row)[[0, -1]] for row in inked]
        empty = [np.sum(~row[a:b]) for row, (a, b) in zip(inked, ends, strict=True)]
        return sum(empty) / lines.lengths.sum()

    assert gaps("touching") < 0.5 * gaps("clean")


def writers(chances, **changes):
    """Writers of forty lines, after they wrote, with the hand changed."""
    digits, _ = to_compose_of()
    for seed in range(40):
        page, rng = np.zeros((HEIGHT, 128), np.uint8), np.random.default_rng(seed)
        hand = replace(compose._hand(rng, digits, chances), **changes)
        writer = compose._Writer(rng, page, hand, chances)
        writer.write(digits)
        yield writer


def test_no_digit_of_the_text_is_hidden_by_its_neighbours_however_close_they_are():
    def ink(gap):
        """Of each digit."""
        done = list(writers(KINDS["clean"], gap=gap, height=20.0))
        return sum(writer.page.sum(dtype=float) for writer in done) / sum(len(w.text) for w in done)

    assert ink(-0.9) > 0.75 * ink(0.3)


def test_boxes_are_printed_around_every_digit():
    assert all(writer.boxes() is None for writer in writers(KINDS["clean"]))
    for writer in writers(KINDS["clean"], box=24.0, height=18.0):
        boxes, n = writer.boxes(), len(writer.text)
        assert n
        sides = boxes[HEIGHT // 2 - 3 : HEIGHT // 2 + 4].any(axis=0)
        left = writer.first_box + 24 * np.arange(n)
        assert all(sides[int(x) : int(x) + 3].any() for x in left if x < 126)
