"""TFRecord bytes → the records in them, every checksum checked, and back. Without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.model_server.status import DATA_LOSS, Status

_HEAD = struct.Struct("<QI")
_FOOT = struct.Struct("<I")
_MASK = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
LANE = 256  # bytes that one lane of the checksum covers


def records(data: bytes) -> Iterator[bytes]:
    """The records of a file. Raises Status: cut short, or damaged."""
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


def framed(record: bytes) -> bytes:
    """A record as it stands in a file."""
    length = len(record).to_bytes(8, "little")
    return b"".join((length, _FOOT.pack(_masked(length)), record, _FOOT.pack(_masked(record))))


def _damaged(what: str) -> Status:
    return Status(DATA_LOSS, f"{what}. Please verify your warmup data is in TFRecord format.")


def _masked(data: bytes) -> int:
    checksum = crc32c(data)
    return (((checksum >> 15) | (checksum << 17)) + _MASK) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 3720).

    A checksum is linear: lanes of LANE bytes are summed side by side, byte by byte, and joined afterwards.
    Byte after byte in Python would hold up requests for a tenth of a second per megabyte and more.
    """
    table = _table()
    rest = len(data) % LANE
    state = 0xFFFFFFFF
    for byte in data[:rest]:
        state = (state >> 8) ^ int(table[(state ^ byte) & 0xFF])
    if rest == len(data):
        return state ^ 0xFFFFFFFF
    lanes = np.frombuffer(data, np.uint8, offset=rest).reshape(-1, LANE)
    sums = np.zeros(len(lanes), np.uint32)
    for column in lanes.T:
        sums = (sums >> np.uint32(8)) ^ table[(sums ^ column) & np.uint32(0xFF)]
    skip = _skip()
    for lane in sums.tolist():
        state = lane ^ _apply(skip, state)
    return state ^ 0xFFFFFFFF


@cache
def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), table >> np.uint32(1))
    return table


@cache
def _skip() -> list[list[int]]:
    """What LANE zero bytes make of each byte of a state: four tables of 256."""
    table = _table()
    moved = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for _ in range(LANE):
        moved = (moved >> np.uint32(8)) ^ table[moved & np.uint32(0xFF)]
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    tables: list[list[int]] = []
    for byte in range(4):
        chosen: NDArray[Any] = np.where(bits, moved[8 * byte : 8 * byte + 8], np.uint32(0))
        tables.append(np.bitwise_xor.reduce(chosen, axis=1).tolist())
    return tables


def _apply(tables: list[list[int]], state: int) -> int:
    a, b, c, d = tables
    return a[state & 0xFF] ^ b[(state >> 8) & 0xFF] ^ c[(state >> 16) & 0xFF] ^ d[state >> 24]
