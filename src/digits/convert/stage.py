"""Stage `convert`: writes the exported model's formats for phones and browsers, and reports/edge.json.

Each format is proven against the exported model on the validation images. One that loses accuracy is refused:
it is not written, the report says why, and the stage ends well all the same: what is served does not need it.

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
from digits.runtime.errors import DataError
from digits.runtime.params import ConvertParams
from digits.runtime.progress import say
from digits.runtime.stage_main import stage_main
from digits.runtime.tf_import import filtered_stderr, load_tensorflow

TIMED = 300  # images, one after another
LIBRARIES = ("tensorflow", "keras", "numpy")


def run(
    candidate: Path,
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
    from tensorflow.errors import ResourceExhaustedError

    from digits import saved_model
    from digits.convert import formats, tflite
    from digits.model.candidate import load_candidate

    model = load_candidate(candidate)
    try:
        answer, made_from, weights = formats.answer(record), record["files"], record["weights_sha256"]
    except (KeyError, TypeError):
        raise DataError(f"{exported / wire.PROVENANCE} is damaged: run `dvc repro -f export`") from None
    if saved_model.weights_sha256([weight.numpy() for weight in model.weights]) != weights:
        raise DataError(f"{exported} is not made from {candidate}: run `dvc repro export`")
    expected = _probabilities(exported, known)
    normal = tflite.normalize(model, known.images)

    def convert(name: str) -> tuple[formats.Made, dict[str, Any]]:
        """One format and its figures, with the reason when it is refused."""
        with filtered_stderr():
            made = formats.make(name, model, calibration, params.browser_kernels)
            shown = known.images if made.normalizes else normal
            compared = formats.compare(made.ask(shown), answer, expected, known.labels)
        figures: dict[str, Any] = {
            **compared.figures(),
            "bytes": sum(len(content) for content in made.files.values()),
        }
        if made.here:
            figures["latency_ms"] = _latency_ms(made.ask, shown)
        most = params.int8_points_lost if name.startswith("int8") else params.points_lost
        if refused := formats.refusal(compared, len(known), most):
            figures["refused"] = refused
        return made, figures

    found: dict[str, dict[str, Any]] = {}
    with files.replacing(edge) as new:
        new.mkdir()
        for name in formats.names():
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
        (new / wire.ANSWER).write_text(files.to_json(answer), encoding="utf-8")
        origin = {
            "model": wire.MODEL,
            "exported": made_from,  # the digests of its files: another export has others
            "weights_sha256": weights,
            "formats": kept,
            "libraries": {name: version(name) for name in LIBRARIES},
            "files": saved_model.digests(new),
        }
        (new / wire.EDGE_PROVENANCE).write_text(files.to_json(origin), encoding="utf-8")
    files.write_json(report, {"validation_images": len(known), "formats": found})
    sizes = ", ".join(f"{name} {found[name]['bytes'] / 1000:.0f} kB" for name in kept)
    say(f"convert: {sizes or 'no format'}: as good as the exported model on {len(known):,} validation images")


def _probabilities(exported: Path, known: Split) -> Any:
    """What the exported model answers."""
    import numpy as np
    import tensorflow as tf

    from digits.convert.formats import BATCH

    answers = tf.saved_model.load(str(exported)).signatures[wire.PIXELS]
    parts = [
        answers(**{wire.IMAGES: tf.constant(known.images[start : start + BATCH])})[wire.PROBABILITIES].numpy()
        for start in range(0, len(known), BATCH)
    ]
    return np.concatenate(parts)


def _latency_ms(ask: Any, images: Any) -> float:
    """Milliseconds for one image on one thread, the median."""
    seconds = []
    for row in range(min(len(images), TIMED)):
        started = time.perf_counter()
        ask(images[row : row + 1])
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds) * 1000, 4)


if __name__ == "__main__":
    stage_main("convert", run)
