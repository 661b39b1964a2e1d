"""Writes and reads the pointer: models.config, the text-format ModelServerConfig that every server polls.

The model `digits` is the stable version, `digits_canary` the candidate while one is on trial. Each names one
version explicitly: under the `latest` policy a version would serve as soon as it is published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import (
    model_server_config_pb2,
)  # of its modules the one that loads no TensorFlow

from digits import wire
from digits.runtime.errors import StoreError

PLATFORM = "tensorflow"
HEADER = "# Which versions serve. Written by `digits promote` and `digits rollback`; servers poll it.\n"
REMEDY = "delete it and promote a version again (`digits versions` lists them)"


@dataclass(frozen=True)
class Pointer:
    """The stable version, the one on trial if any, and the folder of the versions as servers see it."""

    base_path: str
    stable: int
    canary: int | None = None

    @property
    def versions(self) -> set[int]:
        """The one or two versions in it."""
        return {self.stable} if self.canary is None else {self.stable, self.canary}


def render(pointer: Pointer) -> str:
    """The text of models.config. Raises StoreError for a relative base path, which servers refuse."""
    if not PurePosixPath(pointer.base_path).is_absolute():
        raise StoreError(
            f"the base path '{pointer.base_path}' is relative: give an absolute one, such as /models/digits"
        )
    config = model_server_config_pb2.ModelServerConfig()
    for name, version in ((wire.MODEL, pointer.stable), (wire.CANARY, pointer.canary)):
        if version is not None:
            entry = config.model_config_list.config.add()
            entry.name, entry.base_path, entry.model_platform = name, pointer.base_path, PLATFORM
            entry.model_version_policy.specific.versions.append(version)
    return HEADER + str(text_format.MessageToString(config))


def parse(text: str, where: str) -> Pointer:
    """Read what `render` wrote. Raises StoreError on anything else; `where` names the file in the message."""
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise StoreError(f"{where} is not a model server's configuration ({error}): {REMEDY}") from None
    entries = {entry.name: entry for entry in config.model_config_list.config}
    others = set(entries) - {wire.MODEL, wire.CANARY}
    if others or wire.MODEL not in entries or len(entries) != len(config.model_config_list.config):
        names = ", ".join(entry.name for entry in config.model_config_list.config) or "no model"
        raise StoreError(
            f"{where} names {names}; expected {wire.MODEL} once, {wire.CANARY} at most once: {REMEDY}"
        )
    if len({entry.base_path for entry in entries.values()}) != 1:
        raise StoreError(f"{where} gives its two models different folders; expected the same: {REMEDY}")
    stable = entries[wire.MODEL]
    trial = entries.get(wire.CANARY)
    return Pointer(stable.base_path, _version(stable, where), _version(trial, where) if trial else None)


def _version(entry: Any, where: str) -> int:
    """The one version that a model's entry names."""
    versions = list(entry.model_version_policy.specific.versions)
    if len(versions) != 1 or versions[0] < 1:
        raise StoreError(f"{where} does not name exactly one version of {entry.name}: {REMEDY}")
    return int(versions[0])
