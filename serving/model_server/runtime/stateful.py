"""Whether requests change a model's variables or tables: then it can have one session only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

_WRITES = re.compile(
    r"(Resource)?(Assign|StridedSliceAssign|Scatter(?!Nd$|NdNonAliasingAdd$)|(Sparse)?Apply|CountUpTo)"
    r"|LookupTable(Insert|Import|Remove)|Queue(En|De)queue"
)


def changes(meta: Any) -> bool:
    """Whether an operation that a signature of a MetaGraphDef runs writes what a later one reads."""
    fetched = (
        info.name
        for key, signature in meta.signature_def.items()
        if not key.startswith("__saved_model_")  # what the load runs, once
        for info in signature.outputs.values()
    )
    functions = {each.signature.name: each.node_def for each in meta.graph_def.library.function}
    return any(_WRITES.match(op) for op in _run(meta.graph_def.node, fetched, functions))


def _run(nodes: Iterable[Any], fetched: Iterable[str], functions: dict[str, Any]) -> Iterator[str]:
    """The operations of what leads to the fetched tensors, those of the functions called there too."""
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
