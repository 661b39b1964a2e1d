"""`digits explain VERSION`: the code, data and parameters of a version, and its promotions and refusals."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from serving.store.store import Store

HELP = "show the code, data, parameters and scores behind a version, and when it served"

EPILOG = """\
examples:
  digits explain 3
  digits explain 3 --json | jq .provenance.recipe

exit codes: 0 done, 2 VERSION is not a number, 6 there is no such version
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from digits_cli import project

    parser.add_argument("version", type=project.version_number, metavar="VERSION")
    parser.add_argument("--json", action="store_true", help="print JSON, with every parameter and score")


def run(given: argparse.Namespace) -> int:
    """Print what is on record about a version."""
    from digits_cli import project

    store = project.store_of(project.project_root())
    found = facts(store, given.version)
    if given.json:
        project.print_json(found)
        return 0
    from rich.markup import escape

    table = project.table("what", "")
    for name, text in lines(found):
        table.add_row(f"[dim]{name}[/]", escape(text))
    project.console().print(table)
    return 0


def facts(store: Store, number: int) -> dict[str, Any]:
    """Return a version's provenance, the state of its files, its promotions and refusals, as plain values."""
    from dataclasses import asdict

    from serving.store import cards, edge, version

    found, known = store.version(number), store.history()
    pointer = store.current()
    role = "stable" if pointer and pointer.stable == number else ""
    role = "canary" if pointer and pointer.canary == number else role
    formats = edge.find(store, number)
    return {
        "version": number,
        "role": role,
        "formats": {"directory": str(formats) if formats else None, "names": edge.names(formats)},
        "directory": str(found.path),
        **{name: _path(cards.find(store, number, file)) for name, file in cards.NAMES.items()},
        "size": found.size,
        "problems": version.problems(found),
        "provenance": dict(found.provenance),
        "events": [asdict(event) for event in known.events if event.version == number],
        "refusals": [asdict(refusal) for refusal in known.refusals if refusal.version == number],
    }


def lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts as (name, text) pairs, the most wanted first."""
    from serving.store.version import find

    source = found["provenance"]
    published = find(source, "published") or {}
    yield "version", f"{found['version']}" + (f" ({found['role']})" if found["role"] else "")
    commit = published.get("commit") or "not on record: it was not published from a Git checkout"
    yield "code", f"{commit}{', with uncommitted changes' if published.get('dirty') else ''}"
    yield "published", str(published.get("at") or "time not on record")
    for event in found["events"]:
        yield event["action"], event["at"] or "time not on record"
    for refusal in found["refusals"]:
        yield "refused", f"against version {refusal['champion']}: {'; '.join(refusal['reasons'])}"
    sample = ", the sample that stands in for MNIST" if source.get("sample") else ""
    yield "data", f"{source.get('dataset')}{sample}"
    for split, part in sorted((find(source, "data", "splits") or {}).items()):
        digest = str(find(part, "images_sha256"))[:16]
        yield f"  {split}", f"{find(part, 'n') or 0:,} images, sha256 {digest}…"
    yield "params", _pairs(source.get("recipe"))
    yield "export", _pairs(source.get("export"))
    formats = found["formats"]
    at = f" in {formats['directory']}" if formats["names"] else " for phones and browsers"
    yield "formats", f"{', '.join(formats['names']) or 'none'}{at}"
    for name in ("card", "report"):
        yield name, found[name] or "none: it was published before there were any"
    yield "accuracy", _share(find(source, "metrics", "accuracy"))
    yield "corruption", f"mean {_share(find(source, 'metrics', 'corruption_mean'))}"
    rules = find(source, "verdict", "rules") or []
    verdict = "passed" if find(source, "verdict", "passed") else "did not pass"
    yield "verdict", f"{verdict}, {sum(bool(find(rule, 'passed')) for rule in rules)} of {len(rules)} rules"
    for rule in rules:
        yield f"  {find(rule, 'rule')}", str(find(rule, "reason"))
    yield "libraries", _pairs(source.get("libraries"))
    yield "weights", f"sha256 {source.get('weights_sha256')}"
    whole = "; ".join(found["problems"]) or "whole: each is what was exported"
    yield "files", f"{whole}; {found['size'] / 1e6:.1f} MB in {found['directory']}"


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _pairs(tree: Any) -> str:
    if not isinstance(tree, Mapping):
        return "not on record"
    plain = {key: value for key, value in tree.items() if not isinstance(value, Mapping)}
    nested = [f"{key}: ({_pairs(value)})" for key, value in tree.items() if isinstance(value, Mapping)]
    return ", ".join([*(f"{key} {value}" for key, value in plain.items()), *nested])


def _share(value: Any) -> str:
    return f"{value:.2%}" if isinstance(value, int | float) else "not on record"
