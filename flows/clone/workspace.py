"""The clone that scheduled retraining works in: `.digits/workspace`, on main, never the user's own tree.

It is a repository of its own, filled by `git fetch`: it shares no object with the project, so that neither
`git gc` nor a rewritten main there can break it. Nothing in it is the only copy of anything: accepted
batches and tags live in the project's repository, data in DVC's cache, versions in the project's
`models/serving`. So whatever a killed run left is thrown away; what Git ignores (data, models, checkpoints)
stays, and spares DVC a check-out. Its `.dvc/config.local` has the project's DVC settings, cache and remotes
as seen from the clone.

A project without Git has no committed state to start from and is refused; `digits run` needs none.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits import files
from digits.pipeline import dvc_process
from digits.runtime import locks
from digits.runtime.errors import DigitsError
from flows.clone import arrival, dvc_files
from flows.clone.dvc_files import ACCEPTED, BASE, INCOMING
from flows.clone.git import CommandFailed, commit_of, dvc, git, git_or_none


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


FOLDER = ".digits"


class WorkspaceError(DigitsError):
    """The clone can't be made."""


class WorkspaceBusy(WorkspaceError):
    """Another run works in the clone."""


@dataclass(frozen=True)
class Workspace:
    """A clone ready to work in. Plain values: it may be passed between tasks.

    project: the user's folder. root: the clone's. base: the commit of main that this run starts from.
    """

    project: Path
    root: Path
    base: str

    @property
    def scratch(self) -> Path:
        """A folder beside the clone, on its disk, that every `prepare` empties."""
        return self.root.with_name("staging")


@contextlib.contextmanager
def prepare(project: Path) -> Iterator[Workspace]:
    """Hold the project's clone alone, clean: at the last commit of main plus the batches accepted since.

    Of the project's own tree nothing is changed and nothing uncommitted is taken, but for DVC's settings.
    Raises WorkspaceBusy when another run holds it, WorkspaceError where there is no Git or no commit.
    """
    project = project.resolve()
    start = _start(project)
    folder = project / FOLDER
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(exist_ok=True)
            # so that a project that does not list the folder is safe too
            for ignores in (folder / ".gitignore", folder / ".dvcignore"):
                if not ignores.exists():
                    files.write_text(ignores, "*\n")
            held.enter_context(locks.hold(folder / "workspace.lock", _busy))
            made = _made(project, start)
        except OSError as error:
            where = error.filename or folder
            raise WorkspaceError(f"{where}: {error.strerror}: fix that and run again") from None
        yield made


def _start(project: Path) -> str:
    """What to fetch: main, else the branch that is checked out."""
    if shutil.which("git") is None:
        raise WorkspaceError("git is not on the PATH: scheduled retraining needs it; `digits run` does not")
    top = git_or_none(project, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != project:
        raise WorkspaceError(
            f"{project} is no Git repository, expected one: retraining starts from what is committed: "
            "`git init` and commit, or use `digits run`"
        )
    start = "refs/heads/main" if commit_of(project, "refs/heads/main") else "HEAD"
    if commit_of(project, start) is None:
        raise WorkspaceError(f"nothing is committed in {project}: scheduled retraining starts from a commit")
    return start


def _busy(holder: str) -> WorkspaceBusy:
    return WorkspaceBusy(f"another scheduled run (process {holder}) is at work: wait for it, or stop it")


def _made(project: Path, start: str) -> Workspace:
    root = project / FOLDER / "workspace"
    root.mkdir(exist_ok=True)
    try:
        base = _reset(project, root, start)
    except CommandFailed:  # what a power cut leaves of a repository is not worth mending: it is all fetched
        shutil.rmtree(root / ".git", ignore_errors=True)
        base = _reset(project, root, start)
    made = Workspace(project, root, base)
    shutil.rmtree(made.scratch, ignore_errors=True)
    dvc_process.heal(root)
    share_settings(project, root)
    _check_out_batches(project, root)
    return made


def _reset(project: Path, root: Path, start: str) -> str:
    """Fetch, and put the tree on main plus the accepted batches, whatever state it was in; main's commit."""
    for left in (root / ".git").rglob("*.lock"):
        left.unlink()
    git(root, "init", "--quiet", "--template=")
    fetched = f"+{start}:{BASE}", f"+{ACCEPTED}*:{ACCEPTED}*"  # with a star it may be missing
    options = ("--quiet", "--no-tags", "--prune", "--update-shallow", "--no-write-fetch-head")
    git(root, "fetch", *options, str(project), *fetched)
    commit = dvc_files.carrying(project, root, dvc_files.to_carry(root))
    settle(root, commit)
    return git(root, "rev-parse", BASE)


def settle(root: Path, commit: str) -> None:
    """Put the clone's tree on a commit, off any branch; what is neither in it nor ignored goes."""
    git(root, "update-ref", "--no-deref", "HEAD", commit)
    git(root, "reset", "--quiet", "--hard")
    git(root, "clean", "--quiet", "-ffd")


def _check_out_batches(project: Path, root: Path) -> None:
    """Have every batch hold what its `.dvc` file tells: DVC takes a damaged one for a new state of it."""
    listed = dvc_files.digests(root, dvc_files.listed(root, "HEAD"))
    told = {name: digest for name, digest in listed.items() if digest}
    wrong = [name for name, digest in told.items() if _digest(root / INCOMING / name) != digest]
    for name in told.keys() - set(wrong):
        if not cached(project, told[name]):  # `dvc gc` knows nothing of batches that no branch has
            dvc(root, "commit", "--quiet", "--force", f"{INCOMING}/{name}.dvc")
    if not wrong:
        return
    targets = [f"{INCOMING}/{name}.dvc" for name in wrong]
    try:
        dvc(root, "checkout", "--force", *targets)
    except CommandFailed as error:
        if not has_default_remote(root):
            raise WorkspaceError(
                f"the data of batch {', '.join(wrong)} is not in DVC's cache ({error}): bring it back, "
                f"or drop the accepted batches that main lacks: `git update-ref -d {ACCEPTED}`"
            ) from None
        dvc(root, "pull", "--force", *targets)


def _digest(batch: Path) -> str:
    try:
        return arrival.digest(arrival.contents(batch, links=True))
    except arrival.BatchError:
        return ""
