from dataclasses import replace

import numpy as np
import pytest

from digits.dataset import Split
from digits.model import architectures
from digits.runtime.errors import TrainingError
from digits.train.fit import fit
from tests._digits import digits
from tests.train._recipes import STILL, tiny


def split(n, seed):
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, "synthetic"))


@pytest.fixture(scope="module")
def train():
    return split(320, seed=1)


@pytest.fixture(scope="module")
def validation():
    return split(100, seed=2)


def weights(result):
    return result.model.get_weights()


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


@pytest.fixture(scope="module")
def whole(train, validation):
    """An unbroken run, and all that it told after each epoch."""
    told = []
    result = fit(train, validation, tiny(), on_epoch=lambda progress, epoch: told.append((progress, epoch)))
    return result, told


def test_it_learns(train, validation):
    result = fit(train, validation, tiny(steps=60, dropout=0.0, augmentation=STILL))
    assert result.validation_accuracy > 0.9
    logits = result.model.predict(validation.images, verbose=0)
    assert (logits.argmax(axis=1) == validation.labels).mean() == result.validation_accuracy


def test_every_epoch_is_told(whole):
    result, told = whole
    assert [epoch.step for _, epoch in told] == [5, 10, 15]
    assert result.history == tuple(epoch for _, epoch in told)
    last = result.history[-1]
    assert last.gap == last.train_accuracy - last.val_accuracy
    assert last.learning_rate < result.history[0].learning_rate


def test_a_seed_gives_its_weights(train, validation, whole):
    assert equal(fit(train, validation, tiny()), whole[0])
    assert not equal(fit(train, validation, tiny(seed=2)), whole[0])


@pytest.mark.parametrize("epoch", [0, 1])
def test_going_on_ends_where_an_unbroken_run_ends(train, validation, whole, epoch):
    result, told = whole
    later = []
    resumed = fit(
        train, validation, tiny(), resume=told[epoch][0], on_epoch=lambda _, each: later.append(each.epoch)
    )
    assert later == list(range(epoch + 2, 4))  # went on, rather than began anew
    assert resumed.history == result.history
    assert equal(resumed, result)


def test_probing_changes_nothing_and_stops_the_clock(train, validation, whole):
    ticks = iter(range(1000))
    probed = fit(train, validation, tiny(), probe_steps=(2, 5, 9, 99), clock=lambda: float(next(ticks)))
    assert [probe.step for probe in probed.probes] == [2, 5, 9]
    seconds = [probe.seconds for probe in probed.probes]
    assert seconds == sorted(seconds)
    assert equal(probed, whole[0])


def test_inputs_are_left_alone(train, validation, whole):
    images, _ = digits(320, seed=1)
    assert np.array_equal(train.images, images)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "weight_decay": 0.0, "precision": "bfloat16", "batch": 300},
        {"optimizer": "rmsprop", "weight_decay": 0.0, "rate": 0.001, "precision": "float16"},
        {"optimizer": "adam", "weight_decay": 0.0, "schedule": "linear", "l1": 1e-5, "l2": 1e-4, "ema": 0.0},
        {"xla": "augmentation", "validation_every": 2},
        pytest.param({"xla": "everything"}, marks=pytest.mark.slow),
    ],
    ids=lambda change: "-".join(map(str, change.values())),
)
def test_every_setting_trains(train, validation, change):
    result = fit(train, validation, tiny(steps=10, **change))
    assert np.isfinite(result.validation_loss)
    assert result.history[-1].step == 10
    assert result.history[-1].loss < 3


def test_early_stopping_keeps_the_best_epoch(train, validation):
    recipe = tiny(steps=200, early_stopping=2, rate=0.3, schedule="constant", warmup=0.0, ema=0.0)
    result = fit(train, validation, recipe)
    losses = [epoch.val_loss for epoch in result.history]
    assert result.stopped_early
    assert len(losses) == losses.index(min(losses)) + 3
    assert result.validation_loss == pytest.approx(min(losses), rel=1e-3)


def test_a_loss_that_is_no_number_ends_it(train, validation):
    diverging = tiny(optimizer="sgd", weight_decay=0.0, rate=1e38, schedule="constant", warmup=0.0)
    with pytest.raises(TrainingError, match=r"loss is (nan|inf).*train\.rate"):
        fit(train, validation, diverging)


def test_nothing_to_train_or_validate_on_is_refused(train, validation):
    nothing = train.take(np.arange(0))
    with pytest.raises(TrainingError, match="no validation images"):
        fit(train, nothing, tiny())
    with pytest.raises(TrainingError, match="no training images"):
        fit(nothing, validation, tiny())


@pytest.mark.slow
def test_the_networks_of_an_ensemble_are_trained_one_after_another(train, validation):
    recipe = tiny(architecture="small+mlp-128", steps=10)
    told = []
    result = fit(train, validation, recipe, on_epoch=lambda progress, _: told.append(progress))
    assert [epoch.step for epoch in result.history] == [5, 10, 15, 20]
    assert [epoch.epoch for epoch in result.history] == [1, 2, 3, 4]
    for place, one in enumerate(recipe.networks()):
        alone = fit(train, validation, one)
        trained = architectures.networks(result.model)[place].get_weights()
        assert all(
            np.array_equal(a, b) for a, b in zip(trained, alone.model.get_weights(), strict=True)
        )  # the member is the network that its recipe makes
    for progress in told:
        resumed = fit(train, validation, recipe, resume=progress)
        assert resumed.history == result.history
        assert equal(resumed, result)


def test_a_pupil_learns_what_its_teacher_answers(train, validation):
    teacher = tiny(steps=30)
    pupil = tiny(
        architecture="mlp-128", teacher=teacher, distillation=1.0, ema=0.0, steps=60, augmentation=STILL
    )
    wrong = replace(train, labels=np.zeros_like(train.labels))  # nothing to learn but from the teacher
    told = []
    taught = fit(train, validation, pupil, on_epoch=lambda progress, _: told.append(progress))
    assert len(told[-1].finished) == 1
    assert taught.model.count_params() == 101_770
    begun = next(progress for progress in told if progress.finished)
    from_teacher = fit(wrong, validation, pupil, resume=begun)
    alone = fit(wrong, validation, replace(pupil, teacher=None, distillation=0.0))
    assert from_teacher.validation_accuracy > 0.5 > alone.validation_accuracy


def test_the_weights_that_are_kept_are_an_average(train, validation):
    recipe = tiny(architecture="small", steps=40, schedule="constant", augmentation=STILL)
    told = []
    result = fit(train, validation, recipe, on_epoch=lambda progress, _: told.append(progress))
    last = told[-1].state.arrays
    kept = np.concatenate([v.numpy().ravel() for v in result.model.trainable_weights if len(v.shape) > 1])
    assert np.array_equal(last["average/kernels"], kept)
    assert np.abs(last["now/kernels"] - last["average/kernels"]).max() > 1e-3
    states = [each.state.arrays["now/kernels"] for each in told]
    apart = [np.linalg.norm(kept - each) for each in (states[0], states[-1])]
    assert apart[1] < apart[0]  # an average of the last ones


def test_no_network_needs_statistics(train, validation):
    result = fit(train, validation, tiny(architecture="mlp-128", normalization="scaled", augmentation=STILL))
    assert result.validation_accuracy > 0.3
