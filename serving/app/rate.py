"""How often an address may ask: a bucket of tokens each, refilled with time. Pure but for the clock given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

KNOWN = 10_000  # addresses that are remembered; who comes back after more begins anew


class Rate:
    """rate: tokens a second; burst: what a full bucket holds. A rate of 0 lets everybody pass."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → tokens, when

    def wait(self, address: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, then = self._buckets.pop(address, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        passes = tokens >= 1
        self._buckets[address] = (tokens - 1 if passes else tokens, now)
        if len(self._buckets) > KNOWN:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - tokens) / self._rate
