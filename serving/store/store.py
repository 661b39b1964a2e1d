"""The store, models/serving: published versions, the pointer to those in service, and the record.

    digits/<n>/         a published version: appears complete by one rename, read-only, never changed
    digits/.incoming-*  a publish in progress, or what a killed one left; the next command deletes it
    edge/<n>/           the formats of version n for phones and browsers, if it has any (serving.store.edge)
    cards/<n>/          what people read of version n: its model card and report (serving.store.cards)
    models.config       the pointer (serving.store.pointer), which alone decides what is in service
    history.json        what was promoted and refused, and the highest number ever given

This module reads them, holds the lock and replaces the two files atomically. serving.store.publish and
serving.store.promote decide what to write; nothing else writes there.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from digits import files, wire
from digits.runtime.errors import StoreError
from serving.store import disk, history, version
from serving.store.history import Event, History
from serving.store.pointer import Pointer, parse, render
from serving.store.version import Version


class Store:
    """The store below `root` (models/serving).

    Methods raise StoreError when the folder can't be read or written, or its files are not in our format.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / wire.MODEL
        self.edges = self.root / "edge"
        self.cards = self.root / "cards"
        self.pointer = self.root / "models.config"
        self.record = self.root / "history.json"

    def versions(self) -> list[Version]:
        """Every published version, the oldest first, damaged ones included."""
        return [version.read(number, self.folder / str(number)) for number in self._numbers()]

    def _numbers(self) -> list[int]:
        with disk.plain_errors(self.root):
            if not self.folder.is_dir():
                return []
            return sorted(int(p.name) for p in self.folder.iterdir() if _is_number(p.name) and p.is_dir())

    def version(self, number: int) -> Version:
        """One published version, damaged or not. Raises StoreError when it does not exist."""
        if not (self.folder / str(number)).is_dir():
            raise StoreError(f"version {number} is not in {self.folder}: {self.summary()}")
        return version.read(number, self.folder / str(number))

    def intact(self, number: int) -> Version:
        """One published version whose files are those that were exported. Raises StoreError otherwise."""
        chosen = self.version(number)
        if problems := version.problems(chosen):
            raise StoreError(
                f"version {number} is damaged: {'; '.join(problems[:3])}; {self.summary()}: choose "
                "another one, or publish it again"
            )
        return chosen

    def summary(self) -> str:
        """The published versions in a few words, for messages."""
        numbers = ", ".join(str(each.number) for each in self.versions())
        return (
            f"the published versions are {numbers}" if numbers else "nothing is published (`digits publish`)"
        )

    def current(self) -> Pointer | None:
        """The pointer; None before the first promotion."""
        with disk.plain_errors(self.root):
            try:
                text = self.pointer.read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
            except UnicodeDecodeError as error:
                raise StoreError(
                    f"{self.pointer} is not text ({error}): delete it and promote a version"
                ) from None
        return parse(text, str(self.pointer))

    def history(self) -> History:
        """The record, with the version that the pointer names added if the record lacks it."""
        known, pointer = self._recorded(), self.current()
        if pointer is None:
            return known
        serving = version.read(pointer.stable, self.folder / str(pointer.stable))
        event = Event(pointer.stable, history.UNRECORDED, None, serving.accuracy, serving.test_images)
        return history.reconcile(known, pointer.stable, event)

    def previous(self) -> int | None:
        """The last version that served before the one in service and is still published; None for none."""
        return self.history().previous(self._numbers())

    def base_path(self, known: History) -> str:
        """The folder of the versions as servers see it."""
        return known.base_path or str(self.folder)

    def base_path_problem(self) -> str | None:
        """A message if the pointer names a folder that is not this store's, else None."""
        pointer, expected = self.current(), self.base_path(self.history())
        if pointer is None or pointer.base_path == expected:
            return None
        return (
            f"{self.pointer} sends servers to {pointer.base_path}, but the versions are in {expected}: the "
            f"project was moved or copied; `digits promote {pointer.stable}` corrects it"
        )

    def highest(self, known: History) -> int:
        """The highest number ever given to a version, by everything in the store; 0 for none."""
        pointer = self.current()
        on_disk = [int(p.name) for p in self.folder.iterdir() if _is_numeral(p.name)]
        named = [*(event.version for event in known.events), *(pointer.versions if pointer else ())]
        numbers: list[int] = [known.highest, *on_disk, *named]
        return max(numbers)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store exclusively, without leftovers: their writers no longer hold the lock."""
        with disk.plain_errors(self.root), disk.lock(self.root):
            self.folder.mkdir(exist_ok=True)
            for folder in (self.folder, self.edges):
                for left in (*folder.glob(".incoming-*"), *folder.glob(".pruned-*")):
                    disk.delete(left)
            for orphan in self.edges.glob("[0-9]*"):
                if not (self.folder / orphan.name).is_dir():  # its version was pruned, by one that was killed
                    disk.delete(orphan)
            for left in self.root.glob(".*.new-*"):
                left.unlink()
            yield

    def write_history(self, known: History) -> None:
        """Replace the record if it differs; only within `alone`."""
        if known == self._recorded():
            return
        files.write_json(self.record, history.to_plain(known))
        disk.sync(self.root)

    def write_pointer(self, pointer: Pointer, known: History) -> None:
        """Replace the pointer, then the record; only within `alone`.

        In this order, so that after a crash between the two the record is completed from the pointer. A new
        base path is recorded first, since the pointer does not say whether it was given by a person.
        """
        self.write_history(self._recorded().with_base_path(known.base_path))
        files.write_text(self.pointer, render(pointer))
        disk.sync(self.root)
        self.write_history(known)

    def _recorded(self) -> History:
        with disk.plain_errors(self.root):
            try:
                tree = json.loads(self.record.read_bytes())
            except FileNotFoundError:
                return History()
            except (ValueError, RecursionError):  # the second for lists in lists in lists
                tree = None
        return history.from_plain(tree, str(self.record))


def _is_number(name: str) -> bool:
    return _is_numeral(name) and not name.startswith("0")


def _is_numeral(name: str) -> bool:
    """Whether a server reads a number in the name of a folder, and one that the record may hold."""
    return name.isascii() and name.isdecimal() and int(name) <= history.LARGEST
