"""The address that a caller gives → host, port, whether it is encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from digits_client.contract import PORTS
from digits_client.errors import BadRequest

EXPECTED = "expected HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server listens."""

    host: str  # IPv6 without brackets
    port: int
    tls: bool

    @property
    def address(self) -> str:
        """`host:port`, as gRPC and URLs write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str, transport: str) -> Target:
    """Read an address; the port is the transport's usual one unless given. Raises BadRequest."""
    if not isinstance(text, str):
        raise BadRequest(f"the server's address is a {type(text).__name__}: {EXPECTED}")
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadRequest(f"'{text}' is no address ({error}): {EXPECTED}") from None
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not host or extra or port == 0 or " " in host:
        raise BadRequest(f"'{text}' is no address: {EXPECTED}")
    return Target(host, PORTS[transport] if port is None else port, parts.scheme == "https")
