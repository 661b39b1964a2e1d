from dataclasses import replace

import numpy as np
import pytest

from digits.model import architectures
from digits.runtime.errors import TrainingError
from digits.train.fit import fit
from digits.train.flat_weights import groups
from tests._digits import digits
from tests.train._recipes import STILL, outliers, tiny

# All that a training keeps from step to step: averaged weights, masks of pruned ones, outliers drawn by step.
WHOLE = tiny(architecture="small", sparsity=0.6, outliers=0.1)


def equal(first, second):
    pairs = zip(first.model.get_weights(), second.model.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def crosses():
    """Pictures without a digit."""
    return outliers(np.tile(np.maximum(np.eye(28), np.eye(28)[::-1]), (35, 1, 1)).astype(np.uint8) * 255)


@pytest.fixture(scope="module")
def whole(train, validation, crosses):
    """An unbroken run, and all that it told after each epoch."""
    told = []
    return fit(train, validation, WHOLE, additions=crosses, on_epoch=lambda *both: told.append(both)), told


def test_it_learns_and_keeps_an_average_of_its_last_weights(train, validation):
    told = []
    recipe = tiny(architecture="small", steps=60, dropout=0.0, schedule="constant", augmentation=STILL)
    result = fit(train, validation, recipe, on_epoch=lambda progress, _: told.append(progress.state.arrays))
    assert result.validation_accuracy > 0.9
    logits = result.model.predict(validation.images, verbose=0)
    assert (logits.argmax(axis=1) == validation.labels).mean() == result.validation_accuracy
    kept = np.concatenate([v.numpy().ravel() for v in result.model.trainable_weights if len(v.shape) > 1])
    assert np.array_equal(told[-1]["average/kernels"], kept)
    apart = [np.linalg.norm(kept - each["now/kernels"]) for each in (told[0], told[-1])]
    assert 1e-3 < apart[1] < apart[0]
    assert kept.all() and "mask" not in told[0], "nothing is pruned"


def test_every_epoch_is_told_and_pruned_kernels_have_their_zeros_averaged_or_not(whole):
    result, told = whole
    assert [epoch.step for _, epoch in told] == [5, 10, 15]
    assert result.history == tuple(epoch for _, epoch in told)
    last = result.history[-1]
    assert last.gap == last.train_accuracy - last.val_accuracy
    assert last.learning_rate < result.history[0].learning_rate
    kernels = [kernel.numpy() for kernel in groups(result.model)["kernels"]]
    for kernel in (*kernels, told[-1][0].state.arrays["now/kernels"]):
        assert np.mean(kernel == 0) == pytest.approx(0.6, abs=0.01)


def test_going_on_ends_where_an_unbroken_run_ends(train, validation, crosses, whole):
    result, told = whole
    later = []
    begun = {"additions": crosses, "resume": told[0][0]}
    resumed = fit(train, validation, WHOLE, **begun, on_epoch=lambda _, each: later.append(each.epoch))
    assert later == [2, 3]  # went on, rather than began anew
    assert resumed.history == result.history
    assert equal(resumed, result)


def test_a_seed_gives_its_weights_and_probing_changes_nothing_and_stops_the_clock(
    train, validation, crosses, whole
):
    ticks = map(float, range(1000))
    probing = {"probe_steps": (2, 5, 9, 99), "clock": lambda: next(ticks)}
    probed = fit(train, validation, WHOLE, additions=crosses, **probing)
    assert [probe.step for probe in probed.probes] == [2, 5, 9]
    seconds = [probe.seconds for probe in probed.probes]
    assert seconds == sorted(seconds)
    assert equal(probed, whole[0])
    assert np.array_equal(train.images, digits(320, seed=1)[0]), "inputs are left alone"


FLOAT16 = {"optimizer": "rmsprop", "rate": 0.001, "precision": "float16", "l1": 1e-5, "l2": 1e-4, "ema": 0.0}
FLOAT16 |= {"schedule": "linear", "architecture": "mlp-128", "normalization": "scaled"}


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "precision": "bfloat16", "batch": 300, "validation_every": 2},
        pytest.param(FLOAT16, marks=pytest.mark.slow),
        pytest.param({"xla": "augmentation"}, marks=pytest.mark.slow),
        pytest.param({"xla": "everything"}, marks=pytest.mark.slow),
    ],
    ids=lambda change: "-".join(map(str, change.values())),
)
def test_every_setting_trains(train, validation, change):
    recipe = tiny(**{"architecture": "small", "steps": 10, "weight_decay": 0.0} | change)
    result = fit(train, validation, recipe)
    assert np.isfinite(result.validation_loss)
    assert result.history[-1].step == 10
    assert result.history[-1].loss < 3


def test_early_stopping_keeps_the_best_epoch(train, validation):
    recipe = tiny(architecture="mlp-128", steps=200, early_stopping=2, rate=0.5, schedule="constant", ema=0.0)
    result = fit(train, validation, recipe)
    losses = [epoch.val_loss for epoch in result.history]
    assert result.stopped_early
    assert len(losses) == losses.index(min(losses)) + 3
    assert result.validation_loss == pytest.approx(min(losses), rel=1e-3)


def test_a_loss_that_is_no_number_ends_it(train, validation):
    diverging = tiny(architecture="mlp-128", optimizer="sgd", weight_decay=0.0, rate=1e38, warmup=0.0)
    with pytest.raises(TrainingError, match=r"loss is (nan|inf).*train\.rate"):
        fit(train, validation, diverging)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "small+mlp-128", "outliers": 0.1},
        {"architecture": "mlp-128", "teacher": tiny(steps=5, outliers=0.1), "distillation": 0.5},
    ],
    ids=["an ensemble", "a pupil"],
)
def test_several_networks_are_trained_one_after_another(train, validation, crosses, change):
    recipe = tiny(steps=10, **change)
    told = []
    result = fit(
        train, validation, recipe, additions=crosses, on_epoch=lambda progress, _: told.append(progress)
    )
    assert [epoch.step for epoch in result.history] == list(range(5, recipe.all_steps + 1, 5))
    assert [epoch.epoch for epoch in result.history] == list(range(1, len(result.history) + 1))
    resumed = fit(train, validation, recipe, additions=crosses, resume=told[len(told) // 2])
    assert resumed.history == result.history
    assert equal(resumed, result)
    if recipe.teacher is None:  # each member is the network that its own recipe makes
        for network, one in zip(architectures.networks(result.model), recipe.networks(), strict=True):
            alone = fit(train, validation, one, additions=crosses).model.get_weights()
            assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), alone, strict=True))


def test_a_pupil_learns_what_its_teacher_answers(train, validation):
    teacher = tiny(architecture="mlp-128", rate=0.01, steps=60, augmentation=STILL)
    pupil = replace(teacher, teacher=teacher, distillation=1.0, ema=0.0)
    told = []
    fit(train, validation, replace(pupil, steps=1), on_epoch=lambda progress, _: told.append(progress))
    begun = next(progress for progress in told if progress.finished)
    assert len(begun.finished) == 1
    wrong = replace(train, labels=np.zeros_like(train.labels))  # nothing to learn but from the teacher
    begun = replace(begun, state=None, history=begun.history[:-1], epochs=0)
    from_teacher = fit(wrong, validation, pupil, resume=begun)
    assert from_teacher.model.count_params() == 101_770
    assert from_teacher.validation_accuracy > 0.5  # of labels that are all 0 it would have a tenth right
