import base64
import re

import pytest

from digits.evaluate.corruptions import CORRUPTIONS
from digits.evaluate.report import PICTURES, render

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
PICTURE_BYTES = dict.fromkeys(PICTURES, PNG)


def metrics(**changes):
    row = {"precision": 0.99, "recall": 0.98, "f1": 0.985, "n": 1000, "correct": 980}
    return {
        "dataset": "mnist",
        "sample": False,
        "n_test": 10_000,
        "correct": 9955,
        "accuracy": 0.9955,
        "accuracy_interval": [0.994, 0.9966],
        "gap": 0.001,
        "loss": 0.0163,
        "ece": 0.0031,
        "corruption_mean": 0.96,
        "corruptions": dict.fromkeys(CORRUPTIONS, 0.9),
        "digits": {str(d): row for d in range(10)},
        "confused": [{"truth": 4, "predicted": 9, "n": 7}],
        "slices": {"scans<b>": {"n": 20, "correct": 19, "accuracy": 0.95, "interval": [0.76, 0.99]}},
        "abstention": {
            "target": 0.9995,
            "threshold": 0.9876,
            "n": 10_000,
            "answered": 9500,
            "correct": 9499,
            "coverage": 0.95,
            "coverage_interval": [0.94, 0.96],
            "precision": 0.9999,
            "precision_interval": [0.9992, 1.0],
            "precision_guaranteed": 0.99918,
        },
        "non_digits": {"half_digits": {"n": 300, "refused": 251, "share": 0.8367, "interval": [0.79, 0.87]}},
        "training": {"profile": "fast", "steps": 1500},
    } | changes


RULE = {"rule": "accuracy", "value": 0.9955, "threshold": 0.98, "passed": True, "reason": "99.55% right"}
BAD = {
    "rule": "every_digit",
    "value": None,
    "threshold": None,
    "passed": False,
    "reason": "digit 8 collapsed",
}
PASSED = {"passed": True, "dataset": "mnist", "rules": [RULE]}
REFUSED = {"passed": False, "dataset": "mnist", "rules": [RULE, BAD]}


def body(page):
    return page[page.index("<body>") :]


def test_the_page_asks_for_nothing_outside_itself():
    page = render(metrics(), REFUSED, PICTURE_BYTES)
    assert not re.search(r"https?:|//[a-z]|<script|@import|<iframe|<link(?! rel=\"icon\" href=\"data:)", page)
    assert all(source.startswith("data:") for source in re.findall(r"(?:src|href)=\"([^\"]*)\"", page))
    assert page.count("data:image/png;base64,") == len(PICTURES)


@pytest.mark.parametrize(("verdict", "word"), [(PASSED, "Passed"), (REFUSED, "Refused")])
def test_the_verdict_comes_first(verdict, word):
    page = body(render(metrics(), verdict, PICTURE_BYTES))
    assert page.index(word) < page.index("99.55%") < page.index("<table") < page.index("<img")


def test_a_refusal_gives_its_reasons_before_anything_else():
    page = body(render(metrics(), REFUSED, PICTURE_BYTES))
    assert "1 of 2 rules failed" in page
    assert page.index("digit 8 collapsed") < page.index("test images")


def test_a_sample_is_loud_and_the_full_set_is_not():
    loud = render(metrics(sample=True, dataset="mnist-sample-5k", n_test=1000), PASSED, PICTURE_BYTES)
    assert "Made on a sample" in loud and "mnist-sample-5k" in loud
    assert "Made on a sample" not in render(metrics(), PASSED, PICTURE_BYTES)


def test_what_is_aimed_at_is_told_apart_from_what_is_sure():
    page = " ".join(body(render(metrics(), PASSED, PICTURE_BYTES)).split())
    assert "0.9876 confidence" in page and "9,500 of 10,000 images are answered" in page
    assert "With 95% confidence at least 99.91% are" in page
    assert re.search(r"half digits</td>.*?83.67%", page)


def test_names_from_outside_are_escaped():
    page = render(metrics(), PASSED, PICTURE_BYTES)
    assert "scans&lt;b&gt;" in page and "scans<b>" not in page


def test_figures_that_could_not_be_had_are_dashes():
    row = {"precision": None, "recall": None, "f1": None, "n": 0, "correct": 0}
    digits = metrics()["digits"] | {"7": row}
    page = render(metrics(digits=digits, gap=None, loss=None, confused=[], slices={}), REFUSED, PICTURE_BYTES)
    assert "–" in page and "None" not in page
