"""From a version in service back to what made it: a commit with `dvc.lock` and the reports, and a tag on it.

A commit is made before the model is published, so that its provenance names it; it is proposed with all
that its tag will say before the pointer moves, and recorded after. Proposals are refs of the project that
are neither branch nor tag: a run that is killed right after the promotion leaves one, and the next run
completes it. The project's branches, index and tree stay as they are; a person who wants the state merges
the tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.runtime.errors import DigitsError
from flows.clone import remotes
from flows.clone.dvc_files import hand_over
from flows.clone.git import commit_of, git, git_or_none, identity
from flows.clone.remotes import PREFIX, Push
from flows.clone.workspace import Workspace

LAST = "refs/digits/last"  # in the clone: the last commit made there
PROPOSED = "refs/digits/proposed/v"
MADE = "refs/digits/made/"  # a ref for each commit that a version may name, whether it was promoted or not
KEPT = ("dvc.lock", "params.yaml", ":(glob)reports/**/*.json")  # of these, what Git does not ignore


class LineageError(DigitsError):
    """A version's origin can't be recorded."""


@dataclass(frozen=True)
class Commit:
    """A recorded version: its commit, its tag, and what became of every push."""

    commit: str
    tag: str
    pushes: tuple[Push, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What did not reach a remote, in words; it is tried again at every record and push."""
        return tuple(f"{push.remote}: {push.detail}" for push in self.pushes if not push.ok)


def facts(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What a tag tells of a version, from the provenance.json that travels with it."""
    metrics, verdict = provenance.get("metrics", {}), provenance.get("verdict", {})
    failed = [rule["rule"] for rule in verdict.get("rules", []) if not rule["passed"]]
    told = {
        "accuracy": metrics.get("accuracy"),
        "interval": metrics.get("accuracy_interval"),
        "verdict": f"refused: {', '.join(failed)}" if failed else "passed" if verdict.get("passed") else None,
        "dataset": provenance.get("dataset"),
        "weights_sha256": provenance.get("weights_sha256"),
        "data": provenance.get("data", {}).get("splits"),
    }
    return {key: value for key, value in told.items() if value is not None}


def message(number: int, told: Mapping[str, Any]) -> str:
    """A tag's text: a title, then a line a fact, nested ones with dots. Equal facts give an equal text."""
    return "\n".join([f"digits version {number}", "", *_lines("", told)]).rstrip() + "\n"


def commit(workspace: Workspace) -> str:
    """Commit `dvc.lock`, the parameters and the reports where they differ from the last commit; its hash.

    The project's repository keeps it from then on.
    """
    root = workspace.root
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *KEPT)
    git(root, "reset", "--quiet")
    if paths := sorted({path for path in listed.split("\0") if path}):
        git(root, "add", "--all", "--", *paths)
    if git(root, "write-tree") != git(root, "rev-parse", "HEAD^{tree}"):
        subject = "dvc.lock and reports of a retraining"
        # Dated as main is, so that a run that was killed after it published makes the same commit again.
        when = git(root, "show", "--no-patch", "--format=%cI", workspace.base)
        dated = identity(workspace.project) | {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        git(root, "commit", "--quiet", "-m", subject, env=dated)
    made = git(root, "rev-parse", "HEAD")
    git(root, "update-ref", LAST, made)
    if made != workspace.base and commit_of(workspace.project, f"{MADE}{made}") is None:
        hand_over(workspace.project, root, f"+{made}:{MADE}{made}")
    return made


def recall(workspace: Workspace) -> None:
    """Bring back `dvc.lock` and the reports of the last commit made here: metrics are in no cache of DVC's.

    Else every run would compute them again where nothing is stale; DVC sees to it that they are still right.
    """
    if commit_of(workspace.root, LAST):
        listed = git(workspace.root, "ls-tree", "-r", "--name-only", "-z", LAST, "--", "dvc.lock", "reports")
        if listed:
            git(
                workspace.root,
                "restore",
                "--worktree",
                f"--source={LAST}",
                "--",
                *listed.strip("\0").split("\0"),
            )


def propose(workspace: Workspace, number: int, told: Mapping[str, Any]) -> str:
    """Commit, and keep the tag of a version that is about to be promoted ready in the project; the commit.

    Raises LineageError when the tag is there and tells of another model.
    """
    text, name = message(number, told), f"{PREFIX}{number}"
    if (recorded := _text(workspace.project, f"refs/tags/{name}")) is not None:
        if recorded != text:
            raise LineageError(
                f"tag {name} tells of another model than version {number}: was models/serving started anew? "
                f"rename the old tag (`git tag old-{name} {name} && git tag -d {name}`) and record again"
            )
        return git(workspace.project, "rev-parse", f"refs/tags/{name}^{{commit}}")
    made, ready = commit(workspace), f"{PROPOSED}{number}"
    same = _text(workspace.project, ready) == text and commit_of(workspace.project, ready) == made
    if not same:
        options = ("--annotate", "--force", "--cleanup=verbatim", "--file=-")
        git(workspace.root, "tag", *options, name, made, stdin=text, env=identity(workspace.project))
        hand_over(workspace.project, workspace.root, f"+refs/tags/{name}:{ready}")
    return made


def record(
    workspace: Workspace, number: int, told: Mapping[str, Any], *, to: Collection[str] | None = None
) -> Commit:
    """Commit, tag and push a promoted version. Doing it again completes what is missing, no more.

    told: what the tag says, as `facts` gives it. to: the Git remotes to push to; all without.
    Raises LineageError when the tag is there and tells of another model. A push that fails is no error, see
    `Commit.warnings`.
    """
    made = propose(workspace, number, told)
    complete(workspace.project, number)
    return Commit(made, f"{PREFIX}{number}", remotes.push(workspace, to))


def unfinished(project: Path) -> list[int]:
    """Versions proposed and neither recorded nor discarded: a run was killed near their promotion."""
    names = git(project, "for-each-ref", "--format=%(refname)", f"{PROPOSED}*").splitlines()
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(rf"{PROPOSED}(\d+)", name)))


def complete(project: Path, number: int) -> None:
    """Make the tag of a proposed version, which was promoted; one that is there already stays."""
    ready, tag = f"{PROPOSED}{number}", f"refs/tags/{PREFIX}{number}"
    if (proposed := git_or_none(project, "rev-parse", "--verify", "--quiet", ready)) is None:
        return
    if git_or_none(project, "rev-parse", "--verify", "--quiet", tag) is None:
        git(project, "update-ref", tag, proposed, "0" * len(proposed))
    discard(project, number)


def discard(project: Path, number: int) -> None:
    """Forget the proposal of a version that was not promoted."""
    git(project, "update-ref", "-d", f"{PROPOSED}{number}")


def _text(project: Path, tag: str) -> str | None:
    """An annotated tag's message; None where there is no such tag."""
    tagged = git_or_none(project, "cat-file", "tag", tag)
    return None if tagged is None else tagged.partition("\n\n")[2] + "\n"


def _lines(prefix: str, told: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in told.items():
        if isinstance(value, Mapping):
            lines += _lines(f"{prefix}{key}.", value)
        else:
            lines.append(f"{prefix}{key}: {value if isinstance(value, str) else json.dumps(value)}")
    return lines
