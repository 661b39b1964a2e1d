"""TensorFlow Serving's messages, declared here by hand: equal on the wire, without tensorflow-serving-api.

They live in a descriptor pool of their own, so that both can be used in one process. Names, numbers and types
are those of tensorflow-serving-api 2.21; a test of the project compares the bytes. Fields that this client
neither sets nor reads are left out: protobuf carries unknown fields along.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "float": _FIELD.TYPE_FLOAT,
    "double": _FIELD.TYPE_DOUBLE,
    "bool": _FIELD.TYPE_BOOL,
}

# message → field → (number, type); an open enum is an int32 on the wire
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "google.protobuf.Int64Value": {"value": (1, "int64")},
    "tensorflow.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "tensorflow.TensorShapeProto": {"dim": (2, "repeated tensorflow.Dim"), "unknown_rank": (3, "bool")},
    "tensorflow.TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "tensorflow.TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "repeated float"),
        "double_val": (6, "repeated double"),
        "int_val": (7, "repeated int32"),
        "string_val": (8, "repeated bytes"),
        "int64_val": (10, "repeated int64"),
        "bool_val": (11, "repeated bool"),
    },
    "tensorflow.serving.ModelSpec": {
        "name": (1, "string"),
        "version": (2, "google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
    },
    "tensorflow.serving.PredictRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "inputs": (2, "map tensorflow.TensorProto"),
    },
    "tensorflow.serving.PredictResponse": {
        "outputs": (1, "map tensorflow.TensorProto"),
        "model_spec": (2, "tensorflow.serving.ModelSpec"),
    },
    "tensorflow.serving.GetModelStatusRequest": {"model_spec": (1, "tensorflow.serving.ModelSpec")},
    "tensorflow.serving.StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "tensorflow.serving.ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "int32"),
        "status": (3, "tensorflow.serving.StatusProto"),
    },
    "tensorflow.serving.GetModelStatusResponse": {
        "model_version_status": (1, "repeated tensorflow.serving.ModelVersionStatus")
    },
}


def _field(message: Any, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number)
    field.label = _FIELD.LABEL_REPEATED if kind.startswith(("repeated ", "map ")) else _FIELD.LABEL_OPTIONAL
    base = kind.rpartition(" ")[2]
    if kind.startswith("map "):  # a map from strings is a repeated entry of key and value
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _field(entry, "key", 1, "string")
        _field(entry, "value", 2, base)
        owner = next(n for n in _MESSAGES if n.rpartition(".")[2] == message.name)
        base = f"{owner}.{entry.name}"
    if base in _TYPES:
        field.type = _TYPES[base]
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{base}"


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    packages = list(dict.fromkeys(name.rpartition(".")[0] for name in _MESSAGES))  # in the order of need
    for i, package in enumerate(packages):
        file = descriptor_pb2.FileDescriptorProto(
            name=f"digits_client/{package}.proto",
            package=package,
            syntax="proto3",
            dependency=[f"digits_client/{p}.proto" for p in packages[:i]],
        )
        for name, fields in _MESSAGES.items():
            if name.rpartition(".")[0] == package:
                message = file.message_type.add(name=name.rpartition(".")[2])
                for field, (number, kind) in fields.items():
                    _field(message, field, number, kind)
        pool.Add(file)
    return {
        name.rpartition(".")[2]: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        for name in _MESSAGES
    }


_CLASSES = _classes()
TensorProto: Any = _CLASSES["TensorProto"]
PredictRequest: Any = _CLASSES["PredictRequest"]
PredictResponse: Any = _CLASSES["PredictResponse"]
GetModelStatusRequest: Any = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse: Any = _CLASSES["GetModelStatusResponse"]
