import typing

import pytest
import yaml

from digits.augment.policies import SMALL
from digits.line_model.network import ARCHITECTURES
from digits.lines.profiles import PROFILES, resolve
from digits.runtime import params
from digits.runtime.errors import ParamsError
from digits.runtime.hardware import Hardware
from tests.runtime.test_params import FILE

CPU = Hardware("cpu", "bfloat16", "nothing")
OWN = {"profile", "seed", "real", "validation", "device", "precision"}


def section(**changes):
    tree = yaml.safe_load(FILE.read_text())["lines"]
    return params.parse("lines", {k: v if k in OWN else None for k, v in tree.items()} | changes)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_value_of_a_profile_is_concrete_and_can_be_overridden(profile):
    recipe = resolve(section(profile=profile, seed=3), 55_000, 0, CPU)
    assert None not in recipe.to_dict().values() and not recipe.small_data
    assert (recipe.n_train, recipe.seed, recipe.precision) == (55_000, 3, "bfloat16")
    changed = resolve(section(profile=profile, seed=3, steps=12, dropout=0.0), SMALL, 0, CPU).to_dict()
    assert (changed["steps"], changed["dropout"]) == (12, 0.0)


def test_few_images_are_trained_on_for_fewer_steps_and_a_share_of_each_step_is_real_lines_if_any():
    few, many = (resolve(section(profile="full"), n, 0, CPU) for n in (SMALL, SMALL + 1))
    assert few.small_data and few.steps < many.steps
    assert [resolve(section(profile="quick", real=0.2), SMALL, n, CPU).real for n in (0, 1)] == [0, 0.2]


def test_the_names_are_those_of_params():
    fields = params.LinesParams.model_fields
    assert set(typing.get_args(fields["profile"].annotation)) == set(PROFILES)
    architectures = typing.get_args(typing.get_args(fields["architecture"].annotation)[0])
    assert set(architectures) == set(ARCHITECTURES)
    with pytest.raises(ParamsError, match=r"lines\.profile.*quick"):
        section(profile="quickly")
