import threading
import time
from concurrent.futures import Future

import pytest

from serving.model_server.event_loop import TRIES, EventLoopServer
from serving.model_server.status import UNAVAILABLE, Status


class Server(EventLoopServer):
    def __init__(self, threads=4):
        super().__init__("looped", threads)

    async def serve(self):
        self.mark_ready()
        await self.stopping.wait()

    def ask(self, kind, work, *arguments) -> Future:
        import asyncio

        return asyncio.run_coroutine_threadsafe(self.answer(kind, work, *arguments), self.loop)


@pytest.fixture
def server():
    made = Server()
    made.start()
    yield made
    made.stop(1)


async def where(seconds=0.0):
    time.sleep(seconds)
    return threading.current_thread().name


def test_what_is_quick_is_answered_by_the_loop_itself_once_that_is_known(server):
    places = [server.ask("quick", where).result() for _ in range(TRIES + 3)]
    assert all(place.startswith("looped_") for place in places[:TRIES])
    assert places[TRIES:] == ["looped"] * 3


def test_what_is_slow_never_holds_the_loop_up(server):
    places = [server.ask("slow", where, 0.01).result() for _ in range(TRIES + 3)]
    assert all(place.startswith("looped_") for place in places)


def test_a_kind_that_becomes_slow_leaves_the_loop_after_one_request(server):
    for _ in range(TRIES + 1):
        server.ask("mixed", where).result()
    assert server.ask("mixed", where, 0.05).result() == "looped"
    assert server.ask("mixed", where, 0.05).result().startswith("looped_")


def test_many_at_once_are_found_to_be_quick_too(server):
    """Requests that wait for a thread are not slow: else a server under load would never learn."""
    flood = [server.ask("flood", where, 0.0005) for _ in range(200)]
    for each in flood:
        each.result()
    assert server.ask("flood", where).result() == "looped"


def test_made_up_kinds_take_no_memory_without_end(server):
    for number in range(2500):
        server.ask(number, where).result()
    assert len(server._paces) <= 1000


def test_a_port_that_does_not_open_is_told_to_who_starts():
    class Shut(Server):
        async def serve(self):
            raise Status(UNAVAILABLE, "taken")

    with pytest.raises(Status, match="taken"):
        Shut().start()
