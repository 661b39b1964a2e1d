"""A network as a TensorFlow.js graph model: what `tf.loadGraphModel` reads in a browser, and back.

    made = graph_model(architectures.network(model))    # {"model.json": bytes, "weights.bin": bytes}
    logits = load(made)(normal)    # float32 [n, 28, 28] of 0–1 → float32 [n, 10], by TensorFlow

`graph_of` does it for any function of tensors.

TensorFlow.js's own converter is a Python package that is no longer kept, and the format is small: the
GraphDef as JSON, whose constants stand in one binary file in the order that a manifest lists. Variables
become constants, and Grappler tidies; batch norm is folded into the kernels first, since Grappler folds only
what was written as a product and a sum. Only operations that the page's runtime knows are let through.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from numpy.typing import NDArray
from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from digits.model.canonicalize import SIZE
from digits.runtime.errors import DataError


def fold_batch_norm(graph: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    """The graph with each FusedBatchNormV3 whose only input is a Conv2D's turned into a BiasAdd.

    A convolution that others read too, or whose kernel is computed, keeps its batch norm.
    """
    folded = graph_pb2.GraphDef()
    folded.CopyFrom(graph)
    nodes = {node.name: node for node in folded.node}
    readers = Counter(_name(name) for node in folded.node for name in node.input)
    for node in list(folded.node):
        if node.op != "FusedBatchNormV3" or node.attr["is_training"].b:
            continue
        convolution = nodes[_name(node.input[0])]
        held = [nodes[_name(name)] for name in node.input[1:5]]
        kernel = nodes[_name(convolution.input[1])] if convolution.op == "Conv2D" else convolution
        constant = all(each.op == "Const" for each in (kernel, *held))
        if not constant or readers[convolution.name] > 1 or readers[kernel.name] > 1:
            continue
        gamma, beta, mean, variance = (_value(each).astype(np.float64) for each in held)
        scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
        _set(kernel, _value(kernel) * scale)
        bias = folded.node.add(op="Const", name=f"{node.name}/bias")
        bias.attr["dtype"].type = tf.float32.as_datatype_enum
        _set(bias, beta - mean * scale)
        kept = {name: node.attr[name] for name in ("T", "data_format")}
        after = node_def_pb2.NodeDef(op="BiasAdd", name=node.name, input=[node.input[0], bias.name])
        for name, value in kept.items():
            after.attr[name].CopyFrom(value)
        node.CopyFrom(after)
    return folded


def _name(tensor: str) -> str:
    """The node that a tensor, or a control input, comes from."""
    return tensor.lstrip("^").partition(":")[0]


def _value(node: Any) -> Any:
    return tf.make_ndarray(node.attr["value"].tensor)


def _set(node: Any, value: Any) -> None:
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.asarray(value, np.float32)))


MODEL, WEIGHTS = "model.json", "weights.bin"
INPUT, OUTPUT = "images", "logits"
PASSES = ("pruning", "constfold", "arithmetic", "dependency", "pruning")
# What the networks are made of, of the operations that TensorFlow.js computes on a CPU.
# fmt: off
KNOWN = frozenset({
    "Add", "AddN", "AddV2", "AvgPool", "BiasAdd", "Cast", "ConcatV2", "Const", "Conv2D",
    "DepthwiseConv2dNative", "Elu", "ExpandDims", "FloorDiv", "FusedBatchNormV3", "Identity", "LeakyRelu",
    "Less", "MatMul", "Max", "MaxPool", "Maximum", "Mean", "Minimum", "Mul", "Neg", "NoOp", "Pack", "Pad",
    "PadV2", "Placeholder", "Pow", "Prod", "Range", "RealDiv", "Relu", "Relu6", "Reshape", "Rsqrt",
    "SelectV2", "Selu", "Shape", "Sigmoid", "Softmax", "Sqrt", "Square", "Squeeze", "StridedSlice", "Sub",
    "Sum", "Tanh", "Transpose",
})
# fmt: on
DTYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_}
QUANTIZED = ("float32", "float16")

Files = Mapping[str, bytes]


def graph_model(part: Any, weights: str = "float32") -> dict[str, bytes]:
    """Return a Keras model of float32 [n, 28, 28] to float32 [n, 10] as the two files of a graph model."""
    spec = tf.TensorSpec([None, SIZE, SIZE], tf.float32, name=INPUT)
    return graph_of(lambda images: part(images, training=False), [spec], OUTPUT, weights)


def graph_of(
    function: Callable[..., Any], inputs: Sequence[tf.TensorSpec], output: str, weights: str
) -> dict[str, bytes]:
    """Return a function of tensors to one of that name as the two files of a graph model.

    weights: float32, or float16: kernels in half the bytes, which the browser widens when it loads them.
    Raises DataError when the network holds an operation that TensorFlow.js lacks, or a weight too large.
    """
    if weights not in QUANTIZED:
        raise DataError(f"the weights are {weights!r}, expected one of {', '.join(QUANTIZED)}")
    graph, taken, given = _frozen(function, inputs)
    if unknown := sorted({node.op for node in graph.node} - KNOWN):
        raise DataError(f"TensorFlow.js lacks operations of this network: {', '.join(unknown)}")
    manifest, content = [], []
    for node in graph.node:
        if node.op == "Const":
            entry, data = _weight(node.name, tf.make_ndarray(node.attr["value"].tensor), weights)
            manifest.append(entry)
            content.append(data)
            node.attr["value"].tensor.ClearField("tensor_content")
            for field in ("float_val", "int_val", "bool_val"):
                node.attr["value"].tensor.ClearField(field)
    model = {
        "format": "graph-model",
        "generatedBy": f"TensorFlow {tf.__version__}",
        "convertedBy": "digits.tfjs",
        "signature": {
            "inputs": {spec.name: _tensor(tensor) for spec, tensor in zip(inputs, taken, strict=True)},
            "outputs": {output: _tensor(given)},
        },
        "modelTopology": json_format.MessageToDict(graph),
        "weightsManifest": [{"paths": [WEIGHTS], "weights": manifest}],
    }
    text = json.dumps(model, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return {MODEL: text.encode(), WEIGHTS: b"".join(content)}


def load(files: Files) -> Callable[..., NDArray[np.float32]]:
    """The files of a graph model as a function of its inputs, in their names' order, by TensorFlow.

    Raises DataError when manifest and weights do not fit together.
    """
    model = json.loads(files[MODEL])
    graph = json_format.ParseDict(model["modelTopology"], graph_pb2.GraphDef())
    values = _weights(model["weightsManifest"][0]["weights"], files[WEIGHTS])
    for node in graph.node:
        if node.op == "Const":
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    sides = (sorted(model["signature"][side].items()) for side in ("inputs", "outputs"))
    taken, (given,) = (
        [imported.graph.get_tensor_by_name(tensor["name"]) for _, tensor in side] for side in sides
    )
    answer = imported.prune(taken, given)

    def outputs(*arrays: NDArray[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = answer(*map(tf.constant, arrays)).numpy()
        return found

    return outputs


def _frozen(
    function: Callable[..., Any], inputs: Sequence[tf.TensorSpec]
) -> tuple[graph_pb2.GraphDef, list[Any], Any]:
    """The tidied graph of constants, and the tensors that go in and come out."""
    traced = tf.function(function, input_signature=inputs, autograph=False).get_concrete_function()
    constant = convert_variables_to_constants_v2(traced)
    (out,) = constant.outputs
    graph = _tidied(constant.graph.as_graph_def(), out.name)
    return _tidied(fold_batch_norm(graph), out.name), constant.inputs, out


def _tidied(graph: graph_pb2.GraphDef, out: str) -> graph_pb2.GraphDef:
    """What Grappler makes of it."""
    with tf.Graph().as_default() as scope:
        tf.graph_util.import_graph_def(graph, name="")
        meta = tf.compat.v1.train.export_meta_graph(graph_def=graph, graph=scope)
    meta.collection_def["train_op"].CopyFrom(
        meta_graph_pb2.CollectionDef(node_list=meta_graph_pb2.CollectionDef.NodeList(value=[out]))
    )
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(PASSES)
    config.graph_options.rewrite_options.min_graph_nodes = -1  # small graphs too
    return tf_optimizer.OptimizeGraph(config, meta)


def _tensor(tensor: Any) -> dict[str, Any]:
    dims = [{"size": str(-1 if size is None else size)} for size in tensor.shape]
    kind = types_pb2.DataType.Name(tensor.dtype.as_datatype_enum)
    return {"name": tensor.name, "dtype": kind, "tensorShape": {"dim": dims}}


def _weight(name: str, value: Any, weights: str) -> tuple[dict[str, Any], bytes]:
    """A constant's line in the manifest, and its bytes, little-endian."""
    if value.dtype.name not in DTYPES:
        raise DataError(f"the constant {name} is {value.dtype}, TensorFlow.js has {', '.join(DTYPES)}")
    entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": value.dtype.name}
    if weights == "float16" and value.dtype == np.float32 and value.ndim > 1:
        entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        if np.abs(value).max(initial=0) > np.finfo(np.float16).max:
            raise DataError(f"the kernel {name} does not fit float16: take weights of float32")
        value = value.astype(np.float16)
    return entry, value.astype(value.dtype.newbyteorder("<")).tobytes()


def _weights(manifest: list[dict[str, Any]], data: bytes) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    at = 0
    for entry in manifest:
        stored = np.dtype(entry.get("quantization", entry)["dtype"]).newbyteorder("<")
        size = int(np.prod(entry["shape"], dtype=int))
        if at + size * stored.itemsize > len(data):
            raise DataError(f"{WEIGHTS} is cut short: it ends before {entry['name']}")
        value = np.frombuffer(data, stored, size, at).reshape(entry["shape"])
        found[entry["name"]] = value.astype(DTYPES[entry["dtype"]])
        at += size * stored.itemsize
    if at != len(data):
        raise DataError(f"{WEIGHTS} holds {len(data)} bytes, the manifest lists {at}")
    return found
