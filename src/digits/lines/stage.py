"""Stage `lines`: trains the reader of whole lines, and writes its weights, recipe, history and a preview.

    python -m digits.lines.stage --train data/prepared/train --validation data/prepared/validation \
        --real data/prepared/lines --lines models/lines --live reports/lines --preview reports/lines.png

Killed at any time, the same command goes on from the last report and ends with the same weights.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digits import dataset, files, non_digits
from digits.dataset import Split
from digits.line_model.lines import Lines, RealLines, first, load_real_lines, save_lines
from digits.lines import compose
from digits.lines.grounds import Grounds
from digits.lines.profiles import LineRecipe, resolve
from digits.lines.real import Mixture
from digits.runtime.errors import TrainingError
from digits.runtime.params import LinesParams
from digits.runtime.progress import bar, say
from digits.runtime.stage_code import code_sha256
from digits.runtime.stage_main import stage_main
from digits.runtime.tf_import import load_tensorflow

if TYPE_CHECKING:
    from digits.lines.fit import Progress, Report

CHECKPOINTS = Path(".checkpoints")  # outside DVC's outs, which DVC deletes before a stage runs
OTHERS = 300  # pictures without a digit, of each kind that is drawn
SCORED = 480  # validation lines that score a training while it runs, as many of each width


def run(
    train: Path, validation: Path, real: Path, lines: Path, live: Path, preview: Path, params: LinesParams
) -> None:
    """Train by the profile and its overrides. Equal data, params, CPU and thread count give equal weights."""
    images, held = dataset.load_split(train, mmap=True), dataset.load_split(validation)
    for name, split in (("training", images), ("validation", held)):
        if not len(split):
            raise TrainingError(f"there are no {name} images: add data, then run `dvc repro`")
    brought = load_real_lines(real)
    load_tensorflow()
    import tensorflow as tf

    from digits.line_model.candidate import VALIDATION as KNOWN
    from digits.line_model.candidate import save_candidate, scorer
    from digits.lines import fit
    from digits.runtime.hardware import find_hardware

    hardware = find_hardware(params)
    tf.config.experimental.enable_op_determinism()
    recipe = resolve(params, len(images), len(brought), hardware)
    say(
        f"{recipe.profile}: {recipe.architecture}, {recipe.steps:,} steps of {recipe.batch} lines that are "
        f"composed of {recipe.n_train:,} digits, in {recipe.precision} on the {recipe.device}"
    )
    mixture = Mixture(brought, recipe.real, max(compose.WIDTHS))
    if len(brought):
        say(
            f"{recipe.real:.0%} of a step's lines are of {len(brought):,} that people brought, where so many "
            f"fit its width; {mixture.too_wide:,} are too wide for any"
        )
    composer = composer_of(images, mixture, recipe)
    known = validation_lines(held, params.validation, recipe.seed)
    few = first(known, SCORED)
    checkpoint = _checkpoint(recipe, brought, images, held)
    resume = load_checkpoint(checkpoint)
    if resume:
        say(f"going on after step {resume.step} of {recipe.steps}")
    with bar("training lines", recipe.steps, "steps") as advance, _live(live) as log:
        done = 0

        def show(report: Report) -> None:
            nonlocal done
            log(report)
            advance(report.step - done, note=f"loss {report.loss:.3f}, validation {report.val_exact:.1%}")
            done = report.step

        def on_report(progress: Progress) -> None:
            save_checkpoint(checkpoint, progress)
            show(progress.history[-1])

        for report in resume.history if resume else ():
            show(report)
        model, history = fit.fit(composer, few, recipe, on_report=on_report, resume=resume)
    exact, wrong = fit.score(scorer(model), known)
    with files.replacing(lines) as new:
        new.mkdir()
        save_candidate(new, model, recipe.to_dict())
        save_lines(new / KNOWN, known)
        files.write_text(new / "history.csv", _table(history))
        summary = {"parameters": model.count_params(), "steps": recipe.steps, "validation_exact": exact}
        files.write_json(new / "summary.json", summary | {"validation_character_error": wrong})
    _save_preview(preview, composer)
    checkpoint.unlink(missing_ok=True)
    say(f"{exact:.1%} of {sum(map(len, known)):,} composed validation lines read exactly")


def composer_of(images: Split, mixture: Mixture, recipe: LineRecipe) -> Callable[[int], Lines]:
    """What makes the batch of a step, from training digits and lines that people brought."""
    digits, grounds = compose.Digits(images, recipe.seed), Grounds(np.random.default_rng([recipe.seed, 1]))
    others = others_of(recipe.seed)

    def batch(step: int) -> Lines:
        composed = compose.batch((recipe.seed, step), recipe.batch, digits, grounds, others)
        return mixture.mixed((recipe.seed, 3, step), composed)

    return batch


def others_of(seed: int, family: str = non_digits.SEEN) -> NDArray[np.uint8]:
    """Letters, scribbles and figures, for lines without digits."""
    kinds = ("letters", "scribbles", "figures")
    return np.concatenate([non_digits.make(kind, OTHERS, seed, family=family) for kind in kinds])


def validation_lines(held: Split, n: int, seed: int) -> list[Lines]:
    """About `n` lines of validation digits, of every width that training has, with grounds of their own."""
    digits, grounds = compose.Digits(held, seed + 1000, styled=300), Grounds(np.random.default_rng([seed, 2]))
    others = others_of(seed + 1000)
    shares = zip(compose.WIDTHS, compose.WIDTH_SHARES, strict=True)
    return [
        compose.batch((seed, 1, width), round(n * share), digits, grounds, others, width=width)
        for width, share in shares
    ]


def _checkpoint(recipe: LineRecipe, brought: RealLines, *splits: Split) -> Path:
    """Where this training's checkpoint lies: by its recipe, data, libraries and code."""
    import keras
    import tensorflow as tf

    parts = [files.to_json(recipe.to_dict()), tf.__version__, keras.__version__, code_sha256("lines")]
    parts += [dataset.array_sha256(array) for split in splits for array in (split.images, split.labels)]
    parts.append(files.to_json(brought.facts()))
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return CHECKPOINTS / f"lines-{digest[:20]}.npz"


