import contextlib
import os
import signal
import threading
import time

import distributed
import psutil
import pytest
import requests

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


def test_nobody_else_on_this_machine_can_use_the_workers(client):
    family = psutil.Process().children(recursive=True)
    ports = {
        c.laddr for p in [psutil.Process(), *family] for c in p.net_connections() if c.status == "LISTEN"
    }
    ours = [address for address in ports if address.port in _ports(client)]
    assert len(ours) == 3 and {address.ip for address in ports} == {"127.0.0.1"}
    for address in ours:
        with pytest.raises(OSError, match=r"in 3 s|closed|Timed out"):
            distributed.Client(f"tcp://127.0.0.1:{address.port}", timeout=3)
    for address in ports - set(ours):  # its pages
        for path in ("/", "/json/identity.json", "/info/main/workers.html", "/status", "/health"):
            with contextlib.suppress(requests.ConnectionError):
                found = requests.get(f"http://127.0.0.1:{address.port}{path}", timeout=60)
                assert found.status_code == 404, path


def _ports(client):
    addresses = [client.scheduler.address, *client.scheduler_info(n_workers=-1)["workers"]]
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
    return {int(address.rpartition(":")[2]) for address in addresses}


pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_every_report_is_answered_in_turn_until_it_is_told_to_stop(client):
    told = []
    assert work(client, lambda *r: told.append(r) or True, count, 4) == 4
    assert told == [(0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (0.75, 3.0)]
    assert work(client, lambda share, _: share < 0.5, count, 10) == 5


def test_what_it_raises_comes_in_a_line(client):
    with pytest.raises(workers.WorkFailed, match=r"^a key is wrong$"):
        work(client, None, wrong)
    with pytest.raises(workers.WorkFailed, match=r"^ZeroDivisionError: no lines$"):
        work(client, None, broken)


def test_a_worker_that_dies_is_replaced_and_the_work_done_again(client, tmp_path):
    told = []
    assert work(client, lambda *r: told.append(r) or True, dies_once, str(tmp_path / "flag")) is True
    assert told == [(0.5, 1.0), (0.5, 1.0), (0.9, 2.0)]


def test_it_is_broken_off_when_the_flow_ends(client):
    stopping = threading.Event()
    with pytest.raises(DigitsError, match="interrupted") as told:
        workers.work(client, stopping, lambda *_: stopping.set() or True, for_ever)
    assert not isinstance(told.value, workers.WorkFailed)
