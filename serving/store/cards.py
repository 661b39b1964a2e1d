"""Stores what people read of a version: models/serving/cards/<n>/README.md, its model card, and report.html.

They stand beside the version's own folder, which never changes: how it compares is known after it is
published only. Nothing that serves reads them, and a version without them is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from digits import files
from serving.store import disk
from serving.store.store import Store

CARD, REPORT = "README.md", "report.html"
NAMES = {"card": CARD, "report": REPORT}


def write(store: Store, number: int, texts: Mapping[str, str]) -> None:
    """Write or replace files of a version, name to text. Raises StoreError when that is impossible."""
    with disk.plain_errors(store.root):
        for name, text in texts.items():
            files.write_text(store.cards / str(number) / name, text)


def find(store: Store, number: int, name: str = CARD) -> Path | None:
    """A file of a version; None when it has none."""
    path = store.cards / str(number) / name
    return path if path.is_file() else None


def remove(store: Store, number: int) -> None:
    """Delete the files of a version, if it has any."""
    disk.delete(store.cards / str(number))