def save_checkpoint(path: Path, progress: Progress) -> None:
    """Write all that a training needs to go on, whole."""
    about = {"step": progress.step, "history": [asdict(report) for report in progress.history]}
    arrays = {f"array_{place}": array for place, array in enumerate(progress.arrays)}
    with files.replacing(path) as new, new.open("wb") as stream:
        np.savez(stream, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def load_checkpoint(path: Path) -> Progress | None:
    """Read what `save_checkpoint` wrote; None when there is none, or none that can be read."""
    from digits.lines.fit import Progress, Report

    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            arrays = tuple(stored[f"array_{place}"] for place in range(len(stored.files) - 1))
        history = tuple(Report(**report) for report in about["history"])
        return Progress(about["step"], arrays, history)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _table(history: Sequence[Report]) -> str:
    text = io.StringIO()
    rows = csv.DictWriter(text, list(vars(history[0])), lineterminator="\n")
    rows.writeheader()
    rows.writerows(vars(report) for report in history)
    return text.getvalue()


def _live(directory: Path) -> Any:
    """DVCLive's files of the learning curve, written while it grows: a function of a report."""
    import contextlib

    from dvclive import Live

    @contextlib.contextmanager
    def opened() -> Any:
        options: dict[str, Any] = {"save_dvc_exp": False, "dvcyaml": None, "report": None}
        with Live(str(directory), monitor_system=False, **options) as log:

            def one(report: Report) -> None:
                log.step = report.step
                for name, value in vars(report).items():
                    if name != "step":
                        log.log_metric(name, value)
                log.sync()

            yield one

    return opened()


ROWS, TIMES = 12, 2  # lines of the preview; screen pixels a pixel


def _save_preview(path: Path, composer: Callable[[int], Lines]) -> None:
    """A picture of the lines that training sees, and what they say."""
    gap, foot = 8, 16
    columns = []
    for step in range(8):
        batch = composer(step)
        wide, tall = batch.width * TIMES, batch.images.shape[1] * TIMES
        column = Image.new("RGB", (wide + gap, (tall + foot) * ROWS + gap), (255, 255, 255))
        draw, font = ImageDraw.Draw(column), ImageFont.load_default(12)
        for row, (image, text) in enumerate(zip(batch.images[:ROWS], batch.characters(), strict=False)):
            top = gap + row * (tall + foot)
            column.paste(Image.fromarray(image).resize((wide, tall), Image.Resampling.BICUBIC), (gap, top))
            said = "".join("." if c == 10 else str(c) for c in text) or "no digits"
            draw.text((gap, top + tall), said, fill=(20, 20, 20), font=font)
        columns.append(column)
    page = Image.new("RGB", (sum(c.width for c in columns) + gap, columns[0].height), (255, 255, 255))
    left = 0
    for column in columns:
        page.paste(column, (left, 0))
        left += column.width
    with files.replacing(path) as new:
        page.save(new, "PNG")


if __name__ == "__main__":
    stage_main("lines", run)
