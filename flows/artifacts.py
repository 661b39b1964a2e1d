"""Artifacts that runs leave in Prefect: tables, the gate's rules, the comparison, pictures.

The flows `retrain` and `monitor` call these functions; people see the results on the run's page.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from digits import files
from digits.pipeline.repro import Run
from flows.clone.intake import Intake
from flows.rollout.outcomes import Outcome
from serving.checks.comparison import Comparison
from serving.monitoring.report import nearest, percent

PICTURES = ("confusion", "mistakes", "learning_curves")  # of reports/figures
EVENTS = 30  # of a look's table
MAX_BYTES = 700_000  # bytes of a picture: the server refuses larger artifacts


def stages(run: Run) -> None:
    """Show which stages ran, were cached or failed, and for how long."""
    rows: list[dict[str, Any]] = [
        {"stage": s.stage, "outcome": s.outcome, "seconds": round(s.seconds, 1), "error": s.error}
        for s in run.stages
    ]
    create_table_artifact(table=rows, key="stages", description="One row for each stage of dvc.yaml")


def batches(intakes: Sequence[Intake]) -> None:
    """Show which batches of the inbox were accepted, refused or left there, and why."""
    if intakes:
        rows = [{"batch": each.batch, "became": each.became, "why": each.why} for each in intakes]
        create_table_artifact(table=rows, key="batches", description="One row for each batch of the inbox")


def verdict(root: Path) -> None:
    """Show the gate's rules and the figures it judged, if reports/verdict.json is there."""
    path = root / "reports" / "verdict.json"
    if not path.exists():
        return
    judgement = files.read_json(path)
    outcome = "passed" if judgement["passed"] else "refused"
    create_markdown_artifact(
        f"## The gate {outcome} the model\n\n{_rules(judgement['rules'])}", key="verdict", description=outcome
    )


def comparison(result: Comparison, number: int, champion: int | None) -> None:
    """Show how a candidate compares with the version in service; champion: None when nothing serves."""
    title = f"Version {number} and " + ("no champion" if champion is None else f"version {champion}")
    rules = [
        {"rule": r.rule, "value": r.value, "threshold": r.threshold, "passed": r.passed, "reason": r.reason}
        for r in result.rules
    ]
    create_markdown_artifact(f"## {title}\n\n{_rules(rules)}", key="comparison", description=title)


def monitoring(latest: Mapping[str, Any], page: Path) -> None:
    """Show what a look at the requests found: the alarms, and the events nearest to their bounds."""
    rows = [
        {
            "event": event["name"],
            "share": percent(event["share"]),
            "bound": f"{'at most' if event['too_often'] else 'at least'} {percent(event['bound'])}",
            "rows": event["rows"],
        }
        for event in nearest(latest)[:EVENTS]
    ]
    alarms = "; ".join(alarm["text"] for alarm in latest["alarms"]) or "no alarm stands"
    create_table_artifact(table=rows, key="monitoring", description=f"{alarms}. The page: {page}")


def pictures(root: Path) -> None:
    """Show the confusion matrix, the worst mistakes and the learning curves, and say where the report is.

    No link: browsers follow none from a server's page to a file.
    """
    folder = root / "reports" / "figures"
    for name in PICTURES:
        path = folder / f"{name}.png"
        if path.exists() and path.stat().st_size <= MAX_BYTES:
            encoded = base64.b64encode(path.read_bytes()).decode()
            key = name.replace("_", "-")
            create_image_artifact(f"data:image/png;base64,{encoded}", key=key, description=name)
    report = root / "reports" / "report.html"
    if report.exists():
        where = f"Open it in a browser on the machine that ran this:\n\n```\n{report.resolve()}\n```"
        create_markdown_artifact(f"## The whole report\n\n{where}", key="report", description="the report")


def outcome(result: Outcome) -> None:
    """Show how the run ended, and why."""
    create_markdown_artifact(f"## {result.name}\n\n{result.reason}", key="outcome", description=result.name)


def _rules(rules: list[dict[str, Any]]) -> str:
    rows = [f"| {'✔' if r['passed'] else '✘'} | {r['rule']} | {_cell(r['reason'])} |" for r in rules]
    return "\n".join(["|  | rule | why |", "| --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
