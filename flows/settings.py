"""Prefect's settings for this project, as environment variables: to be set before Prefect is imported."""

from __future__ import annotations

import os
from pathlib import Path

OWN = "DIGITS_PREFECT"  # "own": the user's Prefect profile and server are used


def environment(project: Path) -> dict[str, str]:
    """What Prefect has to be told: its folder is the project's, and nothing leaves this machine."""
    quiet = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    if os.environ.get(OWN) == "own":
        return quiet
    return quiet | {"PREFECT_HOME": str(project / ".prefect"), "PREFECT_PROFILE": "ephemeral"}


def apply(project: Path) -> None:
    """Set them in this process."""
    os.environ.update(environment(project))
