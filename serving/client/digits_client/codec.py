"""What the core asks of a transport's language: requests → messages, answers → outputs. No IO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from digits_client.effects import Message
from digits_client.results import Outputs, VersionStatus


@dataclass(frozen=True, slots=True)
class Spec:
    """Which model answers. No version: the one in service."""

    model: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Pixels:
    """MNIST-like images behind one another, 784 bytes each."""

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """Whole PNG or JPEG files."""

    files: Sequence[bytes]

    @property
    def count(self) -> int:
        """How many."""
        return len(self.files)


Images = Pixels | Pictures


class Codec(Protocol):
    """One way of writing requests and reading answers; reading raises ValueError on what is foreign."""

    @property
    def tells_version(self) -> bool:
        """Whether an answer to Predict names the version that made it."""

    def predict(self, spec: Spec, images: Images) -> Message:
        """A Predict request."""

    def predicted(self, body: bytes, count: int) -> Outputs:
        """The answer to it, for so many images."""

    def status(self, spec: Spec) -> Message:
        """A GetModelStatus request."""

    def statuses(self, body: bytes) -> tuple[VersionStatus, ...]:
        """The answer to it."""
