"""Waiting batches, one after another: taken into the clone, judged by ingest and validate, kept or refused.

The data as they are in main are judged first: when those fail already, no batch is touched, and the run that
follows fails with the stage's own line. What is no fault of the batch (no network, a full disk) leaves it in
the inbox for the next run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from digits.pipeline import repro
from digits.pipeline.repro import Run, StageRun
from digits.runtime.errors import DataError, DigitsError
from flows.clone import inbox
from flows.clone.arrival import BatchArriving, BatchError
from flows.clone.workspace import Workspace

JUDGE = "validate"  # the stage after which a batch is known to be good
ACCEPTED, REFUSED, LEFT = "accepted", "refused", "left"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Intake:
    """What became of a batch. why: empty for an accepted one."""

    batch: str
    became: str
    why: str = ""


def judged(root: Path, tell: Tell) -> Run:
    """Ingest and validate brought up to date."""
    return repro.up_to_date(root, JUDGE, say=tell)


def one(workspace: Workspace, batch: Path, tell: Tell) -> Intake:
    """Take a batch that has arrived. Raises DigitsError when the inbox or the clone can't be written to."""
    try:
        taken = inbox.take(workspace, batch)
    except BatchArriving as error:
        return Intake(batch.name, LEFT, str(error))
    except BatchError as error:
        return _refused(workspace, batch, batch.name, str(error))
    run = judged(workspace.root, tell)
    failed = next((stage for stage in run.stages if stage.outcome == "failed"), None)
    if run.ok:
        if inbox.accepted(workspace, taken):
            return Intake(batch.name, ACCEPTED)
        return Intake(batch.name, LEFT, "it was changed meanwhile: the next run takes it as it is then")
    if failed is None or not _at_fault(failed, taken.name):
        inbox.leave(workspace, taken)
        return Intake(batch.name, LEFT, str(repro.failure(run)))
    return _refused(workspace, taken, batch.name, failed.error)


def _at_fault(failed: StageRun, name: str) -> bool:
    """Whether a batch is why a stage failed. Validate reads nothing that did not pass without the batch."""
    if failed.code != DataError.exit_code:
        return False
    return failed.stage == JUDGE or name in failed.error


def _refused(workspace: Workspace, batch: inbox.Taken | Path, name: str, reason: str) -> Intake:
    evidence = _evidence(workspace) if isinstance(batch, inbox.Taken) else None  # the clone is put back now
    place = inbox.refuse(workspace, batch, reason)
    if place is None:
        return Intake(name, LEFT, "it was changed meanwhile: the next run takes it as it is then")
    if evidence:
        shutil.copytree(evidence, place / "reports", dirs_exist_ok=True)
        reason = f"{reason} (these reports are in {place})"
    return Intake(name, REFUSED, reason)


def _evidence(workspace: Workspace) -> Path | None:
    """A copy of what validate has to show of the data with the batch: pictures, tables, rules."""
    reports, kept = workspace.root / "reports", workspace.scratch / "evidence"
    if not (reports / "validation").is_dir():
        return None
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(reports / "validation", kept / "validation")
    if (rules := reports / "validation.json").exists():
        shutil.copy2(rules, kept)
    return kept


def summary(found: Sequence[Intake]) -> str:
    """The refused and the left ones in a sentence, for a run's message; empty without any."""
    told = [f"batch {each.batch} was {each.became}: {each.why}" for each in found if each.became != ACCEPTED]
    return "; ".join(told)


def all_waiting(
    workspace: Workspace, folder: Path, take: Callable[[Workspace, Path], Intake], tell: Tell
) -> list[Intake]:
    """Take every batch that has arrived in the folder. Raises DigitsError when the folder is missing."""
    found = inbox.waiting(folder)
    if not found:
        return []
    try:
        if not judged(workspace.root, tell).ok:
            tell("the data without the new batches are refused already: the batches stay in the inbox")
            return []
    except DigitsError as error:
        tell(f"the batches stay in the inbox: {error}")
        return []
    return [take(workspace, batch) for batch in found]
