"""Stage `export`: what it writes, and every refusal, which leaves nothing behind."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from digits import dataset, wire
from digits.export import parity, signatures
from digits.model.candidate import load_candidate
from digits.runtime.errors import DataError, GateRefused
from tests._pictures import encode, page
from tests._release import SETTINGS, TEMPERATURE, THRESHOLD, export


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


@pytest.mark.slow
def test_a_fresh_process_answers_as_the_candidate_does(release, tmp_path):
    script = f"""
        import numpy as np, tensorflow as tf
        images = np.load({str(release / "validation" / "images.npy")!r})
        loaded = tf.saved_model.load({str(release / "exported")!r})
        answers = loaded.signatures["serving_default"](images=images)
        np.save({str(tmp_path / "answers.npy")!r}, answers["probabilities"])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True)
    images = dataset.load_split(release / "validation").images
    expected = tf.nn.softmax(
        load_candidate(release / "candidate")(images, training=False) / TEMPERATURE
    ).numpy()
    assert np.load(tmp_path / "answers.npy") == pytest.approx(expected, abs=1e-5)


def test_the_threshold_that_evaluate_fitted_is_the_one_that_is_served(release, served):
    answers = served.signatures[wire.PIXELS](images=dataset.load_split(release / "validation").images)
    confidence, accepted = answers[wire.CONFIDENCE].numpy(), answers[wire.ACCEPTED].numpy()
    assert (accepted == (confidence >= THRESHOLD)).all() and 0 < accepted.sum() < len(accepted)


@pytest.fixture(scope="module")
def served(release):
    return tf.saved_model.load(str(release / "exported"))


def test_pictures_are_read_as_the_digits_that_they_show(release, served):
    known = dataset.load_split(release / "validation").take(np.arange(60))
    answers = served.signatures[wire.ENCODED](
        image_bytes=tf.constant([encode(page(i)) for i in known.images])
    )
    assert np.mean(answers[wire.DIGIT].numpy() == known.labels) >= 0.95


def test_warm_up_requests_name_this_models_inputs(release, served):
    for record in tf.data.TFRecordDataset(str(release / "exported" / wire.WARMUP)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        if log.HasField("predict_log"):
            request = log.predict_log.request
            feeds = {alias: tf.constant(tf.make_ndarray(value)) for alias, value in request.inputs.items()}
            assert len(served.signatures[request.model_spec.signature_name](**feeds)) == 4


def test_provenance_tells_data_recipe_scores_and_libraries_and_no_time_or_place(release):
    text = (release / "exported" / wire.PROVENANCE).read_text()
    record = json.loads(text)
    assert record["recipe"] == json.loads((release / "candidate" / "recipe.json").read_text())
    assert record["metrics"] == json.loads((release / "metrics.json").read_text())
    assert record["verdict"]["passed"] is True and record["data"]["splits"]["train"]["n"] == 1000
    assert record["threshold"] == THRESHOLD
    assert record["export"] == {"max_pixels": SETTINGS["export"].max_pixels}
    assert record["libraries"]["tensorflow"] == tf.__version__
    assert str(release) not in text and "time" not in {key.lower() for key in record}


def test_a_failed_verdict_is_refused_with_its_reasons(release, refused, tmp_path):
    rules = json.loads((release / "verdict.json").read_text())["rules"]
    rules[0] |= {"passed": False, "reason": "97.10% right, 98.00% wanted"}
    verdict = changed(release, tmp_path, "verdict", passed=False, rules=rules)
    for name in ("before", "none"):
        refused(GateRefused, "accuracy: 97.10% right, 98.00% wanted", name, **verdict)
    assert GateRefused.exit_code == 5


@pytest.mark.parametrize("name", ["metrics", "verdict", "manifest"])
def test_missing_papers_are_refused(refused, tmp_path, name):
    refused(DataError, "is missing", **{name: tmp_path / "nowhere.json"})


@pytest.mark.parametrize("text", ["{", "null"])
def test_garbage_for_a_verdict_is_refused(refused, tmp_path, text):
    (tmp_path / "garbage.json").write_text(text)
    refused(DataError, "verdict|garbage", verdict=tmp_path / "garbage.json")


def test_metrics_of_another_model_are_refused(release, refused, tmp_path):
    refused(DataError, "of another model", **changed(release, tmp_path, "metrics", validation_accuracy=0.5))


def test_no_validation_image_is_refused(release, refused, tmp_path):
    whole = dataset.load_split(release / "validation")
    dataset.save_split(tmp_path / "empty", whole.take(np.arange(0)))
    refused(DataError, "no image to prove", validation=tmp_path / "empty")


def test_a_damaged_candidate_is_refused(release, refused, tmp_path):
    (tmp_path / "candidate").mkdir()
    for file in (release / "candidate").iterdir():
        (tmp_path / "candidate" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "candidate" / "model.weights.h5").write_bytes(b"not weights")
    refused(DataError, "model.weights.h5", candidate=tmp_path / "candidate")


def test_an_export_that_answers_otherwise_or_at_random_is_thrown_away_and_max_pixels_is_the_limit(
    release, refused, monkeypatch
):
    limits = []

    def off(logits, temperature, threshold, max_pixels, honest=signatures.endpoints):
        limits.append(max_pixels)
        return honest(
            lambda images: logits(images) + 1e-9 * tf.random.normal([10]),
            1.01 * temperature,
            threshold,
            max_pixels,
        )

    monkeypatch.setattr(signatures, "endpoints", off)
    monkeypatch.setattr(parity, "MANNERS", {})
    refused(DataError, r"off the model's probabilities.*RandomStandardNormal")
    assert limits == [SETTINGS["export"].max_pixels]
