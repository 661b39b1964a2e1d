"""Who visits, and how much of the gateway one visitor may have.

A visitor is an address: the one that connected or, where that one is a trusted proxy, the last address in
X-Forwarded-For that is no trusted proxy. Everything left of it was written by the sender of the request.
"""

from __future__ import annotations

import functools
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Sequence

from starlette.types import Scope

from digits.runtime.errors import ParamsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FORWARDED = b"x-forwarded-for"
HOUSEHOLD = 64  # bits of an IPv6 address that a provider gives to one customer, who has all addresses below
KNOWN = 10_000  # addresses that are remembered; a visitor who comes back after more begins anew


def networks(given: Sequence[str]) -> tuple[Network, ...]:
    """The networks of a list of addresses and of CIDR such as 10.0.0.0/8. Raises ParamsError."""
    try:
        return tuple(ipaddress.ip_network(each) for each in given)
    except ValueError as error:
        raise ParamsError(
            f"--trusted-proxy: {error}; expected an address, or a network as 10.0.0.0/8"
        ) from None


class Proxies:
    """The proxies whose X-Forwarded-For is believed."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)
        self._known = functools.lru_cache(KNOWN)(self._is_trusted)

    def __contains__(self, address: str) -> bool:
        return bool(self._trusted) and self._known(address)

    def visitor(self, scope: Scope) -> str:
        """The address of the visitor who sent a request; empty where a connection has none."""
        client = scope.get("client")
        found: str = client[0] if client else ""
        if found not in self:
            return found
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED]
        for entry in reversed(",".join(lines).split(",")):
            address = _address(entry.strip())
            if address is None:  # what stands there is no address: the proxy that passed it on is the visitor
                return found
            found = address
            if found not in self:
                break
        return found

    def _is_trusted(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def _address(entry: str) -> str | None:
    """Of an entry of X-Forwarded-For: 192.0.2.1, 192.0.2.1:5000, 2001:db8::1 or [2001:db8::1]:5000."""
    bare = entry[1:].partition("]")[0] if entry.startswith("[") else entry
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    parsed = _parsed(bare)
    return None if parsed is None else str(parsed)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address. A socket that listens on :: shows 192.0.2.1 as ::ffff:192.0.2.1."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


@functools.lru_cache(KNOWN)
def counted(address: str) -> str:
    """The name by which the limits know an address: itself, or of IPv6 its first 64 bits."""
    parsed = _parsed(address)
    if parsed is None or parsed.version == 4:
        return str(parsed or address)
    return str(ipaddress.ip_network((parsed.packed[: HOUSEHOLD // 8] + bytes(8), HOUSEHOLD)))


class Shares:
    """A limited resource: an amount in all, and a smaller one for each visitor.

    The visitor "" stands for many, as a trusted proxy does, and may have all of it.
    """

    def __init__(self, total: int, each: int) -> None:
        self.total, self.each, self.used = total, each, 0
        self._of: dict[str, int] = {}

    def take(self, visitor: str, amount: int = 1) -> bool:
        """Take an amount; return whether that was possible. `give_back` ends it."""
        own = self._of.get(visitor, 0) + amount
        if self.used + amount > self.total or (visitor and own > self.each):
            return False
        self.used += amount
        self._of[visitor] = own
        return True

    def give_back(self, visitor: str, amount: int = 1) -> None:
        """Give an amount back."""
        self.used -= amount
        left = self._of.pop(visitor) - amount
        if left:
            self._of[visitor] = left


class Rate:
    """A bucket of tokens for each visitor, refilled with time.

    rate: tokens a second; burst: what a full bucket holds. A rate of 0 lets everybody pass.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # visitor: tokens, when

    def wait(self, visitor: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, then = self._buckets.pop(visitor, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        passes = tokens >= 1
        self._buckets[visitor] = (tokens - 1 if passes else tokens, now)
        if len(self._buckets) > KNOWN:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - tokens) / self._rate
