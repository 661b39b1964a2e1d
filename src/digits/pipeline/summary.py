"""The short summary at the end of a run, from the run and its reports. `digits run` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from digits import files
from digits.pipeline.repro import Run

MARKS = {"ran": "green", "cached": "dim", "failed": "bold red", "not reached": "dim"}


def stages_table(run: Run) -> Table:
    """Return a table with one row per stage: its outcome and its seconds."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage")
    table.add_column("outcome")
    table.add_column("seconds", justify="right")
    for stage in run.stages:
        seconds = f"{stage.seconds:.1f}" if stage.outcome in ("ran", "failed") else ""
        table.add_row(stage.stage, f"[{MARKS[stage.outcome]}]{stage.outcome}[/]", seconds)
    table.add_row("[dim]all[/]", "", f"[dim]{run.seconds:.1f}[/]")
    return table


def lines(root: Path, run: Run) -> Iterator[tuple[str, str]]:
    """Yield (name, text) pairs: data set, accuracy, verdict, where the reports are, the next command."""
    outcomes = {stage.stage: stage.outcome for stage in run.stages}
    manifest = root / "data" / "raw" / "manifest.json"
    if outcomes["ingest"] in ("ran", "cached") and manifest.exists():
        yield "data set", _data_set(files.read_json(manifest))
    if outcomes["evaluate"] in ("ran", "cached") and (root / "reports" / "metrics.json").exists():
        yield from _scores(
            files.read_json(root / "reports" / "metrics.json"),
            files.read_json(root / "reports" / "verdict.json"),
        )
        yield "reports", "reports/report.html  reports/validation/  reports/metrics.json"
    failed = [stage for stage in run.stages if stage.outcome == "failed"]
    if failed:
        yield "stopped", f"[bold red]{failed[0].stage}[/]: {escape(failed[0].error)}"
        yield "next", "fix it and run `make run` again: finished stages are kept"
    elif not run.ok:
        yield "stopped", "see [bold red]DVC[/]'s message above"
    else:
        yield "next", "open reports/report.html; change params.yaml or data, and `make run` again"


def _data_set(manifest: dict[str, Any]) -> str:
    sizes = manifest["splits"]
    text = f"{manifest['dataset']}: {sizes['train']['n']:,} training and {sizes['test']['n']:,} test images"
    if manifest.get("sample"):
        text += "; [bold yellow]a sample, since no data source answered[/]: DIGITS_MIRROR can name one"
    return text


def _scores(metrics: dict[str, Any], verdict: dict[str, Any]) -> Iterator[tuple[str, str]]:
    low, high = metrics["accuracy_interval"]
    yield "accuracy", f"{metrics['accuracy']:.2%} on test (95 % interval {low:.2%} to {high:.2%})"
    failed = [rule for rule in verdict["rules"] if not rule["passed"]]
    if verdict["passed"]:
        yield "verdict", f"[bold green]passed[/] all {len(verdict['rules'])} rules"
    else:
        reasons = "; ".join(escape(rule["reason"]) for rule in failed)
        yield "verdict", f"[bold red]refused[/]: {reasons}"
