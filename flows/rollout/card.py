"""Writes what people read of a published version: its model card and its report, beside it in the store.

The card has Hugging Face's form: Markdown under YAML that its hub understands. The report is that of the
evaluation, with the version, its commit, its date and its comparison with the version in service.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2

from digits import files
from digits.evaluate import report
from serving.checks.comparison import Comparison
from serving.store import cards
from serving.store.store import Store
from serving.store.version import Version, find

FIGURES = ("accuracy", "accuracy_interval", "corruptions", "digits", "abstention", "lines")  # a card's least


def write(root: Path, store: Store, number: int, comparison: Comparison | None = None) -> None:
    """Write a version's card and report. Versions of old, whose record has too little, get no card.

    root: the project, whose reports are taken if they are this version's. comparison: once it is known.
    """
    version = store.version(number)
    compared = None if comparison is None else comparison_facts(comparison)
    texts = {}
    if all(find(version.provenance, "metrics", name) is not None for name in FIGURES):
        texts[cards.CARD] = card(version, compared)
    if (page := _report(root / "reports", version, compared)) is not None:
        texts[cards.REPORT] = page
    cards.write(store, number, texts)


def card(version: Version, comparison: dict[str, Any] | None) -> str:
    """The model card. comparison: as `comparison_facts` gives it, None while nothing was compared."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flows.rollout", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=lambda share: "–" if share is None else f"{share:.2%}",
        count="{:,}".format,
        words=lambda name: name.replace("_", " "),
        cell=lambda text: str(text).replace("|", "\\|").replace("\n", " "),
    )
    return environment.get_template("card.md.j2").render(
        number=version.number,
        megabytes=f"{version.size / 1e6:.1f} MB",
        origin=list(_origin(version)),
        comparison=comparison,
        **{name: version.provenance[name] for name in ("metrics", "sample", "verdict", "recipe", "dataset")},
    )


def comparison_facts(comparison: Comparison) -> dict[str, Any]:
    """The comparison as the pages show it: a title and its rules."""
    other = comparison.champion
    against = "nothing served before it" if other is None else f"compared with version {other}, which served"
    outcome = "no worse" if comparison.passed else "worse"
    title = f"Version {comparison.candidate}, {against}" + ("" if other is None else f": {outcome}")
    return {"title": title, "rules": comparison.as_dict()["rules"]}


def _origin(version: Version) -> Iterator[tuple[str, str]]:
    published = find(version.provenance, "published") or {}
    yield "version", f"{version.number}, published {published.get('at') or 'at a time not on record'}"
    commit = published.get("commit") or "not on record"
    yield "commit", commit + (", with changes that were not committed" if published.get("dirty") else "")
    yield from report.data_facts(version.provenance["data"])
    yield "weights", f"sha256 {version.provenance['weights_sha256']}"


def _report(reports: Path, version: Version, comparison: dict[str, Any] | None) -> str | None:
    """The report with the version's facts; None where the reports are missing, or of another model."""
    paths = [reports / f"{name}.json" for name in ("metrics", "verdict")]
    if not all(path.exists() for path in paths):
        return None
    metrics, verdict = (files.read_json(path) for path in paths)
    if metrics != find(version.provenance, "metrics") or verdict != find(version.provenance, "verdict"):
        return None
    shown = (reports / "figures" / f"{name}.png" for name in report.PICTURES)
    pictures = {path.stem: path.read_bytes() for path in shown if path.exists()}
    return report.render(metrics, verdict, pictures, list(_origin(version)), comparison)
