"""Limits on a single request. TensorFlow Serving has none of them; each can be lifted by its flag."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from digits_model_server.status import INVALID_ARGUMENT, RESOURCE_EXHAUSTED, Status

STEP = 1 << 16  # bytes that are unpacked at a time


@dataclass(frozen=True)
class Limits:
    """The limits; 0 stands for no limit.

    request_bytes: of a gRPC message or an HTTP body, unpacked. batch_rows: first dimension of an input whose
    signature leaves it open. json_depth: lists in lists. json_parts: lists, objects and strings of a
    JSON body. gzip_ratio: of the unpacked to the packed size.
    """

    request_bytes: int = 64 << 20
    batch_rows: int = 4096
    json_depth: int = 64
    json_parts: int = 1_000_000
    gzip_ratio: int = 200


def too_large(limit: int) -> Status:
    """Return the error for a body larger than `request_bytes`."""
    return Status(
        RESOURCE_EXHAUSTED,
        f"the request is larger than {limit} bytes: send less at once, or raise --max_request_bytes",
    )


def gunzip(data: bytes, limits: Limits) -> bytes:
    """Unpack a gzip body within the limits.

    Raises Status for one that is not gzip, is cut short or is a bomb.
    """
    unpacker = zlib.decompressobj(wbits=31)
    parts: list[bytes] = []
    size, rest = 0, data
    try:
        while not unpacker.eof:
            part = unpacker.decompress(rest, STEP)
            rest = unpacker.unconsumed_tail
            if not part and not rest:
                break
            size += len(part)
            if limits.request_bytes and size > limits.request_bytes:
                raise too_large(limits.request_bytes)
            if limits.gzip_ratio and size > max(limits.gzip_ratio * len(data), STEP):
                raise Status(
                    INVALID_ARGUMENT,
                    f"the gzip body unpacks to more than {limits.gzip_ratio} times its size: send it "
                    "unpacked, or raise --max_gzip_ratio",
                )
            parts.append(part)
    except zlib.error as error:
        raise Status(INVALID_ARGUMENT, f"the body is not gzip as Content-Encoding says: {error}") from None
    if not unpacker.eof:
        raise Status(INVALID_ARGUMENT, "the gzip body is cut short")
    return b"".join(parts)
