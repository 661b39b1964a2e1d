"""What monitoring compares requests with: shares of events, and how far a source of few rows counts."""

import json

import numpy as np

from digits.export.reference import interval, reference
from digits.facts import FACTS, facts
from digits.files import to_json
from tests._digits import digits


def made(batches=()):
    images, labels = digits(400, seed=21)
    parts = [("mnist", images, labels), *batches]
    images = np.concatenate([part[1] for part in parts])
    sources = np.concatenate([np.full(len(part[1]), part[0]) for part in parts])
    found = np.concatenate([part[2] for part in parts])
    answers = {"confidence": np.linspace(0.5, 1, len(found)), "accepted": found != 3}
    lines = {"confidence": np.linspace(0, 1, 100), "accepted": np.arange(100) < 40}
    return reference(facts(images) | {"digit": found}, sources, answers, sources, lines, 0.98)


def event(known, name):
    return next(each for each in known["events"] if each["name"] == name)


def test_every_fact_answer_and_digit_is_watched_within_an_interval_around_its_share():
    known = made()
    assert {each["column"] for each in known["events"]} == {*FACTS, "digit", "confidence", "accepted"}
    names = [each["name"] for each in known["events"]]
    assert len(names) == len(set(names)) and "low below 0" not in names
    assert any(name.startswith("centre_x outside 1") for name in names)
    for each in known["events"]:
        assert set(each["shares"]) == {"all"}
        assert 0 <= each["least"] <= each["shares"]["all"] <= each["most"] <= 1
        assert each["group"] != "inputs" or each["shares"]["all"] <= 0.02
    assert event(known, "digit 3")["shares"] == event(known, "not accepted")["shares"] == {"all": 0.1}
    assert event(known, "line not accepted")["shares"] == {"all": 0.6}
    assert known["sources"] == {
        "composed": {"images": 0, "answers": 0, "lines": 100},
        "mnist": {"images": 400, "answers": 400, "lines": 0},
    }
    text = to_json(known)
    assert len(text) < 50_000 and json.loads(text) == known


def test_a_batch_counts_by_itself_only_where_it_is_surely_unlike_the_others():
    images, labels = digits(40, seed=22)
    alike, pale = ("alike", images, labels), ("pale", images // 2, labels)
    fives = ("fives", images[labels == 5], np.full(4, 5))
    before, after = made(), made([alike, pale, fives])
    name = [each["name"] for each in before["events"] if each["name"].startswith("contrast below")][-1]
    faint = event(after, name)
    assert set(faint["shares"]) == {"all", "mnist", "pale"} and faint["shares"]["pale"] == 1 == faint["most"]
    assert event(after, "digit 5")["most"] == 1 and event(after, "digit 5")["shares"]["fives"] == 1
    assert event(after, "digit 7")["least"] > 0.5 * event(before, "digit 7")["least"], "4 fives prove nothing"


def test_no_event_in_few_rows_is_no_proof_that_there_is_none():
    assert interval(0, 40)[0] == 0 and 0.1 < interval(0, 40)[1] < 0.12
    assert interval(40, 40)[1] == 1 and interval(40, 40)[0] > 0.88
    low, high = interval(600, 60_000)
    assert 0.009 < low < 0.01 < high < 0.011
