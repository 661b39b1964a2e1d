"""Makes TFLite files of a trained model, for phones and microcontrollers, and answers with such files.

    content = convert(model, "int8", calibration=images)     # bytes of one file
    logits = Interpreter(content)(images)                    # uint8 [n, 28, 28] → float32 [n, 10]

TensorFlow's converter takes a SavedModel (handed a Keras 3 model's function, it makes a file that answers
nonsense), so a temporary folder is written, and nothing else of the disk touched. Batch norm is folded into
the kernels. A file answers one image at a time: microcontrollers want shapes known beforehand.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import saved_model, wire
from digits.dataset import CLASSES
from digits.model import architectures
from digits.model.canonicalize import SIZE
from digits.runtime.errors import DataError

# float32: as trained. float16: weights of half the size, computed in float32. int8: weights, and what flows
# between layers, in ranges that were measured on calibration images (Jacob et al. 2018, arXiv:1712.05877).
FORMATS = ("float32", "float16", "int8")
# These stay float32 in an int8 file that normalises; convolutions, pooling and dense layers become integers.
# Eight bits hold neither normalisation's sums nor its divisors: quantised, one rounds to 0 and the file fails
# on its first image. RESHAPE too: the range that it gets on clean images does not fit inverted ones. The
# first convolution stays float32 with them: the converter then has no range of what normalisation hands over.
# fmt: off
STAY_FLOAT = (
    "ADD", "CAST", "CEIL", "CONCATENATION", "DIV", "EQUAL", "GATHER", "GREATER", "GREATER_EQUAL", "LESS",
    "LOGICAL_OR", "MEAN", "MINIMUM", "MUL", "PAD", "RELU", "RESHAPE", "ROUND", "SELECT_V2", "STRIDED_SLICE",
    "SUB", "SUM", "TOPK_V2",
)
# fmt: on


def convert(
    model: keras.Model, form: str, calibration: NDArray[np.uint8] | None = None, *, normalizes: bool = True
) -> bytes:
    """Return a model of `architectures.build` as a TFLite file in one of FORMATS, for one image at a time.

    normalizes: whether normalisation is in the file, which then takes uint8 [1, 28, 28] and answers logits
    float32 [1, 10]. Without it the file takes float32 [1, 28, 28] of 0–1 that `normalize` made; in int8 it
    is integers throughout, int8 in and out: what a microcontroller without floats wants.
    calibration: training images uint8 [n, 28, 28], some hundreds, for int8. Raises DataError without them.
    """
    if form not in FORMATS:
        raise DataError(f"the format is {form!r}, expected one of {', '.join(FORMATS)}")
    part, type_ = (model, tf.uint8) if normalizes else (architectures.network(model), tf.float32)
    spec = tf.TensorSpec([1, SIZE, SIZE], type_, name=wire.IMAGES)
    if form != "int8":
        return float_file(lambda images: part(images, training=False), [spec], part.variables, form)
    if calibration is None or not len(calibration):
        raise DataError("int8 needs calibration images, and there are none: pass some of training")
    seen = calibration if normalizes else normalize(model, calibration)
    with_converter = _converter(lambda images: part(images, training=False), [spec], part.variables)
    return _int8(with_converter, seen, mixed=normalizes)


def float_file(
    function: Callable[..., Any], inputs: Sequence[tf.TensorSpec], variables: Sequence[Any], form: str
) -> bytes:
    """Return a function of tensors as a TFLite file of float32, or of float16 weights.

    variables: those of Keras that the function reads.
    """

    def finish(converter: Any) -> bytes:
        if form == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())

    return _converter(function, inputs, variables)(finish)


def normalize(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a model's network sees of images, uint8 [n, 28, 28]: float32 [n, 28, 28] of 0–1."""
    layer = model.get_layer(architectures.NORMALIZE)
    parts = [layer(tf.constant(images[i : i + 500])).numpy() for i in range(0, len(images), 500)]
    return np.concatenate([np.empty((0, SIZE, SIZE), np.float32), *parts])


def interpreter(content: bytes, threads: int = 1) -> Any:
    """TensorFlow's own interpreter of a file."""
    with _without_warnings():
        return tf.lite.Interpreter(model_content=content, num_threads=threads)


class Interpreter:
    """A TFLite file that answers for images, on one thread by default."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        self.interpreter = interpreter(content, threads)
        self.interpreter.allocate_tensors()
        (self.into,) = self.interpreter.get_input_details()
        (self.out,) = self.interpreter.get_output_details()

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits float32 [n, 10] of images [n, 28, 28]: uint8, or float32 of 0–1 without normalisation.

        A file of integers gets those pixels in its own scale. Raises DataError for images of another type.
        """
        taken = self.into["dtype"]
        wanted = np.dtype(np.uint8 if taken == np.uint8 else np.float32)
        if images.dtype != wanted or images.shape[1:] != (SIZE, SIZE):
            raise DataError(
                f"the images are {images.dtype} {list(images.shape)}, this file takes {wanted} [n, 28, 28]: "
                + ("pass raw pixels" if wanted == np.uint8 else "normalise them first")
            )
        if taken == np.int8:
            scale, zero = self.into["quantization"]
            images = np.clip(np.round(images / scale + zero), -128, 127).astype(np.int8)
        answers = np.empty((len(images), CLASSES), self.out["dtype"])
        for row in range(len(images)):
            self.interpreter.set_tensor(self.into["index"], images[row : row + 1])
            self.interpreter.invoke()
            answers[row] = self.interpreter.get_tensor(self.out["index"])[0]
        if self.out["dtype"] == np.int8:
            scale, zero = self.out["quantization"]
            return (answers.astype(np.float32) - np.float32(zero)) * np.float32(scale)
        return answers.astype(np.float32)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """TensorFlow's interpreter warns that LiteRT, a package of its own, will replace it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


Finish = Callable[[Any], bytes]


def _converter(
    function: Callable[..., Any], inputs: Sequence[tf.TensorSpec], variables: Sequence[Any]
) -> Callable[[Finish], bytes]:
    """A function that hands a converter of `function` to another one while the SavedModel lies on disk."""
    traced = tf.function(function, input_signature=inputs, autograph=False).get_concrete_function()

    def with_converter(finish: Finish) -> bytes:
        with tempfile.TemporaryDirectory(prefix="digits-tflite-") as scratch:
            directory = Path(scratch) / "model"
            saved_model.save(directory, {wire.PIXELS: traced}, [variable.value for variable in variables])
            with _without_warnings():
                return finish(tf.lite.TFLiteConverter.from_saved_model(str(directory)))

    return with_converter


def _int8(with_converter: Callable[[Finish], bytes], seen: NDArray[Any], *, mixed: bool) -> bytes:
    """mixed: the operations of STAY_FLOAT stay so; else integers throughout, or the converter refuses."""

    def examples() -> Iterator[list[NDArray[Any]]]:
        for row in range(len(seen)):
            yield [seen[row : row + 1]]

    def finish(converter: Any) -> bytes:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        if mixed:
            # The converter's one way to name operations that stay float.
            options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(STAY_FLOAT))
            chosen = tf.lite.experimental.QuantizationDebugger(
                converter=converter, debug_dataset=examples, debug_options=options
            )
            return bytes(chosen.get_nondebug_quantized_model())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())

    return with_converter(finish)
