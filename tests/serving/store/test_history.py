import pytest

from digits.runtime.errors import StoreError
from serving.store.history import (
    CANARY,
    LARGEST,
    PROMOTE,
    ROLLBACK,
    UNRECORDED,
    Event,
    History,
    Refusal,
    from_plain,
    reconcile,
    to_plain,
)


def history(*events):
    return History(events=tuple(Event(number, action) for number, action in events))


@pytest.mark.parametrize(
    ("events", "previous"),
    [
        ([], None),
        ([(1, PROMOTE), (2, PROMOTE)], 1),
        ([(1, PROMOTE), (2, PROMOTE), (3, CANARY)], 1),
        ([(1, PROMOTE), (2, PROMOTE), (3, PROMOTE), (2, ROLLBACK)], 1),
        ([(1, PROMOTE), (2, PROMOTE), (3, PROMOTE), (1, ROLLBACK)], None),
        ([(1, PROMOTE), (2, PROMOTE), (1, PROMOTE)], 2),
        ([(1, PROMOTE), (2, PROMOTE), (5, ROLLBACK)], 2),
        ([(1, PROMOTE), (2, PROMOTE), (1, UNRECORDED)], None),
        ([(1, PROMOTE), (2, UNRECORDED)], 1),
    ],
)
def test_rolling_back_twice_goes_back_twice(events, previous):
    assert history(*events).previous() == previous


def test_the_pointer_wins_over_a_record_that_a_crash_left_behind():
    known = history((1, PROMOTE), (2, PROMOTE))
    assert reconcile(known, 2, Event(2, UNRECORDED)) is known
    assert reconcile(known, None, Event(9, UNRECORDED)) is known
    assert reconcile(known, 3, Event(3, UNRECORDED)).previous() == 2
    assert reconcile(known, 1, Event(1, UNRECORDED)).previous() is None


def test_the_best_ever_is_of_promotions_on_the_same_test_images():
    events = (
        Event(1, PROMOTE, None, 0.995, "a"),
        Event(2, PROMOTE, None, 0.997, "a"),
        Event(3, PROMOTE, None, 0.999, "b"),
        Event(4, CANARY, None, 0.999, "a"),
        Event(5, PROMOTE, None, None, "a"),
        Event(1, ROLLBACK, None, 0.995, "a"),
    )
    assert History(events=events).best("a") == (2, 0.997)
    assert History(events=events).best("c") is None


def test_of_two_refusals_of_a_pair_the_last_is_kept():
    known = History().with_refusal(Refusal(2, 1, ("a",))).with_refusal(Refusal(2, 1, ("b",)))
    assert known.last_refusal(2, 1) == Refusal(2, 1, ("b",))
    assert known.last_refusal(2, 3) is None


def test_it_survives_json():
    known = History(
        LARGEST, "/models/digits", (Event(1, PROMOTE, "now", 0.99, "a"),), (Refusal(2, 1, ("b",)),)
    )
    assert from_plain(to_plain(known), "history.json") == known


def damaged(event=(), refusal=(), **values):
    events = [{"version": 1, "action": PROMOTE, **dict(event)}]
    refusals = [{"version": 2, "champion": 1, "reasons": ["worse"], **dict(refusal)}]
    return {**to_plain(History()), "events": events, "refusals": refusals, **values}


@pytest.mark.parametrize(
    "tree",
    [
        *(None, [], {}, {"highest": "1"}, damaged({"x": 1}), damaged(events=5), damaged(refusals=None)),
        *(damaged(highest=wrong) for wrong in (None, "1", 1.5, True, -1, LARGEST + 1)),
        damaged(base_path=5),
        *(damaged({"version": wrong}) for wrong in (None, "1", 1.0, 0, 10**30)),
        *(damaged({key: 5}) for key in ("action", "at", "test_images", "accuracy")),
        *(damaged({"accuracy": wrong}) for wrong in ("0.9", -0.1, float("nan"), True)),
        *(damaged(refusal={key: None}) for key in ("version", "champion", "reasons")),
        damaged(refusal={"reasons": [None]}),
    ],
)
def test_a_damaged_record_says_what_deleting_it_costs(tree):
    with pytest.raises(StoreError, match=r"history.json is damaged .* delete it"):
        from_plain(tree, "history.json")
