"""How a retraining can end well: each way has a name and a reason, none is an exception."""

from __future__ import annotations

from dataclasses import dataclass

from digits.pipeline.repro import Run

PROMOTED = "Promoted"  # a new version serves
SERVES = "Nothing new"  # what the stages made is what serves already
PUBLISHED = "Published"  # a new version waits: a trial or an earlier rollback keeps it from serving
REFUSED = "Refused"  # the gate's verdict: not good enough to be exported
NOT_BETTER = "Not better"  # than the champion
NOT_FIT = "Not fit to serve"  # refused by a real model server
ROLLED_BACK = "Rolled back"  # tried live, and withdrawn
BUSY = "Skipped"  # another scheduled run is at work
UNPUBLISHED = "Not published"  # nobody asked for it


@dataclass(frozen=True)
class Outcome:
    """What a retraining came to. name: one of this module's; version: the one that it is about."""

    name: str
    reason: str
    run: Run
    version: int | None = None
    new: bool = False
