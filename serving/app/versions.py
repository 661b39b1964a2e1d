"""The versions in the store, as visitors see them: their facts, model cards, and formats for the browser.

A published version never changes, so what is read once is kept. The gateway does without a store: then
only a version's number is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving.store import cards, edge, version
from serving.store.store import Store
from serving.store.version import find

KNOWN = 64  # versions that are remembered


class Published:
    """Of the store below a folder (models/serving); its methods read the disk."""

    def __init__(self, folder: Path | None) -> None:
        self._store = None if folder is None else Store(folder)
        self._provenance: dict[int, dict[str, Any]] = {}
        self._formats: dict[int, Path] = {}

    def provenance(self, number: int) -> dict[str, Any] | None:
        """What a version was made from; None where the store has none, or none that can be read."""
        if number not in self._provenance and self._store is not None:
            found = version.read(number, self._store.folder / str(number))
            if found.unreadable:
                return None
            _remember(self._provenance, number, dict(found.provenance))
        return self._provenance.get(number)

    def card(self, number: int) -> Path | None:
        """The file of a version's model card, which a comparison may replace; None when it has none."""
        return None if self._store is None else cards.find(self._store, number)

    def formats(self, number: int) -> Path | None:
        """The folder of a version's formats, each file as it was made; None when it has none."""
        known = self._formats.get(number)
        if known is not None and not known.is_dir():  # pruned
            del self._formats[number]
        elif known is None and self._store is not None:
            found = edge.find(self._store, number)
            if found is not None:
                _remember(self._formats, number, found)
        return self._formats.get(number)


def _remember(known: dict[int, Any], number: int, value: Any) -> None:
    known[number] = value
    while len(known) > KNOWN:
        del known[next(iter(known))]


def facts(provenance: dict[str, Any]) -> dict[str, Any]:
    """Return the few figures that stand beside a version's number."""
    names = {
        "accuracy": ("metrics", "accuracy"),
        "accuracy_interval": ("metrics", "accuracy_interval"),
        "n_test": ("metrics", "n_test"),
        "ece": ("metrics", "ece"),
        "parameters": ("metrics", "training", "parameters"),
        "profile": ("recipe", "profile"),
        "passed": ("verdict", "passed"),
        "commit": ("published", "commit"),
        "dirty": ("published", "dirty"),
        "published": ("published", "at"),
        **{name: (name,) for name in ("dataset", "sample", "threshold")},
    }
    return {name: find(provenance, *path) for name, path in names.items()}
