"""Takes batches from the inbox into the clone, then accepts or refuses them. `flows.clone.intake` calls it.

The original of an accepted batch is deleted; a refused one moves to quarantine. Batches are told apart by
their content. A run that is killed between two steps leaves the batch in the inbox or safe in the project's
repository, mostly both; the next run finds it by its digest and neither loses it nor takes it twice.

    <inbox>/<batch>                      waiting
    <inbox>/quarantine/<batch>/          refused: reason.txt and the batch as it came; move it back to retry
    <inbox>/.accepted-*, .deleted-*      an original being deleted; the next take or accept finishes that
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from digits import files
from digits.runtime import params
from digits.runtime.errors import DigitsError
from flows.clone import arrival, dvc_files
from flows.clone.arrival import QUIET, BatchArriving, BatchError
from flows.clone.dvc_files import ACCEPTED, BASE, INCOMING
from flows.clone.git import CommandFailed, dvc, git, identity
from flows.clone.workspace import Workspace, settle

QUARANTINE = "quarantine"
LONGEST = 60  # characters of a batch's own name in one of ours; 255 bytes is what file systems take
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class InboxError(DigitsError):
    """The machine can't take a batch now, whatever is in it."""


@dataclass(frozen=True)
class Batch:
    """A batch in the clone. original: its path in the inbox. new: neither accepted earlier nor in main."""

    original: Path
    name: str
    digest: str
    new: bool


def waiting(inbox: Path, still: float = QUIET) -> list[Path]:
    """The batches that are complete (flows.clone.arrival), by name. still: seconds without a write.

    One whose own name can't be printed gets one with escapes, so that every message can name it.
    Raises BatchError when the inbox is missing.
    """
    with _plain_errors(inbox):
        entries = [path for path in inbox.iterdir() if path.name != QUARANTINE and arrival.is_batch(path)]
    now = time.time()
    complete = [path for path in entries if arrival.is_complete(path, now, still)]
    with _plain_errors(inbox):
        return sorted(_named(path) for path in complete)


def _named(path: Path) -> Path:
    name = arrival.printable(path.name)
    if name == path.name:
        return path
    suffix = path.suffix if path.is_file() else ""
    return path.rename(_free(path.with_name(f"{name.removesuffix(suffix)[:LONGEST]}{suffix}")))


def take(workspace: Workspace, batch: Path) -> Batch:
    """Copy a batch into the clone, `dvc add` and commit it; content that is there already is not added again.

    Raises BatchArriving when something writes to it meanwhile, other BatchErrors when it should be refused.
    """
    root = workspace.root
    with _plain_errors(batch):
        _delete_accepted(workspace, batch.parent)
        staged = _copy(batch, workspace.scratch / "batch", _limits(workspace))
        digest = arrival.digest(arrival.contents(staged, None))
        here = dvc_files.digests(root, dvc_files.list_batches(root, "HEAD"))
        if known := [name for name, other in here.items() if other == digest]:
            return Batch(batch, known[0], digest, new=digest not in _safe(workspace))
        name = _name(batch, digest, dvc_files.ever_in_main(root))
        folder = root / INCOMING / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(folder)
    try:
        _add(root, batch, name, digest)
        git(root, "add", "--force", "--", f"{INCOMING}/{name}.dvc", dvc_files.IGNORES)
        git(root, "commit", "--quiet", "-m", f"Incoming batch {name}", env=identity(workspace.project))
    except Exception:
        _reset(root, name)
        raise
    return Batch(batch, name, digest, new=True)


def _add(root: Path, batch: Path, name: str, digest: str) -> None:
    """Have DVC track a batch. Raises BatchError when that fails for this one and not for another."""
    try:
        dvc(root, "add", "--quiet", f"{INCOMING}/{name}")
        told = (root / INCOMING / f"{name}.dvc").read_text(encoding="utf-8")
        if dvc_files.digest_of(told) == digest:
            return
        fault = "DVC ignores files of it by their names: take their patterns out of .dvcignore"
    except CommandFailed as error:
        fault = str(error)
        _reset(root, name)  # what is in it must not hinder the next
        probe = Path(tempfile.mkdtemp(prefix="probe-", dir=root / INCOMING))
        files.write_text(probe / "file", name)
        try:
            dvc(root, "add", "--quiet", f"{INCOMING}/{probe.name}")
        finally:
            _reset(root, probe.name)
    raise BatchError(f"batch {batch}: {fault}")


def _reset(root: Path, name: str) -> None:
    """Undo what `dvc add` of a folder left."""
    settle(root, "HEAD")
    shutil.rmtree(root / INCOMING / name, ignore_errors=True)


def _limits(workspace: Workspace) -> arrival.Limits:
    given = params.load("ingest", workspace.root / "params.yaml")
    return arrival.Limits(given.batch_files, given.batch_mib << 20)


