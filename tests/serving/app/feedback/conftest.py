"""A store on each database that is supported."""

import asyncio
import contextlib

import pytest

from serving.app.feedback.store import FeedbackStore
from tests.serving.app._postgres import NEEDED, running

POSTGRES = pytest.param("postgresql", marks=NEEDED)


@pytest.fixture(scope="session")
def postgres():
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", POSTGRES])
def url(request, tmp_path):
    """Of a database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/kept/feedback.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def using():
    """Run a coroutine function on an open store of a URL; what it returns."""

    def run(url, act, **options):
        async def once():
            async with opened(url, **options) as store:
                return await act(store)

        return asyncio.run(once())

    return run


@contextlib.asynccontextmanager
async def opened(url, **options):
    store = FeedbackStore(url, **options)
    try:
        await store.open()
        yield store
    finally:
        await store.close()
