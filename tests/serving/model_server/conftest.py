"""Models that several modules serve, and a server of all of them."""

import asyncio
from concurrent.futures import Future

import pytest

from digits_model_server.event_loop import EventLoopServer
from tests.conftest import _once
from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._calls import connected, serving, stub

LABELS = 'version_labels { key: "blue/1" value: 122 } version_labels { key: "green" value: 123 }'


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The base paths of `_models.write_all` by name; don't change them."""
    return {path.name: path for path in _once(tmp_path_factory, "models", _models.write_all).iterdir()}


@pytest.fixture(scope="session")
def half(models):
    """The base path of a model with one version: y = x / 2 + 1."""
    return models["one"]


@pytest.fixture(scope="session")
def server(models, tmp_path_factory):
    """A server of every version of all models; `half` has labels. Only for what changes no setting."""
    flags = ("--allow_version_labels_for_unavailable_models", "--enable_grpc_healthcheck_service=true")
    with serving(tmp_path_factory.mktemp("server"), models, *flags, every=True, half=LABELS) as made:
        yield made


@pytest.fixture(scope="session")
def channel(server):
    with connected(server) as made:
        yield made


@pytest.fixture(scope="session")
def client(server):
    with stub(server) as made:
        yield made


@pytest.fixture
def launch(tmp_path):
    """Starts a server of one base path, for a `with`."""
    return lambda base, *flags, **more: Server(tmp_path / "log", f"--model_base_path={base}", *flags, **more)


class Loop(EventLoopServer):
    """An event loop with its threads, and without a port."""

    async def serve(self) -> None:
        self.mark_ready()
        await self.stopping.wait()

    def ask(self, kind, work, *arguments) -> Future:
        return asyncio.run_coroutine_threadsafe(self.answer(kind, work, *arguments), self.loop)


@pytest.fixture
def loop():
    made = Loop("looped", 4)
    made.start()
    yield made
    made.stop(1)
