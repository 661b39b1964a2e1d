import pytest
import yaml

from digits.runtime.errors import ParamsError
from flows.search import space
from flows.search.space import Dimension
from tests._project import ROOT

BASE = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]


def parse(*texts):
    return space.parse(texts, BASE)


def test_choices_and_ranges_are_read():
    batch, rate, dropout, steps = parse(
        "train.batch=[128, 256]", "train.rate=log(1e-4,1e-1)", "train.dropout = uniform(0, 0.5)",
        "train.steps=log(50,500)",
    )  # fmt: skip
    assert batch == Dimension("train.batch", choices=(128, 256))
    assert (rate.low, rate.high, rate.log, rate.whole) == (1e-4, 1e-1, True, False)
    assert (dropout.low, dropout.high, dropout.log, dropout.whole) == (0.0, 0.5, False, False)
    assert steps.whole
    assert steps.log


def test_a_whole_range_of_a_key_that_takes_fractions_gives_fractions():
    (rotation,) = parse("train.augmentation.rotation=uniform(0,30)")
    assert not rotation.whole
    assert rotation.label == "augmentation.rotation"


def test_numbers_with_exponents_are_numbers():
    (rate,) = parse("train.rate=[1e-3, 5E-4, 1.5e-2]")
    assert rate.choices == (0.001, 0.0005, 0.015)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.rat=[0.1]", "did you mean 'rate'"),
        ("train.augmentation.rotatoin=uniform(0,5)", "train.augmentation.rotatoin"),
        ("train.rate.high=[1]", "has no keys"),
        ("train.batch=[128.5]", "train.batch"),
        ("train.batch=log(0.5,3.5)", "train.batch"),
        ("train.dropout=uniform(0,2)", "train.dropout"),
        ("train.optimizer=[adam, lion]", "lion"),
        ("train.rate=log(0,1)", "above 0"),
        ("train.rate=uniform(1,1)", "below HIGH"),
        ("train.rate=log(a,b)", "numbers"),
        ("train.rate=0.1", "expected KEY="),
        ("train.rate", "expected KEY="),
        ("train.rate=[]", "expected KEY="),
        ("train.rate=[0.1", "expected KEY="),
        ("evaluate.accuracy=[0.5]", "must begin with 'train.'"),
    ],
)
def test_what_can_not_be_is_refused_with_the_key_and_what_is_expected(text, said):
    with pytest.raises(ParamsError) as told:
        parse(text)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_key_twice_and_no_key_at_all_are_refused():
    with pytest.raises(ParamsError, match="twice"):
        parse("train.batch=[1]", "train.batch=[2]")
    with pytest.raises(ParamsError, match="empty"):
        parse()


def test_a_grid_holds_every_combination_once():
    found = space.grid(parse("train.batch=[64,128,64]", "train.rate=[0.1,0.2,0.3]"))
    assert len(found) == 6
    assert {(s["train.batch"], s["train.rate"]) for s in found} == {
        (batch, rate) for batch in (64, 128) for rate in (0.1, 0.2, 0.3)
    }


def test_a_grid_of_a_range_is_refused():
    with pytest.raises(ParamsError, match="needs choices"):
        space.grid(parse("train.rate=log(0.1,1)"))


def test_drawn_values_have_few_digits_and_stay_in_range():
    (rate,) = parse("train.rate=log(0.00012345,0.1)")
    assert rate.rounded(0.0123456789) == 0.01235
    assert rate.rounded(0.00012345) == 0.00012345


@pytest.mark.parametrize("value", [0.00001, 1e-7, 0.5, 3, 1e22, True, None, "adam", 0.00012345], ids=str)
def test_a_value_in_words_is_the_same_value_to_yaml(value):
    assert yaml.safe_load(space.text(value)) == value


def test_settings_replace_single_keys_of_the_section():
    section = space.section(BASE, {"train.rate": 0.5, "train.augmentation.shift": 2.0})
    assert section.rate == 0.5
    assert section.augmentation.shift == 2.0
    assert section.augmentation.scale is None
    assert BASE["rate"] is None
    assert BASE["augmentation"]["shift"] is None


def test_the_command_names_the_profile_and_every_setting():
    command = space.command("fast", {"train.rate": 0.00001, "train.batch": 64})
    assert command == "dvc exp run -S train.profile=fast -S train.rate=0.00001 -S train.batch=64"