def accept(workspace: Workspace, batch: Batch) -> bool:
    """Keep a batch for good, then remove its original; return whether that was done.

    An original whose content has changed stays: the next run takes it as it is then, instead of this batch.
    """
    project, root, inbox = workspace.project, workspace.root, batch.original.parent
    original, here = _digest(workspace, batch.original), dvc_files.list_batches(root, "HEAD")
    if original not in (None, batch.digest) or batch.name not in here:
        return False
    if batch.digest not in _safe(workspace):
        kept = dvc_files.list_accepted(root) | {batch.name: here[batch.name]}
        git(root, "update-ref", ACCEPTED, dvc_files.commit_with(project, root, kept))
        dvc_files.hand_over(project, root, f"+{ACCEPTED}:{ACCEPTED}")
        os.sync()  # neither Git nor DVC waits for the disk
    with _plain_errors(batch.original):
        if original is not None:
            aside = inbox / f".accepted-{batch.digest[:8]}"
            aside.mkdir(exist_ok=True)
            batch.original.rename(_free(aside / batch.original.name))
        return _delete_accepted(workspace, inbox)


def refuse(workspace: Workspace, batch: Batch | Path, reason: str) -> Path | None:
    """Remove a batch from the clone and move its original, with the reason, to quarantine; return where to.

    None when the original is gone or its content has changed: the next run looks at that. Accepted batches
    stay in the clone. The clone's tree goes back to main and the other batches: run the stages again.
    """
    original = batch.original if isinstance(batch, Batch) else batch
    if isinstance(batch, Batch):
        leave(workspace, batch)
    if isinstance(batch, Batch) and _digest(workspace, original) != batch.digest:
        return None
    with _plain_errors(original):
        place = _free(original.parent / QUARANTINE / original.name, original.name)
        place.mkdir(parents=True, exist_ok=True)
        files.write_text(place / "reason.txt", f"{reason}\n")
        original.rename(place / original.name)
    return place


def leave(workspace: Workspace, batch: Batch) -> None:
    """Remove a batch from the clone, unless it was accepted; its original stays for the next run.

    The clone's tree goes back to main and the other batches.
    """
    if batch.digest in _safe(workspace):
        return
    root = workspace.root
    here, main = dvc_files.list_batches(root, "HEAD"), dvc_files.list_batches(root, BASE)
    others = {name: blob for name, blob in here.items() if name not in {*main, batch.name}}
    settle(root, dvc_files.commit_with(workspace.project, root, others))


def _copy(batch: Path, to: Path, limits: arrival.Limits) -> Path:
    """Copy a batch into a folder. Raises BatchArriving when something wrote to it meanwhile."""
    contents = arrival.contents(batch, limits)
    before = arrival.fingerprint(contents)
    shutil.rmtree(to, ignore_errors=True)
    for name, path in contents.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / name, follow_symlinks=False)
    if arrival.fingerprint(arrival.contents(batch, limits)) != before:
        raise BatchArriving(f"batch {batch} was written to while it was copied: the next run takes it")
    return to


def _name(batch: Path, digest: str, used: set[str]) -> str:
    """A name in the clone: the batch's own with part of its digest, so that no two contents share a name."""
    own = re.sub(r"[^A-Za-z0-9._-]+", "-", batch.stem if batch.is_file() else batch.name).strip("-.")[
        :LONGEST
    ]
    name = f"{own or 'batch'}-{digest[:8]}"
    numbered = (f"{name}-{n}" for n in range(2, len(used) + 3))
    return next(candidate for candidate in (name, *numbered) if candidate not in used)


def _safe(workspace: Workspace) -> set[str]:
    """The digests of the batches the next run starts with: main's, and the accepted ones it never had."""
    known = dvc_files.list_batches(workspace.root, BASE) | dvc_files.missing_from_main(workspace.root)
    return set(dvc_files.digests(workspace.root, known).values())


def _delete_accepted(workspace: Workspace, inbox: Path) -> bool:
    """Delete the originals of accepted batches; put back those whose content has changed since."""
    safe, all_gone = _safe(workspace), True
    for aside in inbox.glob(".accepted-*"):
        for original in list(aside.iterdir()):
            if _digest(workspace, original) not in safe:
                original.rename(_free(inbox / original.name))
                all_gone = False
        aside.rename(_free(inbox / f".deleted-{aside.name.removeprefix('.accepted-')}"))
    for left in inbox.glob(".deleted-*"):
        shutil.rmtree(left)
    return all_gone


def _digest(workspace: Workspace, batch: Path) -> str | None:
    """A batch's content digest; None when it is gone, empty when it can't be read."""
    if not batch.exists():
        return None
    try:
        return arrival.digest(arrival.contents(batch, _limits(workspace)))
    except BatchError:
        return ""


def _free(path: Path, inside: str = "") -> Path:
    """The path, with a number added if it is taken. inside: the name in it that must not exist."""
    number, free = 1, path
    suffix = ".npz" if path.suffix == ".npz" else ""  # without it, it would be no batch
    while (free / inside).exists():
        number += 1
        free = path.with_name(f"{path.name.removesuffix(suffix)}-{number}{suffix}")
    return free


@contextlib.contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        kind = InboxError if error.errno in MACHINE else BatchError
        raise kind(f"{where}: {error.strerror or error}: fix this and run again") from error
