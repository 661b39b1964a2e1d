"""Recorded versions to the project's remotes: data to DVC's default one, then tags to the Git ones.

What is still to be pushed is read from the state itself: a tag that a Git remote lacks, a version without a
ref below refs/digits/stored. So a push that failed, or was killed, is tried again by the next one, and
nothing is kept aside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flows.clone.git import CommandFailed, commit_of, dvc, git
from flows.clone.workspace import Workspace, has_default_remote

PREFIX = "digits@v"
STORED = "refs/digits/stored/"  # a ref for each tag whose data DVC's default remote has
ASKING = 120.0  # seconds for a remote to list its tags
PUSHING = 3600.0  # seconds for an upload


@dataclass(frozen=True)
class Push:
    """What became of a push to one remote: `dvc`, or a Git remote's name."""

    remote: str
    ok: bool
    detail: str


def push(workspace: Workspace, to: Collection[str] | None = None) -> tuple[Push, ...]:
    """Push every recorded version that a remote lacks; an answer each. to: Git remotes; all without.

    Never raises because of a remote. A tag goes out only once its data did, where DVC has a default remote.
    """
    done: list[Push] = []
    tags = _refs(workspace, f"refs/tags/{PREFIX}*")
    waits: set[str] = set()
    if tags and has_default_remote(workspace.root):
        told, waits = _push_data(workspace, tags)
        done.append(told)
    ready = {tag: made for tag, made in tags.items() if tag not in waits}
    for remote in git(workspace.project, "remote").splitlines():
        if tags and (to is None or remote in to):
            done.append(_push_tags(workspace, remote, ready, waits))
    return tuple(done)


def _push_data(workspace: Workspace, tags: Mapping[str, str]) -> tuple[Push, set[str]]:
    """What came of it, and the tags whose data is still to be pushed; one that fails holds up no other."""
    stored = _refs(workspace, f"{STORED}*")
    missing = [tag for tag, made in tags.items() if stored.get(f"{STORED}{_short(tag)}") != made]
    failed: dict[str, str] = {}
    for tag in sorted(missing):
        try:
            _upload(workspace, tag)
            git(workspace.project, "update-ref", f"{STORED}{_short(tag)}", tags[tag])
        except CommandFailed as error:
            failed[tag] = str(error)
    if failed:
        why = next(iter(failed.values()))
        return Push("dvc", False, f"{_names(failed)} not pushed, tried again next time: {why}"), set(failed)
    return Push("dvc", True, f"pushed {_names(missing)}" if missing else "up to date"), set()


def _upload(workspace: Workspace, tag: str) -> None:
    """A version's data to DVC's default remote; raises CommandFailed."""
    project, root = workspace.project, workspace.root
    if commit_of(project, tag) == commit_of(root, "HEAD"):
        dvc(root, "push", "--quiet", patience=PUSHING)
        return
    # one that could not be pushed in its time: DVC finds an earlier commit by the clone's tags alone
    for other in git(root, "tag", "--list").splitlines():
        git(root, "tag", "--delete", other)
    git(root, "fetch", "--quiet", "--no-tags", str(project), f"+{tag}:{tag}")
    dvc(root, "push", "--quiet", "--all-tags", patience=PUSHING)


def _push_tags(workspace: Workspace, remote: str, ready: Mapping[str, str], waits: Collection[str]) -> Push:
    try:
        told = git(workspace.project, "ls-remote", "--tags", remote, f"{PREFIX}*", patience=ASKING)
        there = {name: made for made, _, name in (line.partition("\t") for line in told.splitlines())}
        missing = sorted(tag for tag in ready if tag not in there)
        if missing:
            specs = [f"{tag}:{tag}" for tag in missing]
            git(workspace.project, "push", "--quiet", "--no-verify", remote, *specs, patience=PUSHING)
    except CommandFailed as error:
        return Push(remote, False, f"tags not pushed, tried again next time: {error}")
    if other := [tag for tag, made in ready.items() if there.get(tag, made) != made]:
        return Push(
            remote, False, f"has another {_names(other)}, of another store: one of them must be renamed"
        )
    if waits:
        return Push(remote, False, f"{_names(waits)} waits until DVC's remote has its data")
    return Push(remote, True, f"pushed {_names(missing)}" if missing else "up to date")


def _refs(workspace: Workspace, pattern: str) -> dict[str, str]:
    """Full name → object of the project's refs that match."""
    lines = git(workspace.project, "for-each-ref", "--format=%(refname) %(objectname)", pattern).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def _short(tag: str) -> str:
    return tag.removeprefix("refs/tags/")


def _names(tags: Collection[str]) -> str:
    return ", ".join(_short(tag) for tag in sorted(tags))
