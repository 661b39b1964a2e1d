"""Stage `export`: what it writes, and every refusal, which leaves nothing behind."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from digits import dataset, saved_model, wire
from digits.export import lines as line_signatures
from digits.export import parity, signatures
from digits.files import file_sha256
from digits.line_model.lines import save_lines
from digits.model.candidate import load_candidate
from digits.runtime.errors import DataError, GateRefused
from serving.monitoring import reference
from tests._pictures import encode, page
from tests._release import SETTINGS, TEMPERATURE, THRESHOLD, export


def test_the_saved_signatures_are_those_of_the_wire_contract(release):
    graph = saved_model.read_graph(release / "exported")
    for name, signature in ((name, graph.meta_graphs[0].signature_def[name]) for name in wire.SIGNATURES):
        assert signature.method_name == wire.METHODS[name]
        for contract, told in ((wire.INPUTS, signature.inputs), (wire.OUTPUTS, signature.outputs)):
            found = {
                alias: (
                    tf.dtypes.as_dtype(info.dtype).name,
                    tuple(d.size if d.size >= 0 else None for d in info.tensor_shape.dim),
                )
                for alias, info in told.items()
            }
            assert found == contract[name]
    assert saved_model.unservable(graph) == []


@pytest.fixture
def refused(release, tmp_path):
    """Run with something changed; nothing may be left, and what was exported before must stay."""

    def attempt(error, match, name="before", **others):
        (tmp_path / "models" / "before").mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / "before" / "kept").write_text("as it was")
        with pytest.raises(error, match=match):
            export(release, tmp_path / "models" / name, **others)
        assert [path.name for path in (tmp_path / "models").rglob("*")] == ["before", "kept"]

    return attempt


def changed(release, tmp_path, name, **values):
    path = tmp_path / f"changed-{name}.json"
    path.write_text(json.dumps(json.loads((release / f"{name}.json").read_text()) | values))
    return {name: path}


def test_provenance_tells_data_recipe_scores_and_libraries_and_no_time_or_place(release):
    text = (release / "exported" / wire.PROVENANCE).read_text()
    record = json.loads(text)
    assert record["recipe"] == json.loads((release / "candidate" / "recipe.json").read_text())
    assert record["metrics"] == json.loads((release / "metrics.json").read_text())
    assert record["verdict"]["passed"] is True and record["data"]["splits"]["train"]["n"] == 1000
    assert record["threshold"] == THRESHOLD
    assert record["lines"]["recipe"] == {"architecture": "tiny"}
    assert record["lines"]["validation_sha256"] == file_sha256(release / "lines" / "validation.npz")
    assert len(record["lines"]["weights_sha256"]) == 64 != record["weights_sha256"]
    assert record["export"] == {"max_pixels": SETTINGS["export"].max_pixels}
    assert record["libraries"]["tensorflow"] == tf.__version__
    assert str(release) not in text and "time" not in {key.lower() for key in record}


def test_it_answers_as_the_candidate_does_by_the_threshold_that_evaluate_fitted(release):
    served = tf.saved_model.load(str(release / "exported")).signatures
    known = dataset.load_split(release / "validation")
    answers = served[wire.PIXELS](images=known.images)
    logits = load_candidate(release / "candidate")(known.images, training=False)
    expected = tf.nn.softmax(logits / TEMPERATURE).numpy()
    assert answers[wire.PROBABILITIES].numpy() == pytest.approx(expected, abs=1e-5)
    confidence, accepted = answers[wire.CONFIDENCE].numpy(), answers[wire.ACCEPTED].numpy()
    assert (accepted == (confidence >= THRESHOLD)).all() and 0 < accepted.sum() < len(accepted)
    files = [encode(page(image)) for image in known.images[:60]]
    read = served[wire.ENCODED](image_bytes=tf.constant(files))[wire.DIGIT]
    assert np.mean(read == known.labels[:60]) >= 0.95


def test_a_failed_verdict_is_refused_with_its_reasons(release, refused, tmp_path):
    rules = json.loads((release / "verdict.json").read_text())["rules"]
    rules[0] |= {"passed": False, "reason": "97.10% right, 98.00% wanted"}
    verdict = changed(release, tmp_path, "verdict", passed=False, rules=rules)
    for name in ("before", "none"):
        refused(GateRefused, "accuracy: 97.10% right, 98.00% wanted", name, **verdict)
    assert GateRefused.exit_code == 5


def test_missing_garbled_or_others_papers_a_damaged_candidate_and_no_image_are_refused(
    release, refused, tmp_path
):
    for name in ("metrics", "verdict", "manifest"):
        refused(DataError, "is missing", **{name: tmp_path / "nowhere.json"})
    (tmp_path / "garbage.json").write_text("{")
    refused(DataError, "garbage", verdict=tmp_path / "garbage.json")
    refused(DataError, "of another model", **changed(release, tmp_path, "metrics", validation_accuracy=0.5))
    whole = dataset.load_split(release / "validation")
    dataset.save_split(tmp_path / "empty", whole.take(np.arange(0)))
    refused(DataError, "no image to prove", validation=tmp_path / "empty")
    shutil.copytree(release / "candidate", tmp_path / "candidate")
    (tmp_path / "candidate" / "model.weights.h5").write_bytes(b"not weights")
    refused(DataError, "model.weights.h5", candidate=tmp_path / "candidate")


def test_lines_without_a_line_or_with_other_weights_are_refused(release, refused, tmp_path):
    shutil.copytree(release / "lines", tmp_path / "lines")
    save_lines(tmp_path / "lines" / "validation.npz", [])
    refused(DataError, "no line to prove", lines=tmp_path / "lines")
    (tmp_path / "lines" / "line_model.weights.h5").write_bytes(b"not weights")
    refused(DataError, "line_model.weights.h5", lines=tmp_path / "lines")


def test_an_export_that_answers_otherwise_or_at_random_is_thrown_away(refused, monkeypatch):
    limits, honest, honest_lines = [], signatures.endpoints, line_signatures.endpoints

    def off(logits, temperature, threshold, max_pixels):
        limits.append(max_pixels)

        def noisy(images):
            return logits(images) + 1e-9 * tf.random.normal([10])

        return honest(noisy, 1.01 * temperature, threshold, max_pixels)

    def off_lines(logits, *others):
        return honest_lines(lambda lines, width: 1.01 * logits(lines, width), *others)

    monkeypatch.setattr(signatures, "endpoints", off)
    monkeypatch.setattr(line_signatures, "endpoints", off_lines)
    monkeypatch.setattr(parity, "MANNERS", {})
    refused(DataError, r"off the model's probabilities.*lines of 36 pixels: columns .*RandomStandardNormal")
    assert limits == [SETTINGS["export"].max_pixels]


def test_a_version_carries_what_monitoring_compares_its_requests_with(release):
    known = reference.load(release / "exported", 1)
    listed = json.loads((release / "exported" / wire.PROVENANCE).read_text())["files"]
    assert listed[wire.MONITORING] == file_sha256(release / "exported" / wire.MONITORING)
    content = json.loads((release / "exported" / wire.MONITORING).read_text())
    assert content["sources"]["mnist"] == {"images": 1260, "answers": 260, "lines": 0}
    assert content["sources"]["composed"]["lines"] == 12 and content["accuracy"] == known.accuracy == 0.99
    refused = next(event for event in known.events if event.name == "not accepted")
    answers = tf.saved_model.load(str(release / "exported")).signatures[wire.PIXELS](
        images=dataset.load_split(release / "validation").images
    )
    assert refused.least < np.mean(~answers[wire.ACCEPTED].numpy()) < refused.most


FED_BY_NAME = """
import sys
import numpy as np, tensorflow as tf
from tensorflow.core.protobuf import config_pb2
v1 = tf.compat.v1
images, lines = (np.zeros(shape, np.uint8) for shape in ((2, 28, 28), (2, 32, 40)))
width = np.array([40, 8], np.int32)
with v1.Session(graph=tf.Graph()) as session:
    signatures = v1.saved_model.loader.load(session, ["serve"], sys.argv[1]).signature_def

    def ask(signature, **inputs):
        told = signatures[signature]
        for output in told.outputs.values():
            feed = [told.inputs[name].name for name in inputs]
            options = config_pb2.CallableOptions(feed=feed, fetch=[output.name])
            session._make_callable_from_options(options)(*inputs.values())

    shapes = [(), (784,), (28, 28), (2, 27, 28), (2, 28, 28, 1)]
    wrong = [("serving_default", {"images": np.zeros(shape, np.uint8)}) for shape in shapes]
    wrong += [("serving_default", {"images": value}) for value in (images / 2.0, images.astype(np.float32))]
    for name, alias in (("encoded", "image_bytes"), ("classify", "inputs"), ("lines_encoded", "image_bytes")):
        wrong += [(name, {alias: np.array(text, object)}) for text in (b"x", [[b"x"]])]
    odd = [np.zeros(shape, np.uint8) for shape in ((), (32,), (2, 31, 40), (2, 32, 40, 1))]
    pairs = [(each, width) for each in (*odd, lines.astype(np.float32))] + [(lines, width.astype(np.int64))]
    pairs += [(lines, np.array(other, np.int32)) for other in (3, [], [[40, 8]], [40, 99], [-5, 8])]
    for signature, inputs in [*wrong, *(("lines", {"lines": a, "width": b}) for a, b in pairs)]:
        try:
            ask(signature, **inputs)
        except tf.errors.InvalidArgumentError:
            continue
        raise SystemExit(f"{signature} took {inputs}")
    ask("serving_default", images=images)
    ask("lines", lines=lines, width=width)
    ask("lines", lines=lines[:0], width=width[:0])
    print("alive")
"""


@pytest.mark.slow
def test_a_wrong_shape_or_type_fed_by_name_fails_the_request_and_not_the_process(release):
    """As C++ servers run a model: a session, tensors by name, no check of shapes before."""
    command = [sys.executable, "-c", FED_BY_NAME, str(release / "exported")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr[-2000:]
