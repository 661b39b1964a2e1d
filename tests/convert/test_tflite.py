"""TFLite files: what they take in, how large they are, and that they answer as the model does."""

import numpy as np
import pytest

from digits.convert.tflite import FORMATS, Interpreter, convert
from digits.model import architectures
from digits.model.candidate import load_candidate, scorer
from digits.runtime.errors import DataError
from tests._digits import digits


@pytest.fixture(scope="module")
def model(converted):
    return load_candidate(converted / "candidate")


@pytest.fixture(scope="module")
def whole(converted):
    return {form: (converted / "edge" / f"{form}.tflite").read_bytes() for form in FORMATS}


@pytest.fixture(scope="module")
def network(converted):
    """int8 without normalisation inside."""
    return (converted / "edge" / "int8-network.tflite").read_bytes()


def test_each_takes_one_raw_image_and_fewer_bits_make_smaller_files(whole, network):
    sizes = [len(whole[form]) for form in ("float32", "float16", "int8")]
    assert sorted([*sizes, len(network)], reverse=True) == [*sizes, len(network)]
    for content in (*whole.values(), network):
        assert Interpreter(content).into["shape_signature"].tolist() == [1, 28, 28]
    assert Interpreter(whole["int8"])(np.zeros((0, 28, 28), np.uint8)).shape == (0, 10)


def test_without_normalisation_int8_is_integers_throughout_with_batch_norm_folded(network):
    file = Interpreter(network)
    kinds = {tensor["dtype"] for tensor in file.interpreter.get_tensor_details()}
    assert kinds <= {np.int8, np.int32}  # biases and shapes are int32
    scale, zero = file.into["quantization"]
    assert (scale, zero) == (pytest.approx(1 / 255), -128)
    names = [op["op_name"] for op in file.interpreter._get_ops_details()]
    assert not {"MUL", "ADD", "SUB"} & set(names)


def test_a_tutorials_model_converts_too(images):
    model = architectures.build("mlp-128", normalization="scaled", seed=1)
    off = np.abs(Interpreter(convert(model, "int8", digits(60, seed=1)[0]))(images) - scorer(model)(images))
    assert np.quantile(off, 0.99) < 0.1  # of logits up to 4; a value beyond the calibration's range is cut


def test_no_calibration_unknown_formats_and_images_of_another_type_are_refused(model, whole, network, images):
    for none in (None, np.empty((0, 28, 28), np.uint8)):
        with pytest.raises(DataError, match="int8 needs calibration images"):
            convert(model, "int8", none)
    with pytest.raises(DataError, match="'int4', expected one of float32, float16"):
        convert(model, "int4")
    with pytest.raises(DataError, match=r"takes uint8 \[n, 28, 28\]: pass raw pixels"):
        Interpreter(whole["int8"])(images / np.float32(255))
    with pytest.raises(DataError, match="normalise them first"):
        Interpreter(network)(images)
