import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from digits_model_server.batching.batcher import Batcher
from digits_model_server.batching.scheduler import Scheduler
from digits_model_server.batching.settings import BatchSettings, Pool
from digits_model_server.event_loop import TRIES, run_blocking
from digits_model_server.status import DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, Status
from tests.serving.model_server._calls import until

X, Y = ("x:0",), ("y:0",)


class Model:
    """Doubles its input; notes what it is run with. Waits for `gate` in every run."""

    def __init__(self, threads=2):
        self.runs, self.seconds, self.gate = [], [], threading.Event()
        self.gate.set()
        self.scheduler = Scheduler(Pool(threads), None)
        self.batched = Batcher(self.run, BatchSettings(), self.scheduler)

    def run(self, feeds, fetches, arrays, seconds):
        assert (feeds, fetches) == (X, Y)
        self.runs.append(arrays[0].tolist())
        self.seconds.append(seconds)
        self.gate.wait(20)
        return [2 * arrays[0]]

    async def one(self, *values, seconds=None):
        return (await self.batched.run(X, Y, [np.array(values)], seconds))[0].tolist()

    def ask(self, *values, seconds=None):
        return run_blocking(self.one(*values, seconds=seconds))

    def busy(self, pool):
        """Requests that hold up both threads until `gate` is set."""
        self.runs.clear()
        self.gate.clear()
        first = []
        for number in (1, 2):
            first.append(pool.submit(self.ask, 0))
            until(lambda number=number: len(self.runs) == number)
        return first

    def all(self, *requests, seconds=None):
        """Answers of requests that wait together while an earlier one runs."""
        with ThreadPoolExecutor(32) as pool:
            first = self.busy(pool)
            found = [pool.submit(self.ask, *values, seconds=seconds) for values in requests]
            until(lambda: self.batched._waiting == 2 + len(requests))
            self.runs.clear()
            self.gate.set()
            assert [each.result() for each in first] == [[0], [0]]
            return [each.result() for each in found]


@pytest.fixture
def model():
    return Model()


def test_requests_that_wait_together_are_run_together_and_get_their_own_answers(model):
    assert model.all([1], [2, 3], [4]) == [[2], [4, 6], [8]]
    assert len(model.runs) == 1 and sorted(model.runs[0]) == [1, 2, 3, 4]


def test_a_request_with_a_deadline_that_has_passed_is_not_run(model):
    with ThreadPoolExecutor(4) as pool:
        first = model.busy(pool)
        late = pool.submit(model.ask, 1, seconds=0.01)
        patient = pool.submit(model.ask, 2, seconds=20)
        until(lambda: model.batched._waiting == 4)
        time.sleep(0.05)
        model.gate.set()
        with pytest.raises(Status, match="timeout exceeded while waiting in batching queue") as caught:
            late.result()
        assert caught.value.code == RESOURCE_EXHAUSTED and patient.result() == [4]
        assert [each.result() for each in first] == [[0], [0]]
    assert model.runs[-1] == [2] and 15 < model.seconds[-1] <= 20


def test_a_run_has_the_time_of_the_most_patient_request(model):
    model.all([1], [2], seconds=5)
    assert 3 < model.seconds[-1] <= 5
    model.all([1], [2])
    assert model.seconds[-1] is None


def test_a_run_that_takes_too_long_is_not_tried_again_one_by_one(model):

    def slow(*_):
        model.runs.append("slow")
        model.gate.wait(20)
        raise Status(DEADLINE_EXCEEDED, "too late")

    model.batched._run = slow
    with ThreadPoolExecutor(8) as pool:
        first = model.busy(pool)
        others = [pool.submit(model.ask, 1) for _ in range(3)]
        until(lambda: model.batched._waiting == 5)
        model.gate.set()
        assert {str(each.exception()) for each in (*first, *others)} == {"DEADLINE_EXCEEDED: too late"}
    assert len(model.runs) == 3


def test_an_answer_of_the_wrong_size_and_a_crash_are_errors_of_the_requests_and_the_threads_live_on(model):
    model.batched._run = lambda *_: [np.zeros(7)]
    with pytest.raises(Status, match="0th dimension does not equal"):
        model.ask(1)
    model.batched._run = lambda *_: 1 / 0
    for _ in range(4):
        with pytest.raises(Status, match="ZeroDivisionError"):
            model.ask(1)
    model.batched._run = model.run
    assert model.ask(3) == [6]


def test_closing_waits_for_what_is_queued(model):
    with ThreadPoolExecutor(8) as pool:
        model.gate.clear()
        asked = [pool.submit(model.ask, value) for value in range(6)]
        until(lambda: model.batched._waiting == 6)
        closing = pool.submit(model.batched.close)
        time.sleep(0.05)
        assert not closing.done()
        model.gate.set()
        closing.result(20)
        assert sorted(each.result()[0] for each in asked) == [0, 2, 4, 6, 8, 10]


def test_all_models_share_the_threads():
    one, other = Model(threads=1), Model()
    other.batched = Batcher(other.run, BatchSettings(), one.scheduler)
    with ThreadPoolExecutor(4) as pool:
        one.gate.clear()
        first = pool.submit(one.ask, 1)
        until(lambda: one.runs)
        second = pool.submit(other.ask, 2)
        until(lambda: other.batched._waiting == 1)
        time.sleep(0.05)
        assert not other.runs, "the only thread is busy with the other model"
        one.gate.set()
        assert (first.result(20), second.result(20)) == ([2], [4])


# --- driven by an event loop


def test_a_loop_that_brings_many_requests_has_them_run_together(model, loop):
    for value in range(TRIES + 1):
        assert loop.ask("kind", model.one, value).result(20) == [2 * value]

    async def many():
        return await asyncio.gather(*(loop.answer("kind", model.one, value) for value in range(100)))

    model.runs.clear()
    answers = asyncio.run_coroutine_threadsafe(many(), loop.loop).result(20)
    assert answers == [[2 * value] for value in range(100)] and len(model.runs) < 10


def test_a_quick_model_s_lonely_request_is_run_by_the_loop_itself(model, loop):
    places = []

    def run(*given):
        places.append(threading.current_thread().name)
        return model.run(*given)

    model.batched._run = run
    assert loop.ask("kind", model.one, 1).result(20) == [2] and places != ["looped"]
    until(lambda: loop.ask("kind", model.one, 3).result(20) == [6] and places[-1] == "looped")


def test_a_client_that_goes_while_its_batch_runs_leaves_nothing_behind(model, loop):
    closed = threading.Event()

    async def one(value):
        try:
            return await model.one(value)
        finally:
            closed.set()

    for value in range(TRIES + 1):
        loop.ask("kind", one, value).result(20)
    closed.clear()
    model.gate.clear()
    asked = loop.ask("kind", one, 1)
    until(lambda: len(model.runs) == TRIES + 2)
    asked.cancel()
    assert closed.wait(20)
    model.gate.set()
    model.batched.close()
    assert loop.ask("kind", one, 4).result(20) == [8]
