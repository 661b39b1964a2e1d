"""The evaluation as one HTML page that needs nothing else: no script, no outside reference.

The template is report.html.j2. Equal content gives equal bytes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jinja2

# name of a picture → title, what it shows (for those who can't see it), how to read it
PICTURES = {
    "confusion": (
        "Confusion",
        "Heat map of the test images by true and predicted digit",
        "Rows: the truth. Columns: what the model read. The diagonal, blue, is right; orange marks mistakes.",
    ),
    "mistakes": (
        "Worst mistakes",
        "Images that were read wrongly, with truth, prediction and confidence",
        "Those where the model gave the truth the least probability come first.",
    ),
    "corruptions": (
        "Robustness",
        "Bars of accuracy under eighteen corruptions, with examples",
        "The same test images, damaged in eighteen ways; the worst first.",
    ),
    "reliability": (
        "Calibration",
        "Accuracy against confidence, before and after temperature scaling",
        "On the dashed line the model is right exactly as often as it claims. The temperature is fitted on "
        "validation images. Thin lines: 95% intervals; grey: fewer than ten images, which say little.",
    ),
    "risk_coverage": (
        "Saying “not sure”",
        "Curve of wrong answers against the share of images answered",
        "Answers from the threshold on are “accepted”, the others “not sure”. The threshold is fitted on "
        "validation images and promises nothing for others; the test tells what it came to.",
    ),
    "non_digits": (
        "Pictures without a digit",
        "Letters, scribbles, noise and the like that were read as digits, with confidence",
        "A row of each kind: empty, noise, letters, scribbles, figures, two digits, half digits. “Answered” "
        "ones got past the threshold.",
    ),
    "lines": (
        "Lines of writing",
        "Bars of lines read exactly by kind, with examples, and of lines without a digit refused",
        "Lines composed of test digits, and lines that hold no digit. The thin lines are 95% intervals.",
    ),
    "worst_lines": (
        "Worst lines",
        "Lines that were read wrongly, with truth, answer and confidence",
        "Those that the model was surest of come first.",
    ),
    "learning_curves": (
        "Learning curves",
        "Loss and accuracy by epoch on training and validation images",
        "Training images are augmented and so harder: its curve may lie below that of validation, which has "
        "a point for each time that it was measured.",
    ),
}


def render(
    metrics: Mapping[str, Any],
    verdict: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    origin: Sequence[tuple[str, str]],
    comparison: Mapping[str, Any] | None = None,
) -> str:
    """The page: verdict first, then data set and accuracy, rules, pictures, tables.

    origin: what the model was made from, as names and texts. comparison: of a published version with the one
    that serves, a `title` and `rules` like those of the verdict; the evaluation itself knows of no version.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("digits.evaluate", ""), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(percent=_percent, number=_number, words=_words, count="{:,}".format)
    return environment.get_template("report.html.j2").render(
        metrics=metrics,
        verdict=verdict,
        failed=[rule for rule in verdict["rules"] if not rule["passed"]],
        facts=list(_facts(metrics)),
        origin=origin,
        comparison=comparison,
        training=[
            (name, value) for name, value in metrics["training"].items() if not isinstance(value, dict)
        ],
        pictures=[
            {
                "title": title,
                "alt": alt,
                "caption": caption,
                "base64": base64.b64encode(pictures[name]).decode(),
            }
            for name, (title, alt, caption) in PICTURES.items()
            if name in pictures
        ],
    )


def data_facts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The data set, and the images of each split with their digest, as rows of a page."""
    yield "data set", manifest["dataset"] + (", a sample" if manifest["sample"] else "")
    for name, part in manifest["splits"].items():
        if part["n"] and "images_sha256" in part:
            what = "line" if name.endswith("lines") else "image"
            yield _words(name), f"{part['n']:,} {what}s, sha256 {part['images_sha256']}"
    if manifest["batches"]:
        yield "incoming batches", ", ".join(sorted(manifest["batches"]))


def _facts(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "of the test images right", _percent(metrics["accuracy"])
    yield f"mistakes in {metrics['n_test']:,} images", f"{metrics['n_test'] - metrics['correct']:,}"
    yield "mean of 18 corruptions", _percent(metrics["corruption_mean"])
    yield "calibration error", _percent(metrics["ece"])
    yield "answered, others “not sure”", _percent(metrics["abstention"]["coverage"])
    yield "of the answered right", _percent(metrics["abstention"]["precision"])
    yield "of the mixed lines exact", _percent(metrics["lines"]["kinds"]["mixed"]["exact"])
    yield "log loss, nats", _number(metrics["loss"])
    yield "training − validation", _percent(metrics["gap"])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == math.floor(value) and abs(value) > 1 else f"{value:.4g}"


def _words(name: str) -> str:
    return name.replace("_", " ")
