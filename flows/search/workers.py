"""Dask workers of this machine or of a cluster, and work on them that reports back while it runs.

Workers are asked directly rather than through Prefect's Dask runner: they then need no way to Prefect's
server nor to the study, only to Dask's scheduler. Each piece of work has a thread in the flow's process that
waits for it and answers its reports; Prefect sees that thread as a task run.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from digits.runtime.errors import DigitsError

if TYPE_CHECKING:
    from distributed import Client

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
} | {"TF_CPP_MIN_LOG_LEVEL": "2"}
PATIENCE = (
    120.0  # seconds that a worker waits for the answer to a report: then nobody wants its work any more
)
ANSWERS = 15.0  # seconds that a scheduler has to answer

Report = Callable[[float, float], bool]  # (share done, value) → whether to go on


class FailedError(DigitsError):
    """The work itself failed, not what carried it."""


@contextlib.contextmanager
def pool(workers: int, address: str | None, warm: Callable[[], Any]) -> Iterator[Client]:
    """A client of `workers` local processes, or of the scheduler at `address` (`tcp://host:8786`).

    warm: what each worker does first, while nobody waits. Raises DigitsError when no scheduler answers there,
    or it has no workers.
    """
    import distributed

    logging.getLogger("distributed").setLevel(logging.ERROR)
    if address:
        try:
            client = distributed.Client(address, timeout=ANSWERS)
        except (OSError, ValueError) as error:
            raise DigitsError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}): start one with "
                "`dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`"
            ) from None
        with client:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                raise DigitsError(
                    f"the Dask scheduler at {address} has no workers: `dask worker {address} --nthreads 1`"
                )
            warming = _warm(client, warm)  # held, since Dask drops what nobody waits for
            yield client
            del warming
        return
    with (
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.ERROR,
            env=ONE_THREAD,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warming = _warm(client, warm)
        yield client
        del warming


def _warm(client: Client, warm: Callable[[], Any]) -> list[Any]:
    return [
        client.submit(warm, workers=[worker], pure=False)
        for worker in client.scheduler_info(n_workers=-1)["workers"]
    ]


def work(
    client: Client,
    stopping: threading.Event,
    report: Report | None,
    function: Callable[..., Any],
    *given: Any,
) -> Any:
    """`function(*given, tell)` on a worker; its `tell(share, value)` is answered by `report` here.

    When its worker dies, Dask runs it again on another. Raises FailedError when the function raises, or has
    killed several workers; DigitsError when it can't be run, or once `stopping` is set.
    """
    import distributed

    name = f"digits-{uuid.uuid4().hex}"
    heard: queue.SimpleQueue[tuple[float, float, str] | None] = queue.SimpleQueue()
    answers: dict[str, Any] = {}
    client.subscribe_topic(name, lambda event: heard.put(event[1]))
    future = client.submit(_reporting, name, function, *given, key=name)
    future.add_done_callback(lambda _: heard.put(None))
    try:
        while not future.done():
            if stopping.is_set():
                raise DigitsError("broken off: run the same command again to go on")
            with contextlib.suppress(queue.Empty):
                if told := heard.get(timeout=0.5):
                    share, value, reply = told
                    if reply not in answers:
                        answers[reply] = distributed.Queue(reply, client=client)
                    answers[reply].put(report(share, value) if report else True)
        if future.status == "error":  # of the carrier: it was tried on several workers, and each died
            raise FailedError(_line(future.exception()))
        result, failed = future.result()
        if failed:
            raise FailedError(failed)
        return result
    finally:
        future.cancel()
        client.unsubscribe_topic(name)
        for each in answers.values():
            each.close()


def _line(error: BaseException | None) -> str:
    kind = "" if isinstance(error, DigitsError) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}"


def _reporting(name: str, function: Callable[..., Any], *given: Any) -> tuple[Any, str]:
    """On the worker: run, and tell the thread that waits; the result, or why there is none.

    What it raises is returned as a line, since Dask would log it with a traceback.
    """
    import distributed

    worker = distributed.get_worker()
    reply = f"{name}-{uuid.uuid4().hex}"  # of this attempt: an answer to one that died is not for it
    answers = distributed.Queue(reply, client=distributed.get_client())

    def tell(share: float, value: float) -> bool:
        worker.log_event(name, (share, value, reply))
        try:
            return bool(answers.get(timeout=PATIENCE))
        except TimeoutError:
            raise DigitsError(f"nobody answered a report for {PATIENCE:.0f} s") from None

    try:
        return function(*given, tell), ""
    except Exception as error:
        return None, _line(error)
    finally:
        answers.close()
