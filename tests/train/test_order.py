import numpy as np

from digits.train.input_pipeline import epoch_order


def test_every_row_at_most_once_and_nearly_all():
    labels = np.arange(1003) % 10
    order = epoch_order(labels, 50, seed=1, epoch=0)
    assert order.shape == (20, 50)
    assert len(np.unique(order)) == 1000


def test_every_batch_holds_its_share_of_each_class():
    labels = np.repeat(np.arange(10), [50, 60, 70, 80, 90, 110, 120, 130, 140, 150])
    expected = np.bincount(labels) / 10
    for batch in epoch_order(labels, 100, seed=1, epoch=0):
        assert np.abs(np.bincount(labels[batch], minlength=10) - expected).max() <= 2


def test_replays_and_differs_by_epoch_and_seed():
    labels = np.arange(400) % 10
    first = epoch_order(labels, 40, seed=1, epoch=3)
    assert np.array_equal(first, epoch_order(labels, 40, seed=1, epoch=3))
    assert not np.array_equal(first, epoch_order(labels, 40, seed=1, epoch=4))
    assert not np.array_equal(first, epoch_order(labels, 40, seed=2, epoch=3))


def test_place_in_a_batch_tells_nothing_of_the_class():
    labels = np.arange(4000) % 10
    early = np.concatenate([epoch_order(labels, 100, 1, epoch)[:, :10].ravel() for epoch in range(5)])
    counts = np.bincount(labels[early], minlength=10)
    assert counts.max() < 1.25 * counts.mean()
    assert counts.min() > 0.75 * counts.mean()


def test_fewer_rows_than_a_batch_fill_one():
    assert epoch_order(np.arange(6) % 3, 10, seed=1, epoch=0).shape == (1, 10)
