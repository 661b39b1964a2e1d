"""What is told of the tutorials' claims, from records."""

import pytest

from bench import claims


def record(model, seed, accuracy, part="claims"):
    return {"kind": "training", "part": part, "model": model, "seed": seed, "accuracy": accuracy} | {
        "corruptions": {"blur": 0.9, "noise": 0.8}
    }


def row(records, model):
    (found,) = [line for line in claims.claims(records).splitlines() if line.startswith(f"| {model} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


@pytest.mark.parametrize(
    ("accuracy", "word"), [(0.9893, "yes"), (0.9885, "nearly: 0.07 points below"), (0.98, "**no**: 0.92")]
)
def test_an_accuracy_is_reached_or_not(accuracy, word):
    assert row([record("S1", 1, accuracy, "full")], "S1")[-1].startswith(word)


@pytest.mark.parametrize(
    ("model", "gains", "word"),
    [
        ("S4-dropout", (0.002, 0.003, 0.0025), "yes"),
        ("S4-dropout", (-0.002, -0.003, -0.0025), "**no**"),
        ("S4-dropout", (0.002, -0.003, 0.0015), "no difference shows"),
        ("S4-augmented", (-0.002, -0.003, -0.0025), "yes"),
        ("S4-augmented", (0.002, 0.003, 0.0025), "**no**"),
        ("S4-augmented", (0.002, -0.003, 0.0015), "yes: no difference shows"),
        ("S4-l2", (0.002,), "not known from one seed"),
    ],
)
def test_a_variant_is_held_against_the_base_seed_by_seed(model, gains, word):
    records = [record("S4", seed, 0.98 + seed / 1000) for seed in (1, 2, 3)]
    records += [record(model, seed, 0.98 + seed / 1000 + gain) for seed, gain in enumerate(gains, 1)]
    cells = row(records, model)
    assert cells[-1] == word
    assert cells[4] == ", ".join(f"{100 * gain:+.2f}" for gain in gains)
    assert cells[5] == "85.0"


def test_the_base_of_the_variants_is_not_the_one_that_keras_trained():
    records = [record("S4", 1, 0.5, "full"), record("S4", 1, 0.99), record("S4-l2", 1, 0.98)]
    assert row(records, "S4-l2")[4] == "-1.00"


def test_what_was_not_run_is_no_claim():
    assert claims.claims([]) == "Not measured in this run."
    assert row([record("S0", 1, 0.97, "full")], "S4-l2")[2:] == ["–", "0", "–", "–", "–"]
