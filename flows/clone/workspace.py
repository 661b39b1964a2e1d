"""Prepares the clone that scheduled retraining works in: `.digits/workspace`, on main, never the user's tree.

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
from digits.runtime.addresses import without_secrets
from digits.runtime.errors import DigitsError
from flows.clone import arrival, dvc_files
from flows.clone.dvc_files import ACCEPTED, BASE, INCOMING
from flows.clone.git import CommandFailed, commit_of, dvc, git, git_or_none


def share_settings(project: Path, clone: Path) -> None:
    """Have DVC in the clone use the project's cache and remotes, whatever relative paths mean in the clone.

    Remotes may hold passwords, so only the owner may read the file. Raises CommandFailed on settings that
    DVC refuses.
    """
    from dvc.config import Config, ConfigError, merge  # takes half a second to import

    local = clone / ".dvc" / "config.local"
    local.parent.mkdir(exist_ok=True)
    local.unlink(missing_ok=True)
    local.touch(mode=0o600)
    try:
        settings = Config(str(project / ".dvc"), validate=False)
        shared: dict[str, Any] = {}
        for level in ("repo", "local"):
            merge(shared, settings.load_one(level))  # relative paths come back absolute
        shared["core"].pop("no_scm", None)  # the project may once have been without Git; the clone never is
        shared["cache"]["dir"] = str(cache_folder(project))
        with Config(str(clone / ".dvc"), validate=False).edit("local") as own:
            merge(own, shared)
    except ConfigError as error:
        said = without_secrets(str(error))
        raise CommandFailed(f"{project / '.dvc'} has settings that DVC refuses: {said}") from None


def cache_folder(project: Path) -> Path:
    """The folder of DVC's cache of a project."""
    from dvc.config import Config

    settings = Config(str(project / ".dvc"), validate=False).load_config_to_level()
    return Path(str(settings.get("cache", {}).get("dir", project / ".dvc" / "cache")))


def is_cached(project: Path, digest: str) -> bool:
    """Whether DVC's cache holds the listing of a folder with this digest."""
    return (cache_folder(project) / "files" / "md5" / digest[:2] / digest[2:]).exists()


def has_default_remote(root: Path) -> bool:
    """Whether `dvc push` at `root` has somewhere to go."""
    from dvc.config import Config

    return bool(Config(str(root / ".dvc"), validate=False).get("core", {}).get("remote"))


FOLDER = ".digits"


class WorkspaceError(DigitsError):
    """The clone can't be prepared."""


class WorkspaceBusy(WorkspaceError):
    """Another run is working in the clone."""


@dataclass(frozen=True)
class Workspace:
    """A clone that is ready to work in; plain values, so that it can be passed between tasks.

    project: the user's folder. root: the clone's. base: the commit of main that this run starts from.
    """

    project: Path
    root: Path
    base: str

    @property
    def scratch(self) -> Path:
        """A folder beside the clone, on the same disk, that every `prepare` empties."""
        return self.root.with_name("staging")


@contextlib.contextmanager
def prepare(project: Path) -> Iterator[Workspace]:
    """Hold the project's clone exclusively, clean: main's last commit plus the batches accepted since.

    The project's own tree is not changed, and apart from DVC's settings nothing uncommitted is used.
    Raises WorkspaceBusy when another run holds the clone, WorkspaceError without Git or a commit.
    """
    project = project.resolve()
    start = _start(project)
    folder = project / FOLDER
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(exist_ok=True)
            # for projects whose own ignore files don't list the folder
            for ignores in (folder / ".gitignore", folder / ".dvcignore"):
                if not ignores.exists():
                    files.write_text(ignores, "*\n")
            stack.enter_context(locks.hold(folder / "workspace.lock", _busy))
            workspace = _make(project, start)
        except OSError as error:
            where = error.filename or folder
            raise WorkspaceError(f"{where}: {error.strerror}: fix this and run again") from None
        yield workspace


def _start(project: Path) -> str:
    """The ref to fetch: main, or else the branch that is checked out."""
    if shutil.which("git") is None:
        raise WorkspaceError("git is not on the PATH: scheduled retraining needs it; `digits run` does not")
    top = git_or_none(project, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != project:
        raise WorkspaceError(
            f"{project} is not a Git repository, but scheduled retraining starts from what is committed: "
            "`git init` and commit, or use `digits run`"
        )
    for start in ("refs/heads/main", "HEAD"):
        if commit_of(project, start):
            return start
    raise WorkspaceError(f"nothing is committed in {project}: scheduled retraining starts from a commit")


def _busy(holder: str) -> WorkspaceBusy:
    return WorkspaceBusy(f"another scheduled run (process {holder}) is working: wait for it, or stop it")


def _make(project: Path, start: str) -> Workspace:
    root = project / FOLDER / "workspace"
    root.mkdir(exist_ok=True)
    try:
        base = _reset(project, root, start)
    except CommandFailed:  # a repository that a power cut damaged is not worth a repair: all of it is fetched
        shutil.rmtree(root / ".git", ignore_errors=True)
        base = _reset(project, root, start)
    workspace = Workspace(project, root, base)
    shutil.rmtree(workspace.scratch, ignore_errors=True)
    dvc_process.drop_dead_locks(root)
    share_settings(project, root)
    _check_out_batches(project, root)
    return workspace


def _reset(project: Path, root: Path, start: str) -> str:
    """Fetch, and set the tree to main plus the accepted batches, whatever its state; return main's commit."""
    for stale in (root / ".git").rglob("*.lock"):
        stale.unlink()
    git(root, "init", "--quiet", "--template=")
    refs = f"+{start}:{BASE}", f"+{ACCEPTED}*:{ACCEPTED}*"  # with a star it may be missing
    options = ("--quiet", "--no-tags", "--prune", "--update-shallow", "--no-write-fetch-head")
    git(root, "fetch", *options, str(project), *refs)
    commit = dvc_files.commit_with(project, root, dvc_files.missing_from_main(root))
    settle(root, commit)
    return git(root, "rev-parse", BASE)


def settle(root: Path, commit: str) -> None:
    """Set the clone's tree to a commit, on no branch; files neither in it nor ignored are deleted."""
    git(root, "update-ref", "--no-deref", "HEAD", commit)
    git(root, "reset", "--quiet", "--hard")
    git(root, "clean", "--quiet", "-ffd")


def _check_out_batches(project: Path, root: Path) -> None:
    """Restore every batch to what its `.dvc` file says: DVC would take damage for a new state of it."""
    listed = dvc_files.digests(root, dvc_files.list_batches(root, "HEAD"))
    digests = {name: digest for name, digest in listed.items() if digest}
    wrong = [name for name, digest in digests.items() if _digest(root / INCOMING / name) != digest]
    for name in digests.keys() - set(wrong):
        if not is_cached(project, digests[name]):  # `dvc gc` does not know batches that no branch has
            dvc(root, "commit", "--quiet", "--force", f"{INCOMING}/{name}.dvc")
    if not wrong:
        return
    targets = [f"{INCOMING}/{name}.dvc" for name in wrong]
    try:
        dvc(root, "checkout", "--force", *targets)
    except CommandFailed as error:
        if not has_default_remote(root):
            raise WorkspaceError(
                f"the data of batch {', '.join(wrong)} is not in DVC's cache ({error}): restore it, "
                f"or drop the accepted batches that main lacks: `git update-ref -d {ACCEPTED}`"
            ) from None
        dvc(root, "pull", "--force", *targets)


def _digest(batch: Path) -> str:
    try:
        return arrival.digest(arrival.contents(batch, None))
    except arrival.BatchError:
        return ""
