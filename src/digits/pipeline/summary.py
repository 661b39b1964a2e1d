"""The short summary at the end of a run, from the run and its reports. `digits run` prints it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from digits import files
from digits.pipeline.repro import Run
from digits.runtime.progress import count

DONE = ("ran", "cached", "restored")
WANTED = re.compile(
    r"^(.*), ([^,]*(?:,\d{3})*[^,]*\b(?:wanted|expected|allowed|may be)\b.*)$"
)  # of a rule's reason


def lines(root: Path, run: Run) -> Iterator[tuple[str, str]]:
    """Yield (name, text) pairs, in rich's markup: data set, accuracy, verdict, where the reports are."""
    outcomes = {stage.stage: stage.outcome for stage in run.stages}
    manifest = root / "data" / "raw" / "manifest.json"
    if outcomes.get("ingest") in DONE and manifest.exists():
        yield "data set", _data_set(files.read_json(manifest))
    if outcomes.get("evaluate") in DONE and (root / "reports" / "metrics.json").exists():
        yield from _scores(
            files.read_json(root / "reports" / "metrics.json"),
            files.read_json(root / "reports" / "verdict.json"),
        )
        yield "reports", "reports/report.html  reports/validation/  reports/metrics.json"


def failed_rules(rules: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of the rules that failed: the rule, its value, and what was wanted."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("rule", "value", "wanted"):
        table.add_column(column, overflow="fold")
    for rule in rules:
        if not rule["passed"]:
            split = WANTED.match(rule["reason"])
            value, wanted = split.groups() if split else (rule["reason"], "")
            table.add_row(
                f"[bold red]{rule['rule']}[/]", escape(value), escape(wanted.removesuffix(" wanted"))
            )
    return table


def all_rules(rules: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of a comparison's rules, passed or not, each with its reason."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for rule in rules:
        name = f"[dim]{rule['rule']}[/]" if rule["passed"] else f"[bold red]{rule['rule']}[/]"
        table.add_row(name, escape(rule["reason"]))
    return table


def _data_set(manifest: Mapping[str, Any]) -> str:
    sizes = manifest["splits"]
    text = f"{manifest['dataset']}: {sizes['train']['n']:,} training and {sizes['test']['n']:,} test images"
    if manifest.get("sample"):
        text += "\n[bold yellow]a sample, since no data source answered[/]: DIGITS_MIRROR can name one"
    return text


def _scores(metrics: Mapping[str, Any], verdict: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    low, high = metrics["accuracy_interval"]
    yield "accuracy", f"{metrics['accuracy']:.2%} on test (95% interval {low:.2%} to {high:.2%})"
    rules = verdict["rules"]
    failed = sum(not rule["passed"] for rule in rules)
    passed = f"[bold green]passed[/] all {len(rules)} rules"
    yield (
        "verdict",
        passed if verdict["passed"] else f"[bold red]refused[/] by {failed} of {count(len(rules), 'rule')}",
    )
