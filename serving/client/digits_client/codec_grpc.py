"""Writes and reads gRPC messages, whose types are declared here by hand and are the same on the wire.

So tensorflow-serving-api is not needed. They live in a descriptor pool of their own, so that both can be used
in one process. Names, numbers and types are those of tensorflow-serving-api 2.21; a test of the project
compares the bytes. Fields that this client neither sets nor reads are left out: protobuf carries unknown
fields along. Tensors are read in every form in which servers write them.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from digits_client import contract
from digits_client.codec import Images, Input, Spec
from digits_client.effects import Message
from digits_client.results import LineOutputs, Outputs, VersionStatus

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
    packages = list(
        dict.fromkeys(name.rpartition(".")[0] for name in _MESSAGES)
    )  # in the order of their dependencies
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


# DataType of TensorFlow
FLOAT, INT32, UINT8, STRING, INT64, BOOL = 1, 3, 4, 7, 9, 10

# DataType → name of the typed list, and the code that `array` has for the raw bytes
_NUMBERS = {
    FLOAT: ("float_val", "f"),
    INT32: ("int_val", "i"),
    INT64: ("int64_val", "q"),
    BOOL: ("bool_val", "B"),
}


def read(tensor: Any, dtype: int, shape: tuple[int, ...]) -> Sequence[float]:
    """Return the numbers of a tensor that must have this type and shape, row-major. Raises ValueError.

    They come as raw little-endian bytes, as a typed list, or as a list cut short where its last value
    repeats; an empty list stands for zeros.
    """
    sizes = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype != dtype or sizes != shape:
        raise ValueError(f"type {tensor.dtype} and shape {list(sizes)}, expected {dtype} and {list(shape)}")
    size = math.prod(shape)
    name, code = _NUMBERS[dtype]
    if tensor.tensor_content:
        return _raw(tensor.tensor_content, code, size)
    values = list(getattr(tensor, name))
    if len(values) > size:
        raise ValueError(f"{len(values)} numbers for shape {list(shape)}")
    return values + (values[-1:] or [0]) * (size - len(values))


def _raw(content: bytes, code: str, size: int) -> Sequence[float]:
    numbers = array(code)
    if len(content) != size * numbers.itemsize:
        raise ValueError(f"{len(content)} bytes for {size} numbers of {numbers.itemsize} bytes")
    numbers.frombytes(content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class GrpcCodec:
    """The Codec for gRPC."""

    names_version = True

    def predict(self, spec: Spec, images: Images) -> Message:
        """Return a PredictRequest: pixels as raw bytes, pictures as a list of strings."""
        request = PredictRequest()
        _name(request.model_spec, spec)
        request.model_spec.signature_name = images.signature
        for name, given in images.inputs.items():
            _fill(request.inputs[name], given)
        return Message(PREDICT, request.SerializeToString(deterministic=True))

    def parse_prediction(self, body: bytes, count: int) -> Outputs:
        """Return the outputs of a PredictResponse, and its version."""
        found, version = _outputs(body, (contract.DIGIT, contract.CONFIDENCE, contract.PROBABILITIES))
        accepted = None
        if contract.ACCEPTED in found:
            accepted = _flags(found[contract.ACCEPTED], count)
        flat = read(found[contract.PROBABILITIES], FLOAT, (count, contract.DIGITS))
        return Outputs(
            read(found[contract.DIGIT], INT64, (count,)),
            read(found[contract.CONFIDENCE], FLOAT, (count,)),
            _rows(flat, contract.DIGITS),
            version,
            accepted,
        )

    def parse_lines(self, body: bytes, count: int) -> LineOutputs:
        """Return the outputs of a PredictResponse for lines, and its version."""
        found, version = _outputs(body, LINE_OUTPUTS)
        shape = [dim.size for dim in found[contract.COLUMNS].tensor_shape.dim]
        along = shape[1] if len(shape) == 3 else 0
        flat = read(found[contract.COLUMNS], FLOAT, (count, along, contract.COLUMN))
        long = (count, contract.LONGEST)
        return LineOutputs(
            text=_texts(found[contract.TEXT]),
            written=_texts(found[contract.WRITTEN]),
            confidence=read(found[contract.CONFIDENCE], FLOAT, (count,)),
            accepted=_flags(found[contract.ACCEPTED], count),
            length=read(found[contract.LENGTH], INT32, (count,)),
            character=_rows(read(found[contract.CHARACTER], INT32, long), contract.LONGEST),
            probability=_rows(read(found[contract.PROBABILITY], FLOAT, long), contract.LONGEST),
            position=_rows(read(found[contract.POSITION], FLOAT, long), contract.LONGEST),
            columns=_rows(_rows(flat, contract.COLUMN), along) if along else [],
            column_count=read(found[contract.COLUMN_COUNT], INT32, (count,)),
            version=version,
        )

    def status(self, spec: Spec) -> Message:
        """Return a GetModelStatusRequest."""
        request = GetModelStatusRequest()
        _name(request.model_spec, spec)
        return Message(STATUS, request.SerializeToString())

    def parse_status(self, body: bytes) -> tuple[VersionStatus, ...]:
        """Return the versions of a GetModelStatusResponse."""
        response = _parse(GetModelStatusResponse, body)
        if not response.model_version_status:  # a server answers NOT_FOUND for a model without versions
            raise ValueError("no versions")
        return tuple(
            VersionStatus(each.version, STATES.get(each.state, "UNKNOWN"), each.status.error_message)
            for each in response.model_version_status
        )


LINE_OUTPUTS = (
    *(contract.TEXT, contract.WRITTEN, contract.CONFIDENCE, contract.ACCEPTED, contract.LENGTH),
    *(contract.CHARACTER, contract.PROBABILITY, contract.POSITION, contract.COLUMNS, contract.COLUMN_COUNT),
)


def _fill(tensor: Any, given: Input) -> None:
    if isinstance(given.values, bytes):
        tensor.dtype, tensor.tensor_content = UINT8, given.values
    elif given.values and isinstance(given.values[0], bytes):
        tensor.dtype = STRING
        tensor.string_val.extend(given.values)
    else:
        tensor.dtype = INT32
        tensor.int_val.extend(given.values)
    for size in given.shape:
        tensor.tensor_shape.dim.add(size=size)


def _outputs(body: bytes, names: Sequence[str]) -> tuple[Any, int]:
    """The outputs of a PredictResponse, which must have these, and its version. Raises ValueError."""
    response = _parse(PredictResponse, body)
    for name in names:
        if name not in response.outputs:  # to read a missing key of a protobuf map would create it
            raise ValueError(f"no output '{name}'")
    if not response.model_spec.HasField("version"):
        raise ValueError("no model version")
    return response.outputs, response.model_spec.version.value


def _flags(tensor: Any, count: int) -> list[bool]:
    return [bool(flag) for flag in read(tensor, BOOL, (count,))]


def _texts(tensor: Any) -> list[str]:
    return [text.decode("ascii", "replace") for text in tensor.string_val]


def _rows(flat: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [flat[i : i + size] for i in range(0, len(flat), size)]


def _name(model_spec: Any, spec: Spec) -> None:
    model_spec.name = spec.model
    if spec.version is not None:
        model_spec.version.value = spec.version


def _parse(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise ValueError("bytes that are not a TensorFlow Serving message") from None
