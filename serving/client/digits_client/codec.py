"""The interface of a codec, which writes requests as messages and reads the answers. `calls` uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from digits_client.effects import Message
from digits_client.results import Outputs, VersionStatus


@dataclass(frozen=True, slots=True)
class Spec:
    """The model to ask. version: None for the one in service."""

    model: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Pixels:
    """MNIST-like images one after another, 784 bytes each."""

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """Whole PNG or JPEG files."""

    files: Sequence[bytes]

    @property
    def count(self) -> int:
        """The number of files."""
        return len(self.files)


Images = Pixels | Pictures


class Codec(Protocol):
    """Writes requests and reads answers in one format; reading raises ValueError on unexpected content."""

    @property
    def names_version(self) -> bool:
        """Whether the answer to Predict names the version that made it."""

    def predict(self, spec: Spec, images: Images) -> Message:
        """Return a Predict request."""

    def parse_prediction(self, body: bytes, count: int) -> Outputs:
        """Read the answer to `predict` for so many images."""

    def status(self, spec: Spec) -> Message:
        """Return a GetModelStatus request."""

    def parse_status(self, body: bytes) -> tuple[VersionStatus, ...]:
        """Read the answer to `status`."""
