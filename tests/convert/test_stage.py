"""models/exported → models/edge: what lies there, how it answers, and what a refused format leaves."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from digits import dataset, files, wire
from digits.convert import formats
from digits.convert.tfjs import load
from digits.convert.tflite import Interpreter, normalize
from digits.model import architectures
from digits.model.candidate import save_candidate
from digits.runtime.errors import DataError
from digits.runtime.hardware import Hardware
from digits.train.profiles import resolve
from tests._release import SETTINGS, THRESHOLD, convert


def written(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def report(made):
    return json.loads((made / "edge.json").read_text())


def answers(made, name, images):
    """Probabilities that follow from a file and answer.json alone, as a phone or a page has them."""
    answer = json.loads((made / "edge" / "answer.json").read_text())
    assert (answer["threshold"], answer["normalization"]) == (THRESHOLD, "canonical")
    if name == "tfjs":
        ask = load(
            {file: (made / "edge" / "tfjs" / file).read_bytes() for file in ("model.json", "weights.bin")}
        )
    else:
        ask = Interpreter((made / "edge" / f"{name}.tflite").read_bytes())
    if name in ("tfjs", "int8-network"):
        images = normalize(architectures.build("compact"), images)
    return tf.nn.softmax(ask(images) / answer["temperature"]).numpy()


@pytest.mark.parametrize(
    ("name", "most"),
    [("float32", 1e-5), ("float16", 0.01), ("int8", 0.2), ("int8-network", 0.2), ("tfjs", 0.01)],
)
def test_what_lies_there_answers_as_the_exported_model_does(made, report, images, expected, name, most):
    found = answers(made, name, images)
    figures = report["formats"][name]
    assert np.abs(found - expected).max() == pytest.approx(figures["difference"], abs=1e-4)
    assert figures["difference"] <= most
    agreement = np.mean(found.argmax(1) == expected.argmax(1))
    assert agreement == pytest.approx(figures["agreement"], abs=1e-5)
    assert agreement >= 0.98


def test_the_report_tells_accuracy_size_and_time(made, report):
    assert tuple(sorted(report["formats"])) == tuple(sorted(formats.names()))
    assert report["validation_images"] == 260
    for name, figures in report["formats"].items():
        own = [file for file in written(made / "edge") if file.startswith((f"{name}.", f"{name}/"))]
        assert figures["bytes"] == sum((made / "edge" / file).stat().st_size for file in own)
        assert figures["accuracy"] > 0.97 and figures["points_lost"] <= 0.4 and "refused" not in figures
        assert ("latency_ms" in figures) == (name != "tfjs")
    assert all(report["formats"][name]["bytes"] <= 150_000 for name in ("int8", "int8-network"))
    assert report["formats"]["tfjs"]["bytes"] <= 500_000


def test_provenance_names_the_export_and_vouches_for_every_file(made):
    record = json.loads((made / "edge" / wire.EDGE_PROVENANCE).read_text())
    export_record = json.loads((made / "exported" / wire.PROVENANCE).read_text())
    assert record["exported"] == export_record["files"]
    assert record["weights_sha256"] == export_record["weights_sha256"]
    others = written(made / "edge") - {wire.EDGE_PROVENANCE}
    assert record["files"] == {name: files.file_sha256(made / "edge" / name) for name in others}


@pytest.mark.slow
def test_the_same_export_gives_the_same_bytes(made, tmp_path):
    convert(made, tmp_path)
    again, first = (
        {name: (root / "edge" / name).read_bytes() for name in written(root / "edge")}
        for root in (tmp_path, made)
    )
    assert again == first


def test_a_format_that_loses_accuracy_or_cant_be_made_is_left_out_with_its_reason_and_the_stage_ends_well(
    made, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(formats, "names", lambda: ("float32", "float16", "int8"))
    honest = formats.make

    def make(name, *others):
        if name == "int8":
            raise RuntimeError("quantizer: no range\n for tensor 7")
        found = honest(name, *others)

        def confused(images):  # the logits of one image in ten are those of another digit
            logits = found.ask(images)
            logits[::10] = np.roll(logits[::10], 1, axis=1)
            return logits

        return replace(found, ask=confused) if name == "float16" else found

    monkeypatch.setattr(formats, "make", make)
    found = convert(made, tmp_path)
    assert "points of accuracy on 260 validation images, at most 0.02 allowed" in found["float16"]["refused"]
    assert found["float16"]["points_lost"] > 5
    assert found["int8"] == {"refused": "it can't be made: quantizer: no range for tensor 7"}
    assert {name for name in written(tmp_path / "edge") if name.endswith(".tflite")} == {"float32.tflite"}
    record = json.loads((tmp_path / "edge" / wire.EDGE_PROVENANCE).read_text())
    assert record["formats"] == ["float32"]
    told = [line for line in capsys.readouterr().out.splitlines() if "refused" in line]
    assert told[0].startswith("convert: float16 is refused: it loses")


def test_a_full_disk_is_no_reason_to_refuse_a_format(made, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "make", full)
    with pytest.raises(OSError, match="No space left"):
        convert(made, tmp_path)
    assert not written(tmp_path)


def test_an_export_of_another_model_is_refused(made, tmp_path):
    recipe = resolve(SETTINGS["train"], 100, Hardware("cpu", "float32", "nothing"))
    (tmp_path / "candidate").mkdir()
    save_candidate(tmp_path / "candidate", architectures.build("compact", seed=2), recipe)
    with pytest.raises(DataError, match=r"is not made from .*: run `dvc repro export`"):
        convert(made, tmp_path, candidate=tmp_path / "candidate")
    assert written(tmp_path) <= {"candidate/model.weights.h5", "candidate/recipe.json"}


def test_a_provenance_that_does_not_tell_how_to_answer_is_refused(made, tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "assets.extra").mkdir()
    (tmp_path / "exported" / wire.PROVENANCE).write_text('{"files": {}}')
    with pytest.raises(DataError, match=r"provenance.json is damaged: run `dvc repro -f export`"):
        convert(made, tmp_path, exported=tmp_path / "exported")


def test_params_tell_how_many_training_images_calibrate_int8_and_the_browsers_kernels(
    made, tmp_path, monkeypatch
):
    seen = []

    def watched(name, model, calibration, kernels):
        seen.append((len(calibration), kernels))
        raise RuntimeError("seen")

    monkeypatch.setattr(formats, "make", watched)
    settings = SETTINGS["convert"].model_copy(update={"calibration": 40, "browser_kernels": "float32"})
    convert(made, tmp_path, settings)
    assert set(seen) == {(40, "float32")}


def test_no_validation_image_is_refused(made, tmp_path):
    whole = dataset.load_split(made / "validation")
    dataset.save_split(tmp_path / "empty", whole.take(np.arange(0)))
    with pytest.raises(DataError, match="no image to prove"):
        convert(made, tmp_path, validation=tmp_path / "empty")
