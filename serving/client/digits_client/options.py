"""Checks the options of the clients, and parses a server's address."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from digits_client.calls import Settings
from digits_client.contract import MODEL, PORTS
from digits_client.errors import BadRequest

EXPECTED = "expected HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a server. tls: whether the connection is encrypted."""

    host: str  # IPv6 without brackets
    port: int
    tls: bool

    @property
    def address(self) -> str:
        """`host:port`, as gRPC and URLs write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(text: str, transport: str) -> Target:
    """Parse an address; the port defaults to the transport's usual one. Raises BadRequest."""
    if not isinstance(text, str):
        raise BadRequest(f"the server's address is a {type(text).__name__}: {EXPECTED}")
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadRequest(f"'{text}' is not an address ({error}): {EXPECTED}") from None
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not host or extra or port == 0 or " " in host:
        raise BadRequest(f"'{text}' is not an address: {EXPECTED}")
    return Target(host, PORTS[transport] if port is None else port, parts.scheme == "https")


TIMEOUT = 10.0  # seconds for a whole call
RETRIES = 3
CHUNK_IMAGES = 256
CHUNK_BYTES = 16 << 20
PEM = b"-----BEGIN CERTIFICATE-----"


def check(
    target: str,
    transport: str,
    *,
    timeout: float = TIMEOUT,
    model: str = MODEL,
    version: int | None = None,
    retries: int = RETRIES,
    chunk_images: int = CHUNK_IMAGES,
    chunk_bytes: int = CHUNK_BYTES,
) -> tuple[Target, Settings]:
    """Return the target and the settings for these options. Raises BadRequest."""
    if transport not in PORTS:
        raise BadRequest(f"transport is {transport!r}: expected 'grpc' or 'rest'")
    if not _number(timeout) or not 0 < timeout < math.inf:
        raise BadRequest(f"timeout is {timeout!r}: expected seconds above 0 for a whole call")
    if not isinstance(model, str) or not model:
        raise BadRequest(f"model is {model!r}: expected a name such as '{MODEL}'")
    if version is not None and not (_whole(version) and version > 0):
        raise BadRequest(f"version is {version!r}: expected a number above 0, or None")
    limits = {"retries": (retries, 0), "chunk_images": (chunk_images, 1), "chunk_bytes": (chunk_bytes, 1)}
    for name, (value, least) in limits.items():
        if not _whole(value) or value < least:
            raise BadRequest(f"{name} is {value!r}: expected a whole number of at least {least}")
    place = parse_target(target, transport)
    settings = Settings(
        codec=_codec(transport),
        where=f"{place.address} over {'gRPC' if transport == 'grpc' else 'REST'}",
        model=model,
        version=version,
        timeout=float(timeout),
        retries=retries,
        chunk_images=chunk_images,
        chunk_bytes=chunk_bytes,
        clock=time.monotonic,
    )
    return place, settings


def read_ca_file(ca_file: Any) -> bytes | None:
    """Return the certificates of a PEM file, the roots to trust; None for the system's. Raises BadRequest."""
    if ca_file is None:
        return None
    try:
        pem = Path(ca_file).read_bytes()
    except OSError as error:
        raise BadRequest(f"{ca_file} can't be read ({error.strerror}): expected a PEM file") from None
    if PEM not in pem:
        raise BadRequest(f"{ca_file} holds no certificate: expected a PEM file with '{PEM.decode()}'")
    return pem


def _codec(transport: str) -> Any:
    if transport == "grpc":
        from digits_client.codec_grpc import GrpcCodec  # imports protobuf

        return GrpcCodec()
    from digits_client.codec_rest import RestCodec

    return RestCodec()


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
