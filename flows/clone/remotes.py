"""Pushes recorded versions to the project's remotes: data to DVC's default one, then tags to the Git ones.

Scheduled runs call it. There is no list of pending pushes: what is missing follows from the tags that a Git
remote has and from the refs below refs/digits/stored. So a push that failed, or was killed, is tried again
by the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flows.clone.git import CommandFailed, commit_of, dvc, git
from flows.clone.workspace import Workspace, has_default_remote

VERSION, SERVING = "digits@v", "digits#serving#"  # how the tags begin, in GTO's form
STORED = "refs/digits/stored/"  # a ref for each tag whose data DVC's default remote has
LIST_TIMEOUT = 120.0  # seconds for a remote to list its tags
PUSH_TIMEOUT = 3600.0  # seconds for an upload


@dataclass(frozen=True)
class Push:
    """The result of a push to one remote: `dvc`, or a Git remote's name."""

    remote: str
    ok: bool
    detail: str


def push(workspace: Workspace, to: Collection[str] | None = None) -> tuple[Push, ...]:
    """Push every recorded version that a remote lacks; return a result for each. to: Git remotes, None: all.

    Never raises because of a remote. Where DVC has a default remote, a tag is pushed only after its data.
    """
    pushes: list[Push] = []
    tags = _refs(workspace, f"refs/tags/{VERSION}*")
    pending: set[str] = set()
    if tags and has_default_remote(workspace.root):
        data, pending = _push_data(workspace, tags)
        pushes.append(data)
    ready = {tag: id_ for tag, id_ in tags.items() if tag not in pending}
    if not pending:
        ready |= _refs(workspace, f"refs/tags/{SERVING}*")
    for remote in git(workspace.project, "remote").splitlines():
        if tags and (to is None or remote in to):
            pushes.append(_push_tags(workspace, remote, ready, pending))
    return tuple(pushes)


def _push_data(workspace: Workspace, tags: Mapping[str, str]) -> tuple[Push, set[str]]:
    """Push the data of tags, name to object; return the result, and the tags whose data failed.

    A tag that fails does not hold up the others.
    """
    stored = _refs(workspace, f"{STORED}*")
    missing = [tag for tag, id_ in tags.items() if stored.get(f"{STORED}{_short(tag)}") != id_]
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
    """Push a version's data to DVC's default remote. Raises CommandFailed."""
    project, root = workspace.project, workspace.root
    if commit_of(project, tag) == commit_of(root, "HEAD"):
        dvc(root, "push", "--quiet", patience=PUSH_TIMEOUT)
        return
    # an earlier version, whose push failed then: DVC finds its commit only by a tag in the clone
    for other in git(root, "tag", "--list").splitlines():
        git(root, "tag", "--delete", other)
    git(root, "fetch", "--quiet", "--no-tags", str(project), f"+{tag}:{tag}")
    dvc(root, "push", "--quiet", "--all-tags", patience=PUSH_TIMEOUT)


def _push_tags(workspace: Workspace, remote: str, ready: Mapping[str, str], pending: Collection[str]) -> Push:
    try:
        kinds = (f"{VERSION}*", f"{SERVING}*")
        lines = git(workspace.project, "ls-remote", "--tags", remote, *kinds, patience=LIST_TIMEOUT)
        there = {name: id_ for id_, _, name in (line.partition("\t") for line in lines.splitlines())}
        missing = sorted(tag for tag in ready if tag not in there)
        if missing:
            specs = [f"{tag}:{tag}" for tag in missing]
            git(workspace.project, "push", "--quiet", "--no-verify", remote, *specs, patience=PUSH_TIMEOUT)
    except CommandFailed as error:
        return Push(remote, False, f"tags not pushed, tried again next time: {error}")
    if other := [tag for tag, id_ in ready.items() if there.get(tag, id_) != id_]:
        return Push(
            remote, False, f"has another {_names(other)}, of another store: rename one of the two tags"
        )
    if pending:
        return Push(remote, False, f"{_names(pending)} waits until DVC's remote has its data")
    return Push(remote, True, f"pushed {_names(missing)}" if missing else "up to date")


def _refs(workspace: Workspace, pattern: str) -> dict[str, str]:
    """The project's refs that match: full name to object."""
    lines = git(workspace.project, "for-each-ref", "--format=%(refname) %(objectname)", pattern).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def _short(tag: str) -> str:
    return tag.removeprefix("refs/tags/")


def _names(tags: Collection[str]) -> str:
    return ", ".join(_short(tag) for tag in sorted(tags))
