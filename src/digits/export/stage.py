"""Stage `export`: writes the SavedModel that TensorFlow Serving loads, models/exported.

Refuses without a passing verdict, and proves what it wrote before that takes the place of the last one.

    dvc repro --single-item export
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from digits import dataset, files, wire
from digits.dataset import Split
from digits.export.admission import Fitted, admit, refuse_other_model
from digits.export.provenance import provenance
from digits.line_model.lines import Lines, first, load_lines
from digits.runtime.errors import DataError
from digits.runtime.params import ExportParams
from digits.runtime.progress import say
from digits.runtime.stage_main import stage_main
from digits.runtime.tf_import import filtered_stderr, load_tensorflow

WARMED_WITH = 32  # validation images, and lines of every width, that the warm-up requests show
LINES = 2000  # validation lines that the export is proved on, each as pixels and as pictures
LIBRARIES = ("tensorflow", "keras", "numpy")


def run(
    candidate: Path,
    lines: Path,
    metrics: Path,
    verdict: Path,
    manifest: Path,
    train: Path,
    validation: Path,
    exported: Path,
    params: ExportParams,
) -> None:
    """Write the SavedModel with its warm-up requests, its provenance, and what monitoring compares with."""
    scores, judgement, facts = (files.read_json(path) for path in (metrics, verdict, manifest))
    fitted = admit(scores, judgement, facts)
    known = dataset.load_split(validation)
    if not len(known):
        raise DataError(f"{validation} holds no image to prove the export on: run `dvc repro preprocess`")

    # Here, not above: a refusal comes before the seconds that TensorFlow takes to load.
    load_tensorflow()
    import tensorflow as tf

    from digits import saved_model
    from digits.export import lines as line_signatures
    from digits.export import reference, signatures, warmup
    from digits.line_model.candidate import RECIPE, VALIDATION
    from digits.line_model.candidate import load_candidate as load_line_reader
    from digits.model.candidate import load_candidate, load_recipe, scorer

    model = load_candidate(candidate)
    logits = scorer(model)(known.images)
    refuse_other_model(scores, logits, known.labels)
    line_reader, groups = load_line_reader(lines), first(load_lines(lines / VALIDATION), LINES)
    if not groups or not all(map(len, groups)):
        raise DataError(f"{lines / VALIDATION} holds no line to prove the export on: run `dvc repro lines`")
    record = provenance(
        facts,
        load_recipe(candidate).to_dict(),
        scores,
        judgement,
        params.model_dump(),
        fitted.threshold,
        saved_model.weights_sha256([weight.numpy() for weight in model.weights]),
        {name: version(name) for name in LIBRARIES},
        {
            "recipe": files.read_json(lines / RECIPE),
            "weights_sha256": saved_model.weights_sha256([each.numpy() for each in line_reader.weights]),
            "validation_sha256": files.file_sha256(lines / VALIDATION),
        },
    )
    functions = signatures.endpoints(
        lambda images: model(images, training=False),
        fitted.temperature,
        fitted.threshold,
        params.max_pixels,
    ) | line_signatures.endpoints(
        lambda images, width: line_reader([images, width], training=False), fitted.lines, params.max_pixels
    )
    compared_with = reference.of_version(
        [dataset.load_split(train, mmap=True), known],
        functions[wire.PIXELS],
        functions[wire.LINES],
        groups,
        scores["accuracy"],
    )
    variables = [variable.value for each in (model, line_reader) for variable in each.variables]
    with filtered_stderr(), files.replacing(exported) as new:
        saved_model.save(new, signatures.trace(functions), variables)
        shown = [image for same in zip(*(group.images for group in groups), strict=False) for image in same]
        saved_model.add_extra(
            new, warmup.records(known.images[:WARMED_WITH], shown[:WARMED_WITH]), record, compared_with
        )
        expected = tf.nn.softmax(logits / fitted.temperature).numpy()
        _prove(new, known, expected, groups, line_reader, fitted)
    say(
        f"export: {facts['dataset']}: wrote {', '.join(wire.SIGNATURES)}; they answer as the model does on "
        f"{len(known):,} validation images and {sum(map(len, groups)):,} lines, as pixels and as pictures"
    )


def _prove(
    directory: Path, known: Split, expected: Any, groups: Sequence[Lines], line_reader: Any, fitted: Fitted
) -> None:
    """Raises DataError when what was written does not answer as the models do."""
    import tensorflow as tf

    from digits import saved_model
    from digits.export import line_parity, parity
    from digits.line_model.candidate import scorer

    served = tf.saved_model.load(str(directory)).signatures
    found = parity.disagreements(served, known.images, expected, fitted.threshold)
    found += line_parity.disagreements(served, groups, scorer(line_reader), fitted.lines)
    found += parity.unlike_empty(served)
    if held := saved_model.unservable(saved_model.read_graph(directory)):
        found.append(f"the graph holds operations that a server must not run: {', '.join(held)}")
    if found:
        raise DataError(f"the exported model is not the candidate, so it was thrown away: {'; '.join(found)}")


if __name__ == "__main__":
    stage_main("export", run)
