"""Batches from the inbox into the clone: taken, then accepted (the original goes) or refused (set aside).

The content decides what a batch is. Whoever is killed between two steps leaves the batch in the inbox or
safe in the project's repository, mostly both; the next run finds it there by its digest and neither loses
it nor takes it twice.

    <inbox>/<batch>                      waiting
    <inbox>/quarantine/<batch>/          refused: reason.txt and the batch as it came; move it back to retry
    <inbox>/.accepted-*, .deleted-*      an original on its way out; the next take or accept ends that
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from digits import files
from flows.clone import arrival, dvc_files
from flows.clone.arrival import STILL, BatchArriving, BatchError
from flows.clone.dvc_files import ACCEPTED, BASE, INCOMING
from flows.clone.git import dvc, git, identity
from flows.clone.workspace import Workspace, settle

QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Taken:
    """A batch in the clone. original: in the inbox. new: not accepted by an earlier run, nor in main."""

    original: Path
    name: str
    digest: str
    new: bool


def waiting(inbox: Path, still: float = STILL) -> list[Path]:
    """The batches that have arrived whole, by name; see flows.clone.arrival. still: seconds without a write.

    Raises BatchError when the inbox is missing.
    """
    with _plain_errors(inbox):
        entries = sorted(
            path for path in inbox.iterdir() if path.name != QUARANTINE and arrival.is_batch(path)
        )
    now = time.time()
    return [path for path in entries if arrival.arrived(path, now, still)]


def take(workspace: Workspace, batch: Path) -> Taken:
    """Copy a batch into the clone, `dvc add` it and commit that; content that is there already is not added.

    Raises BatchArriving when somebody writes to it meanwhile, other BatchErrors when it should be refused.
    """
    root = workspace.root
    with _plain_errors(batch):
        _let_go(workspace, batch.parent)
        staged = _copy(batch, workspace.scratch / "batch")
        digest = arrival.digest(arrival.contents(staged))
        here = dvc_files.digests(root, dvc_files.listed(root, "HEAD"))
        if known := [name for name, other in here.items() if other == digest]:
            return Taken(batch, known[0], digest, new=digest not in _safe(workspace))
        name = _name(batch, digest, dvc_files.once_in_main(root))
        folder = root / INCOMING / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(folder)
    dvc(root, "add", "--quiet", f"{INCOMING}/{name}")
    if dvc_files.digest_of(folder.with_name(f"{name}.dvc").read_text(encoding="utf-8")) != digest:
        settle(root, git(root, "rev-parse", "HEAD"))
        raise BatchError(
            f"DVC leaves out files of batch {batch}, by their names: .dvcignore must not list them"
        )
    git(root, "add", "--force", "--", f"{INCOMING}/{name}.dvc", dvc_files.IGNORES)
    git(root, "commit", "--quiet", "-m", f"Incoming batch {name}", env=identity(workspace.project))
    return Taken(batch, name, digest, new=True)


def accepted(workspace: Workspace, taken: Taken) -> bool:
    """Keep a taken batch for good, then remove its original; whether that was done.

    An original that has other content by now stays: the next run takes it as it is then, instead of this one.
    """
    project, root, inbox = workspace.project, workspace.root, taken.original.parent
    original, here = _digest(taken.original), dvc_files.listed(root, "HEAD")
    if original not in (None, taken.digest) or taken.name not in here:
        return False
    if taken.digest not in _safe(workspace):
        kept = dvc_files.listed(root, ACCEPTED) | {taken.name: here[taken.name]}
        git(root, "update-ref", ACCEPTED, dvc_files.carrying(project, root, kept))
        dvc_files.hand_over(project, root, f"+{ACCEPTED}:{ACCEPTED}")
        os.sync()  # neither Git nor DVC waits for the disk
    with _plain_errors(taken.original):
        if original is not None:
            aside = inbox / f".accepted-{taken.digest[:8]}"
            aside.mkdir(exist_ok=True)
            taken.original.rename(_free(aside / taken.original.name))
        return _let_go(workspace, inbox)


def refuse(workspace: Workspace, batch: Taken | Path, reason: str) -> Path | None:
    """Take a batch out of the clone and move its original to quarantine, with the reason; where to.

    None when the original is gone or has other content by now: the next run looks at that. Accepted batches
    stay in the clone. Its tree starts again from main and the other batches: run the stages again.
    """
    original = batch.original if isinstance(batch, Taken) else batch
    if isinstance(batch, Taken):
        leave(workspace, batch)
    if isinstance(batch, Taken) and _digest(original) != batch.digest:
        return None
    with _plain_errors(original):
        place = _free(original.parent / QUARANTINE / original.name, original.name)
        place.mkdir(parents=True, exist_ok=True)
        files.write_text(place / "reason.txt", f"{reason}\n")
        original.rename(place / original.name)
    return place


def leave(workspace: Workspace, batch: Taken) -> None:
    """Take a batch out of the clone, if it was not accepted; its original stays for the next run.

    The clone's tree starts again from main and the other batches.
    """
    if batch.digest in _safe(workspace):
        return
    root = workspace.root
    here, main = dvc_files.listed(root, "HEAD"), dvc_files.listed(root, BASE)
    others = {name: blob for name, blob in here.items() if name not in {*main, batch.name}}
    settle(root, dvc_files.carrying(workspace.project, root, others))


def _copy(batch: Path, to: Path) -> Path:
    """A copy of a batch that nobody wrote to meanwhile, as a folder."""
    found = arrival.contents(batch)
    before = arrival.fingerprint(found)
    shutil.rmtree(to, ignore_errors=True)
    for name, path in found.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / name, follow_symlinks=False)
    if arrival.fingerprint(arrival.contents(batch)) != before:
        raise BatchArriving(f"batch {batch} was written to while it was copied: the next run takes it")
    return to


def _name(batch: Path, digest: str, used: set[str]) -> str:
    """A name in the clone: the batch's own and some of its digest, so that no two contents ever share one."""
    own = re.sub(r"[^A-Za-z0-9._-]+", "-", batch.stem if batch.is_file() else batch.name).strip("-.")[:60]
    name = f"{own or 'batch'}-{digest[:8]}"
    numbered = (f"{name}-{n}" for n in range(2, len(used) + 3))
    return next(candidate for candidate in (name, *numbered) if candidate not in used)


