"""Words of the lines that people read."""

from __future__ import annotations


def count(n: int, noun: str, plural: str = "") -> str:
    """Return a number of things: 1 rule, 1,000 rules. plural: where it is not the noun and an s."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"
