"""The paths of the REST API, and what they ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from serving.model_server.status import invalid

_LARGEST = 2**63 - 1
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
POST = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)", re.IGNORECASE)
GET = re.compile(
    r"/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?(?P<metadata>/metadata)?",
    re.IGNORECASE,
)
API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Target:
    """The model that a path names: its version, its label or neither."""

    name: str
    version: int | None
    label: str | None

    def write(self, spec: Any) -> None:
        """Fill an empty ModelSpec."""
        spec.name = self.name
        if self.version is not None:
            spec.version.value = self.version
        elif self.label is not None:
            spec.version_label = self.label


def target(found: re.Match[str]) -> Target:
    """That of a path that matches. Raises Status."""
    version = found["version"]
    if version is not None and int(version) > _LARGEST:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    label = found["label"]
    return Target(
        unquote(found["name"] or ""), None if version is None else int(version), label and unquote(label)
    )


def named(verb: str, path: str) -> tuple[str, str] | None:
    """(model, "predict" or its like) of a request, "" for what it does not name; None beyond the API."""
    if not API.fullmatch(path):
        return None
    found = POST.fullmatch(path) if verb == "POST" else GET.fullmatch(path) if verb == "GET" else None
    if not found:
        return "", ""
    return unquote(found["name"] or ""), found["verb"] if verb == "POST" else ""
