"""TensorFlow's C library, loaded through ctypes: its functions, with their types.

Those that load, run and end a session release Python's global lock; the rest are too short for that to pay.
"""

from __future__ import annotations

import contextlib
import ctypes as c
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from typing import Any

from digits_model_server.protos import tensorflow_folder

LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib")
# Written when it is loaded, whatever TF_CPP_MIN_LOG_LEVEL says: notes on the build and on a missing GPU.
NOTES = (b"absl::InitializeLog", b"oneDNN custom operations", b"Could not find cuda drivers")

Pointer = c.c_void_p


class Output(c.Structure):
    """The C struct TF_Output."""

    _fields_ = (("operation", Pointer), ("index", c.c_int))


class Buffer(c.Structure):
    """The C struct TF_Buffer."""

    _fields_ = (("data", Pointer), ("length", c.c_size_t), ("deallocator", Pointer))


_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_NewStatus": (Pointer, ()),
    "TF_DeleteStatus": (None, (Pointer,)),
    "TF_GetCode": (c.c_int, (Pointer,)),
    "TF_Message": (c.c_char_p, (Pointer,)),
    "TF_Version": (c.c_char_p, ()),
    "TF_NewGraph": (Pointer, ()),
    "TF_GraphOperationByName": (Pointer, (Pointer, c.c_char_p)),
    "TF_OperationNumOutputs": (c.c_int, (Pointer,)),
    "TF_NewSessionOptions": (Pointer, ()),
    "TF_DeleteSessionOptions": (None, (Pointer,)),
    "TF_SetConfig": (None, (Pointer, c.c_char_p, c.c_size_t, Pointer)),
    "TF_NewBuffer": (c.POINTER(Buffer), ()),
    "TF_NewBufferFromString": (c.POINTER(Buffer), (c.c_char_p, c.c_size_t)),
    "TF_DeleteBuffer": (None, (c.POINTER(Buffer),)),
    "TF_AllocateTensor": (Pointer, (c.c_int, c.POINTER(c.c_int64), c.c_int, c.c_size_t)),
    "TF_DeleteTensor": (None, (Pointer,)),
    "TF_TensorType": (c.c_int, (Pointer,)),
    "TF_NumDims": (c.c_int, (Pointer,)),
    "TF_Dim": (c.c_int64, (Pointer, c.c_int)),
    "TF_TensorByteSize": (c.c_size_t, (Pointer,)),
    "TF_TensorData": (Pointer, (Pointer,)),
    "TF_StringInit": (None, (Pointer,)),
    "TF_StringCopy": (None, (Pointer, c.c_char_p, c.c_size_t)),
    "TF_StringGetDataPointer": (Pointer, (Pointer,)),
    "TF_StringGetSize": (c.c_size_t, (Pointer,)),
    "TF_StringDealloc": (None, (Pointer,)),
}
_SLOW: dict[str, tuple[Any, tuple[Any, ...]]] = {  # these let other threads go on
    "TF_LoadSessionFromSavedModel": (
        Pointer,
        (
            Pointer,
            c.POINTER(Buffer),
            c.c_char_p,
            c.POINTER(c.c_char_p),
            c.c_int,
            Pointer,
            c.POINTER(Buffer),
            Pointer,
        ),
    ),
    "TF_SessionRun": (
        None,
        (
            Pointer,
            c.POINTER(Buffer),
            c.POINTER(Output),
            c.POINTER(Pointer),
            c.c_int,
            c.POINTER(Output),
            c.POINTER(Pointer),
            c.c_int,
            Pointer,
            c.c_int,
            Pointer,
            Pointer,
        ),
    ),
    "TF_DeleteGraph": (None, (Pointer,)),
    "TF_CloseSession": (None, (Pointer, Pointer)),
    "TF_DeleteSession": (None, (Pointer, Pointer)),
}


@cache
def library() -> Any:
    """Load the C functions, once. Raises OSError where the library is missing."""
    path = next(
        (tensorflow_folder() / name for name in LIBRARIES if (tensorflow_folder() / name).exists()), None
    )
    if path is None:
        raise OSError(
            f"{tensorflow_folder()} holds none of {', '.join(LIBRARIES)}: install the package tensorflow anew"
        )
    with _without_notes():
        held, released = c.PyDLL(str(path)), c.CDLL(str(path))
    functions: dict[str, Any] = {}
    for loaded, table in ((held, _SIGNATURES), (released, _SLOW)):
        for name, (result, arguments) in table.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
            functions[name.removeprefix("TF_")] = function
    return type("Library", (), {name: staticmethod(each) for name, each in functions.items()})


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on all but NOTES.

    Without a folder for temporary files, as in a read-only container, everything passes at once.
    """
    sys.stderr.flush()
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # closed below
    except OSError:
        yield
        return
    stderr = os.dup(2)
    with file as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            os.write(2, b"".join(line for line in written if not any(note in line for note in NOTES)))


def version() -> str:
    """Return TensorFlow's version."""
    return str(library().Version().decode())
