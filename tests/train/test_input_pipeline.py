import os
import subprocess
import sys

import numpy as np
import pytest

from digits import dataset
from digits.dataset import Split
from digits.train import input_pipeline
from digits.train.fit import fit
from digits.train.input_pipeline import Feed, epoch_order
from tests._project import ROOT
from tests.train._recipes import STILL, outliers, tiny


@pytest.fixture
def on_disk(train, tmp_path):
    np.save(tmp_path / "images.npy", train.images)
    return Split(np.load(tmp_path / "images.npy", mmap_mode="r"), train.labels, train.batches)


@pytest.mark.parametrize(("limit", "blocks"), [(1 << 30, [20]), (1000, [3] * 6 + [2])])
def test_what_fits_is_fed_at_once_and_more_in_blocks_from_disk_in_order(
    train, on_disk, monkeypatch, limit, blocks
):
    monkeypatch.setattr(input_pipeline, "BLOCK", 3 * 16 * 784)  # three steps
    order = np.random.default_rng(1).permutation(320).astype(np.int32).reshape(20, 16)
    fed = list(Feed(on_disk, dataset.reader(on_disk.images, limit)).blocks(order))
    assert [len(part) for _, _, part in fed] == blocks
    steps = [(images.numpy()[r], labels.numpy()[r]) for images, labels, part in fed for r in part]
    assert np.array_equal(np.concatenate([images for images, _ in steps]), train.images[order.ravel()])
    assert np.array_equal(np.concatenate([labels for _, labels in steps]), train.labels[order.ravel()])


def test_a_training_from_disk_gives_the_same_weights(train, on_disk, monkeypatch):
    monkeypatch.setattr(input_pipeline, "BLOCK", 2 * 64 * 784)
    recipe = tiny(architecture="mlp-128", steps=8, augmentation=STILL, outliers=0.1)
    pictures = outliers(train.images[:30, ::-1])  # digits upside down stand in for pictures without one
    whole = fit(train, train, recipe, additions=pictures)
    read = dataset.reader(on_disk.images, limit=1000)
    streamed = fit(on_disk, train, recipe, read=read, additions=pictures)
    assert [e.val_loss for e in streamed.history] == [e.val_loss for e in whole.history]
    assert [e.loss for e in streamed.history] == pytest.approx([e.loss for e in whole.history])
    pairs = zip(streamed.model.get_weights(), whole.model.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


STREAMED = """
import sys
import numpy as np
from digits import dataset
from digits.train.fit import fit
from digits.dataset import Split
from tests._digits import digits
from tests.train._recipes import STILL, tiny, outliers
path, count = sys.argv[1], int(sys.argv[2])
few, labels = digits(1000, 1)
with open(path, "wb") as stream:
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
    )
    for _ in range(count // 1000):
        stream.write(few.tobytes())
train = Split(np.load(path, mmap_mode="r"), np.resize(labels, count), np.resize(np.array(["x"]), count))
held = Split(few[:100], labels[:100], np.full(100, "x"))
dataset.array_sha256(train.images)
recipe = tiny(architecture="small", batch=256, steps=300, augmentation=STILL, validation_every=100)
result = fit(train, held, recipe, read=dataset.reader(train.images, 1 << 20))
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(result.history[-1].step, result.validation_accuracy, int(peak) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's account of the peak memory")
def test_images_beyond_what_memory_is_given_are_trained_on_in_bounded_memory(tmp_path):
    peaks = []
    for count in (20_000, 600_000):
        done = subprocess.run(
            [sys.executable, "-c", STREAMED, str(tmp_path / "images.npy"), str(count)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
            capture_output=True,
            text=True,
            check=True,
        )
        steps, accuracy, peak = done.stdout.split()[-3:]
        assert int(steps) == 300
        assert float(accuracy) > 0.9
        peaks.append(int(peak))
    images = 600_000 * 784 >> 20  # 448 MiB
    assert peaks[1] - peaks[0] < images / 5  # labels, names and the order of the epoch are in memory


def test_an_epoch_takes_nearly_every_row_once_and_each_batch_its_share_of_each_class():
    labels = np.repeat(np.arange(10), [50, 60, 70, 80, 90, 110, 120, 130, 140, 153])
    order = epoch_order(labels, 100, seed=1, epoch=3)
    assert order.shape == (10, 100) and len(np.unique(order)) == 1000
    for batch in order:
        assert np.abs(np.bincount(labels[batch], minlength=10) - np.bincount(labels) / 10).max() <= 2
    assert np.array_equal(order, epoch_order(labels, 100, seed=1, epoch=3))
    for other in ({"seed": 1, "epoch": 4}, {"seed": 2, "epoch": 3}):
        assert not np.array_equal(order, epoch_order(labels, 100, **other))
    assert epoch_order(np.arange(6) % 3, 10, seed=1, epoch=0).shape == (1, 10), "few rows fill one batch"


def test_place_in_a_batch_tells_nothing_of_the_class():
    labels = np.arange(4000) % 10
    early = np.concatenate([epoch_order(labels, 100, 1, epoch)[:, :10].ravel() for epoch in range(5)])
    counts = np.bincount(labels[early], minlength=10)
    assert counts.max() < 1.25 * counts.mean() and counts.min() > 0.75 * counts.mean()