def _safe(workspace: Workspace) -> set[str]:
    """Digests of the batches that the next run starts with: main's, and the accepted ones it never had."""
    known = dvc_files.listed(workspace.root, BASE) | dvc_files.to_carry(workspace.root)
    return set(dvc_files.digests(workspace.root, known).values())


def _let_go(workspace: Workspace, inbox: Path) -> bool:
    """Delete the originals that were set aside; put back what has other content than was accepted."""
    safe, all_gone = _safe(workspace), True
    for aside in inbox.glob(".accepted-*"):
        for original in list(aside.iterdir()):
            if _digest(original) not in safe:
                original.rename(_free(inbox / original.name))
                all_gone = False
        aside.rename(_free(inbox / f".deleted-{aside.name.removeprefix('.accepted-')}"))
    for left in inbox.glob(".deleted-*"):
        shutil.rmtree(left)
    return all_gone


def _digest(batch: Path) -> str | None:
    """None when it is gone; empty when it can't be read."""
    if not batch.exists():
        return None
    try:
        return arrival.digest(arrival.contents(batch))
    except BatchError:
        return ""


def _free(path: Path, inside: str = "") -> Path:
    """The path, or with a number where something is there. inside: what alone may not be there."""
    number, free = 1, path
    while (free / inside).exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


@contextlib.contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise BatchError(f"{where}: {error.strerror or error}: fix that and run again") from error
