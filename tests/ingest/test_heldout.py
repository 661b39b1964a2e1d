import numpy as np
import pytest

from digits.ingest.batches import hold_out

LABELS = np.repeat(np.arange(10, dtype=np.uint8), 20)


def split(labels=LABELS, name="batch", share=0.2, at_least=100, seed=1):
    return hold_out(labels, name, share=share, at_least=at_least, seed=seed)


def test_a_fifth_of_every_digit_is_held_out() -> None:
    rest, part = split()
    assert np.bincount(LABELS[part]).tolist() == [4] * 10
    assert sorted([*rest, *part]) == list(range(200))


def test_a_small_batch_is_trained_on_whole() -> None:
    assert len(split(LABELS[:99])[1]) == 0
    assert len(split(LABELS[:100])[1]) == 20


def test_the_choice_hangs_on_seed_and_name() -> None:
    np.testing.assert_array_equal(split()[1], split()[1])
    assert split()[1].tolist() != split(name="other")[1].tolist()
    assert split()[1].tolist() != split(seed=2)[1].tolist()


def test_a_digit_with_one_row_is_trained_on() -> None:
    labels = np.append(np.repeat(np.arange(9, dtype=np.uint8), 20), np.uint8(9))
    rest, part = split(labels)
    assert 180 in rest and len(part) == 36


@pytest.mark.parametrize("labels", [LABELS, np.arange(10, dtype=np.uint8)])
def test_nothing_is_held_out_when_nothing_is_asked_or_possible(labels) -> None:
    assert len(split(labels, share=0.0 if len(labels) > 10 else 0.2, at_least=1)[1]) == 0
