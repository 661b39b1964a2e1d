import pytest
import yaml

from digits.augment.policies import SMALL, augmentation
from digits.train.profiles import PROFILES
from flows import sweep
from flows.search import space
from tests._project import ROOT

BASE = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]


def value(profile, key):
    """What the profile itself sets."""
    section, _, name = key.removeprefix("train.").rpartition(".")
    if section == "augmentation":
        return getattr(augmentation(profile, SMALL + 1, {}), name)
    return PROFILES[profile][0][name]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_lies_within_its_space(profile):
    for dimension in space.parse(space.profile_specs(profile), BASE | {"profile": profile}):
        own = value(profile, dimension.key)
        if dimension.choices:
            assert own in dimension.choices, dimension.key
        else:
            assert dimension.low <= own <= dimension.high, dimension.key


def test_a_sweep_without_a_space_takes_the_profiles():
    plan = sweep.plan(ROOT, [], profile="S1", trials=5)
    assert [dimension.key for dimension in plan.space] == ["train.rate", "train.batch"]
    given = sweep.plan(ROOT, ["train.dropout=uniform(0,0.3)"], profile="S1", trials=5)
    assert [dimension.key for dimension in given.space] == ["train.dropout"]
