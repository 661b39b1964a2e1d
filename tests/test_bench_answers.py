"""What is told of answers that are withheld, from records."""

from bench import answers


def record(seed, answered, correct, refused, model="fast"):
    return {
        "kind": "training",
        "part": "full",
        "model": model,
        "seed": seed,
        "abstention": {
            "target": 0.9995,
            "threshold": 0.9,
            "n": 10_000,
            "answered": answered,
            "correct": correct,
        },
        "refused": refused,
    }


def test_coverage_and_precision_are_means_with_the_interval_of_one_test_split():
    kinds = {"letters": 0.9, "noise": 1.0}
    records = [record(1, 9_800, 9_796, kinds), record(2, 9_600, 9_598, {"letters": 0.8, "noise": 0.96})]
    page = answers.withheld(records)
    (row,) = [line for line in page.splitlines() if line.startswith("| `fast` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == "2"
    assert cells[2] == "97.00 (96.65 to 97.32)"
    assert cells[3].startswith("99.97 (")
    assert cells[4:] == ["4, 2", "91.5", "80.0"]
    assert "99.95 %" in page and "2 kinds" in page


def test_a_model_that_answers_nothing_is_no_error():
    assert "| 0.00 (0.00 to 0.04) | – |" in answers.withheld([record(1, 0, 0, {"noise": 1.0})])


def test_what_was_not_measured_is_not_told():
    assert answers.withheld([]) == "Not measured in this run."
