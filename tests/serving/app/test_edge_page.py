"""docs/edge.md: its recipes do what they say."""

import json
import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from bench.browser import ROOT
from digits import wire
from digits.convert import tflite
from digits.ink import has_ink
from tests._digits import digits
from tests.serving.app.conftest import ANSWER

TEXT = (ROOT / "docs" / "edge.md").read_text()


def recipe(name):
    return re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- /{name} -->", TEXT, re.S)[1]


@pytest.fixture
def litert(monkeypatch):
    """The package that the recipe installs; TensorFlow carries the same interpreter."""
    stand_in = types.ModuleType("ai_edge_litert.interpreter")
    stand_in.Interpreter = tf.lite.Interpreter
    monkeypatch.setitem(sys.modules, "ai_edge_litert", types.ModuleType("ai_edge_litert"))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", stand_in)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_the_steps_with_litert_give_the_answer_of_the_exported_signature(network, litert, tmp_path):
    (tmp_path / "float32.tflite").write_bytes(tflite.convert(network.model, "float32"))
    (tmp_path / "answer.json").write_text(json.dumps(ANSWER))
    images, _ = digits(30, seed=6)
    images = np.concatenate([images, 255 - images[:5], [np.zeros((28, 28))], [np.eye(28) * 3]]).astype(
        np.uint8
    )
    answers = network.served[wire.PIXELS](tf.constant(images))
    expected = {name: value.numpy() for name, value in answers.items()}
    space = {}
    exec(recipe("litert"), space)
    asked = space["load"](str(tmp_path), "float32")
    found = [space["predict"](*asked, image) for image in images]
    assert [digit for digit, _, _ in found] == expected[wire.DIGIT].tolist()
    assert [c for _, c, _ in found] == pytest.approx(expected[wire.CONFIDENCE].tolist(), abs=1e-4)
    assert [space["has_ink"](image) for image in images] == has_ink(tf.constant(images)).numpy().tolist()
    clear = np.abs(expected[wire.CONFIDENCE] - ANSWER["threshold"]) > 1e-4
    assert [sure for _, _, sure in np.array(found, object)[clear]] == expected[wire.ACCEPTED][clear].tolist()
