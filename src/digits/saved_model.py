"""Writes and reads SavedModel directories whose bytes depend on nothing but the functions and variables.

`keras.export.ExportArchive` is not used: it collects variables from an unordered set, so equal
models give other bytes each time, and DVC would take each for a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import saved_model_pb2

from digits import files, wire


def save(directory: Path, signatures: Mapping[str, Any], variables: Sequence[Any]) -> None:
    """Write a SavedModel into a new directory.

    signatures: name → concrete function. variables: tf.Variable, not Keras's own (a tf.Module that holds
    those is written without complaint and fails at the first request); the unused ones are left out.
    """
    used = {id(variable) for function in signatures.values() for variable in function.graph.variables}
    module = tf.Module()
    module.weights = [variable for variable in variables if id(variable) in used]
    tf.saved_model.save(module, str(directory), signatures=dict(signatures))
    # It holds a random number and a checksum of the file that is patched below; servers do without it.
    (directory / "fingerprint.pb").unlink()
    (directory / tf.saved_model.ASSETS_DIRECTORY).rmdir()  # empty, and DVC would not bring it back
    graph = read_graph(directory)
    for name, signature in graph.meta_graphs[0].signature_def.items():
        if name in wire.METHODS:
            signature.method_name = wire.METHODS[name]
    (directory / tf.saved_model.SAVED_MODEL_FILENAME_PB).write_bytes(
        graph.SerializeToString(deterministic=True)
    )


def read_graph(directory: Path) -> Any:
    """The SavedModel protocol buffer of a directory."""
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((directory / tf.saved_model.SAVED_MODEL_FILENAME_PB).read_bytes())
    return graph


def unservable(graph: Any) -> list[str]:
    """Operations that a served graph must not hold: random ones answer differently each time, Python ones
    exist in no server."""
    nodes = [node for meta in graph.meta_graphs for node in meta.graph_def.node]
    nodes += [n for meta in graph.meta_graphs for f in meta.graph_def.library.function for n in f.node_def]
    return sorted({node.op for node in nodes if "Random" in node.op or "PyFunc" in node.op})


def add_extra(
    directory: Path, records: Sequence[bytes], provenance: Mapping[str, Any], monitoring: Mapping[str, Any]
) -> None:
    """Write `assets.extra`: what servers replay at loading, where the model comes from, what monitoring
    knows."""
    (directory / wire.WARMUP).parent.mkdir()
    with tf.io.TFRecordWriter(str(directory / wire.WARMUP)) as writer:
        for record in records:
            writer.write(record)
    (directory / wire.MONITORING).write_text(files.to_json(monitoring), encoding="utf-8")
    content = {**provenance, "files": digests(directory)}
    (directory / wire.PROVENANCE).write_text(files.to_json(content), encoding="utf-8")


def digests(directory: Path) -> dict[str, str]:
    """Return the sha256 of every file below a directory, by relative path."""
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): files.file_sha256(path) for path in found}


def weights_sha256(weights: Sequence[NDArray[Any]]) -> str:
    """Digest of dtypes, shapes and values: equal for equal models, however they are stored and named."""
    digest = hashlib.sha256()
    for weight in weights:
        digest.update(f"{weight.dtype.str} {weight.shape}\n".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
