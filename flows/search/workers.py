"""Runs work on Dask workers, here or on a cluster, that reports back while it runs. For sweep and crossval.

Workers are used directly rather than through Prefect's Dask runner: they then need no connection to Prefect's
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
# no page is served: Dask opens ports for them in any case, which want no certificate
PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
PATIENCE = 120.0  # seconds that a worker waits for the answer to a report: then its work is no longer needed
# code, as Dask tells by its spaces: a terminal interrupts workers too, which end with the cluster anyway
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
SILENT = logging.CRITICAL + 1
ANSWERS = 15.0  # seconds that a scheduler has to answer

Report = Callable[[float, float], bool]  # gets the share done and a value; returns whether to go on


class WorkFailed(DigitsError):
    """The work itself failed, not the workers or the connection to them."""


@contextlib.contextmanager
def pool(workers: int, address: str | None, warm: Callable[[], Any]) -> Iterator[Client]:
    """Yield a client of `workers` local processes, or of the scheduler at `address` (`tcp://host:8786`).

    warm: what each worker runs first, in the background. Raises DigitsError when no scheduler answers at the
    address, or it has no workers.
    """
    import dask
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
                    f"the Dask scheduler at {address} has no workers: start some with "
                    f"`dask worker {address} --nthreads 1`"
                )
            warming = _warm(client, warm)  # kept, since Dask drops work whose result nothing refers to
            yield client
            del warming
        return
    with (
        dask.config.set(PAGES),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # Dask runs any code that it is sent, and other users of the machine reach its ports on loopback
            # too: with TLS and a certificate that only these processes have, it is sent none.
            security=True,
            scheduler_kwargs={"dashboard": False},
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.ERROR,
            env=ONE_THREAD,
            preload=[DEAF],
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warming = _warm(client, warm)
        try:
            yield client
        except KeyboardInterrupt:
            logging.getLogger("distributed").setLevel(SILENT)  # it would report all that is broken off
            raise
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
    *arguments: Any,
) -> Any:
    """Run `function(*arguments, tell)` on a worker; `report` answers its calls of `tell(share, value)` here.

    When its worker dies, Dask runs it again on another. Raises WorkFailed when the function raises, or has
    killed several workers; DigitsError when it can't be run, or once `stopping` is set.
    """
    import distributed

    name = f"digits-{uuid.uuid4().hex}"
    events: queue.SimpleQueue[tuple[float, float, str] | None] = queue.SimpleQueue()
    answers: dict[str, Any] = {}
    client.subscribe_topic(name, lambda event: events.put(event[1]))
    future = client.submit(_run, name, function, *arguments, key=name)
    future.add_done_callback(lambda _: events.put(None))
    try:
        while not future.done():
            if stopping.is_set():
                raise DigitsError("interrupted: run the same command again to go on")
            with contextlib.suppress(queue.Empty):
                if event := events.get(timeout=0.5):
                    share, value, reply = event
                    if reply not in answers:
                        answers[reply] = distributed.Queue(reply, client=client)
                    answers[reply].put(report(share, value) if report else True)
        if future.status == "error":  # not the function's: it was tried on several workers, and each died
            raise WorkFailed(_line(future.exception()))
        result, failed = future.result()
        if failed:
            raise WorkFailed(failed)
        return result
    finally:
        future.cancel()
        client.unsubscribe_topic(name)
        for each in answers.values():
            each.close()


def _line(error: BaseException | None) -> str:
    kind = "" if isinstance(error, DigitsError) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}"


def _run(name: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """Run the function on the worker, sending its reports; return its result, or why there is none.

    An exception is returned as a line, since Dask would log it with a traceback.
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
            raise DigitsError(f"no report was answered for {PATIENCE:.0f} s") from None

    try:
        return function(*arguments, tell), ""
    except Exception as error:
        return None, _line(error)
    finally:
        answers.close()
