"""What the gateway was started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from digits.runtime.errors import ParamsError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, one visitor and all of them together may ask for."""

    body: int = 16 * MIB  # bytes
    pixels: int = 50_000_000  # of a picture, as its header tells
    images: int = 256  # of one prediction
    rate: float = 50.0  # requests a second of one address, on average; 0: no limit
    burst: int = 200  # as many at once
    seconds: float = 20.0  # for a whole request, its body included
    concurrent: int = 64  # requests under way; more are told to come back
    readers: int = 2  # photos read side by side; each takes a core
    waiting: int = 16  # photos that wait for a reader

    def __post_init__(self) -> None:
        least = {"body": 1024, "pixels": 784, "images": 1, "burst": 1, "concurrent": 1, "readers": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ParamsError(f"the limit '{name}' is {getattr(self, name)}: expected at least {bound}")
        if self.rate < 0 or self.seconds <= 0 or self.waiting < 0:
            raise ParamsError("the limits 'rate' and 'waiting' are 0 or more, and 'seconds' above 0")


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it; what is None is left out of the gateway."""

    server: str = "localhost:8500"  # the model server, gRPC
    timeout: float = 5.0  # seconds that it has for an answer
    store: Path | None = None  # models/serving: facts of the versions, formats for the browser
    feedback: str | None = None  # URL of the store of corrections
    log: Path | None = None  # folder of the request log
    log_share: float = 1.0  # of the images that it has
    log_images: bool = False  # whether it keeps the images themselves
    log_bytes: int = 64 * MIB
    key: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")  # names that it answers to; none: any
    limits: Limits = Limits()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
