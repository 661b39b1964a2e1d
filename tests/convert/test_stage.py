"""models/exported → models/edge: what lies there, how it answers, and what a refused format leaves."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from digits import dataset, files, wire
from digits.convert import formats, stage
from digits.convert.tfjs import load
from digits.convert.tflite import Interpreter, convert, normalize
from digits.model import architectures
from digits.model.candidate import save_candidate
from digits.runtime.errors import DataError
from digits.train.profiles import Hardware, resolve
from tests._release import SETTINGS, THRESHOLD


@pytest.fixture(scope="module")
def made(release, tmp_path_factory):
    """The small candidate, its export and its formats; don't change them."""
    root = shutil.copytree(release, tmp_path_factory.mktemp("made") / "root")
    call(root, root)
    return root


def call(root, to, settings=SETTINGS["convert"], **others):
    """What the stage reports, of files written below `to`."""
    paths = {name: root / name for name in ("candidate", "exported", "train", "validation")} | others
    stage.run(**paths, edge=to / "edge", report=to / "edge.json", params=settings)
    return json.loads((to / "edge.json").read_text())["formats"]


def written(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def report(made):
    return json.loads((made / "edge.json").read_text())


@pytest.fixture(scope="module")
def images(made):
    return dataset.load_split(made / "validation").images


@pytest.fixture(scope="module")
def expected(made, images):
    served = tf.saved_model.load(str(made / "exported")).signatures[wire.PIXELS]
    return served(images=tf.constant(images))[wire.PROBABILITIES].numpy()


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
    call(made, tmp_path)
    again, first = (
        {name: (root / "edge" / name).read_bytes() for name in written(root / "edge")}
        for root in (tmp_path, made)
    )
    assert again == first


@pytest.fixture
def only(monkeypatch):
    """Have some formats alone made."""
    return lambda *names: monkeypatch.setattr(formats, "names", lambda: names)


def confused(name, model, *others, honest=formats.make):
    """The format, but of a model whose answers are those of other digits for one image in ten."""
    found = honest(name, model, *others)

    def ask(images):
        logits = found.ask(images)
        logits[::10] = np.roll(logits[::10], 1, axis=1)
        return logits

    return formats.Made(found.files, ask if name == "float16" else found.ask, found.normalizes, found.here)


def test_a_format_that_loses_accuracy_is_left_out_with_its_reason_and_the_stage_ends_well(
    made, tmp_path, only, monkeypatch, capsys
):
    only("float32", "float16", "tfjs")
    monkeypatch.setattr(formats, "make", confused)
    found = call(made, tmp_path)
    assert "points of accuracy on 260 validation images, at most 0.02 allowed" in found["float16"]["refused"]
    assert found["float16"]["points_lost"] > 5
    kept = written(tmp_path / "edge")
    assert "float16.tflite" not in kept and "float32.tflite" in kept
    record = json.loads((tmp_path / "edge" / wire.EDGE_PROVENANCE).read_text())
    assert record["formats"] == ["float32", "tfjs"]
    told = [line for line in capsys.readouterr().out.splitlines() if "refused" in line]
    assert len(told) == 1 and told[0].startswith("convert: float16 is refused: it loses")


def test_a_format_that_cant_be_made_is_left_out_with_the_converters_reason(made, tmp_path, only, monkeypatch):
    only("float32", "int8")

    def failing(name, *others, honest=formats.make):
        if name.startswith("int8"):
            raise RuntimeError("quantizer: no range\n for tensor 7")
        return honest(name, *others)

    monkeypatch.setattr(formats, "make", failing)
    found = call(made, tmp_path)
    assert found["int8"] == {"refused": "it can't be made: quantizer: no range for tensor 7"}
    assert "int8.tflite" not in written(tmp_path / "edge")


def test_a_full_disk_is_no_reason_to_refuse_a_format(made, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "make", full)
    with pytest.raises(OSError, match="No space left"):
        call(made, tmp_path)
    assert not written(tmp_path)


def test_an_export_of_another_model_is_refused(made, tmp_path):
    recipe = resolve(SETTINGS["train"], 100, Hardware("cpu", "float32", "nothing"))
    (tmp_path / "candidate").mkdir()
    save_candidate(tmp_path / "candidate", architectures.build("compact", seed=2), recipe)
    with pytest.raises(DataError, match=r"is not made from .*: run `dvc repro export`"):
        call(made, tmp_path, candidate=tmp_path / "candidate")
    assert written(tmp_path) <= {"candidate/model.weights.h5", "candidate/recipe.json"}


def test_a_provenance_that_does_not_tell_how_to_answer_is_refused(made, tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "assets.extra").mkdir()
    (tmp_path / "exported" / wire.PROVENANCE).write_text('{"files": {}}')
    with pytest.raises(DataError, match=r"provenance.json is damaged: run `dvc repro -f export`"):
        call(made, tmp_path, exported=tmp_path / "exported")


def test_int8_is_calibrated_on_as_many_training_images_as_asked(made, tmp_path, only, monkeypatch):
    only("int8", "tfjs")
    seen = {}

    def watched(name, model, calibration, kernels, honest=formats.make):
        seen[name] = (len(calibration), kernels)
        return honest(name, model, calibration, kernels)

    monkeypatch.setattr(formats, "make", watched)
    settings = SETTINGS["convert"].model_copy(update={"calibration": 40, "browser_kernels": "float32"})
    found = call(made, tmp_path, settings)
    assert set(seen.values()) == {(40, "float32")}
    assert found["tfjs"]["difference"] < 1e-5


def test_no_validation_image_is_refused(made, tmp_path):
    whole = dataset.load_split(made / "validation")
    dataset.save_split(tmp_path / "empty", whole.take(np.arange(0)))
    with pytest.raises(DataError, match="no image to prove"):
        call(made, tmp_path, validation=tmp_path / "empty")


def test_int8_without_calibration_images_is_an_error_that_says_so():
    with pytest.raises(DataError, match="calibration"):
        convert(architectures.build("small"), "int8", np.empty((0, 28, 28), np.uint8))
