"""Publishes, compares and promotes a version, for the flow, `digits publish` and `digits promote`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from digits import files
from digits.runtime.errors import GateRefused, StoreError
from digits.runtime.progress import say
from flows.rollout import card
from serving.checks import comparison
from serving.checks.comparison import Comparison, Contender

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from serving.checks.served_scores import Written
    from serving.store.store import Store
    from serving.store.version import Version


WRITTEN = ("dvc.lock", "reports")  # by the run itself: what follows from the commit is no change of it


def origin(root: Path) -> dict[str, str | bool | None]:
    """The `commit` of a project and whether its tree is `dirty`; both None without Git or a repository.

    What a run writes (WRITTEN) does not count.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "HEAD")
    if top is None or commit is None or Path(top).resolve() != root.resolve():
        return {"commit": None, "dirty": None}
    changed = _git(root, "status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in WRITTEN))
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


EXPORT, EDGE = Path("models/exported"), Path("models/edge")
TEST, TEST_LINES = Path("data/prepared/test"), Path("models/lines/validation.npz")
LINES = 2000  # of these, that two versions are compared on


class NotServable(StoreError):
    """A real model server does not answer as the model itself does."""


def publish(root: Path, store: Store, *, at: str, force: bool = False) -> tuple[int, bool]:
    """Try the export on a real server and publish it; return its number and whether that is new.

    at: the time, as text. force: publish it even if the same files are published already; otherwise those
    are not tried again. Raises NotServable when a server does not answer as the model does, StoreError when
    it can't be published.
    """
    from serving.checks import infra_validator
    from serving.store import edge, publish

    source, formats = root / EXPORT, root / EDGE
    export = publish.read_export(source)
    if formats.is_dir() and (wrong := edge.mismatch(formats, export.provenance["files"])) is not None:
        say(f"publish: without formats for phones and browsers: {wrong}")
    if not force and (same := publish.find_same(store, export)) is not None:
        if formats.is_dir() and edge.find(store, same) is None:
            edge.add(store, same, formats, export.provenance["files"], {**origin(root), "at": at})
        return same, False
    say("publish: trying the export on a model server")
    _load_tensorflow()
    try:
        report = infra_validator.validate(source)
    except StoreError as error:
        raise NotServable(str(error)) from error
    facts = {**origin(root), "at": at, "infra": report.as_dict()}
    before = {version.number for version in store.versions()}
    validated = dict(export.provenance["files"])
    number = publish.publish(store, source, facts, force=force, validated=validated, formats=formats)
    card.write(root, store, number)
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
    """Compare a version with the one in service and promote it; None when it is in service already.

    Raises GateRefused with every reason when it is worse, StoreError when it can't be compared or promoted.
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
    """Judge a published version against the one in service, both on the version's own test images.

    The version's card and report then have the result.
    """
    result = _compare(root, store, number, champion)
    card.write(root, store, number, result)
    return result


def _compare(root: Path, store: Store, number: int, champion: int | None) -> Comparison:
    from serving.checks import served_scores
    from serving.store import version

    chosen = store.intact(number)
    record = store.history().best(chosen.test_images) if chosen.test_images else None
    best = comparison.Best(*record) if record else None
    if champion is None:
        return comparison.without_champion(_contender(chosen), best)
    opponent = store.version(champion)
    if problems := version.problems(opponent):
        raise StoreError(
            f"version {champion}, which is in service, is damaged ({problems[0]}), so no comparison is "
            f"possible: `digits rollback {number}` goes to version {number} without one"
        )
    images, labels = _test_images(root, chosen)
    say(f"promote: versions {champion} and {number} read {len(labels):,} test images on a model server")
    _load_tensorflow()
    lines = _test_lines(root, chosen) if chosen.lines and opponent.lines else ()
    duel = served_scores.duel(store, number, champion, images, labels, written=lines)
    return comparison.compare(_contender(chosen), _contender(opponent), duel, best)


def refusal(number: int, champion: int | None, reasons: tuple[str, ...]) -> str:
    """The message about a candidate that is not promoted. reasons: a line each."""
    keeps = "nothing serves" if champion is None else f"version {champion} keeps serving"
    return f"version {number} is not promoted, {keeps}: {'; '.join(reasons)}"


def _contender(version: Version) -> Contender:
    return Contender(version.number, version.sample, version.size, version.accuracy, version.lines)


def _test_images(root: Path, chosen: Version) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images that a version was tested on, and their labels."""
    from digits import dataset

    split = dataset.load_split(root / TEST, mmap=True)
    if dataset.array_sha256(split.images) != chosen.test_images:
        raise _other(TEST, "images", chosen)
    return split.images, split.labels


def _test_lines(root: Path, chosen: Version) -> tuple[Written, ...]:
    """The composed lines that a version's reader of lines was validated on, and what they say."""
    from digits.line_model.lines import first, load_lines
    from serving.checks.served_scores import Written

    path = root / TEST_LINES
    groups = first(load_lines(path), LINES)
    if files.file_sha256(path) != chosen.test_lines:
        raise _other(TEST_LINES, "lines", chosen)
    return tuple(
        Written(group.images, ["".join(map(_sign, line)) for line in group.characters()]) for group in groups
    )


def _sign(character: int) -> str:
    return str(character) if character < 10 else "."


def _other(path: Path, what: str, chosen: Version) -> StoreError:
    return StoreError(
        f"{path} holds other {what} than version {chosen.number} was tested on, so it can't be compared: "
        f"restore them (`dvc checkout` at its commit), or go to the version without a comparison "
        f"(`digits rollback {chosen.number}`)"
    )


def _load_tensorflow() -> None:
    """Load TensorFlow without its log lines, since its protocol messages come only with the whole package."""
    from digits.runtime.tf_import import load_tensorflow

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    load_tensorflow()
