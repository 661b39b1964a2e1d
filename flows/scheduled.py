"""The parts of a scheduled run that a run in the working tree lacks: clone, inbox, commit and tag.

The flow `retrain` calls them, so that a scheduled run leaves the user's working tree alone. The order is:

    prepare the clone → put right what a killed run left → batches → parameters of this run →
    the stages → commit → publish → propose the tag → try live and promote → tag → push

Versions go to the project's own store. What a run that is killed leaves behind, the next one completes or
discards.
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
from flows.rollout.canary import PROMOTED, Settlement
from flows.rollout.rollout import Acts
from serving.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

Log = Callable[[str], None]


@dataclass(frozen=True)
class RunOptions:
    """Options of one run that take the place of what is committed. inbox: a folder, None for none."""

    profile: str | None = None
    seed: int | None = None
    inbox: Path | None = None


@dataclass(frozen=True)
class RunContext:
    """A clone that is ready for the stages, the project's store, and the result for each waiting batch."""

    workspace: Workspace
    store: Store
    batches: Sequence[Intake]


def begin(
    clone: Workspace, options: RunOptions, take: Callable[[Workspace, Path], Intake], log: Log
) -> RunContext:
    """Put right what a killed run left, take the batches, set the parameters. Raises DigitsError."""
    store = Store(clone.project / "models" / "serving")
    canary.end_abandoned_trial(store)
    settle_proposals(clone, store)
    batches = intake.take_all(clone, options.inbox, take, log) if options.inbox else []
    lineage.recall(clone)
    write_parameters(clone.root, options)
    return RunContext(clone, store, batches)


def settle_proposals(clone: Workspace, store: Store) -> None:
    """Tag the versions that a killed run had promoted, and the one that serves, perhaps after a rollback.

    The proposals of those that it had not promoted are discarded.
    """
    known = store.history()
    for number in lineage.open_proposals(clone.project):
        if known.was_promoted(number):
            lineage.complete(clone.project, number)
        else:
            lineage.discard(clone.project, number)
    if pointer := store.current():
        lineage.mark_serving(clone.project, pointer.stable)


def write_parameters(root: Path, options: RunOptions) -> None:
    """Write the parameters of this run into the clone's params.yaml; with ParamsError nothing is written."""
    changes = {"profile": options.profile, "seed": options.seed}
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


def with_lineage(context: RunContext, acts: Acts, log: Log) -> Acts:
    """Wrap the acts: a commit before a version is published, and a tag when it is promoted."""

    def publish(root: Path, store: Store, at: str) -> tuple[int, bool]:
        lineage.commit(context.workspace)
        return acts.publish(root, store, at)

    def go_live(store: Store, number: int, champion: int | None, at: str) -> Settlement:
        facts = lineage.facts(store.version(number).provenance)
        lineage.propose(context.workspace, number, facts)
        settled = acts.go_live(store, number, champion, at)
        if settled.outcome == PROMOTED:
            commit = lineage.record(context.workspace, number, facts)
            log(f"{commit.tag} is at commit {commit.commit[:12]}")
            for warning in commit.warnings:
                log(f"not pushed: {warning}")
        else:
            lineage.discard(context.workspace.project, number)
        return settled

    return replace(acts, publish=publish, go_live=go_live)


def push(context: RunContext, log: Log) -> None:
    """Push what earlier runs could not push."""
    for done in remotes.push(context.workspace):
        if not done.ok:
            log(f"not pushed: {done.remote}: {done.detail}")


def refuse_parameters(options: RunOptions) -> None:
    """Raise ParamsError for options that only a run in a clone can have: params.yaml would be changed."""
    if options.profile is not None or options.seed is not None:
        raise ParamsError(
            "a run in the working tree takes profile and seed from params.yaml: edit that file, or use "
            "`digits schedule --once`"
        )
