import numpy as np

from digits.line_model.lines import LONGEST, Lines, RealLines
from digits.lines.real import Mixture, placed
from tests._lines import real_lines, written

SEED = (1, 3, 7)


def composed(n=20, width=96):
    texts = np.full((n, LONGEST), -1, np.int32)
    return Lines(np.zeros((n, 32, width), np.uint8), texts, np.zeros(n, np.int32))


def replaced(lines, width=96, share=0.25, seed=SEED, n=20):
    """Which of the composed lines are real ones."""
    mixed = Mixture(lines, share, widest=160).mixed(seed, composed(n, width))
    real = mixed.images.any(axis=(1, 2))
    assert mixed.images.shape == (n, 32, width) and (mixed.lengths > 0).tolist() == real.tolist()
    assert all(text == [1, 10, 2] for text, yes in zip(mixed.characters(), real, strict=True) if yes)
    return int(real.sum())


def test_a_share_of_the_lines_is_replaced_by_at_most_as_many_as_there_are_and_none_changes_nothing():
    many = real_lines(*[60] * 30)
    assert replaced(many) == 5 and replaced(many, share=0) == 0 and replaced(many, share=1) == 20
    assert replaced(many.take(np.arange(3))) == 3
    before = composed()
    assert Mixture(RealLines.of([], [], []), 0.0, widest=160).mixed(SEED, before) is before


def test_a_line_is_shrunk_to_fit_a_step_but_not_beyond_legibility_and_a_long_text_waits_for_columns_enough():
    for width, fits in ((96, 1), (160, 1), (164, 0), (300, 0)):
        assert replaced(real_lines(width)) == fits
        assert Mixture(real_lines(width), 0.1, widest=160).too_wide == (width == 300)
    long = RealLines.of([real_lines(160).image(0)], [[1] * 15], ["b"])  # 29 columns
    mixtures = [Mixture(long, 1, 160).mixed(SEED, composed(width=width)) for width in (112, 116)]
    assert [mixed.lengths.max() for mixed in mixtures] == [0, 15]


def test_equal_seeds_draw_alike_and_others_show_the_same_line_otherwise():
    mixture = Mixture(real_lines(60), 1, widest=160)
    one, again, other = (mixture.mixed(seed, composed()).images[0] for seed in (SEED, SEED, (1, 3, 8)))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert not any(np.array_equal(one[:, at : at + 60], real_lines(60).image(0)) for at in range(37))


def test_a_placed_line_keeps_its_ink_and_its_ground_goes_on_around_it():
    line = np.pad(written(4, seed=1), ((2, 2), (4, 4)), constant_values=255)[:, :96]
    for seed in range(20):
        made = placed(np.random.default_rng(seed), line, 160).astype(float)
        paper = np.median(made)
        assert np.abs(made[:, [0, -1]] - paper).max() < 1, "neither black nor another grey"
        ink, own = (paper - made).clip(0).sum(), (255.0 - line).sum()
        assert 0.45 * own < ink < 1.4 * own
