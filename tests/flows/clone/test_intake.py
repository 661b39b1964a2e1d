"""What becomes of a waiting batch: kept, set aside with its reason and evidence, or left for the next run.

The clone is a plain folder here: what the stages come to, and whether a batch can be taken and kept, is
decided by the test. Refusing is the real one; tests/flows/test_scheduled.py has the rest with Git and DVC.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from digits.pipeline.repro import Run, StageRun
from digits.runtime.errors import DigitsError
from flows.clone import arrival, inbox, intake
from flows.clone.arrival import BatchArriving, BatchError
from flows.clone.git import CommandFailed
from flows.clone.inbox import Batch, InboxError
from flows.clone.intake import ACCEPTED, LEFT, REFUSED, Intake
from flows.clone.workspace import Workspace
from tests._project import ROOT
from tests.flows._projects import batch, write

GOOD = Run([StageRun("ingest", "ran"), StageRun("validate", "ran")], 1.0, True)
POISONED = StageRun("validate", "failed", 1.0, "labels look exchanged", 3)
CHANGED = "it changed meanwhile: the next run takes it as it is then"


def failed(*stages, error=""):
    return Run(list(stages), 1.0, False, error)


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "clone").mkdir()
    shutil.copy(ROOT / "params.yaml", tmp_path / "clone")
    return Workspace(tmp_path, tmp_path / "clone", "base")


@pytest.fixture
def monday(tmp_path):
    (tmp_path / "inbox").mkdir()
    return batch(tmp_path / "inbox", "monday")


@pytest.fixture
def judge(clone, monday, monkeypatch):
    """Take `monday` and have the stages come to a run; what became of it, and what was taken out again."""

    def taken(run, *, keeps=True, new=True, meanwhile=lambda: None):
        left = []
        digest = arrival.digest(arrival.contents(monday, None))
        known = Batch(monday, "monday-ab12", digest, new)
        monkeypatch.setattr(inbox, "take", lambda *_: known)
        monkeypatch.setattr(inbox, "leave", lambda _, which: left.append(which.name))
        monkeypatch.setattr(inbox, "accept", lambda *_: keeps)
        monkeypatch.setattr(intake, "judge", lambda *_: meanwhile() or run)
        return intake.take_one(clone, monday), left

    return taken


def set_aside(monday):
    """The place of a refused batch and what it holds."""
    place = monday.parent / "quarantine" / "monday"
    return place, sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())


THREE = ["monday/a.png", "monday/b.png", "monday/labels.csv"]


def test_a_batch_that_passes_is_accepted_and_one_that_was_changed_meanwhile_left(judge, clone, monday):
    write(clone.root, "reports/metrics.json", "{}")
    assert judge(GOOD) == (Intake("monday", "accepted", ""), [])
    assert judge(GOOD, keeps=False) == (Intake("monday", LEFT, CHANGED), [])
    found, _ = judge(failed(POISONED), meanwhile=lambda: write(monday, "late.png", "late") and None)
    assert found == Intake("monday", LEFT, CHANGED)
    assert (monday / "late.png").exists() and not set_aside(monday)[1]


@pytest.mark.parametrize(
    "stage",
    [POISONED, StageRun("ingest", "failed", 1.0, "data/incoming/monday-ab12: no labels.csv", 3)],
)
def test_a_batch_is_refused_for_data_that_fail_with_it(judge, clone, monday, stage):
    write(clone.root, "reports/metrics.json", "{}")  # validate did not get to it: there is no evidence
    found, left = judge(failed(StageRun("ingest", "ran"), stage))
    place, files = set_aside(monday)
    reason = stage.error.replace("data/incoming/monday-ab12", str(place / "monday"))
    assert (found, left) == (Intake("monday", REFUSED, reason), ["monday-ab12"])
    assert files == [*THREE, "reason.txt"] and not monday.exists()
    assert (place / "reason.txt").read_text() == f"{reason}\n"


def busy(*_):
    raise DigitsError("another run is at work")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (failed(StageRun("ingest", "failed", 1.0, "no source answers", 3)), "ingest: no source answers"),
        (failed(StageRun("validate", "failed", 1.0, "disk full", 1)), "validate: disk full"),
        (failed(StageRun("ingest", "failed", 1.0, "monday-ab12: odd", 1)), "ingest: monday-ab12: odd"),
        (failed(StageRun("ingest", "not reached"), error="DVC is at work"), "DVC is at work"),
        (None, "another run is at work"),
    ],
)
def test_a_batch_is_left_for_what_is_no_fault_of_its_data(judge, monday, run, why):
    found, left = judge(run, meanwhile=lambda: None if run else busy())
    assert (found, left) == (Intake("monday", LEFT, why), ["monday-ab12"])
    assert monday.exists() and not set_aside(monday)[1]


@pytest.mark.parametrize("rules", [["reports/validation.json"], []], ids=["all", "validate wrote no rules"])
def test_a_refused_batch_has_what_validate_showed_of_it_beside_it(judge, clone, monday, rules):
    write(clone.root, "reports/validation/pictures/bad.png", "bad")
    for name in rules:
        write(clone.root, name, "{}")
    write(clone.scratch, "evidence/validation/old.txt", "of another")
    place, _ = set_aside(monday)
    write(place, "reports/notes.txt", "of a person")
    other = write(clone.scratch, "batch/a.png", "another's")
    found, _ = judge(failed(POISONED))
    assert found == Intake("monday", REFUSED, f"labels look exchanged (the reports on it are in {place})")
    reports = ["reports/notes.txt", *rules, "reports/validation/pictures/bad.png"]
    assert set_aside(monday)[1] == [*THREE, "reason.txt", *reports]
    assert other.exists()


def test_the_reason_names_what_is_in_the_quarantine_and_not_in_the_clone(judge, clone, monday):
    write(clone.root, "reports/validation/doubted.png", "picture")
    said = "look at reports/validation/doubted.png and fix labels of monday-ab12 in data/incoming; "
    said += "batch data/incoming/monday-ab12 is odd"
    found, _ = judge(failed(StageRun("validate", "failed", 1.0, said, 3)))
    place, _ = set_aside(monday)
    reason = (place / "reason.txt").read_text().strip()
    assert reason in found.why and "data/incoming" not in reason
    named = re.findall(r"(?:at|in|batch) (/\S+?)(?:;| |$)", reason)
    assert len(named) == 3 and all(Path(path).exists() for path in named), reason


@pytest.mark.parametrize(
    ("error", "became", "why"),
    [
        (BatchArriving("it was written to"), LEFT, "it was written to"),
        (BatchError("odd is neither a file nor a folder"), REFUSED, "odd is neither a file nor a folder"),
        (RecursionError("too deep"), REFUSED, "can't be taken (RecursionError: too deep)"),
        (UnicodeEncodeError("utf-8", "\udcff\n", 0, 1, "odd"), REFUSED, "(UnicodeEncodeError: "),
        (InboxError("the disk is full"), LEFT, "the disk is full"),
        (CommandFailed("dvc add failed"), LEFT, "dvc add failed"),
    ],
)
def test_whatever_a_batch_raises_refuses_it_and_what_the_machine_raises_does_not(
    clone, monday, monkeypatch, error, became, why
):
    def surprised(*_):
        raise error

    write(clone.root, "reports/validation/seen.txt", "of the data without the batch")
    monkeypatch.setattr(inbox, "take", surprised)
    found = intake.take_one(clone, monday)
    assert (found.batch, found.became) == ("monday", became) and why in found.why and found.why.isprintable()
    assert monday.exists() == (became == LEFT)
    assert set_aside(monday)[1] == ([*THREE, "reason.txt"] if became == REFUSED else [])


def test_a_batch_is_left_where_the_quarantine_can_not_be_written(judge, monday):
    write(monday.parent, "quarantine", "a file")
    found, left = judge(failed(POISONED))
    assert found.became == LEFT and left == ["monday-ab12"] and monday.exists()
    assert found.why.startswith("labels look exchanged; ") and "quarantine" in found.why


@pytest.mark.parametrize(
    ("accepted", "quarantined", "new", "became"),
    [
        (0, 4, True, REFUSED),
        (1, 4, True, ACCEPTED),
        (0, 0, True, ACCEPTED),  # all of it is held out
        (0, 4, False, ACCEPTED),  # by an earlier run, which was killed
    ],
)
def test_a_batch_without_a_usable_row_is_refused_with_the_commonest_reason(
    judge, clone, monday, accepted, quarantined, new, became
):
    counted = {"batch": "monday-ab12", "accepted": accepted, "quarantined": quarantined}
    others = {"batch": "tuesday-cd34", "accepted": 0, "quarantined": 1}
    write(clone.root, "reports/validation.json", json.dumps({"batches": [counted, others]}))
    labels, copies = ("the label is 'x'", "the label is 'y'"), (f"copy of train row {n}" for n in (5, 17, 0))
    rows = "".join(f"monday-ab12,{reason}\n" for reason in ("blank", *labels, *copies))
    write(clone.root, "reports/validation/quarantine.csv", f"batch,reason\ntuesday-cd34,torn\n{rows}")
    found, _ = judge(GOOD, new=new)
    assert found.became == became
    if became == REFUSED:
        why = "none of its 6 rows can be used, 3 of them like this: copy of train row 5"
        place, files = set_aside(monday)
        assert found.why == f"{why} (the reports on it are in {place})"
        assert "reports/validation/quarantine.csv" in files


# --- all of them

WITHOUT = "the data fail validation even without the new batches, so these stay in the inbox"


@pytest.mark.parametrize(
    ("judge", "taken", "said"),
    [
        (lambda *_: GOOD, ["monday", "tuesday"], []),
        (lambda *_: failed(POISONED), [], [WITHOUT]),
        (busy, [], ["the batches stay in the inbox: another run is at work"]),
    ],
    ids=["they pass", "they fail", "nobody knows"],
)
def test_every_batch_that_has_arrived_is_taken_once_the_data_without_them_pass(
    clone, monday, monkeypatch, judge, taken, said
):
    for name in ("monday", "tuesday"):
        write(batch(monday.parent, name), ".complete", "")
    batch(monday.parent, "wednesday")  # still arriving
    told = []
    monkeypatch.setattr(intake, "judge", judge)
    found = intake.take_all(clone, monday.parent, lambda _, path: Intake(path.name, ACCEPTED), told.append)
    assert ([each.batch for each in found], told) == (taken, said)


def test_an_empty_inbox_has_nothing_judged_and_a_missing_one_is_an_error(clone, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(intake, "judge", busy)
    assert intake.take_all(clone, tmp_path / "empty", intake.take_one, pytest.fail) == []
    with pytest.raises(BatchError, match="No such file"):
        intake.take_all(clone, tmp_path / "none", intake.take_one, pytest.fail)


def test_a_run_s_message_tells_of_the_batches_that_were_not_accepted():
    found = [Intake("a", ACCEPTED), Intake("b", REFUSED, "bad"), Intake("c", LEFT, "late")]
    assert intake.summary(found) == "batch b was refused: bad; batch c was left: late"
    assert intake.summary(found[:1]) == intake.summary([]) == ""
