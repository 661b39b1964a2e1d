import typing

import pytest

from digits.augment.policies import SMALL
from digits.model.recipe import Recipe
from digits.runtime import params
from digits.runtime.errors import ParamsError
from digits.runtime.hardware import Hardware
from digits.train.profiles import PROFILES, resolve

CPU = Hardware("cpu", "bfloat16", "augmentation")


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("n", [600, 4000, 55_000])
def test_every_value_is_concrete(section, profile, n):
    recipe = resolve(section(profile=profile), n, CPU)
    values = recipe.to_dict()
    assert None not in [*(v for k, v in values.items() if k != "teacher"), *values["augmentation"].values()]
    assert recipe.n_train == n
    assert recipe.precision == "bfloat16"
    assert Recipe.from_dict(values) == recipe


def test_few_images_get_settings_of_their_own_and_say_so(section):
    few, many = resolve(section(), SMALL, CPU), resolve(section(), SMALL + 1, CPU)
    assert few.small_data
    assert not many.small_data
    assert few.dropout > many.dropout
    assert few.rate < many.rate
    assert few.augmentation["rotation"] > many.augmentation["rotation"]
    assert few.steps * few.batch / few.n_train > 3 * many.steps * many.batch / many.n_train * SMALL / 55_000


def test_a_key_overrides_the_profile_and_its_small_data_settings(section):
    changed = section(steps=12, dropout=0.1, optimizer="sgd", augmentation={"shift": 0.5})
    for n in (500, 55_000):
        recipe = resolve(changed, n, CPU)
        plain = resolve(section(), n, CPU)
        assert (recipe.steps, recipe.dropout, recipe.optimizer, recipe.augmentation["shift"]) == (
            12,
            0.1,
            "sgd",
            0.5,
        )
        assert recipe.rate == plain.rate
        assert recipe.augmentation["rotation"] == plain.augmentation["rotation"]
        assert recipe.weight_decay == 0  # adamw's went with it
    assert resolve(section(ema=0.0, label_smoothing=0.0), 55_000, CPU).ema == 0
    assert resolve(section(), 50, CPU).batch == 50, "no larger than the data"


def test_what_real_pictures_hold_is_in_the_default_and_more_of_it_in_robust(section):
    speedrun, fast, robust = (
        resolve(section(profile=name), 55_000, CPU) for name in ("speedrun", "fast", "robust")
    )
    assert speedrun.augmentation["severe"] == speedrun.augmentation["wide"] == speedrun.outliers == 0
    assert fast.augmentation["severe"] > 0 and fast.augmentation["wide"] > 0 and fast.outliers > 0
    assert robust.augmentation["severe"] > fast.augmentation["severe"]
    assert speedrun.steps < fast.steps < robust.steps


def test_the_full_profile_is_several_networks_that_each_take_longer_than_the_standard_one(section):
    standard, full = (resolve(section(profile=name), 55_000, CPU) for name in ("standard", "full"))
    assert len(standard.trainings()) == 1
    assert len(full.trainings()) > 2
    assert min(one.steps for one in full.trainings()) > standard.steps


def test_the_tiny_profile_has_few_weights_and_much_time(section):
    tiny, fast = (resolve(section(profile=name), 55_000, CPU) for name in ("tiny", "fast"))
    assert tiny.architecture == "small"
    assert tiny.steps > 3 * fast.steps
    assert 0 < tiny.augmentation["damaged"] < fast.augmentation["damaged"]
    assert resolve(section(profile="tiny"), SMALL, CPU).dropout == 0


def test_weight_decay_without_adamw_is_refused(section):
    with pytest.raises(ParamsError, match="adamw"):
        resolve(section(optimizer="sgd", weight_decay=0.1), 55_000, CPU)


def test_pruning_and_early_stopping_do_not_go_together(section):
    assert resolve(section(sparsity=0.5), 55_000, CPU).sparsity == 0.5
    with pytest.raises(ParamsError, match=r"train\.sparsity is 0\.5 with train\.early_stopping"):
        resolve(section(sparsity=0.5, early_stopping=3), 55_000, CPU)


