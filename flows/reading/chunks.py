"""Cuts a pile into chunks, so that a file that comes, goes or changes alters one chunk, or two, and no other.

A chunk ends after a file whose name has a certain checksum rather than after a fixed number of files: a new
file then moves no later boundary. Its digest, of its files and of how they are read, names its part of the
table, so a part that is there need not be made again.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flows.reading.sources import Input

FILES = 200  # of a chunk on average; twice as many at most, and half as many at least …
BYTES = 64 << 20  # … unless they have more bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Files that are read together. digest: of them and of how they are read."""

    digest: str
    names: tuple[str, ...]


def cut(found: Iterable[Input], how: str, files: int = FILES, most_bytes: int = BYTES) -> Iterator[Chunk]:
    """Yield chunks of about so many files. how: all that decides what the table says of them."""
    half = max(1, files // 2)
    own: list[Input] = []
    size = 0
    for each in found:
        if own and size + each.size > most_bytes:
            yield _chunk(own, how)
            own, size = [], 0
        own.append(each)
        size += each.size
        ends = len(own) >= half and zlib.crc32(each.name.encode("utf-8", "surrogateescape")) % half == 0
        if ends or len(own) >= 2 * files:
            yield _chunk(own, how)
            own, size = [], 0
    if own:
        yield _chunk(own, how)


def _chunk(own: list[Input], how: str) -> Chunk:
    words = json.dumps([how, [[each.name, each.size, each.stamp] for each in own]])
    digest = hashlib.sha256(words.encode()).hexdigest()[:32]
    return Chunk(digest, tuple(each.name for each in own))
