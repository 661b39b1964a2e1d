"""TFLite files: what they take in, how large they are, and that they answer as the model does."""

import numpy as np
import pytest

from digits.convert.tflite import FORMATS, Interpreter, convert, normalize
from digits.dataset import Split
from digits.model import architectures
from digits.model.candidate import scorer
from digits.runtime.errors import DataError
from digits.train.fit import fit
from tests._digits import digits
from tests.train._recipes import STILL, tiny


def split(n, seed):
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, "synthetic"))


def agreement(logits, others):
    """Share of the images that get the same digit."""
    return np.mean(logits.argmax(axis=1) == others.argmax(axis=1))


@pytest.fixture(scope="module")
def calibration():
    return digits(60, seed=1)[0]


@pytest.fixture(scope="module")
def images():
    return digits(120, seed=9)[0]


@pytest.fixture(scope="module")
def model():
    recipe = tiny(architecture="small", steps=60, dropout=0.0, augmentation=STILL)
    return fit(split(320, 1), split(50, 2), recipe).model


@pytest.fixture(scope="module")
def reference(model, images):
    return scorer(model)(images)


@pytest.fixture(scope="module")
def whole(model, calibration):
    return {form: convert(model, form, calibration) for form in FORMATS}


@pytest.fixture(scope="module")
def networks(model, calibration):
    return {form: convert(model, form, calibration, normalizes=False) for form in FORMATS}


@pytest.mark.parametrize("form", FORMATS)
def test_raw_images_get_the_digits_that_the_model_gives_them(whole, images, reference, form):
    assert agreement(Interpreter(whole[form])(images), reference) >= 0.97


def test_in_float32_the_logits_are_the_same(whole, images, reference):
    assert np.allclose(Interpreter(whole["float32"])(images), reference, atol=1e-3)


@pytest.mark.parametrize("form", FORMATS)
def test_normalised_images_get_them_too(networks, model, images, reference, form):
    logits = Interpreter(networks[form])(normalize(model, images))
    assert agreement(logits, reference) >= 0.97


def test_canonicalisation_is_in_the_file(whole, images):
    for form in FORMATS:
        file = Interpreter(whole[form])
        for same in (255 - images, np.roll(images, 3, axis=2), images // 3):
            assert agreement(file(same), file(images)) > 0.95


def test_a_blank_image_gets_an_answer(whole):
    for form in FORMATS:
        assert np.isfinite(Interpreter(whole[form])(np.zeros((1, 28, 28), np.uint8))).all()


def test_fewer_bits_make_smaller_files(whole, networks):
    for files in (whole, networks):
        size = {form: len(content) for form, content in files.items()}
        assert size["float32"] > size["float16"] > size["int8"]
    assert all(len(networks[form]) < len(whole[form]) for form in FORMATS)


def test_without_normalisation_int8_is_integers_throughout(networks):
    file = Interpreter(networks["int8"])
    kinds = {tensor["dtype"] for tensor in file.interpreter.get_tensor_details()}
    assert kinds <= {np.int8, np.int32}  # biases and shapes are int32
    scale, zero = file.into["quantization"]
    assert (scale, zero) == (pytest.approx(1 / 255), -128)


def test_batch_norm_is_folded(networks):
    names = [op["op_name"] for op in Interpreter(networks["int8"]).interpreter._get_ops_details()]
    assert not {"MUL", "ADD", "SUB"} & set(names)


def test_equal_models_make_equal_files(model, calibration, whole):
    for form in ("float32", "int8"):
        assert convert(model, form, calibration) == whole[form]


def test_a_tutorials_model_converts_too(calibration, images):
    model = architectures.build("small", normalization="scaled", seed=1)
    file = Interpreter(convert(model, "int8", calibration))
    off = np.abs(file(images) - scorer(model)(images))
    assert np.quantile(off, 0.99) < 0.1  # of logits up to 4; a value beyond the calibration's range is cut


def test_no_image_no_answer(whole):
    assert Interpreter(whole["int8"])(np.zeros((0, 28, 28), np.uint8)).shape == (0, 10)


def test_int8_without_calibration_is_refused(model):
    with pytest.raises(DataError, match="int8 needs calibration images"):
        convert(model, "int8")


def test_an_unknown_format_names_the_known_ones(model):
    with pytest.raises(DataError, match="'int4', expected one of float32, float16"):
        convert(model, "int4")


def test_images_of_another_type_are_refused(whole, networks, images):
    with pytest.raises(DataError, match=r"takes uint8 \[n, 28, 28\]: pass raw pixels"):
        Interpreter(whole["int8"])(images / np.float32(255))
    with pytest.raises(DataError, match="normalise them first"):
        Interpreter(networks["int8"])(images)