def test_an_unknown_key_names_the_valid_ones(section):
    with pytest.raises(ParamsError, match=r"train\.augmentation\.rotate.*rotation"):
        section(augmentation={"rotate": 3.0})
    with pytest.raises(ParamsError, match=r"train\.dropuot.*dropout"):
        section(dropuot=0.1)


def test_the_names_of_profiles_are_those_of_params(section):
    names = typing.get_args(params.Profile)
    assert set(names) == set(PROFILES)
    with pytest.raises(ParamsError, match=r"train\.profile.*speedrun"):
        section(profile="speedy")


def test_an_ensemble_is_several_trainings_with_seeds_of_their_own(section):
    recipe = resolve(section(architecture="compact+wide+compact", seed=3), 55_000, CPU)
    ones = recipe.trainings()
    assert [one.architecture for one in ones] == ["compact", "wide", "compact"]
    assert len({one.seed for one in ones}) == 3
    assert recipe.all_steps == 3 * recipe.steps
    with pytest.raises(ParamsError, match=r"train\.architecture.*'wied' is none of compact"):
        section(architecture="compact+wied")


def test_a_teacher_is_trained_first(section):
    recipe = resolve(section(teacher="speedrun", distillation=0.5), 55_000, CPU)
    speedrun = resolve(section(profile="speedrun"), 55_000, CPU)
    assert recipe.teacher == speedrun
    assert [one.profile for one in recipe.trainings()] == ["speedrun", "fast"]
    assert recipe.all_steps == recipe.steps + speedrun.steps
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    "wrong",
    [{"teacher": "speedrun"}, {"distillation": 0.5}, {"teacher": "S1", "distillation": 0.5}],
    ids=["no share", "no teacher", "sees other images"],
)
def test_a_teacher_that_can_not_teach_is_refused(section, wrong):
    with pytest.raises(ParamsError, match=r"train\.teacher"):
        resolve(section(**wrong), 55_000, CPU)


def test_tutorials_train_for_as_many_epochs_as_they_say(section):
    recipe = resolve(section(profile="S4"), 60_000, CPU)
    assert (recipe.steps, recipe.normalization, recipe.ema) == (9375, "scaled", 0.0)
    assert resolve(section(profile="S4"), 640, CPU).steps == 100
    assert resolve(section(profile="S4", steps=7), 60_000, CPU).steps == 7
    assert recipe.augmentation["mirrored"] == 0
    assert resolve(section(profile="S4-augmented"), 60_000, CPU).augmentation["mirrored"] == 0.5


def test_tutorials_meet_no_damage_and_no_outliers(section):
    for profile in (name for name in PROFILES if name.startswith("S")):
        recipe = resolve(section(profile=profile), 55_000, CPU)
        assert recipe.augmentation["damaged"] == recipe.augmentation["severe"] == recipe.outliers == 0


def test_outliers_take_rows_of_the_batch_and_at_least_one(section):
    recipe = resolve(section(outliers=0.1), 55_000, CPU)
    assert (recipe.batch, recipe.outlier_rows, recipe.digits_a_step) == (256, 26, 230)
    assert resolve(section(outliers=0.01, batch=8), 55_000, CPU).outlier_rows == 1
    plain = resolve(section(outliers=0.0), 55_000, CPU)
    assert (plain.outlier_rows, plain.digits_a_step) == (0, 256)
    assert recipe.steps == plain.steps


def test_an_epoch_of_a_tutorial_is_all_its_digits_with_outliers_too(section):
    assert resolve(section(profile="S4", outliers=0.5), 60_000, CPU).steps == 2 * 9375


def test_outliers_leave_room_for_digits(section):
    with pytest.raises(ParamsError, match=r"train\.outliers is 0\.1 of batches of 1, .*no room for a digit"):
        resolve(section(outliers=0.1, batch=1), 55_000, CPU)
    with pytest.raises(ParamsError, match=r"train\.outliers"):
        section(outliers=0.6)
