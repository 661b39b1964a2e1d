"""`digits versions`: lists the published versions and which of them serves."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.store.store import Store

HELP = "list the published versions"

EPILOG = """\
examples:
  digits versions
  digits versions --json | jq '.[0].accuracy'

exit codes: 0 done, 6 the store can't be read
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(given: argparse.Namespace) -> int:
    """Print the versions, the newest first."""
    from digits_cli import project

    store = project.store_of(project.project_root())
    found = rows(store)
    if given.json:
        project.print_json(found)
        return 0
    console = project.console()
    if not found:
        console.print("nothing is published yet: run `make run` or `digits publish`")
        return 0
    from rich.markup import escape

    table = project.table(
        "version", "role", "accuracy", "data", "published", "commit", "files", "edge formats"
    )
    for row in found:
        accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.2%}"
        commit = (row["commit"] or "")[:10] + (" (changed)" if row["dirty"] else "")
        whole = "whole" if not row["problems"] else f"[red]{escape(row['problems'][0])}[/]"
        cells = (row["role"], accuracy, row["dataset"], row["published"], commit, whole)
        formats = str(len(row["formats"])) if row["formats"] else "none"
        table.add_row(str(row["version"]), *(cell or "" for cell in cells), formats)
    console.print(table)
    return 0


def rows(store: Store) -> list[dict[str, Any]]:
    """Return every version as plain values, the newest first. accuracy: share in [0, 1]."""
    from serving.store import edge, version

    pointer, previous = store.current(), store.previous()
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
