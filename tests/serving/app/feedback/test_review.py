"""A correction is decided once, by one reviewer, with one label an image."""

import asyncio

import pytest

from digits.runtime.errors import StoreError
from serving.app.feedback import review
from serving.app.feedback.review import DecidedAlready
from tests.serving.app.feedback._corrections import given, given_line, image, line
from tests.serving.app.feedback.conftest import add


def test_a_decision_is_kept_with_who_and_when_and_the_persons_label_stays(run, store):
    first, second = run(add(store, given(1), given(2)))
    run(review.decide(store, first, "accepted", reviewer="ann", label="9"))
    run(review.decide(store, second, "rejected", reviewer="x" * 300))
    first, second = run(review.rows(store))
    assert (first.state, first.label, first.agreed, first.final) == ("accepted", "1", "9", "9")
    assert (first.reviewer, first.reviewed is not None) == ("ann", True)
    assert (second.state, second.agreed, len(second.reviewer)) == ("rejected", None, 100)
    counts = {"pending": 0, "accepted": 1, "rejected": 1, "exporting": 0, "exported": 0}
    assert run(review.counts(store)) == counts


def test_of_two_reviewers_at_once_the_second_is_told(run, opening, url):
    one, two = opening(url, patience=60), opening(url, patience=60)

    async def at_once(identity):
        return await asyncio.gather(
            review.decide(one, identity, "accepted", reviewer="ann"),
            review.decide(two, identity, "rejected", reviewer="bob"),
            return_exceptions=True,
        )

    for identity in run(add(one, *map(given, range(10)))):
        (told,) = [each for each in run(at_once(identity)) if each is not None]
        assert isinstance(told, DecidedAlready)
        kept = run(review.find(two, identity))
        assert str(told) == f"somebody else has decided: {identity} is {kept.state}, by {kept.reviewer}"


def test_one_image_is_never_accepted_as_two_digits(run, store):
    one, seven = run(add(store, given(1, label="1"), given(1, label="7")))
    run(review.decide(store, one, "accepted", reviewer="ann"))
    with pytest.raises(StoreError, match=f"was accepted as 1 .{one}., so it can't be 7 as well: reject"):
        run(review.decide(store, seven, "accepted", reviewer="ann"))
    assert run(review.find(store, seven)).state == "pending"
    run(review.decide(store, seven, "accepted", reviewer="ann", label="1"))


def test_deleted_corrections_are_gone_from_the_file_too(run, opening, tmp_path):
    store = opening(f"sqlite:///{tmp_path}/feedback.db")
    _, second, third = run(add(store, *map(given, range(3))))
    run(review.decide(store, second, "rejected", reviewer="ann"))
    assert run(review.delete(store, state="rejected")) == 1
    assert [run(review.delete(store, identity=third)) for _ in range(2)] == [1, 0]
    with pytest.raises(DecidedAlready, match="no longer there"):
        run(review.decide(store, third, "rejected", reviewer="ann"))
    assert run(review.counts(store))["pending"] == 1
    run(store.close())
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert image(0)[300:500] in content
    assert image(1) not in content and image(2) not in content


# --- a review, key by key


async def reviewed(store, keys, texts=()):
    """What a review did and told, from keys and texts; and the rows after it, by their pixels."""
    left, lines, written = iter(keys), [], iter(texts)

    async def key():
        return next(left, "")

    async def text():
        return next(written)

    tally = await review.review(store, review.Terminal(key, text, lines.append), "ann")
    return tally, "\n".join(lines), {row.image: row for row in await review.rows(store)}


def test_every_key_does_what_it_says_and_a_review_goes_on_where_it_was_left(run, store):
    run(add(store, *map(given, range(5))))
    tally, lines, rows = run(reviewed(store, "ar?8sq"))
    assert (tally.accepted, tally.rejected, tally.skipped) == (2, 1, 1)
    assert [(rows[image(n)].state, rows[image(n)].final) for n in range(5)] == [
        *(("accepted", "1"), ("rejected", "1"), ("accepted", "8"), ("pending", "1"), ("pending", "1"))
    ]
    assert lines.count(review.KEYS["digit"]) == 6  # with each of five images, and after the key that is none
    assert "the person: 1 · the model: 7 (75%), version 3 · drawing" in lines and "accepted as 8" in lines
    tally, lines, rows = run(reviewed(store, "r"))
    assert tally.rejected == 1 and "1 of 2" in lines, "it ended when no key came any more"
    assert [rows[image(n)].state for n in (3, 4)] == ["rejected", "pending"]


def test_lines_are_drawn_and_accepted_changed_and_rejected(run, store):
    wide = given_line(4, "7", image=line(4, width=400).tobytes())
    run(add(store, *(given_line(n, ["1.50", ""][n % 2]) for n in range(4)), wide))
    tally, told, rows = run(reviewed(store, "7accrsc", ["1O", "12,5", None]))
    assert (tally.accepted, tally.rejected, tally.skipped) == (2, 1, 1)
    found = [rows[line(number).tobytes()] for number in range(4)]
    assert [(row.state, row.label, row.final) for row in found] == [
        *(("accepted", "1.50", "1.50"), ("accepted", "", "12,5")),
        *(("rejected", "1.50", "1.50"), ("pending", "", "")),
    ]
    assert "the person: 1.50 · the model: 150 (75%), version 3 · photo" in told
    assert "the person: no digits · " in told and "accepted as 12,5" in told
    assert "text is '1O', expected digits" in told and "as that digit" not in told
    drawn = told.splitlines()
    assert "█" * 50 in told and max(len(each) for each in drawn if "█" in each) == review.ACROSS


def test_what_somebody_else_decides_meanwhile_is_told_and_the_review_goes_on(run, opening, url):
    mine, other = opening(url), opening(url)
    run(add(mine, *map(given, range(5))))
    rows, lines, asked = run(review.rows(mine)), [], []

    async def key():
        asked.append(None)
        if len(asked) == 1:  # the one that is shown, the next one, and the last is deleted
            for row in rows[:2]:
                await review.decide(other, row.id, "rejected", reviewer="bob")
            await review.delete(other, identity=rows[4].id)
        return "a"

    tally = run(review.review(mine, review.Terminal(key, None, lines.append), "ann"))
    said = [line for line in lines if line.startswith("somebody else has decided")]
    assert len(said) == 2 and tally.accepted == 2 and len(asked) == 3
