"""From an export to a version in service: what the flow, `digits publish` and `digits promote` share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from digits.runtime.errors import GateRefused, StoreError
from digits.runtime.progress import say
from serving.checks import comparison
from serving.checks.comparison import Comparison, Contender

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from serving.store.store import Store
    from serving.store.version import Version


def origin(root: Path) -> dict[str, str | bool | None]:
    """`commit` and `dirty`; both None outside of Git: an unpacked archive, or a machine without it."""
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "HEAD")
    if top is None or commit is None or Path(top).resolve() != root.resolve():
        return {"commit": None, "dirty": None}
    changed = _git(root, "status", "--porcelain")
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


EXPORTED, EDGE = Path("models/exported"), Path("models/edge")
TEST = Path("data/prepared/test")


class Unfit(StoreError):
    """A real model server does not answer as the model does."""


def publish(root: Path, store: Store, *, at: str, force: bool = False) -> tuple[int, bool]:
    """Try the export on a real server and publish it: its number, and whether that is new. at: the time.

    An export that is published already is not tried again. Raises Unfit when a server
    does not serve it as it is, StoreError when it can't be published.
    """
    from serving.checks import infra_validator
    from serving.store import edge, publish

    source, formats = root / EXPORTED, root / EDGE
    found = publish.exported(source)
    if formats.is_dir() and (wrong := edge.unfit(formats, found.provenance["files"])) is not None:
        say(f"publish: without formats for phones and browsers: {wrong}")
    if not force and (same := publish.same_as(store, found)) is not None:
        if formats.is_dir() and edge.of(store, same) is None:
            edge.add(store, same, formats, found.provenance["files"], {**origin(root), "at": at})
        return same, False
    say("publish: trying the export on a model server")
    _load_tensorflow()
    try:
        report = infra_validator.validate(source)
    except StoreError as error:
        raise Unfit(str(error)) from error
    facts = {**origin(root), "at": at, "infra": report.as_dict()}
    before = {version.number for version in store.versions()}
    validated = dict(found.provenance["files"])
    number = publish.publish(store, source, facts, force=force, validated=validated, formats=formats)
    return number, number not in before


def promote(
    root: Path,
    store: Store,
    number: int,
    *,
    at: str,
    canary: bool = False,
    base_path: str | None = None,
) -> Comparison | None:
    """Compare a version with the one in service and promote it; None when it serves already.

    Raises GateRefused with every reason when it is worse, StoreError when it can't be compared or pointed at.
    """
    from serving.store import promote
    from serving.store.history import Refusal

    pointer = store.current()
    champion = pointer.stable if pointer else None
    if number == champion and not canary:
        promote.promote(store, number, number, base_path=base_path, at=at)
        return None
    outcome = compare(root, store, number, champion)
    if not outcome.passed:
        if champion is not None:
            promote.refuse(store, Refusal(number, champion, outcome.failed, at))
        raise GateRefused(refusal(number, champion, outcome.failed))
    promote.promote(store, number, champion, canary=canary, base_path=base_path, at=at)
    return outcome


def compare(root: Path, store: Store, number: int, champion: int | None) -> Comparison:
    """Judge a published version against the one in service, both on the version's own test images."""
    from serving.checks import served_scores
    from serving.store import version

    chosen = store.intact(number)
    found = store.history().best(chosen.test_images) if chosen.test_images else None
    best = comparison.Best(*found) if found else None
    if champion is None:
        return comparison.unopposed(_contender(chosen), best)
    opponent = store.version(champion)
    if problems := version.problems(opponent):
        raise StoreError(
            f"version {champion}, which serves, is damaged ({problems[0]}), so it can't be compared with: "
            f"`digits rollback {number}` goes to version {number} without a comparison"
        )
    images, labels = _test_images(root, chosen)
    say(f"promote: versions {champion} and {number} read {len(labels):,} test images on a model server")
    _load_tensorflow()
    duel = served_scores.duel(store, number, champion, images, labels)
    return comparison.compare(_contender(chosen), _contender(opponent), duel, best)


def refusal(number: int, champion: int | None, reasons: tuple[str, ...]) -> str:
    """A refused candidate in words."""
    keeps = "nothing serves" if champion is None else f"version {champion} keeps serving"
    return f"version {number} is not promoted, {keeps}: {'; '.join(reasons)}"


def _contender(version: Version) -> Contender:
    return Contender(version.number, version.sample, version.size, version.accuracy)


def _test_images(root: Path, chosen: Version) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images that a version was tested on, and their labels."""
    from digits import dataset

    split = dataset.load_split(root / TEST, mmap=True)
    if dataset.array_sha256(split.images) != chosen.test_images:
        raise StoreError(
            f"{TEST} holds other images than version {chosen.number} was tested on, so it can't be compared: "
            f"bring them back (`dvc checkout` at its commit), or "
            f"go to it uncompared (`digits rollback {chosen.number}`)"
        )
    return split.images, split.labels


def _load_tensorflow() -> None:
    """TensorFlow's messages come with all of its package; have it loaded without its chatter."""
    from digits.runtime.tf_import import load_tensorflow

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    load_tensorflow()
