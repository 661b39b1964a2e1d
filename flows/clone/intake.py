"""Takes the waiting batches one by one, has ingest and validate judge each, and accepts or refuses it.

Scheduled runs call it before the stages. The data in main are judged first: if those fail already, no batch
is touched, and the run that follows fails with the stage's own error line. A failure that is not the batch's
fault (no network, a full disk) leaves it in the inbox for the next run. None keeps the other batches waiting.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from digits import files
from digits.pipeline import repro
from digits.pipeline.repro import Run, StageRun
from digits.runtime.errors import DataError, DigitsError
from flows.clone import inbox
from flows.clone.arrival import BatchArriving, BatchError, printable
from flows.clone.dvc_files import INCOMING
from flows.clone.workspace import Workspace

JUDGE = "validate"  # the stage after which a batch is known to be good
ACCEPTED, REFUSED, LEFT = "accepted", "refused", "left"
CHANGED = "it changed meanwhile: the next run takes it as it is then"

Log = Callable[[str], None]


@dataclass(frozen=True)
class Intake:
    """The result for one batch. became: ACCEPTED, REFUSED or LEFT (in the inbox). why: empty if accepted."""

    batch: str
    became: str
    why: str = ""


def judge(root: Path) -> Run:
    """Bring ingest and validate up to date; return their run."""
    return repro.bring_up_to_date(root, JUDGE)


def take_one(workspace: Workspace, batch: Path) -> Intake:
    """Take a complete batch and judge it. Raises DigitsError when the clone is unusable even without it."""
    try:
        taken = inbox.take(workspace, batch)
    except BatchArriving as error:
        return Intake(batch.name, LEFT, str(error))
    except BatchError as error:
        return _refused(workspace, batch, batch.name, str(error))
    except DigitsError as error:  # the disk, Git or DVC
        return Intake(batch.name, LEFT, str(error))
    except Exception as error:  # only what is in the batch can surprise here
        what = f"{type(error).__name__}: {error}"
        return _refused(workspace, batch, batch.name, f"batch {batch} can't be taken ({what})")
    try:
        return _judged(workspace, batch, taken)
    except DigitsError as error:
        inbox.leave(workspace, taken)
        return Intake(batch.name, LEFT, str(error))


def _judged(workspace: Workspace, batch: Path, taken: inbox.Batch) -> Intake:
    run = judge(workspace.root)
    failed = repro.failed_stage(run)
    if run.ok:
        if taken.new and (reason := _unusable(workspace.root / "reports", taken.name)):
            return _refused(workspace, taken, batch.name, reason)
        if inbox.accept(workspace, taken):
            return Intake(batch.name, ACCEPTED)
        return Intake(batch.name, LEFT, CHANGED)
    if failed is None or not _at_fault(failed, taken.name):
        inbox.leave(workspace, taken)
        return Intake(batch.name, LEFT, repro.failure(run))
    return _refused(workspace, taken, batch.name, failed.error)


def _unusable(reports: Path, name: str) -> str | None:
    """Why none of a batch's rows can be used, from validate's reports; None if one can."""
    if not (reports / "validation.json").exists():
        return None
    counted = files.read_json(reports / "validation.json").get("batches", [])
    if not any(each["batch"] == name and each["accepted"] == 0 < each["quarantined"] for each in counted):
        return None
    table = (reports / "validation" / "quarantine.csv").read_text("utf-8").splitlines()
    reasons = [row["reason"] for row in csv.DictReader(table) if row["batch"] == name]
    kinds = [re.split(r"['\d]", reason)[0] for reason in reasons]  # without a row's own particulars
    counts = Counter(kinds)
    commonest = max(counts, key=lambda kind: counts[kind])
    example = reasons[kinds.index(commonest)]
    if len(reasons) == 1:
        return f"its only row can't be used: {example}"
    return f"none of its {len(reasons)} rows can be used, {counts[commonest]} of them like this: {example}"


def _at_fault(failed: StageRun, name: str) -> bool:
    """Whether a batch made a stage fail. Apart from it, validate reads only data that passed before."""
    if failed.code != DataError.exit_code:
        return False
    return failed.stage == JUDGE or name in failed.error


def _refused(workspace: Workspace, batch: inbox.Batch | Path, name: str, reason: str) -> Intake:
    reason = printable(reason)
    evidence = _evidence(workspace) if isinstance(batch, inbox.Batch) else None  # before the clone is reset
    try:
        place = inbox.refuse(workspace, batch, reason)
    except (BatchError, inbox.InboxError) as error:  # the quarantine can't be written
        return Intake(name, LEFT, f"{reason}; {error}")
    if place is None:
        return Intake(name, LEFT, CHANGED)
    if isinstance(batch, inbox.Batch):
        reason = _from_here(reason, batch, place)
        files.write_text(place / "reason.txt", f"{reason}\n")
    if evidence:
        shutil.copytree(evidence, place / "reports", dirs_exist_ok=True)
        reason = f"{reason} (the reports on it are in {place})"
    return Intake(name, REFUSED, reason)


def _from_here(reason: str, batch: inbox.Batch, place: Path) -> str:
    """A stage's reason with the quarantine's paths in place of the clone's, which the next run changes."""
    original = str(place / batch.original.name)
    reason = reason.replace(f"{INCOMING}/{batch.name}", original).replace(f"in {INCOMING}", f"in {original}")
    return reason.replace("reports/validation", str(place / "reports" / "validation"))


def _evidence(workspace: Workspace) -> Path | None:
    """Copy validate's reports on the data with the batch: pictures, tables, rules."""
    reports, kept = workspace.root / "reports", workspace.scratch / "evidence"
    if not (reports / "validation").is_dir():
        return None
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(reports / "validation", kept / "validation")
    if (rules := reports / "validation.json").exists():
        shutil.copy2(rules, kept)
    return kept


def summary(intakes: Sequence[Intake]) -> str:
    """The batches that were refused or left, in one line for a run's message; empty if there are none."""
    others = [each for each in intakes if each.became != ACCEPTED]
    return "; ".join(f"batch {each.batch} was {each.became}: {each.why}" for each in others)


def take_all(
    workspace: Workspace, folder: Path, take: Callable[[Workspace, Path], Intake], log: Log
) -> list[Intake]:
    """Take every complete batch in the folder. Raises DigitsError when the folder is missing.

    take: takes one batch, as `take_one` does.
    """
    batches = inbox.waiting(folder)
    if not batches:
        return []
    try:
        if not judge(workspace.root).ok:
            log("the data fail validation even without the new batches, so these stay in the inbox")
            return []
    except DigitsError as error:
        log(f"the batches stay in the inbox: {error}")
        return []
    return [take(workspace, batch) for batch in batches]
