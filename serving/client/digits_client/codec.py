"""The interface of a codec, which writes requests as messages and reads the answers. `calls` uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from digits_client import contract
from digits_client.effects import Message
from digits_client.results import LineOutputs, Outputs, VersionStatus


@dataclass(frozen=True, slots=True)
class Spec:
    """The model to ask. version: None for the one in service."""

    model: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a signature. values: pixels, one byte each; or files; or int32 numbers."""

    values: bytes | Sequence[bytes] | Sequence[int]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pixels:
    """MNIST-like images one after another, 784 bytes each."""

    data: bytes
    count: int

    signature: ClassVar[str] = contract.PIXELS

    @property
    def inputs(self) -> Mapping[str, Input]:
        """What the signature takes, by name."""
        return {contract.IMAGES: Input(self.data, (self.count, contract.SIDE, contract.SIDE))}


@dataclass(frozen=True, slots=True)
class Pictures:
    """Whole PNG or JPEG files of one digit each."""

    files: Sequence[bytes]

    signature: ClassVar[str] = contract.ENCODED
    shows: ClassVar[str] = "one digit"
    most: ClassVar[int | None] = None  # files of a request

    @property
    def count(self) -> int:
        """The number of files."""
        return len(self.files)

    @property
    def inputs(self) -> Mapping[str, Input]:
        """What the signature takes, by name."""
        return {contract.IMAGE_BYTES: Input(self.files, (self.count,))}


@dataclass(frozen=True, slots=True)
class LinePictures(Pictures):
    """Whole PNG or JPEG files of one line of writing each."""

    signature: ClassVar[str] = contract.LINES_ENCODED
    shows: ClassVar[str] = "one line"
    most: ClassVar[int | None] = contract.MOST_LINES


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of writing: their pixels row by row, and their widths. They are sent as wide as the widest."""

    lines: Sequence[bytes]
    widths: Sequence[int]

    signature: ClassVar[str] = contract.LINES

    @property
    def count(self) -> int:
        """The number of lines."""
        return len(self.lines)

    @property
    def inputs(self) -> Mapping[str, Input]:
        """What the signature takes, by name."""
        widest = max(self.widths)
        filled = b"".join(map(_filled, self.lines, self.widths, [widest] * self.count))
        return {
            contract.LINE_IMAGES: Input(filled, (self.count, contract.HEIGHT, widest)),
            contract.WIDTH: Input(self.widths, (self.count,)),
        }


def _filled(line: bytes, width: int, widest: int) -> bytes:
    if width == widest:
        return line
    spare = bytes(widest - width)
    return b"".join(line[start : start + width] + spare for start in range(0, len(line), width))


Images = Pixels | Pictures | LinePictures | Lines


class Codec(Protocol):
    """Writes requests and reads answers in one format; reading raises ValueError on unexpected content."""

    @property
    def names_version(self) -> bool:
        """Whether the answer to Predict names the version that made it."""

    def predict(self, spec: Spec, images: Images) -> Message:
        """Return a Predict request."""

    def parse_prediction(self, body: bytes, count: int) -> Outputs:
        """Read the answer to `predict` for so many images."""

    def parse_lines(self, body: bytes, count: int) -> LineOutputs:
        """Read the answer to `predict` for so many lines."""

    def status(self, spec: Spec) -> Message:
        """Return a GetModelStatus request."""

    def parse_status(self, body: bytes) -> tuple[VersionStatus, ...]:
        """Read the answer to `status`."""
