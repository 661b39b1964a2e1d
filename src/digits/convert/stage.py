"""Stage `convert`: writes the exported model's formats for phones and browsers, and reports/edge.json.

Each format is proven against the exported model on the validation images, or the line reader's validation
lines. One that loses accuracy is refused: it is not written, the report says why, and the stage ends well all
the same: what is served does not need it.

    dvc repro --single-item convert
"""

from __future__ import annotations

import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from digits import dataset, files, wire
from digits.dataset import Split
from digits.line_model.lines import Lines, first, load_lines
from digits.runtime.errors import DataError
from digits.runtime.params import ConvertParams
from digits.runtime.progress import say
from digits.runtime.stage_main import stage_main
from digits.runtime.tf_import import filtered_stderr, load_tensorflow

TIMED = 300  # images or lines, one after another
LINES = 500  # validation lines that a format of the line network is proved on, one after another
LIBRARIES = ("tensorflow", "keras", "numpy")


def run(
    candidate: Path,
    lines: Path,
    exported: Path,
    train: Path,
    validation: Path,
    edge: Path,
    report: Path,
    params: ConvertParams,
) -> None:
    """Write the formats that are as good as the exported model, where they come from, how each compares."""
    record = files.read_json(exported / wire.PROVENANCE)
    known = dataset.load_split(validation)
    if not len(known):
        raise DataError(f"{validation} holds no image to prove a format on: run `dvc repro preprocess`")
    seen = dataset.load_split(train, mmap=True).images
    calibration = seen[:: max(1, len(seen) // params.calibration)][: params.calibration]

    load_tensorflow()
    import tensorflow as tf
    from tensorflow.errors import ResourceExhaustedError

    from digits import saved_model
    from digits.convert import formats, tflite
    from digits.convert import lines as line_formats
    from digits.line_model.candidate import VALIDATION
    from digits.line_model.candidate import load_candidate as load_line_reader
    from digits.model.candidate import load_candidate

    model, line_reader = load_candidate(candidate), load_line_reader(lines)
    groups = first(load_lines(lines / VALIDATION), LINES)
    if not groups or not all(map(len, groups)):
        raise DataError(f"{lines / VALIDATION} holds no line to prove a format on: run `dvc repro lines`")
    try:
        answer, line_answer = formats.answer(record), line_formats.answer(record)
        made_from, weights = record["files"], record["weights_sha256"]
        line_weights = record["lines"]["weights_sha256"]
    except (KeyError, TypeError):
        raise DataError(f"{exported / wire.PROVENANCE} is damaged: run `dvc repro -f export`") from None
    for source, network, digest in ((candidate, model, weights), (lines, line_reader, line_weights)):
        if saved_model.weights_sha256([weight.numpy() for weight in network.weights]) != digest:
            raise DataError(f"{exported} is not made from {source}: run `dvc repro export`")
    served = tf.saved_model.load(str(exported)).signatures
    expected = _probabilities(served, known)
    line_answers = [_line_answers(served, group) for group in groups]
    normal = tflite.normalize(model, known.images)

    def of_images(name: str) -> tuple[formats.Made, formats.Comparison, Any]:
        made = formats.make(name, model, calibration, params.browser_kernels)
        shown = known.images if made.normalizes else normal
        return made, formats.compare(made.ask(shown), answer, expected, known.labels), shown

    def of_lines(name: str) -> tuple[formats.Made, formats.Comparison, Any]:
        made = line_formats.make(name, line_reader, params.browser_kernels)
        columns = [made.ask(group.images) for group in groups]
        return made, line_formats.compare(columns, line_answers, groups, line_answer), groups[-1].images

    def convert(name: str) -> tuple[formats.Made, dict[str, Any]]:
        """One format and its figures, with the reason when it is refused."""
        is_line = name in line_formats.names()
        with filtered_stderr():
            made, compared, shown = of_lines(name) if is_line else of_images(name)
        figures: dict[str, Any] = {
            **compared.figures(),
            "bytes": sum(len(content) for content in made.files.values()),
        }
        if made.here:
            figures["latency_ms"] = _latency_ms(made.ask, shown)
        most = params.int8_points_lost if name.startswith("int8") else params.points_lost
        n, what = (sum(map(len, groups)), "lines") if is_line else (len(known), "images")
        if refused := formats.refusal(compared, n, most, what):
            figures["refused"] = refused
        return made, figures

    found: dict[str, dict[str, Any]] = {}
    with files.replacing(edge) as new:
        new.mkdir()
        for name in (*formats.names(), *line_formats.names()):
            try:
                made, found[name] = convert(name)
            except (OSError, MemoryError, ResourceExhaustedError):
                raise  # the machine's fault, not the format's
            except Exception as error:  # converters raise of every kind, and none may hold up what is served
                found[name] = {"refused": f"it can't be made: {' '.join(str(error).split())[:200]}"}
            if "refused" in found[name]:
                say(f"convert: {name} is refused: {found[name]['refused']}")
                continue
            for path, content in made.files.items():
                (new / path).parent.mkdir(exist_ok=True)
                (new / path).write_bytes(content)
        kept = [name for name in found if "refused" not in found[name]]
        (new / wire.ANSWER).write_text(files.to_json({**answer, "lines": line_answer}), encoding="utf-8")
        origin = {
            "model": wire.MODEL,
            "exported": made_from,  # the digests of its files: another export has others
            "weights_sha256": weights,
            "line_weights_sha256": line_weights,
            "formats": kept,
            "libraries": {name: version(name) for name in LIBRARIES},
            "files": saved_model.digests(new),
        }
        (new / wire.EDGE_PROVENANCE).write_text(files.to_json(origin), encoding="utf-8")
    n_lines = sum(map(len, groups))
    counts = {"validation_images": len(known), "validation_lines": n_lines}
    files.write_json(report, {**counts, "formats": found})
    sizes = ", ".join(f"{name} {found[name]['bytes'] / 1000:.0f} kB" for name in kept)
    proof = f"{len(known):,} validation images and {n_lines:,} lines"
    say(f"convert: {sizes or 'no format'}: as good as the exported model on {proof}")


def _probabilities(served: Any, known: Split) -> Any:
    """What the exported model answers."""
    import numpy as np
    import tensorflow as tf

    from digits.convert.formats import BATCH

    parts = [
        served[wire.PIXELS](**{wire.IMAGES: tf.constant(known.images[start : start + BATCH])})
        for start in range(0, len(known), BATCH)
    ]
    return np.concatenate([part[wire.PROBABILITIES].numpy() for part in parts])


def _line_answers(served: Any, group: Lines) -> dict[str, Any]:
    """What the exported model answers for lines of one width."""
    import numpy as np
    import tensorflow as tf

    from digits.convert.formats import BATCH

    parts = [
        served[wire.LINES](
            **{
                wire.LINE_IMAGES: tf.constant(group.images[start : start + BATCH]),
                wire.WIDTH: tf.fill([len(group.images[start : start + BATCH])], group.width),
            }
        )
        for start in range(0, len(group), BATCH)
    ]
    return {
        name: np.concatenate([part[name].numpy() for part in parts])
        for name in (wire.TEXT, wire.ACCEPTED, wire.COLUMNS)
    }


def _latency_ms(ask: Any, images: Any) -> float:
    """Milliseconds for one image or line on one thread, the median."""
    seconds = []
    for row in range(min(len(images), TIMED)):
        started = time.perf_counter()
        ask(images[row : row + 1])
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds) * 1000, 4)


if __name__ == "__main__":
    stage_main("convert", run)
