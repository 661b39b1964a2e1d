"""Reads and commits the `.dvc` files of incoming batches in the clone.

The inbox and the workspace use it. Accepted batches that main lacks are kept in the project's repository
under a ref that is neither a branch nor a tag: they outlive the clone, and `git gc` does not delete them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.clone.git import commit_of, git, identity

INCOMING = "data/incoming"
IGNORES = f"{INCOMING}/.gitignore"
BASE = "refs/digits/base"  # the clone's copy of main
ACCEPTED = "refs/digits/accepted/batches"  # a commit whose tree holds every batch ever accepted


def list_batches(clone: Path, commit: str) -> dict[str, str]:
    """The batches in a commit, name to blob of the `.dvc` file."""
    batches = {}
    for entry in git(clone, "ls-tree", "-z", commit, "--", f"{INCOMING}/").split("\0"):
        described, _, path = entry.partition("\t")
        if path.endswith(".dvc"):
            batches[path.removeprefix(f"{INCOMING}/").removesuffix(".dvc")] = described.split()[2]
    return batches


def list_accepted(clone: Path) -> dict[str, str]:
    """Every batch ever accepted, name to blob of the `.dvc` file."""
    return list_batches(clone, ACCEPTED) if commit_of(clone, ACCEPTED) else {}


def digests(clone: Path, batches: Mapping[str, str]) -> dict[str, str]:
    """The content digests of batches by name, as their `.dvc` files give them. batches: name to blob."""
    return {name: digest_of(git(clone, "cat-file", "blob", blob)) for name, blob in batches.items()}


def digest_of(text: str) -> str:
    """The content digest in the text of a `.dvc` file; empty when there is none."""
    try:
        tree: Any = yaml.safe_load(text)
        return str(tree["outs"][0]["md5"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        return ""


def ever_in_main(clone: Path) -> set[str]:
    """The names of all batches that main contains or ever contained."""
    named = git(clone, "log", "--format=", "--name-only", "-z", BASE, "--", f":(glob){INCOMING}/*.dvc")
    paths = [path for path in named.replace("\n", "\0").split("\0") if path]
    return {path.removeprefix(f"{INCOMING}/").removesuffix(".dvc") for path in paths}


def missing_from_main(clone: Path) -> dict[str, str]:
    """The accepted batches that main never had, name to blob.

    A batch that was removed from main stays out: that was on purpose.
    """
    known = ever_in_main(clone)
    return {name: blob for name, blob in list_accepted(clone).items() if name not in known}


def commit_with(project: Path, clone: Path, batches: Mapping[str, str]) -> str:
    """Make a commit on top of main that adds these batches and return it; main's own if it has them all.

    The working tree is not touched. Equal batches on an equal main give the same commit.
    """
    base, here = git(clone, "rev-parse", BASE), list_batches(clone, BASE)
    added = {name: blob for name, blob in sorted(batches.items()) if here.get(name) != blob}
    if not added:
        return base
    ignores = git(clone, "hash-object", "-w", "--stdin", stdin=_ignoring(clone, base, added))
    entries = {f"{INCOMING}/{name}.dvc": blob for name, blob in added.items()} | {IGNORES: ignores}
    index = clone / ".git" / "digits-index"
    index.unlink(missing_ok=True)
    aside = {"GIT_INDEX_FILE": str(index)}
    git(clone, "read-tree", base, env=aside)
    lines = "".join(f"100644 {blob}\t{path}\n" for path, blob in entries.items())
    git(clone, "update-index", "--add", "--index-info", stdin=lines, env=aside)
    tree = git(clone, "write-tree", env=aside)
    index.unlink()
    when = git(clone, "show", "--no-patch", "--format=%cI", base)
    dated = identity(project) | {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    subject = f"Incoming batches: {', '.join(added)}\n"
    return git(clone, "commit-tree", "-p", base, tree, stdin=subject, env=dated)


def hand_over(project: Path, clone: Path, *refs: str) -> None:
    """Copy refs of the clone (`from:to`, with `+` by force) into the project's repository, all or none.

    The project fetches them, since a push would run its hooks. Nothing else is touched there.
    """
    quiet = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "fetch.pruneTags=false")
    options = ("--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head", "--atomic", "--update-shallow")
    git(project, *quiet, "fetch", *options, "--no-recurse-submodules", str(clone), *refs)


def _ignoring(clone: Path, base: str, names: Collection[str]) -> str:
    """The base's .gitignore of the incoming folder with the batches' own folders added."""
    here = git(clone, "ls-tree", base, "--", IGNORES)
    lines = git(clone, "show", f"{base}:{IGNORES}").splitlines() if here else []
    return "".join(f"{line}\n" for line in [*lines, *(f"/{n}" for n in names if f"/{n}" not in lines)])
