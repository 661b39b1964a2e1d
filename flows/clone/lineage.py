"""Records what each version was made from: a commit with `dvc.lock` and the reports, and a tag on it.

Scheduled runs call it. The commit is made before the model is published, so that the model's provenance
names it; the tag is proposed, with its full text, before the pointer moves, and made afterwards. Proposals
are refs of the project that are neither branches nor tags: a run that is killed right after the promotion
leaves one, and the next run completes it. The project's branches, index and working tree stay as they are;
to get a version's state into a branch, merge its tag.

Tags have the form that GTO and DVC read: `digits@v3.0.0` is version 3, `digits#serving#2` the second change
of the version that serves. Versions of old have tags such as `digits@v3`.
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
from flows.clone.remotes import SERVING, VERSION, Push
from flows.clone.workspace import Workspace

LAST = "refs/digits/last"  # in the clone: the last commit made there
PROPOSALS = "refs/digits/proposed/v"
COMMITS = "refs/digits/made/"  # a ref for each commit that a version may name, whether it was promoted or not
FILES = ("dvc.lock", "params.yaml", ":(glob)reports/**/*.json")  # committed unless Git ignores them


class LineageError(DigitsError):
    """The origin of a version can't be recorded."""


@dataclass(frozen=True)
class Commit:
    """The record of a version: its commit, its tag, and the result of every push."""

    commit: str
    tag: str
    pushes: tuple[Push, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each push that failed; it is tried again at every record and push."""
        return tuple(f"{push.remote}: {push.detail}" for push in self.pushes if not push.ok)


def facts(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that a version's tag states, taken from its provenance.json."""
    metrics, verdict = provenance.get("metrics", {}), provenance.get("verdict", {})
    failed = [rule["rule"] for rule in verdict.get("rules", []) if not rule["passed"]]
    values = {
        "accuracy": metrics.get("accuracy"),
        "interval": metrics.get("accuracy_interval"),
        "verdict": f"refused: {', '.join(failed)}" if failed else "passed" if verdict.get("passed") else None,
        "dataset": provenance.get("dataset"),
        "weights_sha256": provenance.get("weights_sha256"),
        "data": provenance.get("data", {}).get("splits"),
    }
    return {key: value for key, value in values.items() if value is not None}


def tag_name(number: int) -> str:
    """The name of a version's tag."""
    return f"{VERSION}{number}.0.0"


def tag_of(project: Path, number: int) -> str | None:
    """The tag that a version has, perhaps one of old; None without one."""
    names = (tag_name(number), f"{VERSION}{number}")
    return next((name for name in names if commit_of(project, f"refs/tags/{name}")), None)


def message(number: int, stated: Mapping[str, Any]) -> str:
    """A tag's text: a title, then a line for each fact, nested ones with dots. Equal facts, equal text."""
    return "\n".join([f"digits version {number}", "", *_lines("", stated)]).rstrip() + "\n"


def commit(workspace: Workspace) -> str:
    """Commit `dvc.lock`, the parameters and the reports if they differ from the last commit; return its hash.

    From then on the project's repository keeps the commit.
    """
    root = workspace.root
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *FILES)
    git(root, "reset", "--quiet")
    if paths := sorted({path for path in listed.split("\0") if path}):
        git(root, "add", "--all", "--", *paths)
    tree, before = git(root, "write-tree"), git(root, "rev-parse", "HEAD")
    if _tree_and_parent(root, LAST) == (tree, before):  # a run made it that was killed later
        git(root, "reset", "--quiet", "--soft", LAST)
    elif tree != git(root, "rev-parse", "HEAD^{tree}"):
        subject = "dvc.lock and reports of a retraining"
        git(root, "commit", "--quiet", "-m", subject, env=identity(workspace.project))
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-ref", LAST, head)
    if head != workspace.base and commit_of(workspace.project, f"{COMMITS}{head}") is None:
        hand_over(workspace.project, root, f"+{head}:{COMMITS}{head}")
    return head


def _tree_and_parent(root: Path, ref: str) -> tuple[str, ...]:
    """The tree and the parent of the commit that a ref names; empty without one."""
    if commit_of(root, ref) is None:
        return ()
    return tuple(git(root, "show", "--no-patch", "--format=%T %P", ref).split())


