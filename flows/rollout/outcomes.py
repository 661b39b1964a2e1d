"""The ways in which a retraining can end without an error, each with a name and a reason.

The names are states of the flow run, which Prefect and `digits status` show.
"""

from __future__ import annotations

from dataclasses import dataclass

from digits.pipeline.repro import Run
from digits.runtime.errors import DigitsError, GateRefused, StoreError
from serving.checks.comparison import Comparison

PROMOTED = "Promoted"  # a new version serves
SERVES = "Nothing new"  # what the stages made is in service already
PUBLISHED = "Published"  # a new version waits: a trial or an earlier rollback keeps it from serving
REFUSED = "Refused"  # the gate's verdict: not good enough to be exported
NOT_BETTER = "Not better"  # than the champion
NOT_FIT = "Not fit to serve"  # refused by a real model server
ROLLED_BACK = "Rolled back"  # tried live, and withdrawn
BUSY = "Skipped"  # another scheduled run is working
UNPUBLISHED = "Not published"  # the run was started without publishing

EXIT_CODES = dict.fromkeys((REFUSED, NOT_BETTER, ROLLED_BACK), GateRefused.exit_code) | {
    NOT_FIT: StoreError.exit_code,
    BUSY: DigitsError.exit_code,
}


@dataclass(frozen=True)
class Outcome:
    """The end of a retraining. name: one of this module's. version: the one it is about, if any.

    run: the stages. new: whether the version was published by this run. comparison: with the version in
    service, if there was one.
    """

    name: str
    reason: str
    run: Run
    version: int | None = None
    new: bool = False
    comparison: Comparison | None = None

    @property
    def exit_code(self) -> int:
        """The code of a command that ends so: that of the error which a command for this step alone has."""
        return EXIT_CODES.get(self.name, 0)


def unpublished(run: Run) -> Outcome:
    """The outcome of a run that was started without publishing."""
    return Outcome(UNPUBLISHED, "the run was started without publishing", run)
