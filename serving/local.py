"""A version of the model that answers in this process, as a client of a server does. Loads TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits import wire
from digits.runtime.errors import StoreError
from digits_client.contract import MOST_LINES
from digits_client.results import Answer, LineOutputs, LinePrediction, line_predictions


class LocalModel:
    """Reads lines with a SavedModel. version: the folder's name where that is a number.

    Raises StoreError for a folder without a model, and for a version that was made before there were lines.
    """

    def __init__(self, directory: Path) -> None:
        if not (directory / "saved_model.pb").is_file():
            raise StoreError(f"{directory} is no SavedModel: name a folder such as models/exported")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from digits.runtime.tf_import import load_tensorflow

        load_tensorflow()
        import tensorflow as tf

        self.version = int(directory.name) if directory.name.isdecimal() else None
        self._model = tf.saved_model.load(str(directory))
        if wire.LINES not in self._model.signatures:
            raise StoreError(f"{directory} reads single digits and no lines: take a newer version")
        self._function = self._model.signatures[wire.LINES]
        self._tensor = tf.constant

    def predict_lines(self, lines: Sequence[NDArray[np.uint8]]) -> Answer[LinePrediction]:
        """What lines of writing say, uint8 [32, w] each. Lines of like widths are computed together."""
        order = sorted(range(len(lines)), key=lambda place: lines[place].shape[1])
        made: dict[int, LinePrediction] = {}
        for start in range(0, len(order), MOST_LINES):
            places = order[start : start + MOST_LINES]
            made |= zip(places, self._predict([lines[place] for place in places]), strict=True)
        return Answer(tuple(made[place] for place in range(len(lines))), self.version)

    def _predict(self, lines: Sequence[NDArray[np.uint8]]) -> list[LinePrediction]:
        widths = [line.shape[1] for line in lines]
        filled = np.zeros((len(lines), wire.HEIGHT, max(widths)), np.uint8)
        for place, line in enumerate(lines):
            filled[place, :, : line.shape[1]] = line
        inputs = {
            wire.LINE_IMAGES: self._tensor(filled),
            wire.WIDTH: self._tensor(np.array(widths, np.int32)),
        }
        outputs: dict[str, Any] = {k: v.numpy().tolist() for k, v in self._function(**inputs).items()}
        for name in (wire.TEXT, wire.WRITTEN):
            outputs[name] = [each.decode() for each in outputs[name]]
        return line_predictions(LineOutputs(**outputs), len(lines))