def recall(workspace: Workspace) -> None:
    """Restore `dvc.lock` and the reports of the last commit made here, since DVC's cache holds no metrics.

    Otherwise every run would compute them again, even if nothing is stale; DVC checks that they are valid.
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


def propose(workspace: Workspace, number: int, stated: Mapping[str, Any]) -> str:
    """Commit, and prepare the tag of a version that is about to be promoted; return the commit.

    stated: what the tag says, as `facts` gives it. Raises LineageError when the tag exists and describes
    another model.
    """
    text, name = message(number, stated), tag_name(number)
    if (existing := tag_of(workspace.project, number)) is not None:
        if _text(workspace.project, f"refs/tags/{existing}") != text:
            raise LineageError(
                f"tag {existing} describes another model than version {number}: was models/serving deleted? "
                f"rename it (`git tag old-{existing} {existing} && git tag -d {existing}`) and record again"
            )
        return git(workspace.project, "rev-parse", f"refs/tags/{existing}^{{commit}}")
    head, proposal = commit(workspace), f"{PROPOSALS}{number}"
    same = _text(workspace.project, proposal) == text and commit_of(workspace.project, proposal) == head
    if not same:
        options = ("--annotate", "--force", "--cleanup=verbatim", "--file=-")
        git(workspace.root, "tag", *options, name, head, stdin=text, env=identity(workspace.project))
        hand_over(workspace.project, workspace.root, f"+refs/tags/{name}:{proposal}")
    return head


def record(
    workspace: Workspace, number: int, stated: Mapping[str, Any], *, to: Collection[str] | None = None
) -> Commit:
    """Commit, tag and push a promoted version. Calling it again only adds what is missing.

    stated: what the tag says, as `facts` gives it. to: the Git remotes to push to; None: all.
    Raises LineageError when the tag exists and describes another model. A push that fails is no error, see
    `Commit.warnings`.
    """
    head = propose(workspace, number, stated)
    complete(workspace.project, number)
    mark_serving(workspace.project, number)
    tag = tag_of(workspace.project, number) or tag_name(number)
    return Commit(head, tag, remotes.push(workspace, to))


def open_proposals(project: Path) -> list[int]:
    """The versions that were proposed but neither recorded nor discarded: a run was killed in between."""
    names = git(project, "for-each-ref", "--format=%(refname)", f"{PROPOSALS}*").splitlines()
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(rf"{PROPOSALS}(\d+)", name)))


def complete(project: Path, number: int) -> None:
    """Make the tag of a proposed version that was promoted; an existing one stays."""
    proposal = git_or_none(project, "rev-parse", "--verify", "--quiet", f"{PROPOSALS}{number}")
    if proposal is None:
        return
    if tag_of(project, number) is None:
        git(project, "update-ref", f"refs/tags/{tag_name(number)}", proposal, "0" * len(proposal))
    discard(project, number)


def mark_serving(project: Path, number: int) -> None:
    """Tag the commit of the version that serves; not again, and not if the version itself has no tag."""
    if (tag := tag_of(project, number)) is None:
        return
    names = git(project, "for-each-ref", "--format=%(refname:short)", f"refs/tags/{SERVING}*").splitlines()
    counts = [int(name.removeprefix(SERVING)) for name in names if name.removeprefix(SERVING).isdecimal()]
    last = max(counts, default=0)
    served = commit_of(project, tag)
    if served and (last == 0 or commit_of(project, f"refs/tags/{SERVING}{last}") != served):
        said = f"digits version {number} serves"
        name = f"{SERVING}{last + 1}"
        git(project, "tag", "--annotate", f"--message={said}", name, served, env=identity(project))


def discard(project: Path, number: int) -> None:
    """Delete the proposal of a version."""
    git(project, "update-ref", "-d", f"{PROPOSALS}{number}")


def _text(project: Path, tag: str) -> str | None:
    """An annotated tag's message; None where there is no such tag."""
    tagged = git_or_none(project, "cat-file", "tag", tag)
    return None if tagged is None else tagged.partition("\n\n")[2] + "\n"


def _lines(prefix: str, stated: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in stated.items():
        if isinstance(value, Mapping):
            lines += _lines(f"{prefix}{key}.", value)
        else:
            lines.append(f"{prefix}{key}: {value if isinstance(value, str) else json.dumps(value)}")
    return lines
