import re

from digits.evaluate.corruptions import CORRUPTIONS
from digits.evaluate.report import PICTURES, data_facts, render

PICTURE_BYTES = dict.fromkeys(PICTURES, b"\x89PNG")


ROW = {"n": 300, "exact": 0.8123, "interval": [0.77, 0.85], "character_error_rate": 0.05, "coverage": 0.5}
ROW |= {"precision": 0.99}


DIGIT = {"precision": 0.99, "recall": 0.98, "f1": 0.985, "n": 1000, "correct": 980}
METRICS = {
    "dataset": "mnist", "sample": False, "n_test": 10_000, "correct": 9955, "accuracy": 0.9955,
    "accuracy_interval": [0.994, 0.9966], "gap": 0.001, "loss": 0.0163, "ece": 0.0031,
    "corruption_mean": 0.96, "corruptions": dict.fromkeys(CORRUPTIONS, 0.9),
    "digits": {str(digit): DIGIT for digit in range(10)},
    "confused": [{"truth": 4, "predicted": 9, "n": 7}],
    "slices": {"scans<b>": {"n": 20, "correct": 19, "accuracy": 0.95, "interval": [0.76, 0.99]}},
    "abstention": {
        "target": 0.9995, "threshold": 0.9876, "n": 10_000, "answered": 9500, "correct": 9499,
        "coverage": 0.95, "coverage_interval": [0.94, 0.96], "precision": 0.9999,
        "precision_interval": [0.9992, 1.0], "precision_guaranteed": 0.99918,
    },
    "non_digits": {"half_digits": {"n": 300, "refused": 251, "share": 0.8367, "interval": [0.79, 0.87]}},
    "lines": {
        "fit": {"slope": 1.3, "offset": 0.2, "threshold": 0.9412, "target": 0.995},
        "kinds": {"mixed": ROW, "low_contrast": ROW},
        "accepted": {
            "lines": 2100, "coverage": 0.6, "precision": 0.996, "precision_interval": [0.99, 0.998],
            "coverage_at_999": 0.4321, "calibration_error": 0.02,
        },
        "slices": {"cheques<b>": ROW | {"exact": 0.7654}},
        "without_digits": {"smileys": {"n": 60, "share": 0.8833, "interval": [0.78, 0.94]}},
    },
    "training": {"profile": "fast", "steps": 1500},
}  # fmt: skip


GOOD = {"rule": "accuracy", "value": 0.9955, "threshold": 0.98, "passed": True, "reason": "99.55% right"}
BAD = {"rule": "digit", "value": None, "threshold": None, "passed": False, "reason": "digit 8 collapsed"}
PASSED = {"passed": True, "dataset": "mnist", "rules": [GOOD]}
ORIGIN = [("data set", "mnist"), ("test", "10,000 images, sha256 fbf9")]
REFUSED = {"passed": False, "dataset": "mnist", "rules": [GOOD, BAD]}


def rendered(verdict=PASSED, comparison=None, **changes):
    return render(METRICS | changes, verdict, PICTURE_BYTES, ORIGIN, comparison)


def test_the_page_asks_for_nothing_outside_itself_and_tells_verdict_reasons_and_origin_in_order():
    page = rendered(REFUSED)
    assert not re.search(r"https?:|//[a-z]|<script|@import|<iframe|<link(?! rel=\"icon\" href=\"data:)", page)
    assert all(source.startswith("data:") for source in re.findall(r"(?:src|href)=\"([^\"]*)\"", page))
    assert page.count("data:image/png;base64,") == len(PICTURES)
    assert in_order(rendered(), "Passed", "99.55%", "<table", "<img")
    page = rendered(REFUSED)
    assert in_order(page, "Refused", "digit 8 collapsed", "test images") and "1 of 2 rules failed" in page


def in_order(page, *parts):
    places = [page.index(part, page.index("<body>")) for part in parts]
    return places == sorted(places)


def test_a_sample_is_loud_names_from_outside_are_escaped_and_an_aim_is_no_promise():
    loud = rendered(sample=True, dataset="mnist-sample-5k", n_test=1000)
    assert "Made on a sample" in loud and "mnist-sample-5k" in loud
    page = " ".join(rendered().split())
    assert "Made on a sample" not in page
    assert "scans&lt;b&gt;" in page and "scans<b>" not in page
    assert re.search(r"cheques&lt;b&gt;</td>.*?76.54%", page)
    assert "0.9876 confidence" in page and "9,500 of 10,000 images are answered" in page
    assert "With 95% confidence at least 99.91% are" in page
    assert re.search(r"half digits</td>.*?83.67%", page)
    assert "0.9412 confidence a line is accepted" in page and re.search(r"smileys</td>.*?88.33%", page)
    assert re.search(r"low contrast</td>.*?81.23%", page) and "99.9% exact 43.21% would be" in page


def test_figures_that_could_not_be_had_are_dashes():
    digits = METRICS["digits"] | {"7": dict.fromkeys(DIGIT) | {"n": 0, "correct": 0}}
    page = rendered(REFUSED, digits=digits, gap=None, loss=None, confused=[], slices={})
    assert "–" in page and "None" not in page


def test_the_origin_is_there_and_the_comparison_where_there_is_one():
    assert in_order(rendered(), "data set", "sha256 fbf9", "come with publishing", "Rules")
    rule = {"rule": "paired", "value": 0.01, "threshold": 0.05, "passed": False, "reason": "it is worse<b>"}
    comparison = {"title": "Version 2, compared with version 1", "rules": [rule]}
    page = rendered(PASSED, comparison)
    assert in_order(page, "sha256 fbf9", comparison["title"], "it is worse&lt;b&gt;", "Rules")
    assert "come with publishing" not in page


def test_what_a_manifest_tells_of_the_data_leaves_empty_splits_out():
    splits = {"test": {"n": 1000, "images_sha256": "aa"}, "lines": {"n": 0, "images_sha256": "bb"}}
    splits |= {"heldout_lines": {"n": 12, "images_sha256": "cc"}}
    manifest = {"dataset": "mnist", "sample": True, "splits": splits, "batches": {"b": {}, "a": {}}}
    assert list(data_facts(manifest)) == [
        ("data set", "mnist, a sample"),
        ("test", "1,000 images, sha256 aa"),
        ("heldout lines", "12 lines, sha256 cc"),
        ("incoming batches", "a, b"),
    ]
