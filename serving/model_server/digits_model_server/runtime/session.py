"""A TensorFlow session in C: loads a SavedModel as TensorFlow Serving does, runs it by its tensors' names.

Through ctypes rather than through TensorFlow's Python: loading and running leave the interpreter free,
so that requests go on while the next version loads, and the memory and seconds of the package are saved.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_model_server.runtime.c_library import Output, Pointer, library
from digits_model_server.runtime.tensors import STRING, numpy_dtype, tensor_dtype
from digits_model_server.status import OK, Status, invalid

STRING_BYTES = 24  # of TF_TString


class _Outcome:
    """A TF_Status for a `with` block, at whose end it is raised as a Status unless it is OK."""

    def __init__(self) -> None:
        self.handle = library().NewStatus()

    def __enter__(self) -> Any:
        return self.handle

    def __exit__(self, kind: Any, *_: object) -> None:
        tf = library()
        code = tf.GetCode(self.handle)
        message = tf.Message(self.handle).decode("utf-8", "replace") if code != OK else ""
        tf.DeleteStatus(self.handle)
        if kind is None and code != OK:
            raise Status(code, message)


class Session:
    """A loaded SavedModel. meta_graph: the serialized MetaGraphDef."""

    def __init__(self, directory: Path, tags: Sequence[str], config: bytes) -> None:
        """Load a version. config: a serialized ConfigProto. Raises Status."""
        tf = library()
        self.graph = tf.NewGraph()
        self.session: Any = None
        options, meta = tf.NewSessionOptions(), tf.NewBuffer()
        try:
            with _Outcome() as status:
                tf.SetConfig(options, config, len(config), status)
            names = (c.c_char_p * len(tags))(*(tag.encode() for tag in tags))
            with _Outcome() as status:
                self.session = tf.LoadSessionFromSavedModel(
                    options, None, str(directory).encode(), names, len(tags), self.graph, meta, status
                )
            self.meta_graph: bytes = c.string_at(meta.contents.data, meta.contents.length)
        except BaseException:
            self.close()
            raise
        finally:
            tf.DeleteSessionOptions(options)
            tf.DeleteBuffer(meta)

    def close(self) -> None:
        """Free the memory. No call may be running."""
        tf = library()
        session, self.session = self.session, None
        graph, self.graph = self.graph, None
        if session:
            for end in (tf.CloseSession, tf.DeleteSession):
                with _Outcome() as status:
                    end(session, status)
        if graph:
            tf.DeleteGraph(graph)

    def call(self, feeds: Sequence[str], fetches: Sequence[str]) -> Call:
        """Return what runs the model from these tensors ("name:0") to those.

        Raises Status for unknown ones.
        """
        return Call(self, self._outputs(feeds), len(feeds), self._outputs(fetches), len(fetches))

    def _outputs(self, tensors: Sequence[str]) -> Any:
        found = (Output * len(tensors))()
        for place, tensor in enumerate(tensors):
            name, _, index = tensor.partition(":")
            operation = library().GraphOperationByName(self.graph, name.encode())
            number = int(index or 0)
            if not operation or number >= library().OperationNumOutputs(operation):
                raise invalid(
                    f"Tensor {tensor}, specified in either feed_devices or fetch_devices was not found in "
                    "the Graph"
                )
            found[place] = Output(operation, number)
        return found


class Call:
    """A run of a session with fixed feeds and fetches; may be used by many threads at once."""

    def __init__(self, session: Session, feeds: Any, n_feeds: int, fetches: Any, n_fetches: int) -> None:
        self._session = session
        self._feeds, self._n_feeds = feeds, n_feeds
        self._fetches, self._n_fetches = fetches, n_fetches

    def __call__(self, arrays: Sequence[NDArray[Any]], options: bytes = b"") -> list[NDArray[Any]]:
        """Run it and return the fetched arrays; strings are object arrays of bytes.

        options: a serialized RunOptions. Raises Status.
        """
        tf = library()
        inputs = (Pointer * max(1, self._n_feeds))()
        outputs = (Pointer * max(1, self._n_fetches))()
        run_options = tf.NewBufferFromString(options, len(options)) if options else None
        try:
            for place, array in enumerate(arrays):
                inputs[place] = _to_tensor(array)
            status = tf.NewStatus()
            try:
                tf.SessionRun(
                    self._session.session,
                    run_options,
                    self._feeds,
                    inputs,
                    self._n_feeds,
                    self._fetches,
                    outputs,
                    self._n_fetches,
                    None,
                    0,
                    None,
                    status,
                )
                code = tf.GetCode(status)
                if code != OK:
                    raise Status(code, tf.Message(status).decode("utf-8", "replace"))
            finally:
                tf.DeleteStatus(status)
            return [_to_array(outputs[place]) for place in range(self._n_fetches)]
        finally:
            for place, tensor in enumerate(inputs):
                if tensor:
                    if arrays[place].dtype == object:
                        _free_strings(tensor, arrays[place].size)
                    tf.DeleteTensor(tensor)
            for tensor in outputs:
                if tensor:
                    tf.DeleteTensor(tensor)
            if run_options:
                tf.DeleteBuffer(run_options)


def _to_tensor(array: NDArray[Any]) -> Any:
    tf = library()
    number = tensor_dtype(array.dtype)
    dimensions = (c.c_int64 * array.ndim)(*array.shape)
    if number == STRING:
        tensor = tf.AllocateTensor(STRING, dimensions, array.ndim, STRING_BYTES * array.size)
        place = tf.TensorData(tensor)
        for text in array.flat:
            tf.StringInit(place)
            tf.StringCopy(place, text, len(text))
            place += STRING_BYTES
        return tensor
    plain = np.ascontiguousarray(array)
    tensor = tf.AllocateTensor(number, dimensions, array.ndim, plain.nbytes)
    if plain.nbytes:
        c.memmove(tf.TensorData(tensor), plain.ctypes.data, plain.nbytes)
    return tensor


def _free_strings(tensor: Any, count: int) -> None:
    tf = library()
    place = tf.TensorData(tensor)
    for _ in range(count):
        tf.StringDealloc(place)
        place += STRING_BYTES


def _to_array(tensor: Any) -> NDArray[Any]:
    tf = library()
    shape = tuple(tf.Dim(tensor, axis) for axis in range(tf.NumDims(tensor)))
    number, place = tf.TensorType(tensor), tf.TensorData(tensor)
    if number == STRING:
        strings = np.empty(int(np.prod(shape, dtype=np.int64)), dtype=object)
        for row in range(len(strings)):
            strings[row] = c.string_at(tf.StringGetDataPointer(place), tf.StringGetSize(place))
            place += STRING_BYTES
        return strings.reshape(shape)
    data = c.string_at(place, tf.TensorByteSize(tensor)) if place else b""
    return np.frombuffer(data, dtype=numpy_dtype(number)).reshape(shape)
