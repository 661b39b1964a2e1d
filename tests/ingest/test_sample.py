import numpy as np

from digits.ingest import mnist


def test_the_sample_is_split_by_digit_and_seed() -> None:
    train, test = mnist.load_sample(1000, 1)
    assert (len(train), len(test)) == (4000, 1000)
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert set(train.batches) == set(test.batches) == {"mnist-sample-5k"}
    images = np.concatenate([train.images, test.images])
    assert images.dtype == np.uint8 and images.shape == (5000, 28, 28)
    assert len(np.unique(images.reshape(5000, -1), axis=0)) == 5000, "no image in both"
    assert 25 < images.mean() < 40, "white ink on black"
    assert not np.array_equal(mnist.load_sample(1000, 2)[1].images, test.images)
