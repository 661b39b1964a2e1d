"""The options of `digits app`, and the settings that they make."""

from __future__ import annotations

import argparse
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from digits.runtime.errors import ParamsError
from serving.app.visitors import Network

KEY, FEEDBACK = "DIGITS_APP_KEY", "DIGITS_FEEDBACK"  # in the environment
SERVER = "localhost:8500"
OFF = "none"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give them to a command."""
    own = Limits()
    add_options = parser.add_argument
    add_options("--host", default="127.0.0.1", help="address to listen on; default: this machine only")
    add_options("--port", type=int, default=8080, help="default: 8080; 0: any free one")
    add_options(
        "--allow-host", action="append", default=[], metavar="NAME", help="a host name that visitors use"
    )
    add_options(
        "--server",
        metavar="HOST:PORT",
        help=f"the model server; default: {SERVER}, started if need be",
    )
    add_options("--timeout", type=float, default=5.0, metavar="S", help="seconds for its answer; default: 5")
    add_options("--store", type=Path, metavar="DIR", help="the published versions; default: models/serving")
    add_options(
        "--feedback", metavar="URL", help=f"corrections: sqlite:///FILE, postgresql://…, none; or ${FEEDBACK}"
    )
    add_options(
        "--request-log",
        metavar="DIR",
        help="folder of the request log; default: .digits/requests; none: no log",
    )
    add_options(
        "--log-share", type=float, default=1.0, metavar="P", help="share of the images to log; default: 1"
    )
    add_options("--log-images", action="store_true", help="log the images themselves too")
    add_options(
        "--log-size", type=int, default=64, metavar="MIB", help="most that the log takes; default: 64"
    )
    add_options(
        "--log-days", type=float, default=30, metavar="N", help="after which an entry goes; default: 30"
    )
    add_options("--log-group", action="store_true", help="let this process's group read the request log")
    add_options(
        "--key-file", type=Path, metavar="FILE", help=f"an API key that requests must carry; or ${KEY}"
    )
    add_options(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="CIDR",
        help="a proxy in front, or a network of them, whose X-Forwarded-For is believed",
    )
    add_options(
        "--rate", type=float, default=own.rate, help="requests a second from one address; 0: no limit"
    )
    add_options(
        "--max-body", type=int, default=own.body // MIB, metavar="MIB", help="largest request; default: 16"
    )
    add_options(
        "--max-pixels", type=int, default=own.pixels, metavar="N", help="largest picture; default: 50 million"
    )
    add_options(
        "--seconds", type=float, default=own.seconds, metavar="S", help="most for one request; default: 20"
    )
    add_options(
        "--readers", type=int, default=own.readers, metavar="N", help="photos read side by side; default: 2"
    )
    add_options(
        "--drain", type=float, default=0.0, metavar="S", help="seconds to go on answering after SIGTERM"
    )
    add_options(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="certificate (PEM); except on localhost, cameras need https",
    )
    add_options("--tls-key", type=Path, metavar="FILE", help="its key (PEM)")
    add_options("--log-format", choices=("text", "json"), help="default: text on a terminal, else json")


MIB = 1 << 20
BODIES = 32 * MIB  # 64 bodies that arrive slowly, or two of 16 MiB: 128 MiB with all addresses


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, one visitor and all of them together may ask for."""

    body: int = 16 * MIB  # bytes
    pixels: int = 50_000_000  # of a picture, as its header tells
    # Bytes that decoding a photo may take: 50 million pixels of 4. With two photos at once, their grey copies
    # and the bodies of those that wait, the gateway stays below the 1 GiB that its container has.
    memory: int = 208_000_000
    images: int = 256  # of one prediction
    rate: float = 50.0  # requests a second of one address, on average; 0: no limit
    burst: int = 200  # as many at once
    seconds: float = 20.0  # for a whole request, its body included
    concurrent: int = 64  # requests under way; more are told to come back. Of one address half as many
    connections: int = 1024  # open ones, as far as the process has descriptors; of one address a quarter
    readers: int = 2  # photos read side by side; each takes a core
    waiting: int = 16  # photos that wait for a reader

    @property
    def bodies(self) -> int:
        """Bytes of slow requests that one address may have; all together may have four times as many."""
        return max(2 * self.body, BODIES)

    def __post_init__(self) -> None:
        least = {
            "body": 1024,
            "pixels": 784,
            "memory": 1 << 20,
            "images": 1,
            "burst": 1,
            "concurrent": 1,
            "readers": 1,
            "connections": 1,
        }
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
    log_days: float = 30.0  # after which an entry is deleted
    log_group: bool = False  # whether the process's group may read it
    monitoring: Path | None = None  # what the last look found, reports/monitoring/latest.json
    key: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")  # names that it answers to; none: any
    proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is believed
    limits: Limits = Limits()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
