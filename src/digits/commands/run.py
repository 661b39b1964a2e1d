"""`digits run`: every stage up to date, then the export in service if it is no worse; then a summary."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from digits.errors import GateRefused, ParamsError

if TYPE_CHECKING:
    from rich.console import Console

    from digits.params import IngestParams
    from digits.repro import Run
    from serving.store import Store

HELP = "bring every stage up to date, publish and promote what is no worse, then sum up"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "stages", nargs="*", metavar="STAGE", help="only up to these, and publish nothing; default: all"
    )
    parser.add_argument("--no-publish", action="store_true", help="stop after the export")


def run(given: argparse.Namespace) -> int:
    """Run what is stale and sum up. Raises StoreError when the export can't be published."""
    from digits import params, repro, summary
    from digits.commands import _project
    from digits.stages import STAGES

    for stage in given.stages:
        if stage not in STAGES:
            raise ParamsError(f"unknown stage '{stage}'; valid: {', '.join(STAGES)}")
    root = _project.project_root()
    console = _project.console()
    ingest = params.load("ingest", root / "params.yaml")
    repro.without_git(root)
    done = _up_to_date(root, given.stages, ingest, console)
    console.print()
    console.print(summary.stages_table(done))
    console.print()
    *told, last = summary.lines(root, done)
    for name, text in told:
        console.print(f"[dim]{name:<9}[/] {text}")
    if done.ok and not given.stages and not given.no_publish:
        console.print(f"[dim]{'serving':<9}[/] {into_service(root, _project.store_of(root))}")
    console.print(f"[dim]{last[0]:<9}[/] {last[1]}")
    return 0 if done.ok else 1


def into_service(root: Path, store: Store) -> str:
    """Publish the export if it is new, promote it if it never served and is no worse; what came of it.

    One that served before is left alone: somebody rolled it back, and a run must not undo that.
    """
    from rich.markup import escape

    from digits.commands import _release

    number, new = _release.publish(root, store)
    pointer, known = store.current(), store.history()
    published = f"published version {number}" if new else f"version {number}"
    if pointer and pointer.stable == number:
        was_moved = store.moved()
        _release.promote(root, store, number)
        return f"version {number} serves" + (
            "; the project was moved, so its pointer was written anew" if was_moved else ""
        )
    if pointer and pointer.canary is not None:
        trial = "is on trial" if pointer.canary == number else f"waits: version {pointer.canary} is on trial"
        return f"{published} {trial}; `digits promote {number}` has it serve"
    if known.promoted(number):
        return f"{published} served before and was taken back: `digits promote {number}` has it serve again"
    champion = pointer.stable if pointer else None
    earlier = known.refused(number, champion) if champion is not None else None
    if earlier:
        return escape(_release.refusal(number, champion, earlier.reasons))
    try:
        _release.promote(root, store, number)
    except GateRefused as error:
        return f"published version {number}, [bold]not better than the champion[/]: {escape(str(error))}"
    return f"{published}, promoted: `digits serve` serves it, running servers take it up"


def _up_to_date(root: Path, stages: list[str], ingest: IngestParams, console: Console) -> Run:
    """Run what is stale; past DVC's cache where a sample stands in for a source that answers by now."""
    from digits import repro, sources

    first = None
    if not (root / "data" / "raw").exists():  # DVC's run cache may hold the sample of an earlier run
        first = repro.repro(root, "ingest")
        if not first.ok:
            return first
    restored = first is None or first.stages[0].outcome == "cached"
    source = sources.available(ingest) if restored and repro.made_from_sample(root) else None
    if source:
        console.print(f"{source} answers: taking the data from there in place of the sample")
    run = repro.repro(root, *stages, reingest=bool(source))
    return repro.together(first, run) if first else run
