import typing

import pytest

from digits.augment import policies
from digits.augment.policies import SMALL
from digits.model.recipe import Recipe
from digits.runtime import params
from digits.runtime.errors import ParamsError
from digits.runtime.hardware import Hardware
from digits.train.profiles import PROFILES, resolve

CPU = Hardware("cpu", "bfloat16", "augmentation")


def test_the_names_of_profiles_are_those_of_params_and_of_the_augmentation_policies():
    assert set(typing.get_args(params.Profile)) == set(PROFILES) == set(policies.PROFILES)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("n", [600, 4000, 55_000])
def test_every_value_is_concrete(section, profile, n):
    recipe = resolve(section(profile=profile), n, CPU)
    values = recipe.to_dict()
    assert None not in [*(v for k, v in values.items() if k != "teacher"), *values["augmentation"].values()]
    assert recipe.n_train == n
    assert recipe.precision == "bfloat16"
    assert Recipe.from_dict(values) == recipe


def test_few_images_get_settings_of_their_own_and_a_key_of_params_goes_before_both(section):
    few, many = resolve(section(), SMALL, CPU), resolve(section(), SMALL + 1, CPU)
    assert few.small_data and not many.small_data
    assert few.dropout > many.dropout and few.rate < many.rate
    assert few.augmentation["rotation"] > many.augmentation["rotation"]
    changed = section(steps=12, dropout=0.1, optimizer="sgd", augmentation={"shift": 0.5})
    for n, plain in ((SMALL, few), (SMALL + 1, many)):
        recipe = resolve(changed, n, CPU)
        assert (recipe.steps, recipe.dropout, recipe.optimizer) == (12, 0.1, "sgd")
        assert recipe.rate == plain.rate and recipe.weight_decay == 0  # adamw's went with it
        assert recipe.augmentation == plain.augmentation | {"shift": 0.5}
    assert resolve(section(ema=0.0), 55_000, CPU).ema == 0
    assert resolve(section(), 50, CPU).batch == 50, "no larger than the data"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"optimizer": "sgd", "weight_decay": 0.1}, "adamw"),
        ({"sparsity": 0.5, "early_stopping": 3}, r"train\.sparsity is 0\.5 with train\.early_stopping"),
        ({"teacher": "speedrun"}, r"train\.teacher"),
        ({"distillation": 0.5}, r"train\.teacher"),
        ({"teacher": "S1", "distillation": 0.5}, r"train\.teacher"),  # it sees other images
        ({"outliers": 0.1, "batch": 1}, r"outliers is 0\.1 and train\.styled 0\.04 of .*no room"),
        ({"outliers": 0.6}, r"train\.outliers"),
        ({"architecture": "compact+wied"}, r"train\.architecture.*'wied' is none of compact"),
        ({"profile": "speedy"}, r"train\.profile.*speedrun"),
        ({"augmentation": {"rotate": 3.0}}, r"train\.augmentation\.rotate.*rotation"),
    ],
)
def test_what_does_not_go_together_is_refused(section, wrong, said):
    with pytest.raises(ParamsError, match=said):
        resolve(section(**wrong), 55_000, CPU)


def test_tutorials_train_for_as_many_epochs_as_they_say_and_meet_no_damage(section):
    def tutorial(n=60_000, profile="S4", **changes):
        return resolve(section(profile=profile, **changes), n, CPU)

    assert (tutorial().steps, tutorial().normalization, tutorial().ema) == (9375, "scaled", 0.0)
    assert (tutorial(640).steps, tutorial(steps=7).steps, tutorial(outliers=0.5).steps) == (100, 7, 2 * 9375)
    assert tutorial(profile="S4-augmented").augmentation["mirrored"] == 0.5
    for recipe in (tutorial(profile=name) for name in PROFILES if name.startswith("S")):
        assert recipe.augmentation["damaged"] == recipe.augmentation["severe"] == recipe.outliers == 0


def test_an_ensemble_is_several_trainings_with_seeds_of_their_own_and_a_teacher_is_trained_first(section):
    recipe = resolve(section(architecture="compact+wide+compact", seed=3), 55_000, CPU)
    ones = recipe.trainings()
    assert [one.architecture for one in ones] == ["compact", "wide", "compact"]
    assert len({one.seed for one in ones}) == 3
    assert recipe.all_steps == 3 * recipe.steps
    recipe = resolve(section(teacher="speedrun", distillation=0.5), 55_000, CPU)
    speedrun = resolve(section(profile="speedrun"), 55_000, CPU)
    assert recipe.teacher == speedrun
    assert [one.profile for one in recipe.trainings()] == ["speedrun", "fast"]
    assert recipe.all_steps == recipe.steps + speedrun.steps
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_outliers_take_rows_of_the_batch_and_at_least_one(section):
    recipe = resolve(section(outliers=0.1), 55_000, CPU)
    assert (recipe.batch, recipe.outlier_rows, recipe.digits_a_step) == (256, 26, 220)
    assert resolve(section(outliers=0.01, batch=8), 55_000, CPU).outlier_rows == 1
    plain = resolve(section(outliers=0.0), 55_000, CPU)
    assert (plain.outlier_rows, plain.styled_rows, plain.digits_a_step) == (0, 10, 246)
    assert recipe.steps == plain.steps
