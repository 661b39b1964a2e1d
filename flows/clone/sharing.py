"""The clone's `.dvc/config.local`: the project's DVC settings, cache and remotes as seen from the clone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.clone.git import CommandFailed


def share_settings(project: Path, clone: Path) -> None:
    """Have DVC in the clone use the project's cache and remotes, wherever relative paths lead from there.

    Remotes may hold passwords: the file is its owner's alone. Raises CommandFailed on settings DVC refuses.
    """
    from dvc.config import Config, ConfigError, merge  # takes half a second to import

    local = clone / ".dvc" / "config.local"
    local.parent.mkdir(exist_ok=True)
    local.unlink(missing_ok=True)
    local.touch(mode=0o600)
    try:
        settings = Config(str(project / ".dvc"), validate=False)
        mine: dict[str, Any] = {}
        for level in ("repo", "local"):
            merge(mine, settings.load_one(level))  # relative paths come back absolute
        mine["core"].pop("no_scm", None)  # the project may have been without Git once; the clone never is
        mine["cache"]["dir"] = str(cache(project))
        with Config(str(clone / ".dvc"), validate=False).edit("local") as theirs:
            merge(theirs, mine)
    except ConfigError as error:
        raise CommandFailed(f"{project / '.dvc'} holds settings that DVC refuses: {error}") from None


def cache(project: Path) -> Path:
    """Where DVC keeps the data of a project."""
    from dvc.config import Config

    settings = Config(str(project / ".dvc"), validate=False).load_config_to_level()
    return Path(str(settings.get("cache", {}).get("dir", project / ".dvc" / "cache")))


def cached(project: Path, digest: str) -> bool:
    """Whether DVC's cache holds the listing of a folder with this digest."""
    return (cache(project) / "files" / "md5" / digest[:2] / digest[2:]).exists()


def has_default_remote(root: Path) -> bool:
    """Whether `dvc push` at `root` has somewhere to go."""
    from dvc.config import Config

    return bool(Config(str(root / ".dvc"), validate=False).get("core", {}).get("remote"))
