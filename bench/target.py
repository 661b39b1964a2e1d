"""One target beside what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One target: `measured` is None when this run did not measure it; `unit` fits both numbers.

    `only_reported` says why the target does not apply to this run, where it does not: then the value is only
    shown.
    """

    what: str
    at_most: bool
    limit: float
    measured: float | None
    unit: str
    digits: int = 2
    only_reported: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the measured value, unrounded, is within the limit."""
        if self.measured is None:
            return None
        slack = 1e-9  # of the float arithmetic of a mean; far below what any figure resolves
        if self.at_most:
            return self.measured <= self.limit + slack
        return self.measured >= self.limit - slack


def percent(value: float | None) -> float | None:
    """A share as per cent."""
    return None if value is None else 100 * value


def worst(values: list[float]) -> float | None:
    """The least, None of nothing."""
    return min(values) if values else None


def largest(values: list[float]) -> float | None:
    """The most, None of nothing."""
    return max(values) if values else None
