import pytest
import yaml

from digits.runtime.errors import ParamsError
from flows.search import space
from flows.search.space import Dimension
from tests._project import ROOT

BASE = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]


def parse(*texts):
    return space.parse(texts, BASE)


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("train.batch=[128, 256]", Dimension("train.batch", choices=(128, 256))),
        ("train.rate=[1e-3, 5E-4]", Dimension("train.rate", choices=(0.001, 0.0005))),
        ("train.rate=log(1e-4,1e-1)", Dimension("train.rate", low=1e-4, high=1e-1, log=True)),
        ("train.dropout = uniform(0, 0.5)", Dimension("train.dropout", low=0.0, high=0.5)),
        ("train.steps=log(50,500)", Dimension("train.steps", low=50, high=500, log=True, whole=True)),
        (
            "train.augmentation.rotation=uniform(0,30)",
            Dimension("train.augmentation.rotation", low=0, high=30),
        ),
    ],
)
def test_choices_and_ranges_are_read(text, dimension):
    assert list(parse(text)) == [dimension]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.rat=[0.1]", "did you mean 'rate'"),
        ("train.augmentation.rotatoin=uniform(0,5)", "train.augmentation.rotatoin"),
        ("train.rate.high=[1]", "has no keys"),
        ("train.batch=log(0.5,3.5)", "train.batch"),
        ("train.dropout=uniform(0,2)", "train.dropout"),
        ("train.optimizer=[adam, lion]", "lion"),
        ("train.rate=log(0,1)", "above 0"),
        ("train.rate=log(a,b)", "numbers"),
        ("train.rate=0.1", "expected KEY="),
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


def test_a_grid_holds_every_combination_once_and_needs_choices():
    found = space.grid(parse("train.batch=[64,128,64]", "train.rate=[0.1,0.2,0.3]"))
    pairs = sorted((settings["train.batch"], settings["train.rate"]) for settings in found)
    assert pairs == [(batch, rate) for batch in (64, 128) for rate in (0.1, 0.2, 0.3)]
    with pytest.raises(ParamsError, match="needs choices"):
        space.grid(parse("train.rate=log(0.1,1)"))


def test_drawn_values_have_few_digits_and_stay_in_range():
    (rate,) = parse("train.rate=log(0.00012345,0.1)")
    assert rate.rounded(0.0123456789) == 0.01235
    assert rate.rounded(0.00012345) == 0.00012345


@pytest.mark.parametrize("value", [0.00001, 0.5, 3, 1e22, True, None, "adam"], ids=str)
def test_a_value_in_words_is_the_same_value_to_yaml(value):
    assert yaml.safe_load(space.text(value)) == value


def test_settings_replace_single_keys_of_the_section_and_make_a_command():
    section = space.section(BASE, {"train.rate": 0.5, "train.augmentation.shift": 2.0})
    assert (section.rate, section.augmentation.shift, section.augmentation.scale) == (0.5, 2.0, None)
    assert BASE["rate"] is BASE["augmentation"]["shift"] is None
    command = space.command("fast", {"train.rate": 0.00001, "train.batch": 64})
    assert command == "dvc exp run -S train.profile=fast -S train.rate=0.00001 -S train.batch=64"
