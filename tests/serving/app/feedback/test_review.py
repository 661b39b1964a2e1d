"""A correction is decided once, by one reviewer, with one label an image."""

import asyncio
import sqlite3

import pytest

from digits.runtime.errors import StoreError
from serving.app.feedback import review
from serving.app.feedback.review import DecidedAlready
from tests.serving.app.feedback._corrections import given, given_line, image, line
from tests.serving.app.feedback.conftest import opened


def test_a_decision_is_kept_with_who_and_when_and_the_persons_label_stays(url, using):
    async def act(store):
        first, _ = await store.add(given(1))
        second, _ = await store.add(given(2))
        await review.decide(store, first, "accepted", reviewer="ann", label="9")
        await review.decide(store, second, "rejected", reviewer="x" * 300)
        return await review.rows(store), await review.counts(store)

    (first, second), counts = using(url, act)
    assert (first.state, first.label, first.agreed, first.final) == ("accepted", "1", "9", "9")
    assert (first.reviewer, first.reviewed is not None) == ("ann", True)
    assert (second.state, second.agreed, len(second.reviewer)) == ("rejected", None, 100)
    assert counts == {"pending": 0, "accepted": 1, "rejected": 1, "exporting": 0, "exported": 0}


def test_of_two_reviewers_at_once_the_second_is_told(url):
    async def act():
        async with opened(url, patience=60) as one, opened(url, patience=60) as two:
            for number in range(10):
                identity, _ = await one.add(given(number))
                ended = await asyncio.gather(
                    review.decide(one, identity, "accepted", reviewer="ann"),
                    review.decide(two, identity, "rejected", reviewer="bob"),
                    return_exceptions=True,
                )
                (told,) = [each for each in ended if each is not None]
                assert isinstance(told, DecidedAlready)
                kept = await review.find(two, identity)
                said = f"somebody else has decided: {identity} is {kept.state}, by {kept.reviewer}"
                assert str(told) == said

    asyncio.run(act())


def test_one_image_is_never_accepted_as_two_digits(url, using):
    async def act(store):
        one, _ = await store.add(given(1, label="1"))
        seven, _ = await store.add(given(1, label="7"))
        await review.decide(store, one, "accepted", reviewer="ann")
        with pytest.raises(StoreError, match=f"was accepted as 1 .{one}., so it can't be 7 as well: reject"):
            await review.decide(store, seven, "accepted", reviewer="ann")
        assert (await review.find(store, seven)).state == "pending"
        await review.decide(store, seven, "accepted", reviewer="ann", label="1")

    using(url, act)


def test_deleted_corrections_are_gone_from_the_file_too(tmp_path, using):
    async def add(store):
        return [(await store.add(given(n)))[0] for n in range(3)]

    async def delete(store):
        await review.decide(store, identities[1], "rejected", reviewer="ann")
        assert await review.delete(store, state="rejected") == 1
        assert await review.delete(store, identity=identities[2]) == 1
        assert await review.delete(store, identity=identities[2]) == 0
        with pytest.raises(DecidedAlready, match="no longer there"):
            await review.decide(store, identities[2], "rejected", reviewer="ann")

    url = f"sqlite:///{tmp_path}/feedback.db"
    identities = using(url, add)
    using(url, delete)
    database = sqlite3.connect(tmp_path / "feedback.db")
    assert database.execute("SELECT count(*) FROM corrections").fetchone() == (1,)
    database.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert image(0)[300:500] in content
    assert image(1) not in content and image(2) not in content


# --- a review, key by key


def reviewed(store, keys, texts=(), reviewer="ann"):
    """What a review did and told, from keys and texts."""
    left, lines, written = iter(keys), [], iter(texts)

    async def key():
        return next(left, "")

    async def text():
        return next(written)

    async def act():
        tally = await review.review(store, review.Terminal(key, text, lines.append), reviewer)
        return tally, "\n".join(lines), {row.image: row for row in await review.rows(store)}

    return act()


async def five(store):
    for number in range(5):
        await store.add(given(number))


def test_every_key_does_what_it_says_and_a_review_goes_on_where_it_was_left(url, using):
    async def act(store):
        await five(store)
        return await reviewed(store, "ar?8sq"), await reviewed(store, "r")

    (tally, lines, rows), (second, again, left) = using(url, act)
    assert (tally.accepted, tally.rejected, tally.skipped) == (2, 1, 1)
    states = [(rows[image(n)].state, rows[image(n)].final) for n in range(5)]
    assert states == [
        *(("accepted", "1"), ("rejected", "1"), ("accepted", "8"), ("pending", "1"), ("pending", "1"))
    ]
    assert lines.count(review.KEYS["digit"]) == 6  # with each of five images, and after the key that is none
    assert "the person: 1 · the model: 7 (75%), version 3 · drawing" in lines and "accepted as 8" in lines
    assert second.rejected == 1 and "1 of 2" in again, "it ended when no key came any more"
    assert [left[image(n)].state for n in (3, 4)] == ["rejected", "pending"]


def test_lines_are_drawn_and_accepted_changed_and_rejected(url, using):
    async def act(store):
        for number in range(4):
            await store.add(given_line(number, ["1.50", ""][number % 2]))
        await store.add(given_line(4, "7", image=line(4, width=400).tobytes()))
        return await reviewed(store, "7accrsc", ["1O", "12,5", None])

    tally, told, rows = using(url, act)
    assert (tally.accepted, tally.rejected, tally.skipped) == (2, 1, 1)
    found = [rows[line(number).tobytes()] for number in range(4)]
    assert [(row.state, row.label, row.final) for row in found] == [
        ("accepted", "1.50", "1.50"),
        ("accepted", "", "12,5"),
        ("rejected", "1.50", "1.50"),
        ("pending", "", ""),
    ]
    assert "the person: 1.50 · the model: 150 (75%), version 3 · photo" in told
    assert "the person: no digits · " in told and "accepted as 12,5" in told
    assert "text is '1O', expected digits" in told and "as that digit" not in told
    drawn = told.splitlines()
    assert "█" * 50 in told and max(len(each) for each in drawn if "█" in each) == review.ACROSS


def test_what_somebody_else_decides_meanwhile_is_told_and_the_review_goes_on(url):
    async def act():
        async with opened(url) as mine, opened(url) as other:
            await five(mine)
            rows = await review.rows(mine)
            lines, asked = [], []

            async def key():
                asked.append(None)
                if len(asked) == 1:  # the one that is shown, the next one, and the last is deleted
                    for row in rows[:2]:
                        await review.decide(other, row.id, "rejected", reviewer="bob")
                    await review.delete(other, identity=rows[4].id)
                return "a"

            tally = await review.review(mine, review.Terminal(key, None, lines.append), "ann")
            said = [line for line in lines if line.startswith("somebody else has decided")]
            assert len(said) == 2 and tally.accepted == 2 and len(asked) == 3

    asyncio.run(act())
