"""Corrections of the page come to retraining once, though the export that gave them was killed."""

import asyncio

import pytest

from flows.clone.inbox import accept, take, waiting
from flows.clone.workspace import prepare
from serving.app.feedback import export as exporting
from serving.app.feedback import review
from tests.serving.app.feedback._corrections import given
from tests.serving.app.feedback.conftest import opened

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.mark.slow
def test_a_batch_that_an_export_gives_again_is_known_by_its_content(project, inbox, tmp_path):
    async def begin(store):
        for number in range(3):
            identity, _ = await store.add(given(number))
            await review.decide(store, identity, "accepted", reviewer="ann")
        name = await exporting._claim(store)
        rows = await review.rows(store)
        exporting._put(inbox / name, exporting.contents(rows))  # killed here: nobody says "exported"

    async def again(store):
        return await exporting.export(store, inbox)

    def on_the_store(act):
        async def once():
            async with opened(f"sqlite:///{tmp_path}/feedback.db") as store:
                return await act(store)

        return asyncio.run(once())

    on_the_store(begin)
    with prepare(project) as workspace:
        (batch,) = waiting(inbox)
        taken = take(workspace, batch)
        assert taken.new and accept(workspace, taken)
        assert not batch.exists()
        (done,) = on_the_store(again)
        assert done.again and waiting(inbox) == [done.path]
        assert not take(workspace, done.path).new
