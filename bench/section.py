"""Parts of docs/results.md that other benches than `bench.train` write, each between two marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from digits import files

NAMES = ("edge", "strips", "gateway")  # in the order in which they stand


def write(root: Path, name: str, text: str) -> None:
    """Put a part into the page on disk."""
    page = root / "docs" / "results.md"
    files.write_text(page, replaced(page.read_text(encoding="utf-8"), name, text))


def replaced(page: str, name: str, text: str) -> str:
    """The page with that part made anew, at its place among the others; at the end if there are none."""
    block = f"{_begin(name)}\n{text.strip()}\n{_end(name)}"
    known = parts(page)
    if name in known:
        return page.replace(known[name], block)
    for later in NAMES[NAMES.index(name) + 1 :]:
        if later in known:
            return page.replace(known[later], f"{block}\n\n{known[later]}")
    return f"{page.rstrip()}\n\n{block}\n"


def carried(old: str, new: str) -> str:
    """A page that was written anew, with the parts that the old one had."""
    found = [block for name, block in parts(old).items() if name not in parts(new)]
    return "\n\n".join([new.rstrip(), *found]) + "\n" if found else new


def parts(page: str, names: Sequence[str] = NAMES) -> dict[str, str]:
    """Name → the part with its marks, of those that the page has."""
    found = {}
    for name in names:
        if block := re.search(rf"{re.escape(_begin(name))}\n.*?\n{re.escape(_end(name))}", page, re.DOTALL):
            found[name] = block[0]
    return found


def _begin(name: str) -> str:
    return f"<!-- {name}: python -m bench.{name} --write -->"


def _end(name: str) -> str:
    return f"<!-- /{name} -->"
