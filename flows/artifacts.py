"""What people see of a retraining in Prefect: tables, rules, figures beside the champion's, pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_image_artifact, create_link_artifact, create_markdown_artifact
from prefect.artifacts import create_table_artifact as table_artifact

from digits import files
from digits.pipeline.repro import Run
from flows.clone.intake import Intake
from flows.rollout.outcomes import Outcome
from serving.checks.comparison import Comparison

PICTURES = ("confusion", "mistakes", "learning_curves")  # of reports/figures
MOST = 700_000  # bytes of a picture: the server refuses larger artifacts


def stages(run: Run) -> None:
    """Which stages ran, were cached or failed, and for how long."""
    rows: list[dict[str, Any]] = [
        {"stage": s.stage, "outcome": s.outcome, "seconds": round(s.seconds, 1), "error": s.error}
        for s in run.stages
    ]
    table_artifact(table=rows, key="stages", description="One row for each stage of dvc.yaml")


def batches(found: Sequence[Intake]) -> None:
    """What became of the batches that waited in the inbox, and why."""
    if found:
        rows = [{"batch": each.batch, "became": each.became, "why": each.why} for each in found]
        table_artifact(table=rows, key="batches", description="One row for each batch of the inbox")


def verdict(root: Path) -> None:
    """The gate's rules, and the figures that it judged."""
    path = root / "reports" / "verdict.json"
    if not path.exists():
        return
    found = files.read_json(path)
    outcome = "passed" if found["passed"] else "refused"
    create_markdown_artifact(
        f"## The gate {outcome} the model\n\n{_rules(found['rules'])}", key="verdict", description=outcome
    )


def comparison(judged: Comparison, number: int, champion: int | None) -> None:
    """A candidate beside the version in service."""
    title = f"Version {number} and " + ("no champion" if champion is None else f"version {champion}")
    rules = [
        {"rule": r.rule, "value": r.value, "threshold": r.threshold, "passed": r.passed, "reason": r.reason}
        for r in judged.rules
    ]
    create_markdown_artifact(f"## {title}\n\n{_rules(rules)}", key="comparison", description=title)


def pictures(root: Path) -> None:
    """The confusion matrix and the worst mistakes as images, and a link to the whole report."""
    folder = root / "reports" / "figures"
    for name in PICTURES:
        path = folder / f"{name}.png"
        if path.exists() and path.stat().st_size <= MOST:
            encoded = base64.b64encode(path.read_bytes()).decode()
            key = name.replace("_", "-")
            create_image_artifact(f"data:image/png;base64,{encoded}", key=key, description=name)
    report = root / "reports" / "report.html"
    if report.exists():
        create_link_artifact(report.as_uri(), link_text="report.html", key="report", description="the report")


def outcome(ended: Outcome) -> None:
    """What the run came to."""
    create_markdown_artifact(f"## {ended.name}\n\n{ended.reason}", key="outcome", description=ended.name)


def _rules(rules: list[dict[str, Any]]) -> str:
    rows = [f"| {'✔' if r['passed'] else '✘'} | {r['rule']} | {_cell(r['reason'])} |" for r in rules]
    return "\n".join(["|  | rule | why |", "| --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
