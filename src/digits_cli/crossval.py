"""`digits crossval`: how well a profile does on unseen images, and how much that varies."""

from __future__ import annotations

import argparse

HELP = "train a profile on k folds: mean and standard deviation of its accuracy"

EPILOG = """\
examples:
  digits crossval
  digits crossval --profile standard --folds 10 --json

exit codes: 0 done, 1 a fold failed, 2 wrong options, 3 no prepared data (`digits run preprocess`),
130 interrupted: the same command goes on
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from digits_cli.sweep import pool_arguments

    parser.add_argument("--profile", help="default: that of params.yaml")
    parser.add_argument("--folds", type=int, default=5, metavar="K", help="default: 5")
    parser.add_argument("--seed", type=int, help="seed of the folds and the trainings; default: train.seed")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    pool_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Train the folds that are missing and print their scores."""
    from digits import files
    from digits_cli import project
    from flows import crossval

    root = project.project_root()
    with project.spoken_on_stderr(given.json):
        found = crossval.crossval(
            root,
            given.folds,
            profile=given.profile,
            seed=given.seed,
            at_once=given.workers,
            cluster=given.cluster,
        )
    if given.json:
        project.print_json(files.read_json(found.table))
        return 0
    console = project.console()
    table = project.table("fold", "trained on", "scored on", "accuracy", "loss", "gap", "seconds")
    for fold in found.folds:
        table.add_row(
            str(fold.fold),
            f"{fold.n_train:,}",
            f"{fold.n_scored:,}",
            f"{fold.accuracy:.2%}",
            f"{fold.loss:.4f}",
            f"{fold.train_accuracy - fold.accuracy:+.2%}",
            f"{fold.seconds:.1f}",
        )
    scores = found.scores
    console.print()
    console.print(table)
    console.print()
    console.print(
        f"profile {found.profile}: [bold]{scores.mean:.2%} ± {scores.sd:.2%}[/] (mean ± sd over "
        f"{len(found.folds)} folds); 95% interval of the mean {scores.low:.2%} to {scores.high:.2%}"
    )
    console.print("[dim]on training and validation images; the test images were not used[/]")
    console.print(f"[dim]{'table':<9}[/] {found.table.relative_to(root)}")
    return 0
