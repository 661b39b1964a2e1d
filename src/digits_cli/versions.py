"""`digits versions`: what is published, and which of it serves."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.store.store import Store

HELP = "list the published versions"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(given: argparse.Namespace) -> int:
    """Print the list, the newest first."""
    from digits_cli import project

    store = project.store_of(project.project_root())
    found = rows(store)
    if given.json:
        project.print_json(found)
        return 0
    console = project.console()
    if not found:
        console.print("nothing is published: `make run` or `digits publish` does")
        return 0
    from rich.markup import escape

    table = project.table(
        "version", "role", "accuracy", "data", "published", "commit", "files", "edge formats"
    )
    for row in found:
        accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.2%}"
        commit = (row["commit"] or "")[:10] + (" (changed)" if row["dirty"] else "")
        whole = "whole" if not row["problems"] else f"[red]{escape(row['problems'][0])}[/]"
        told = (row["role"], accuracy, row["dataset"], row["published"], commit, whole)
        formats = str(len(row["formats"])) if row["formats"] else "none"
        table.add_row(str(row["version"]), *(cell or "" for cell in told), formats)
    console.print(table)
    return 0


def rows(store: Store) -> list[dict[str, Any]]:
    """Plain values of every version, the newest first. accuracy: share in [0, 1]."""
    from serving.store import edge, version

    pointer, previous = store.current(), store.history().previous()
    roles = {previous: "previous"}
    if pointer:
        roles |= {pointer.canary: "canary", pointer.stable: "stable"}
    return [
        {
            "version": each.number,
            "role": roles.get(each.number, ""),
            "accuracy": each.accuracy,
            "dataset": each.provenance.get("dataset"),
            "sample": each.sample,
            "published": version.find(each.provenance, "published", "at"),
            "commit": version.find(each.provenance, "published", "commit"),
            "dirty": version.find(each.provenance, "published", "dirty"),
            "problems": version.problems(each),
            "formats": edge.names(edge.find(store, each.number)),
        }
        for each in reversed(store.versions())
    ]
