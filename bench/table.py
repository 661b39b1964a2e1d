"""Numbers and rows → Markdown. Pure."""

from __future__ import annotations

from collections.abc import Sequence

NONE = "–"
UNMEASURED = "not measured in this run"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; the first `left` columns are text, the others numbers."""
    rule = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def number(value: float | None, digits: int = 1) -> str:
    """A number with a fixed count of decimals; a dash for None."""
    return NONE if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 2) -> str:
    """A share as per cent, without the sign."""
    return number(None if value is None else 100 * value, digits)


def unmeasured() -> str:
    """What stands where a table would."""
    return UNMEASURED.capitalize() + "."
