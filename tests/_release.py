"""A small but real candidate with a line reader, the reports that let them pass, the export, the formats."""

from unittest.mock import patch

import keras
import numpy as np

from digits import dataset, files
from digits.convert import stage as convert_stage
from digits.dataset import Split
from digits.export import parity, stage
from digits.export.admission import JUDGED
from digits.line_model import candidate as line_candidate
from digits.line_model import network
from digits.line_model.lines import LONGEST, Lines, save_lines
from digits.model import architectures
from digits.model.candidate import save_candidate
from digits.runtime import params
from digits.runtime.hardware import Hardware
from digits.train.profiles import resolve
from tests._digits import digits

SETTINGS = params.load_all()
TEMPERATURE, THRESHOLD = 1.25, 0.9
LINE_FIT = {"slope": 0.5, "offset": 3.0, "threshold": 0.5}


def make(root):
    """Write candidate, train and validation, the reports on them, and the export into a folder."""
    keras.utils.set_random_seed(1)
    images, labels = digits(1000, seed=11)
    model = architectures.build("compact", seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(images, labels, batch_size=50, epochs=4, verbose=0)
    (root / "candidate").mkdir(parents=True)
    recipe = resolve(SETTINGS["train"], len(images), Hardware("cpu", "float32", "nothing"))
    save_candidate(root / "candidate", model, recipe)
    dataset.save_split(root / "train", Split(images, labels, np.full(len(labels), "mnist")))
    images, labels = digits(260, seed=12)
    dataset.save_split(root / "validation", Split(images, labels, np.full(len(labels), "mnist")))
    right = float(np.mean(model.predict(images, verbose=0).argmax(1) == labels))
    assert right > 0.97
    metrics = {
        "dataset": "mnist",
        "accuracy": 0.99,
        "n_test": 1000,
        "corruption_mean": 0.95,
        "ece": 0.01,
        "temperature": TEMPERATURE,
        "abstention": {"threshold": THRESHOLD},
        "validation_accuracy": right,
        "lines": {"fit": LINE_FIT},
    }
    rules = [
        {"rule": rule, "value": metrics[figure], "threshold": 0.5, "passed": True, "reason": "fine"}
        for rule, figure in JUDGED.items()
    ]
    files.write_json(root / "metrics.json", metrics)
    files.write_json(root / "verdict.json", {"dataset": "mnist", "passed": True, "rules": rules})
    (root / "lines").mkdir()
    line_candidate.save_candidate(root / "lines", line_reader(), {"architecture": "tiny"})
    save_lines(root / "lines" / line_candidate.VALIDATION, [lines(width, 4) for width in (36, 61, 140)])
    manifest = {"dataset": "mnist", "sample": False, "splits": {"train": {"n": 1000}}}
    files.write_json(root / "manifest.json", manifest)
    export(root, root / "exported")


def line_reader():
    """Return an untrained network that is sure enough to find characters, other ones in other lines."""
    model = network.build("tiny", seed=3)
    kernel = model.weights[-2]  # of the last layer
    kernel.assign(kernel * 8)
    return model


def lines(width, n, seed=13):
    """Return digits side by side, `n` lines of so many pixels."""
    images, labels = digits(n * (width // 28), seed=seed)
    rows = images.reshape(n, -1, 28, 28).transpose(0, 2, 1, 3).reshape(n, 28, -1)
    filled = np.pad(rows, ((0, 0), (2, 2), (0, width - rows.shape[2])))
    texts = np.full((n, LONGEST), -1, np.int32)
    texts[:, : width // 28] = labels.reshape(n, -1)
    return Lines(filled, texts, np.full(n, width // 28, np.int32))


def export(root, exported, settings=SETTINGS["export"], **others):
    """Export the candidate of a folder, with some of its paths replaced."""
    papers = {name: root / f"{name}.json" for name in ("metrics", "verdict", "manifest")}
    paths = papers | {name: root / name for name in ("candidate", "lines", "train", "validation")} | others
    with patch.object(parity, "PICTURES", 20):  # tests/export/test_parity.py is about how they are compared
        stage.run(**paths, exported=exported, params=settings)


def convert(root, to, settings=SETTINGS["convert"], **others):
    """Return what stage `convert` reports on the export of a folder; its files are written below `to`."""
    paths = {name: root / name for name in ("candidate", "lines", "exported", "train", "validation")} | others
    convert_stage.run(**paths, edge=to / "edge", report=to / "edge.json", params=settings)
    return files.read_json(to / "edge.json")["formats"]
