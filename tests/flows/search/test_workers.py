import os
import signal
import threading
import time

import pytest

from digits.runtime.errors import DigitsError, ParamsError
from flows.search import workers


def nothing():
    pass


def count(limit, tell):
    for number in range(limit):
        if not tell(number / limit, float(number)):
            return number
    return limit


def wrong(tell):
    raise ParamsError("a key is wrong")


def broken(tell):
    raise ZeroDivisionError("no\nlines")


def dies_once(flag, tell):
    tell(0.5, 1.0)
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return tell(0.9, 2.0)
    os.kill(os.getpid(), signal.SIGKILL)


def for_ever(tell):
    while tell(0.1, 0.0):
        time.sleep(0.05)


@pytest.fixture(scope="module")
def client():
    with workers.pool(2, None, nothing) as made:
        yield made


def work(client, report, function, *given):
    return workers.work(client, threading.Event(), report, function, *given)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestWork:
    def test_every_report_is_answered_in_turn(self, client):
        told = []
        assert work(client, lambda *r: told.append(r) or True, count, 4) == 4
        assert told == [(0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (0.75, 3.0)]

    def test_it_stops_when_it_is_told_to(self, client):
        assert work(client, lambda share, _: share < 0.5, count, 10) == 5

    def test_what_it_raises_comes_in_a_line(self, client):
        with pytest.raises(workers.WorkFailed, match=r"^a key is wrong$"):
            work(client, None, wrong)
        with pytest.raises(workers.WorkFailed, match=r"^ZeroDivisionError: no lines$"):
            work(client, None, broken)

    def test_a_worker_that_dies_is_replaced_and_the_work_done_again(self, client, tmp_path):
        told = []
        assert work(client, lambda *r: told.append(r) or True, dies_once, str(tmp_path / "flag")) is True
        assert told == [(0.5, 1.0), (0.5, 1.0), (0.9, 2.0)]

    def test_it_is_broken_off_when_the_flow_ends(self, client):
        stopping = threading.Event()
        with pytest.raises(DigitsError, match="interrupted") as told:
            workers.work(client, stopping, lambda *_: stopping.set() or True, for_ever)
        assert not isinstance(told.value, workers.WorkFailed)
