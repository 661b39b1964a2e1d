"""What monitoring finds in rows of requests: alarms for what has changed, and none for what has not."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from digits.runtime.errors import DataError
from serving.monitoring import judge
from tests.serving.monitoring._traffic import HOUR, columns, mixed, reference, rows

KNOWN = reference()
FOGGY = {"contrast": 120.0}


def names(findings):
    return [alarm.name for alarm in findings.alarms]


def look(table, state=None, known=KNOWN, **options):
    return judge.look(table, known, state, **options)


def test_clean_requests_of_months_raise_no_alarm_and_every_event_is_within_its_bound():
    findings, _ = look(rows(columns(8000, 1)))
    assert (findings.alarms, findings.cleared, findings.rows) == ((), (), 8000)
    for event in findings.events:
        assert event.share is None or (event.share < event.bound) == event.too_often, event
    watched = {event.group for event in findings.events}
    assert watched == {"inputs", "answers", "digits", "errors", "latency", "accuracy"}


def test_a_fifth_of_foggy_images_is_found_named_and_dated():
    _, state = look(rows(columns(1000, 1)))
    start = 1000 * HOUR / 200
    findings, _ = look(rows(mixed(0.2, 300, 5, **FOGGY), start=start), state)
    [alarm] = findings.alarms
    assert alarm.name.startswith("contrast below 24")
    assert start <= alarm.since < alarm.at <= findings.last
    assert alarm.group == "inputs" and 0.1 < alarm.observed < 0.3 and 0.02 < alarm.expected < 0.13
    assert f"of {alarm.rows:,} images since 1970-01-01 05:0" in alarm.text and "at most" in alarm.text


def test_looks_in_pieces_find_what_one_look_finds_and_a_state_survives_as_json():
    table = rows(mixed(0.1, 3000, 7, **FOGGY) | {"accepted": columns(3000, 8)["accepted"]})
    whole, end = look(table)
    state, cleared = None, []
    for part in np.array_split(np.arange(len(table)), 7):
        findings, state = look(table.iloc[part], state)
        state = judge.State.from_json(json.loads(json.dumps(state.to_json())))
        cleared += findings.cleared
    assert names(findings) and (findings.alarms, tuple(cleared)) == (whole.alarms, whole.cleared)
    assert state == end
    assert json.loads(json.dumps(asdict(findings)))["rows"] == len(part)


def test_an_alarm_stands_until_500_rows_are_clean_again_and_a_new_version_begins_anew():
    _, state = look(rows(columns(300, 1, **FOGGY)))
    findings, partly = look(rows(columns(400, 2), start=1e5), state)
    assert names(findings) and not findings.cleared
    findings, _ = look(rows(columns(1000, 3), start=2e5), partly)
    assert not findings.alarms and findings.cleared[0].name.startswith("contrast below 24")
    findings, _ = look(rows(columns(100, 4), start=3e5, version=2.0), state, reference(version=2))
    assert findings.version == 2 and not findings.alarms


def test_what_a_version_was_trained_with_is_no_change():
    foggy = columns(400, 50, **FOGGY)
    table = rows(columns(1000, 51, **FOGGY))
    assert names(look(table)[0])[0].startswith("contrast below 24")
    known = reference([("foggy", foggy)])
    assert not look(table, known=known)[0].alarms
    assert not look(rows(columns(1000, 52)), known=known)[0].alarms, "nor is what it was trained with before"


def test_a_missing_digit_refused_answers_errors_slow_answers_and_wrong_ones_are_found():
    clean = columns(1500, 1)
    without = {name: values[clean["digit"] != 5] for name, values in clean.items()}
    assert names(look(rows(without))[0]) == ["digit 5 missing"]
    refused = columns(500, 2, accepted=0.8)
    assert names(look(rows(refused))[0]) == names(look(rows(refused, kind="picture"))[0]) == ["not accepted"]
    nothing = {name: np.full(100, np.nan) for name in clean}
    failed = rows(nothing, kind="", digest="", status=503, version=np.nan)
    assert names(look(failed)[0]) == ["errors"] and not look(failed.assign(status=422))[0].alarms
    slower = rows(clean, latency=np.where(np.arange(1500) < 1000, 0.01, 0.05))
    assert names(look(slower)[0]) == ["latency"]
    assert not look(slower, settings=judge.Settings(latency=0.06))[0].alarms
    few = rows(columns(10, 1))
    _, state = look(few, corrections=(97, 100))
    [alarm] = look(rows(columns(10, 2), start=1e5), state, corrections=(120, 160))[0].alarms
    assert alarm.group == "accuracy" and "95% interval" in alarm.text
    assert not look(rows(columns(10, 2), start=1e5), state, corrections=(157, 160))[0].alarms
    later = look(rows(columns(10, 2), start=1e5), state, corrections=(87, 100))[0]
    assert names(later) == ["corrected answers"], "of those that counted as right"


def test_lines_are_compared_with_lines_and_one_image_and_one_request_are_little_evidence():
    table = {name: np.full(600, np.nan) for name in columns(1)}
    table |= {"confidence": np.full(600, 0.6), "accepted": np.arange(600) % 2, "contrast": np.full(600, 90.0)}
    assert not look(rows(table, kind="line"))[0].alarms
    assert names(look(rows(table | {"accepted": np.zeros(600)}, kind="line"))[0]) == ["line not accepted"]
    foggy = rows(columns(500, 1, **FOGGY))
    clean = rows(columns(500, 2), start=1e6)
    once = pd.concat([foggy.assign(digest="a"), clean])
    findings, _ = look(once)
    assert not findings.alarms and findings.rows == 501
    together, _ = look(foggy.assign(at=5.0))
    assert together.rows == judge.OF_ONE_REQUEST
    photo = foggy[:8].assign(kind="line", digest="photo", at=5.0)
    assert look(pd.concat([photo, photo.assign(at=9.0)]))[0].rows == len(photo)


def test_other_versions_and_no_rows_are_no_trouble():
    findings, state = look(rows(columns(300, 1, **FOGGY), version=2.0))
    assert (findings.rows, findings.first, findings.alarms) == (0, None, ())
    findings, _ = look(rows(columns(0)), state, corrections=(0, 50))
    assert (findings.rows, findings.alarms) == (0, ()), "corrections wait for a row"


def test_rows_states_and_corrections_that_cannot_be_are_refused_in_one_line():
    with pytest.raises(DataError, match="lack status, latency"):
        look(rows(columns(5)).drop(columns=["status", "latency"]))
    _, state = look(rows(columns(5)))
    content = state.to_json()
    for damage in ({"version": "x"}, {"standing": [{"no": 1}]}, {"latencies": None}, {"corrections": [1]}):
        with pytest.raises(DataError, match="state is damaged"):
            judge.State.from_json(content | damage)
    with pytest.raises(DataError, match="state is damaged"):
        judge.State.from_json([])
    shorter = content["detector"] | {"sums": [1.0]}
    with pytest.raises(DataError, match="state is damaged"):
        look(rows(columns(5)), judge.State.from_json(content | {"detector": shorter}))
    with pytest.raises(DataError, match="5 of 4 answers"):
        look(rows(columns(5)), corrections=(5, 4))
