"""A loaded version directory: its signatures, how they are run, and whether requests change its state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_model_server.batching.batcher import Batcher
from digits_model_server.batching.scheduler import Scheduler
from digits_model_server.batching.settings import BatchSettings
from digits_model_server.limits import Limits
from digits_model_server.runtime import tensors
from digits_model_server.runtime.sessions import FEW_ROWS_BATCHED, Sessions, Threads
from digits_model_server.status import NOT_FOUND, Status, invalid

Arrays = dict[str, NDArray[Any]]
DEFAULT = "serving_default"
VARIABLES = {"VarHandleOp", "VariableV2", "Variable"}  # operations of a graph whose values lie in a file
INDEX = "variables/variables.index"


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature. shape: None for an unknown rank, -1 for an open dimension.

    fed: the dtype that the graph takes there, where it is a placeholder; old exports may declare another
    dtype.
    """

    name: str
    dtype: int
    shape: tuple[int, ...] | None
    fed: int | None = None


@dataclass(frozen=True)
class Signature:
    """A signature of a model. defaults: values of inputs that may be left out. method: its method_name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    defaults: Arrays
    method: str


class SavedModel:
    """A loaded version. raw: its SignatureDefs as they stand in the file."""

    def __init__(self, directory: Path, tags: Sequence[str], threads: Threads) -> None:
        """Load a version directory. Raises Status."""
        from tensorflow.core.protobuf import meta_graph_pb2

        if not any((directory / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
            raise Status(
                NOT_FOUND,
                f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {directory}",
            )
        self._sessions = Sessions(directory, tags, threads)
        meta = meta_graph_pb2.MetaGraphDef.FromString(self._sessions.meta_graph())
        if VARIABLES & {node.op for node in meta.graph_def.node} and not (directory / INDEX).is_file():
            self._sessions.close()  # TensorFlow loads it silently, and every request fails
            raise Status(NOT_FOUND, f"{directory} lacks {INDEX}: its model has variables; copy it again")
        if changes_state(meta):
            self._sessions.use_one_session()
        self._batched: Batcher | None = None
        self.raw: dict[str, Any] = {}
        for key, definition in meta.signature_def.items():
            self.raw[key] = type(definition).FromString(definition.SerializeToString())
        nodes = (node for node in meta.graph_def.node if node.op == "Placeholder")
        fed = {f"{node.name}:0": node.attr["dtype"].type for node in nodes}
        self.signatures = {key: _signature(definition, fed) for key, definition in self.raw.items()}

    async def run(
        self,
        signature: Signature,
        inputs: Mapping[str, NDArray[Any]],
        wanted: Sequence[str],
        seconds: float | None = None,
    ) -> list[NDArray[Any]]:
        """Return the wanted outputs for inputs that passed `check`, within so many seconds. Raises Status."""
        feeds = tuple(signature.inputs[alias].name for alias in inputs)
        fetches = tuple(signature.outputs[alias].name for alias in wanted)
        arrays = list(inputs.values())
        if self._batched:
            return await self._batched.run(feeds, fetches, arrays, seconds)
        return self._sessions.run(feeds, fetches, arrays, seconds)

    def batch(self, settings: BatchSettings, scheduler: Scheduler) -> None:
        """Run requests in batches from now on."""
        self._batched = Batcher(partial(self._sessions.run, few_rows=FEW_ROWS_BATCHED), settings, scheduler)

    def close(self) -> None:
        """Free the memory. No call may be running."""
        if self._batched:
            self._batched.close()
        self._sessions.close()


def _signature(definition: Any, fed: Mapping[str, int]) -> Signature:
    from digits_model_server.runtime.tensors import parse

    return Signature(
        {alias: _tensor(info, fed) for alias, info in sorted(definition.inputs.items())},
        {alias: _tensor(info, fed) for alias, info in sorted(definition.outputs.items())},
        {alias: parse(alias, proto, 0) for alias, proto in definition.defaults.items()},
        definition.method_name,
    )


def _tensor(info: Any, fed: Mapping[str, int]) -> Tensor:
    shape = info.tensor_shape
    has_shape = info.HasField("tensor_shape") and not shape.unknown_rank  # the oldest exports leave it out
    known = tuple(dimension.size for dimension in shape.dim) if has_shape else None
    return Tensor(info.name, info.dtype, known, fed.get(info.name))


def check(alias: str, place: int, tensor: Tensor, array: NDArray[Any], limits: Limits) -> None:
    """Refuse input that could abort the whole process inside TensorFlow, or fill its memory. Raises Status.

    Upstream leaves shapes to the graph, where some operations abort on a rank they don't expect. A vector for
    [n, 1] is accepted: clients of old models send it.
    """
    given = tensors.tensor_dtype(array.dtype)
    wanted = tensor.fed or tensor.dtype
    if given != wanted:
        raise invalid(
            f"input {alias}: Expects arg[{place}] to be {tensors.name(wanted)} but {tensors.name(given)} "
            "is provided"
        )
    shape = tensor.shape
    if shape is None:
        return
    if array.ndim != len(shape) and not (array.ndim == 1 and len(shape) == 2 and shape[1] in (1, -1)):
        said = ",".join("?" if size < 0 else str(size) for size in shape)
        raise invalid(
            f"input {alias}: shape {list(array.shape)} is not compatible with expected shape [{said}]"
        )
    if shape and shape[0] < 0 and limits.batch_rows and array.ndim and array.shape[0] > limits.batch_rows:
        raise invalid(
            f"input {alias} has {array.shape[0]} rows, more than {limits.batch_rows}: send smaller batches, "
            "or raise --max_batch_rows"
        )


def strings(values: Sequence[bytes]) -> NDArray[np.object_]:
    """Return a vector of strings, an object array of bytes."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


_WRITES = re.compile(
    r"(Resource)?(Assign|StridedSliceAssign|Scatter(?!Nd$|NdNonAliasingAdd$)|(Sparse)?Apply|CountUpTo)"
    r"|LookupTable(Insert|Import|Remove)|Queue(En|De)queue"
)


def changes_state(meta: Any) -> bool:
    """Return whether an operation that a signature of a MetaGraphDef runs writes what a later one reads."""
    fetched = (
        info.name
        for key, signature in meta.signature_def.items()
        if not key.startswith("__saved_model_")  # what the load runs, once
        for info in signature.outputs.values()
    )
    functions = {each.signature.name: each.node_def for each in meta.graph_def.library.function}
    return any(_WRITES.match(op) for op in _run(meta.graph_def.node, fetched, functions))


def _run(nodes: Iterable[Any], fetched: Iterable[str], functions: dict[str, Any]) -> Iterator[str]:
    """Yield the operations that lead to the fetched tensors, those of functions called there too."""
    named = {node.name: node for node in nodes}
    waiting = [_node(name) for name in fetched]
    seen: set[str] = set()
    called: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in named:
            continue
        seen.add(name)
        yield named[name].op
        called |= _called(named[name])
        waiting.extend(_node(each) for each in named[name].input)
    done: set[str] = set()
    while called := (called & functions.keys()) - done:
        function = called.pop()
        done.add(function)
        for node in functions[function]:
            yield node.op
            called |= _called(node)


def _node(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


def _called(node: Any) -> set[str]:
    found = {node.op}
    for value in node.attr.values():
        found.add(value.func.name)
        found.update(each.name for each in value.list.func)
    return found
