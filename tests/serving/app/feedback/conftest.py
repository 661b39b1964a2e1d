"""Stores on each database that is supported."""

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
def run():
    """Run a coroutine; what it returns."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def opening(run):
    """Open the store of a URL, until the test ends."""
    with contextlib.ExitStack() as stack:

        def opening(url, **options):
            store = FeedbackStore(url, **options)
            stack.callback(lambda: run(store.close()))
            run(store.open())
            return store

        yield opening


@pytest.fixture
def store(opening, url):
    """An open store that holds nothing yet."""
    return opening(url)


@contextlib.asynccontextmanager
async def opened(url, **options):
    store = FeedbackStore(url, **options)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


async def add(store, *corrections):
    """Keep corrections; their ids."""
    return [(await store.add(each))[0] for each in corrections]
