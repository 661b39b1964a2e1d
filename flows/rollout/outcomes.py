"""The ways in which a retraining can end without an error, each with a name and a reason.

The names are states of the flow run, which Prefect and `digits status` show.
"""

from __future__ import annotations

from dataclasses import dataclass

from digits.pipeline.repro import Run

PROMOTED = "Promoted"  # a new version serves
SERVES = "Nothing new"  # what the stages made is in service already
PUBLISHED = "Published"  # a new version waits: a trial or an earlier rollback keeps it from serving
REFUSED = "Refused"  # the gate's verdict: not good enough to be exported
NOT_BETTER = "Not better"  # than the champion
NOT_FIT = "Not fit to serve"  # refused by a real model server
ROLLED_BACK = "Rolled back"  # tried live, and withdrawn
BUSY = "Skipped"  # another scheduled run is working
UNPUBLISHED = "Not published"  # the run was started without publishing


@dataclass(frozen=True)
class Outcome:
    """The end of a retraining. name: one of this module's. version: the one it is about, if any.

    run: the stages. new: whether the version was published by this run.
    """

    name: str
    reason: str
    run: Run
    version: int | None = None
    new: bool = False
