"""The fake server, and clients of every kind behind one face."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from digits_client import AsyncDigitClient, DigitClient
from tests.serving.client import _fake

KINDS = [("grpc", DigitClient), ("rest", DigitClient), ("grpc", AsyncDigitClient), ("rest", AsyncDigitClient)]


class Face:
    """A client whose methods answer synchronously, whatever it is."""

    def __init__(self, client, runner):
        self.client, self.runner = client, runner

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*args, **kwargs):
            given = method(*args, **kwargs)
            return self.runner.run(_wait(given)) if inspect.isawaitable(given) else given

        return call


async def _wait(awaitable):
    return await awaitable


@pytest.fixture(scope="session")
def runner():
    """One event loop for all: gRPC's poller does not like many."""
    with asyncio.Runner() as one:
        yield one


@pytest.fixture
def fake():
    with _fake.serving() as server:
        yield server


@pytest.fixture(params=KINDS, ids=["grpc-sync", "rest-sync", "grpc-async", "rest-async"])
def kind(request):
    return request.param


@pytest.fixture
def transport(kind):
    return kind[0]


@pytest.fixture
def connect(kind, runner):
    """Make a client of this kind for an address; closed after the test."""
    made = []

    def make(address, **options):
        transport, cls = kind
        made.append(Face(cls(address, transport, **options), runner))
        return made[-1]

    yield make
    for face in made:
        face.close()


@pytest.fixture
def client(connect, fake, transport):
    return connect(fake.address(transport))
