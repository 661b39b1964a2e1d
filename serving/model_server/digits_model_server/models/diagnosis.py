"""Explains why a base path holds no version, and what to do about it: a common mistake at the first start."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

MODELS = ("saved_model.pb", "saved_model.pbtxt")
MOST = 200  # entries of a folder that are looked at
INSIDE = 50  # of its folders that are looked into
SHOWN = 5  # names in a message
EXPECTED = "expected folders named 1, 2, …, each a SavedModel"


@dataclass(frozen=True)
class Entry:
    """An entry of a folder. model: it holds a SavedModel. versions: its own folders named by numbers."""

    name: str
    folder: bool = True
    model: bool = False
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """What was found at a base path.

    error: the errno of reading it. model: it holds a SavedModel itself. above: the nearest folder that
    exists, for a path that doesn't. beside: the names in that folder. mount: the path or the folder above it,
    where a file system is mounted there. user: id of the server's user.
    """

    base: str
    error: int = 0
    entries: tuple[Entry, ...] = ()
    model: bool = False
    above: str = ""
    beside: tuple[str, ...] = ()
    mount: str = ""
    user: int = 0


def explain(found: Listing) -> str:
    """Return the reason and the remedy in one line; "" where there is a version after all."""
    if found.error:
        return _unreadable(found)
    base = found.base.rstrip("/") or "/"
    parent, name = os.path.split(base)
    if found.model:
        if name.isdecimal():
            return f"it is itself a version, with a saved_model.pb: give its parent, {parent}"
        return f"it holds a saved_model.pb directly: move its contents to {base}/1"
    numbers = [entry for entry in found.entries if entry.name.isdecimal()]
    if any(entry.folder for entry in numbers):
        return ""
    shown = [entry for entry in found.entries if not entry.name.startswith(".")]
    if not shown:
        return _empty(found)
    if unnamed := [entry.name for entry in shown if entry.model]:
        return f"{_list(unnamed)} holds a model, but a version is named by a number: rename it to 1"
    if deeper := [entry for entry in shown if entry.versions]:
        first = f"{base}/{deeper[0].name}"
        if len(deeper) == 1:
            return f"the versions {_list(deeper[0].versions)} are one level deeper: give {first}"
        names = _list([entry.name for entry in deeper])
        return f"it holds several models, {names}: give {first}, or list them in a --model_config_file"
    if numbers:
        return f"{_list([entry.name for entry in numbers])} is not a folder, or a link to a missing one"
    return f"it holds {_list([entry.name for entry in shown])}: {EXPECTED}"


def _unreadable(found: Listing) -> str:
    if found.error == errno.ENOENT:
        wanted = Path(found.base).relative_to(found.above).parts[0]
        near = get_close_matches(wanted, found.beside, 1)
        hint = f"; did you mean {Path(found.above, near[0])}?" if near else ""
        holds = _list(found.beside) if found.beside else "nothing that this user can see"
        return f"it does not exist; {found.above} does, and holds {holds}{hint}{_mounted(found)}"
    if found.error == errno.ENOTDIR:
        wanted = "the folder above the version's folder" if found.base.endswith(MODELS) else "a folder"
        return f"it is a file: give {wanted}, one that holds folders named 1, 2, …"
    if found.error in (errno.EACCES, errno.EPERM):
        return f"user {found.user} may not read it: r and x are needed on it, and x on the folders above"
    return f"it can't be read: {os.strerror(found.error)}"


def _empty(found: Listing) -> str:
    if found.entries:
        names = _list([entry.name for entry in found.entries])
        return f"it holds hidden names only, {names}: a version still being copied, or never finished"
    return f"it is empty: {EXPECTED}{_mounted(found)}"


def _mounted(found: Listing) -> str:
    if not found.mount:
        return ""
    return f"; {found.mount} is a mount: is its source the right folder? Docker makes an empty one if not"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def survey(base: str) -> Listing:
    """List a base path, in bounded time even for a folder of a million files."""
    mount, user = _mount(base), os.geteuid()
    try:
        with os.scandir(base) as entries:
            listed = sorted(islice(entries, MOST), key=lambda entry: entry.name)
    except OSError as error:
        above = _above(base)
        beside = tuple(sorted(_names(above)))
        return Listing(base, error.errno or errno.EIO, above=above, beside=beside, mount=mount, user=user)
    found: list[Entry] = []
    for entry in listed:
        folder = _is_folder(entry)
        inside = _names(entry.path) if folder and len(found) < INSIDE else []
        versions = tuple(sorted((each for each in inside if each.isdecimal()), key=int))
        found.append(Entry(entry.name, folder, any(name in inside for name in MODELS), versions))
    return Listing(
        base, 0, tuple(found), any(entry.name in MODELS for entry in found), mount=mount, user=user
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, MOST)]
    except OSError:
        return []


def _above(base: str) -> str:
    """Return the nearest folder above that exists."""
    return next((str(each) for each in Path(base).parents if each.is_dir()), "/")


def _mount(base: str) -> str:
    for each in (Path(base), Path(base).parent):
        if str(each) != each.anchor and os.path.ismount(each):
            return str(each)
    return ""
