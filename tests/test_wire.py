"""The wire contract's names: importable without anything, and consistent."""

import ast
import inspect

from digits import wire


def test_it_imports_nothing():
    tree = ast.parse(inspect.getsource(wire))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_every_signature_has_one_input_outputs_and_a_method():
    assert set(wire.INPUTS) == set(wire.OUTPUTS) == set(wire.METHODS) == set(wire.SIGNATURES)
    assert all(len(inputs) == 1 for inputs in wire.INPUTS.values())
    shapes = [
        shape for named in (*wire.INPUTS.values(), *wire.OUTPUTS.values()) for _, shape in named.values()
    ]
    assert all(shape[0] is None for shape in shapes)


def test_names_that_servers_fix():
    """REST answers and takes base64 where a name ends so; the Classify API looks for these aliases."""
    assert wire.IMAGE_BYTES.endswith("_bytes")
    assert wire.INPUTS[wire.CLASSIFY] == {"inputs": ("string", (None,))}
    assert set(wire.OUTPUTS[wire.CLASSIFY]) == {"classes", "scores"}
    assert wire.METHODS[wire.CLASSIFY] == "tensorflow/serving/classify"
