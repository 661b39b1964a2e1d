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


@pytest.mark.parametrize(
    ("name", "most"),
    [("float32", 1e-5), ("float16", 0.01), ("int8", 0.2), ("int8-network", 0.2), ("tfjs", 0.01)],
)
def test_a_file_and_answer_json_alone_answer_as_the_exported_model_does(
    made, report, images, expected, name, most
):
    edge, figures = made / "edge", report["formats"][name]
    answer = json.loads((edge / "answer.json").read_text())
    assert (answer["threshold"], answer["normalization"]) == (THRESHOLD, "canonical")
    if name == "tfjs":
        ask = load({file: (edge / "tfjs" / file).read_bytes() for file in ("model.json", "weights.bin")})
    else:
        ask = Interpreter((edge / f"{name}.tflite").read_bytes())
    if name in ("tfjs", "int8-network"):
        images = normalize(architectures.build("compact"), images)
    found = tf.nn.softmax(ask(images) / answer["temperature"]).numpy()
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


def test_params_reach_every_format_and_a_full_disk_is_no_reason_to_refuse_one(made, tmp_path, monkeypatch):
    seen = []

    def watched(name, model, calibration, kernels):
        seen.append((len(calibration), kernels))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "make", watched)
    settings = SETTINGS["convert"].model_copy(update={"calibration": 40, "browser_kernels": "float32"})
    with pytest.raises(OSError, match="No space left"):
        convert(made, tmp_path, settings)
    assert not written(tmp_path) and seen == [(40, "float32")]


def test_an_export_of_another_model_a_damaged_provenance_and_no_image_are_refused(made, tmp_path):
    candidate, exported = tmp_path / "candidate", tmp_path / "exported"
    recipe = resolve(SETTINGS["train"], 100, Hardware("cpu", "float32", "nothing"))
    candidate.mkdir()
    save_candidate(candidate, architectures.build("compact", seed=2), recipe)
    (exported / "assets.extra").mkdir(parents=True)
    (exported / wire.PROVENANCE).write_text('{"files": {}}')
    nothing = dataset.load_split(made / "validation").take(np.arange(0))
    dataset.save_split(tmp_path / "empty", nothing)
    for says, others in {
        r"is not made from .*: run `dvc repro export`": {"candidate": candidate},
        r"provenance.json is damaged: run `dvc repro -f export`": {"exported": exported},
        "no image to prove": {"validation": tmp_path / "empty"},
    }.items():
        with pytest.raises(DataError, match=says):
            convert(made, tmp_path / "made", **others)
        assert not (tmp_path / "made" / "edge").exists()
