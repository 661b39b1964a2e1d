"""Figures of strips → their part of docs/results.md. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.table import number, percent, table
from bench.target import Target

SHARES = ("separated", "touching", "whole", "accepted", "accepted_right")
NAMED = {
    "separated": "digits that touch none, right %",
    "touching": "digits that touch, right %",
    "whole": "fields wholly right %",
    "accepted": "fields answered %",
    "accepted_right": "of those right %",
}
ABOUT = """\
Strips of slanted, scaled, noisy digits on plain, ruled or boxed paper in uneven light, as JPEG: mixed (three
to nine digits, a tenth of which touch), five apart, five of which some touch. In brackets 95 % intervals
(Wilson)."""


def document(found: Mapping[str, Any], goals: Sequence[Target]) -> str:
    """found: what `python -m bench.strips` writes to its JSON file."""
    kinds = {kind: figures for kind, figures in found["kinds"].items() if kind != "photo"}
    rows = [[kind, str(figures["strips"]), *_cells(figures)] for kind, figures in kinds.items()]
    precision = percent(next(iter(kinds.values()))["coverage_at_precision"]["precision"], 1)
    head = ["strips", "n", *NAMED.values(), f"answered at {precision} % right %"]
    told = [
        f"- {goal.what} {'≤' if goal.at_most else '≥'} {goal.limit:g}{goal.unit}: "
        f"{number(goal.measured, goal.digits)}{goal.unit}, {'met' if goal.met else '**missed**'}"
        for goal in goals
    ]
    about = found["machine"]
    where = f"{about['cores']} cores of {about['cpu']}, commit {found['commit']}"
    return "\n".join(
        [
            "## Photos with several digits",
            "",
            f"`python -m bench.strips`, {found['split']} digits, seed {found['seed']}; {where}.",
            ABOUT,
            "",
            table(head, rows, left=1),
            "",
            *told,
        ]
    )


def targets(kinds: Mapping[str, Any], least: Mapping[tuple[str, str], float], most_ms: float) -> list[Target]:
    """What was asked for, beside what was measured."""
    made = []
    for (kind, name), share in least.items():
        what = f"{kind} strips, {NAMED[name].removesuffix(' %')}"
        made.append(Target(what, False, 100 * share, 100 * kinds[kind][name]["share"], " %"))
    photo = kinds["photo"]["median_ms"]
    return [*made, Target("a photo of ten digits, 2 megapixels", True, most_ms, photo, " ms", 0)]


def _cells(figures: Mapping[str, Any]) -> list[str]:
    coverage = percent(figures["coverage_at_precision"]["coverage"], 1)
    return [*(_share(figures[name]) for name in SHARES), coverage]


def _share(found: Mapping[str, Any]) -> str:
    if not found["n"]:
        return "–"
    low, high = found["interval"]
    return f"{percent(found['share'], 1)} ({percent(low, 1)}–{percent(high, 1)})"
