"""`digits sweep`: searches for better values of params.yaml's train section."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "search for better training parameters, judged on validation images alone"

EPILOG = """\
examples:
  digits sweep --trials 20
  digits sweep --space 'train.rate=log(1e-4,1e-1)' --space train.batch=[64,128] --trials 30
  digits sweep --space train.batch=[64,128,256] --sampler grid --json

exit codes: 0 done, 1 no trial finished, 2 wrong options, 3 no prepared data (`digits run preprocess`),
130 interrupted: the same command goes on
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--space",
        action="append",
        default=[],
        metavar="KEY=SPEC",
        help="a key of params.yaml and its values: train.batch=[128,256], train.rate=log(1e-4,1e-1) or "
        "train.dropout=uniform(0,0.5); once for each key, or a YAML file of them; default: the "
        "profile's own space (flows/search/space.py)",
    )
    parser.add_argument("--profile", help="profile that trials start from; default: that of params.yaml")
    parser.add_argument(
        "--sampler", choices=("tpe", "random", "grid"), default="tpe", help="default: tpe, a Bayesian one"
    )
    parser.add_argument(
        "--trials", type=_count, metavar="N", help="number of trials in all, with those already done"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the sampler; default: 1")
    parser.add_argument("--no-prune", action="store_true", help="let trials that fall behind run to the end")
    parser.add_argument("--json", action="store_true", help="print the table of all trials as JSON")
    parser.add_argument(
        "--name", type=_name, help="name of the study; default: made of the profile and the space"
    )
    pool_arguments(parser)


def pool_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where trainings run, which `sweep` and `crossval` share."""
    parser.add_argument(
        "--workers",
        type=_count,
        default=2,
        metavar="N",
        help="trainings at a time, one thread each; default: 2",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="address of a Dask scheduler, tcp://host:8786; default: this machine",
    )


def run(given: argparse.Namespace) -> int:
    """Run the search; print the trials, where the picture is, and the command that applies the best one."""
    from digits import files
    from digits_cli import project
    from flows import sweep
    from flows.search import report
    from flows.search.space import text

    root = project.project_root()
    plan = sweep.plan(
        root,
        _space(given.space),
        profile=given.profile,
        name=given.name,
        sampler=given.sampler,
        trials=given.trials,
        seed=given.seed,
        at_once=given.workers,
        cluster=given.cluster,
        prune=not given.no_prune,
    )
    with project.spoken_on_stderr(given.json):
        found = sweep.sweep(root, plan)
    if given.json:
        project.print_json(files.read_json(found.table))
        return 0
    console = project.console()
    keys = [dimension.key for dimension in plan.space]
    table = project.table(
        "trial", "outcome", "accuracy", "loss", "seconds", *(d.label for d in plan.space), "note"
    )
    for row in report.ranking(found.rows):
        table.add_row(
            f"[bold]{row.number}[/]" if row == found.winner else str(row.number),
            row.outcome,
            "" if row.accuracy is None else f"{row.accuracy:.2%}",
            "" if row.loss is None else f"{row.loss:.4f}",
            "" if row.seconds is None else f"{row.seconds:.1f}",
            *(text(row.settings[key]) if key in row.settings else "" for key in keys),
            row.error or (f"after {row.share:.0%}" if row.outcome == "pruned" and row.share else ""),
        )
    console.print()
    console.print(table)
    console.print()
    console.print("[dim]accuracy and loss on validation images; the test images were not used[/]")
    console.print(f"[dim]{'study':<9}[/] {found.name}; the same command with more --trials continues it")
    console.print(f"[dim]{'picture':<9}[/] {found.picture.relative_to(root)}")
    console.print(f"[dim]{'table':<9}[/] {found.table.relative_to(root)}")
    if found.experiments:
        console.print(
            f"[dim]{'trials':<9}[/] are DVC experiments, {found.experiments[0]} and on: `dvc exp show`, "
            "`dvc exp apply NAME`"
        )
    console.print(f"[dim]{'apply':<9}[/] {found.command}")
    return 0


def _space(texts: list[str]) -> list[str]:
    """Return the specifications, with those in YAML files in place of the files' names."""
    import yaml

    from digits.runtime.errors import ParamsError

    found: list[str] = []
    for given in texts:
        path = Path(given)
        if "=" in given or path.suffix not in (".yaml", ".yml"):
            found.append(given)
            continue
        try:
            tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, yaml.YAMLError) as error:
            raise ParamsError(f"the space {given} can't be read: {error}") from None
        if not tree or not isinstance(tree, dict):
            raise ParamsError(f"the space {given} must hold lines like 'train.batch: [128, 256]'")
        found += [
            f"{key}={yaml.safe_dump(v, default_flow_style=True).strip() if isinstance(v, list) else v}"
            for key, v in tree.items()
        ]
    return found


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return int(text)


def _name(text: str) -> str:
    if not text.replace("-", "").replace("_", "").isalnum() or not text.isascii():
        raise argparse.ArgumentTypeError(f"'{text}': letters, digits, - and _ only")
    return text
