"""The message classes of TensorFlow and TensorFlow Serving without TensorFlow: 600 MB of memory and 6 s less.

The generated modules (`tensorflow.core.….*_pb2`) need protobuf alone; only their parent package loads
everything. The C library does the computing (`runtime`). BatchingParameters, MonitoringConfig and SSLConfig,
which the package tensorflow-serving-api leaves out, are made at run time in a descriptor pool of their own,
as tensorflow/serving's .proto files have them, so that a later package may bring them without a conflict.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from digits_model_server.status import invalid


def tensorflow_folder() -> Path:
    """Return the folder of the package tensorflow. Raises ModuleNotFoundError."""
    loaded = sys.modules.get("tensorflow")
    spec = None if loaded else importlib.util.find_spec("tensorflow")
    places = getattr(loaded, "__path__", None) or (spec and spec.submodule_search_locations) or ()
    for place in map(Path, places):  # once it is loaded, Keras's folders stand there too
        if (place / "core").is_dir():
            return place
    raise ModuleNotFoundError("the package tensorflow is not installed")


def bypass_tensorflow_package() -> None:
    """Let this process import `tensorflow.core` without the package around it: for a server's own process.

    `import tensorflow` gives an empty package afterwards; does nothing where it is loaded already.
    """
    if "tensorflow" in sys.modules:
        return
    place = str(tensorflow_folder())
    package = ModuleType("tensorflow", "Messages alone: see digits_model_server.protos.")
    package.__path__ = [place]
    package.__spec__ = ModuleSpec("tensorflow", None, is_package=True)
    package.__spec__.submodule_search_locations = [place]
    sys.modules["tensorflow"] = package


_SINGLE, _REPEATED = 1, 3  # FieldDescriptorProto.Label
_INT64, _BOOL, _STRING, _MESSAGE = 3, 8, 9, 11  # FieldDescriptorProto.Type
_WRAPPED = ".google.protobuf."
_HERE = ".tensorflow.serving."
_MESSAGES: dict[str, tuple[tuple[str, int, int, int, str], ...]] = {
    # name, number, label, type, name of the message's type
    "BatchingParameters": (
        ("max_batch_size", 1, _SINGLE, _MESSAGE, f"{_WRAPPED}Int64Value"),
        ("batch_timeout_micros", 2, _SINGLE, _MESSAGE, f"{_WRAPPED}Int64Value"),
        ("max_enqueued_batches", 3, _SINGLE, _MESSAGE, f"{_WRAPPED}Int64Value"),
        ("num_batch_threads", 4, _SINGLE, _MESSAGE, f"{_WRAPPED}Int64Value"),
        ("thread_pool_name", 5, _SINGLE, _MESSAGE, f"{_WRAPPED}StringValue"),
        ("allowed_batch_sizes", 6, _REPEATED, _INT64, ""),
        ("pad_variable_length_inputs", 7, _SINGLE, _BOOL, ""),
        ("enable_large_batch_splitting", 8, _SINGLE, _MESSAGE, f"{_WRAPPED}BoolValue"),
        ("max_execution_batch_size", 9, _SINGLE, _MESSAGE, f"{_WRAPPED}Int64Value"),
    ),
    "PrometheusConfig": (("enable", 1, _SINGLE, _BOOL, ""), ("path", 2, _SINGLE, _STRING, "")),
    "MonitoringConfig": (("prometheus_config", 1, _SINGLE, _MESSAGE, f"{_HERE}PrometheusConfig"),),
    "SSLConfig": (
        ("server_key", 1, _SINGLE, _STRING, ""),
        ("server_cert", 2, _SINGLE, _STRING, ""),
        ("custom_ca", 3, _SINGLE, _STRING, ""),
        ("client_verify", 4, _SINGLE, _BOOL, ""),
    ),
}


def read(path: Path, name: str) -> Any:
    """Parse a text-format file as the message of that name.

    Raises Status for an unreadable or invalid file.
    """
    from google.protobuf import text_format

    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message(name)())
    except OSError as error:
        raise invalid(f"{path}: {error.strerror}") from None
    except (text_format.ParseError, UnicodeError) as error:
        raise invalid(f"Error parsing text-format tensorflow.serving.{name} in {path}: {error}") from None


@cache
def message(name: str) -> Any:
    """Return the class of a message by its name."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"tensorflow.serving.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2

    file = descriptor_pb2.FileDescriptorProto(
        name="digits_model_server/schemas.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for name, listed in _MESSAGES.items():
        made = file.message_type.add(name=name)
        for field, number, label, kind, of in listed:
            made.field.add(name=field, number=number, label=label, type=kind, type_name=of or None)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return pool
