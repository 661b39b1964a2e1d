"""Batch norm behind a convolution → kernels and a bias that compute the same, in a graph of constants.

Core. Grappler folds only what was written as a product and a sum; TensorFlow's fused kernel it leaves alone.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2


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
