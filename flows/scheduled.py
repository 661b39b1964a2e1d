"""A retraining that leaves the user's working tree alone: in a clone, with batches from an inbox, on record.

    prepare the clone → what a killed run left half done → batches → parameters of this run →
    the stages → commit → publish → propose the tag → try live and promote → tag → push

Versions go to the project's own store. A kill at any moment leaves what the next run completes or forgets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from digits.runtime import params
from digits.runtime.errors import ParamsError
from flows.clone import intake, lineage, remotes
from flows.clone.intake import Intake
from flows.clone.workspace import Workspace
from flows.rollout import canary
from flows.rollout.canary import PROMOTED, Settled
from flows.rollout.rollout import Acts
from serving.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What a run was asked for, beyond what is committed. inbox: a folder, None for none."""

    profile: str | None = None
    seed: int | None = None
    inbox: Path | None = None


@dataclass(frozen=True)
class Ready:
    """A clone that is ready for the stages, its store, and what became of waiting batches."""

    workspace: Workspace
    store: Store
    batches: Sequence[Intake]


def begin(made: Workspace, asked: Asked, take: Callable[[Workspace, Path], Intake], tell: Tell) -> Ready:
    """Put right what a killed run left, take the batches, set the parameters. Raises DigitsError."""
    store = Store(made.project / "models" / "serving")
    canary.end_own(store)
    settle_proposals(made, store)
    batches = intake.all_waiting(made, asked.inbox, take, tell) if asked.inbox else []
    lineage.recall(made)
    adjust(made.root, asked)
    return Ready(made, store, batches)


def settle_proposals(made: Workspace, store: Store) -> None:
    """Give versions that a killed run had promoted their tag; forget what it had only meant to promote."""
    if not (open_ones := lineage.unfinished(made.project)):
        return
    known = store.history()
    for number in open_ones:
        if known.promoted(number):
            lineage.complete(made.project, number)
        else:
            lineage.discard(made.project, number)


def adjust(root: Path, asked: Asked) -> None:
    """Write the parameters of this run into the clone's params.yaml. Raises ParamsError, nothing written."""
    changes = {"profile": asked.profile, "seed": asked.seed}
    changes = {key: value for key, value in changes.items() if value is not None}
    if not changes:
        return
    from dvc.utils.serialize import modify_yaml  # keeps the comments

    path = root / "params.yaml"
    before = path.read_bytes()
    with modify_yaml(str(path)) as tree:
        tree["train"].update(changes)
    try:
        params.load_all(path)
    except ParamsError:
        path.write_bytes(before)
        raise


def recorded(ready: Ready, acts: Acts, tell: Tell) -> Acts:
    """The acts with the commit before the version, and the tag around its promotion."""

    def publish(root: Path, store: Store, at: str) -> tuple[int, bool]:
        lineage.commit(ready.workspace)
        return acts.publish(root, store, at)

    def go_live(store: Store, number: int, champion: int | None, at: str) -> Settled:
        told = lineage.facts(store.version(number).provenance)
        lineage.propose(ready.workspace, number, told)
        settled = acts.go_live(store, number, champion, at)
        if settled.outcome == PROMOTED:
            made = lineage.record(ready.workspace, number, told)
            tell(f"{made.tag} is at commit {made.commit[:12]}")
            for warning in made.warnings:
                tell(f"not pushed: {warning}")
        else:
            lineage.discard(ready.workspace.project, number)
        return settled

    return replace(acts, publish=publish, go_live=go_live)


def push(ready: Ready, tell: Tell) -> None:
    """Try again what an earlier run could not push."""
    for done in remotes.push(ready.workspace):
        if not done.ok:
            tell(f"not pushed: {done.remote}: {done.detail}")


def refuse_parameters(asked: Asked) -> None:
    """Raises ParamsError for what only a run in a clone can have: a run in the tree would change the tree."""
    if asked.profile is not None or asked.seed is not None:
        raise ParamsError(
            "a run in the working tree takes profile and seed from params.yaml: edit that, or use "
            "`digits schedule --once`"
        )
