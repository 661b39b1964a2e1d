"""What the stage writes to models/edge: what lies there, how it answers, and what a refused format leaves."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from digits import dataset, files, wire
from digits.convert import formats
from digits.convert import lines as line_formats
from digits.convert.tfjs import load
from digits.convert.tflite import Interpreter, interpreter, normalize
from digits.line_model import candidate as line_candidate
from digits.line_model import network
from digits.line_model.lines import Lines, load_lines, save_lines
from digits.model import architectures
from digits.model.candidate import save_candidate
from digits.runtime.errors import DataError
from digits.runtime.hardware import Hardware
from digits.train.profiles import resolve
from tests._release import LINE_FIT, SETTINGS, THRESHOLD, convert


def written(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def report(converted):
    return json.loads((converted / "edge.json").read_text())


@pytest.mark.parametrize(
    ("name", "most"),
    [("float32", 1e-5), ("float16", 0.01), ("int8", 0.2), ("int8-network", 0.2), ("tfjs", 0.01)],
)
def test_a_file_and_answer_json_alone_answer_as_the_exported_model_does(
    converted, report, images, expected, name, most
):
    edge, figures = converted / "edge", report["formats"][name]
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


def test_the_report_tells_accuracy_size_and_time(converted, report):
    assert sorted(report["formats"]) == sorted([*formats.names(), *line_formats.names()])
    assert (report["validation_images"], report["validation_lines"]) == (260, 12)
    for name, figures in report["formats"].items():
        own = [file for file in written(converted / "edge") if file.startswith((f"{name}.", f"{name}/"))]
        assert figures["bytes"] == sum((converted / "edge" / file).stat().st_size for file in own)
        assert figures["points_lost"] <= 0.4 and figures["agreement"] > 0.97 and "refused" not in figures
        assert ("latency_ms" in figures) == ("tfjs" not in name)
    assert all(report["formats"][name]["bytes"] <= 150_000 for name in ("int8", "int8-network"))
    assert report["formats"]["tfjs"]["bytes"] <= 500_000


@pytest.mark.parametrize(("name", "most"), [("lines-float32", 1e-4), ("lines-float16", 0.02)])
def test_a_line_file_gives_the_columns_of_the_exported_model_whatever_lies_beside_the_line(
    converted, report, name, most
):
    fit = json.loads((converted / "edge" / "answer.json").read_text())["lines"]
    assert fit == {"width": 256, **LINE_FIT}
    read = interpreter((converted / "edge" / f"{name}.tflite").read_bytes()).get_signature_runner()
    served = tf.saved_model.load(str(converted / "exported")).signatures[wire.LINES]
    noise = np.random.default_rng(1).integers(0, 256, (1, 32, 256), np.uint8)
    for group in load_lines(converted / "lines" / "validation.npz"):
        width = np.array([group.width], np.int32)
        for line in group.images:
            beside = noise.copy()
            beside[0, :, : group.width] = line
            expected = served(lines=tf.constant(line[None]), width=tf.constant(width))["columns"].numpy()
            columns = read(lines=beside, width=width)["columns"]
            assert columns.shape == (1, 64, 12)
            assert np.abs(columns[:, : expected.shape[1]] - expected).max() <= most
    assert report["formats"][name]["difference"] <= most


def test_provenance_names_the_export_and_vouches_for_every_file(converted):
    record = json.loads((converted / "edge" / wire.EDGE_PROVENANCE).read_text())
    export_record = json.loads((converted / "exported" / wire.PROVENANCE).read_text())
    assert record["exported"] == export_record["files"]
    assert record["weights_sha256"] == export_record["weights_sha256"]
    assert record["line_weights_sha256"] == export_record["lines"]["weights_sha256"]
    others = written(converted / "edge") - {wire.EDGE_PROVENANCE}
    assert record["files"] == {name: files.file_sha256(converted / "edge" / name) for name in others}


def lines_as_read(converted, folder):
    """The line reader with validation lines that say what it reads in them: it is untrained."""
    served = tf.saved_model.load(str(converted / "exported")).signatures[wire.LINES]
    known = []
    for group in load_lines(converted / "lines" / "validation.npz"):
        width = np.full(len(group), group.width, np.int32)
        read = served(lines=tf.constant(group.images), width=tf.constant(width))
        known.append(Lines(group.images, read[wire.CHARACTER].numpy(), read[wire.LENGTH].numpy()))
    shutil.copytree(converted / "lines", folder)
    save_lines(folder / "validation.npz", known)
    return folder


def test_a_format_that_loses_accuracy_or_cant_be_made_is_left_out_with_its_reason_and_the_stage_ends_well(
    converted, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(formats, "names", lambda: ("float32", "float16", "int8"))
    monkeypatch.setattr(line_formats, "names", lambda: ("lines-float32", "lines-tfjs"))
    honest_line = line_formats.make

    def make(name, *_):
        if name == "int8":
            raise RuntimeError("quantizer: no range\n for tensor 7")
        content = (converted / "edge" / f"{name}.tflite").read_bytes()
        ask = Interpreter(content)

        def confused(images):  # the logits of one image in ten are those of another digit
            logits = ask(images)
            logits[::10] = np.roll(logits[::10], 1, axis=1)
            return logits

        return formats.Made({f"{name}.tflite": content}, confused if name == "float16" else ask, True, True)

    def make_line(name, *others):
        found = honest_line("lines-float32", *others)
        return replace(found, ask=lambda lines: found.ask(lines[..., ::-1])) if "tfjs" in name else found

    monkeypatch.setattr(formats, "make", make)
    monkeypatch.setattr(line_formats, "make", make_line)
    found = convert(converted, tmp_path, lines=lines_as_read(converted, tmp_path / "lines"))
    assert "points of accuracy on 260 validation images, at most 0.02 allowed" in found["float16"]["refused"]
    assert found["float16"]["points_lost"] > 5
    assert found["int8"] == {"refused": "it can't be made: quantizer: no range for tensor 7"}
    assert "points of accuracy on 12 validation lines, at most 0.02" in found["lines-tfjs"]["refused"]
    assert found["lines-float32"]["accuracy"] == found["lines-float32"]["agreement"] == 1
    kept = {"float32.tflite", "lines-float32.tflite", "answer.json", "provenance.json"}
    assert written(tmp_path / "edge") == kept
    record = json.loads((tmp_path / "edge" / wire.EDGE_PROVENANCE).read_text())
    assert record["formats"] == ["float32", "lines-float32"]
    told = [line for line in capsys.readouterr().out.splitlines() if "refused" in line]
    assert told[0].startswith("convert: float16 is refused: it loses")


def test_params_reach_every_format_and_a_full_disk_is_no_reason_to_refuse_one(
    converted, tmp_path, monkeypatch
):
    seen = []

    def watched(name, model, calibration, kernels):
        seen.append((len(calibration), kernels))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "make", watched)
    settings = SETTINGS["convert"].model_copy(update={"calibration": 40, "browser_kernels": "float32"})
    with pytest.raises(OSError, match="No space left"):
        convert(converted, tmp_path, settings)
    assert not written(tmp_path) and seen == [(40, "float32")]


def test_an_export_of_another_model_a_damaged_provenance_and_no_image_are_refused(converted, tmp_path):
    candidate, exported = tmp_path / "candidate", tmp_path / "exported"
    recipe = resolve(SETTINGS["train"], 100, Hardware("cpu", "float32", "nothing"))
    candidate.mkdir()
    save_candidate(candidate, architectures.build("compact", seed=2), recipe)
    (exported / "assets.extra").mkdir(parents=True)
    (exported / wire.PROVENANCE).write_text('{"files": {}}')
    lines = tmp_path / "lines"
    lines.mkdir()
    line_candidate.save_candidate(lines, network.build("tiny", seed=9), {"architecture": "tiny"})
    shutil.copy(converted / "lines" / "validation.npz", lines)
    no_line = tmp_path / "no_line"
    shutil.copytree(converted / "lines", no_line)
    save_lines(no_line / "validation.npz", [])
    nothing = dataset.load_split(converted / "validation").take(np.arange(0))
    dataset.save_split(tmp_path / "empty", nothing)
    for says, others in {
        r"is not made from .*candidate: run `dvc repro export`": {"candidate": candidate},
        r"is not made from .*lines: run `dvc repro export`": {"lines": lines},
        "holds no line to prove a format on: run `dvc repro lines`": {"lines": no_line},
        r"provenance.json is damaged: run `dvc repro -f export`": {"exported": exported},
        "no image to prove": {"validation": tmp_path / "empty"},
    }.items():
        with pytest.raises(DataError, match=says):
            convert(converted, tmp_path / "made", **others)
        assert not (tmp_path / "made" / "edge").exists()
