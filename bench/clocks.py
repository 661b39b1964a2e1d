"""Clocks of a training that can be paused, and the steps at which its accuracy is measured."""

from __future__ import annotations

import time


class Clock:
    """Wall and CPU seconds (all threads) of what happens while it runs."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._since: tuple[float, float] | None = None

    def go(self) -> None:
        """Start or resume."""
        self._since = (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        """Pause."""
        assert self._since
        self.wall += time.perf_counter() - self._since[0]
        self.cpu += time.process_time() - self._since[1]
        self._since = None


class Ticks:
    """A clock for `fit` to read around its probes; afterwards `probing` returns what these took."""

    def __init__(self) -> None:
        self.read: list[tuple[float, float]] = []

    def __call__(self) -> float:
        """Return the seconds; the CPU's are recorded beside them."""
        self.read.append((time.perf_counter(), time.process_time()))
        return self.read[-1][0]

    def probing(self, probes: int) -> tuple[float, float]:
        """Return (wall, CPU) seconds of the probes of `fit`, which reads its clock equally often for every
        probe.
        """
        each, rest = divmod(len(self.read) - 1, probes) if probes else (0, 0)
        assert rest == 0, "fit reads its clock once when it starts, and equally often for every probe"
        pauses = [(self.read[1 + each * i], self.read[each * (i + 1)]) for i in range(probes)]
        return sum(b[0] - a[0] for a, b in pauses), sum(b[1] - a[1] for a, b in pauses)


def probe_steps(steps: int) -> list[int]:
    """Return where accuracy over time is measured: every fortieth of the first quarter, then every tenth."""
    shares = [*(part / 40 for part in range(1, 11)), *(part / 10 for part in range(3, 11))]
    return sorted({max(1, round(share * steps)) for share in shares})
