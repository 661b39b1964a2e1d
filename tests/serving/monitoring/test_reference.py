"""What a published version says about itself, and what is said of one that can't."""

import json

import pytest

from digits import wire
from digits.runtime.errors import DataError
from serving.monitoring import reference

EVENT = {"name": "low above 3", "group": "inputs", "kinds": ["digit"], "column": "low", "above": 3}
EVENT |= {"least": 0.0, "most": 0.01}
CONTENT = {"format": 1, "accuracy": 0.99, "events": [EVENT]}


def published(tmp_path, content):
    path = tmp_path / wire.MONITORING
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return tmp_path


def test_the_events_of_a_version_are_read_and_older_and_damaged_ones_refused_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"version 3 can't be monitored.*run `make run`"):
        reference.load(tmp_path, 3)
    known = reference.load(published(tmp_path, CONTENT), 3)
    assert (known.version, known.accuracy, known.events[0].most) == (3, 0.99, 0.01)
    worse = [EVENT | {"most": 2}, {k: v for k, v in EVENT.items() if k != "above"}, {"name": "low"}]
    for content in ("{", [], CONTENT | {"format": 9}, *(CONTENT | {"events": [event]} for event in worse)):
        with pytest.raises(DataError, match=r"damaged|not valid JSON"):
            reference.load(published(tmp_path, content), 3)
