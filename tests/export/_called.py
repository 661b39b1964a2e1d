"""Signatures as servers call them: saved and loaded again, or traced and called by keyword."""

import tensorflow as tf

from digits import saved_model, wire
from digits.export import lines
from digits.export.admission import LineFit
from digits.export.signatures import trace
from tests._release import LINE_FIT


def line_endpoints(reader, max_pixels=1_000_000):
    """Return the signatures of lines for a reader of them."""
    return lines.endpoints(lambda shown, width: reader([shown, width]), LineFit(**LINE_FIT), max_pixels)


def traced(functions):
    """Return functions as the signatures of a loaded SavedModel: called by keyword."""

    def by_keyword(function):
        return lambda **tensors: function(*tensors.values())

    return {name: by_keyword(function) for name, function in trace(functions).items()}


def save(directory, functions, model):
    """Save the signatures of a model; return the directory."""
    saved_model.save(directory, trace(functions), [variable.value for variable in model.variables])
    return directory


def asking(directory):
    """Return what asks a signature of a saved model: its name and its inputs, in their order."""
    signatures = tf.saved_model.load(str(directory)).signatures

    def ask(signature, *inputs):
        aliases = zip(wire.INPUTS[signature].items(), inputs, strict=True)
        given = {alias: tf.constant(value, dtype) for (alias, (dtype, _)), value in aliases}
        return {name: value.numpy() for name, value in signatures[signature](**given).items()}

    return ask
