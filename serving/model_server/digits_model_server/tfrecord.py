"""Reads and writes TFRecord files without TensorFlow; every checksum, a CRC-32C, is checked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap

from google_crc32c import value as crc32c

from digits_model_server.status import DATA_LOSS, Status

_HEAD = struct.Struct("<QI")
_FOOT = struct.Struct("<I")
_MASK = 0xA282EAD8


def records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a file's bytes. Raises Status for a file that is cut short or damaged."""
    place = 0
    while place < len(data):
        if place + _HEAD.size > len(data):
            raise _damaged(f"truncated record at {place}")
        length, checksum = _HEAD.unpack_from(data, place)
        if _masked(data[place : place + 8]) != checksum:
            raise _damaged(f"corrupted record at {place}")
        start = place + _HEAD.size
        end = start + length
        if end + _FOOT.size > len(data):
            raise _damaged(f"truncated record at {place}")
        record = data[start:end]
        if _masked(record) != _FOOT.unpack_from(data, end)[0]:
            raise _damaged(f"corrupted record at {place}")
        yield record
        place = end + _FOOT.size


def whole(data: bytes | mmap) -> int:
    """Return where the part of a record begins that ends a file's bytes; their number where there is none.

    Only lengths are read, so that a large file takes moments. Damage of any other kind counts as whole.
    """
    place = 0
    while place + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, place)
        if _masked(data[place : place + 8]) != checksum:
            return len(data)
        end = place + _HEAD.size + length + _FOOT.size
        if end > len(data):
            break
        place = end
    return place


def frame(record: bytes) -> bytes:
    """Return a record with its length and checksums, as it stands in a file."""
    length = len(record).to_bytes(8, "little")
    return b"".join((length, _FOOT.pack(_masked(length)), record, _FOOT.pack(_masked(record))))


def _damaged(what: str) -> Status:
    return Status(DATA_LOSS, f"{what}. Please verify your warmup data is in TFRecord format.")


def _masked(data: bytes) -> int:
    checksum: int = crc32c(data)
    return (((checksum >> 15) | (checksum << 17)) + _MASK) & 0xFFFFFFFF
