"""Reading a pile of scans as a Prefect flow: `prefect deploy flows/read.py:read`, or call it.

The same engine as `digits read --table`, whose command needs no Prefect. The flow run shows how far it is (an
artifact) and keeps the summary; what was interrupted, the next run with the same parameters goes on with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from digits.runtime.errors import DigitsError
from digits.runtime.progress import Progress, heard_by
from flows.reading import pile
from flows.reading.models import Asking
from flows.reading.pile import Order
from flows.reading.worker import How

KEY = "read"  # of the artifacts


class _Shown:
    """A listener: lines go to the run's log, progress to an artifact of it."""

    def __init__(self) -> None:
        self.log = get_run_logger()
        self.artifact: Any = create_progress_artifact(0.0, key=f"{KEY}-progress")

    def say(self, line: str) -> None:
        """Take a line for the user."""
        self.log.info(line)

    def move(self, progress: Progress) -> None:
        """Take how far the work is."""
        if progress.total:
            share = 100.0 * progress.done / progress.total
            update_progress_artifact(self.artifact, share, description=str(progress))


@flow(name="read", persist_result=False, validate_parameters=False)
def read(
    sources: list[str],
    table: str,
    base: str = ".",
    workers: int = 1,
    scheduler: str | None = None,
    servers: list[str] | None = None,
    saved_model: str | None = None,
    form: str | None = None,
    least: float | None = None,
) -> State[Any]:
    """Read a pile into the folder `table`. base: the folder that relative paths begin at.

    saved_model: a SavedModel that each worker loads, instead of asking `servers`. The rest as the options of
    `digits read` for piles. The state's data is the Summary; files that failed don't make the run fail.
    """
    root = Path(base).resolve()
    local = root / saved_model if saved_model else None
    asking = Asking(servers=tuple(servers or ("localhost",)), local=local)
    order = Order(tuple(sources), root / table, How(root, asking, least, form))
    try:
        with heard_by(_Shown()):
            summary = pile.read_pile(order, workers, scheduler)
    except DigitsError as error:  # its text is for a person: no stack trace
        return Failed(message=" ".join(str(error).split()), data=error)
    told = pile.told(summary, order.folder)
    create_markdown_artifact("\n".join(f"- {line}" for line in told.splitlines()), key=KEY)
    return Completed(message=told.splitlines()[0], data=summary)
