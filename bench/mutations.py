"""The small changes that bench.mutants makes to a module: what a test should notice if it reads the code.

Left alone are annotations, decorators, and sentences for a person: docstrings, strings with a space, messages
of `raise`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

COMPARISONS: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
OPPOSITES = {"min": "max", "any": "all", "startswith": "endswith", "removeprefix": "removesuffix"}
OPPOSITES |= {other: name for name, other in OPPOSITES.items()}
ARRANGING = {"abs", "sorted", "reversed"}  # calls that leave out nothing when they are left out
UNREAD = {"annotation", "returns", "decorator_list", "format_spec"}


@dataclass(frozen=True)
class Mutant:
    """A module with one change. lines: of the changed statement; empty when that runs at import."""

    line: int
    text: str  # of the line, without indentation
    change: str
    source: str
    lines: range


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, from its first line to its last."""
    tree, texts = ast.parse(source), source.splitlines()
    paths = "from pathlib import" in source  # there `/` joins paths
    for node, put, line, lines in _sites(tree, 0, range(0), called=False):
        before = _head(node)
        for other in _others(node, paths):
            put(ast.copy_location(other, node))
            yield Mutant(
                line, texts[line - 1].strip(), f"{before} -> {_head(other)}", ast.unparse(tree), lines
            )
        put(node)


Put = Callable[[ast.AST], None]


def _sites(
    parent: ast.AST, line: int, lines: range, called: bool
) -> Iterator[tuple[ast.AST, Put, int, range]]:
    """Every node below another, what puts another in its place, its line and the lines of its statement.

    called: whether the code of the parent runs in a call, and not at import.
    """
    for field, value in ast.iter_fields(parent):
        inside = called or (isinstance(parent, ast.FunctionDef) and field == "body")
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or field in UNREAD or _is_for_people(parent, child):
                continue
            at, reach = getattr(child, "lineno", line), lines
            if isinstance(child, ast.stmt | ast.ExceptHandler):
                reach = range(at, _end(child) + 1) if inside else range(0)

            def put(other: ast.AST, field: str = field, value: Any = value, index: int = index) -> None:
                if isinstance(value, list):
                    value[index] = other
                else:
                    setattr(parent, field, other)

            yield child, put, at, reach
            if not isinstance(child, ast.Raise):  # its message
                yield from _sites(child, at, reach, inside)


def _end(node: ast.stmt | ast.ExceptHandler) -> int:
    """The last line of a statement; of one with a body, of its head; of a handler, where its body begins."""
    body: list[ast.stmt] = getattr(node, "body", [])
    if isinstance(node, ast.ExceptHandler):
        return body[0].lineno
    return max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno


def _is_for_people(parent: ast.AST, child: ast.AST) -> bool:
    """Whether a node is a docstring or a text of several words; other f-strings are read for their values."""
    if isinstance(child, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and " " in str(part.value) for part in child.values)
    if isinstance(child, ast.Expr):
        return isinstance(child.value, ast.Constant)
    text = child.value if isinstance(child, ast.Constant) else None
    return isinstance(text, str) and (" " in text or isinstance(parent, ast.JoinedStr))


def _others(node: ast.AST, paths: bool) -> Iterator[ast.AST]:
    """What a node is replaced with, one after another. paths: whether `/` joins paths."""
    match node:
        case ast.Compare(left, ops, rest):
            for n, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield ast.Compare(left, [*ops[:n], other(), *ops[n + 1 :]], rest)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for n in range(len(values)):
                kept = values[:n] + values[n + 1 :]
                yield ast.BoolOp(op, kept) if len(kept) > 1 else kept[0]
        case ast.BinOp(left, ast.BitOr() | ast.BitAnd(), right):
            yield from (left, right)
        case ast.BinOp(left, ast.Div(), _) if paths:
            yield left
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            yield ast.BinOp(left, ARITHMETIC[type(op)](), right)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Constant(float(value)):
            yield from (ast.Constant(2 * value or 1.0), ast.Constant(value / 2 or -1.0))
        case ast.Constant(str(value)):
            yield ast.Constant(f"x{value}")
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.Slice(lower, upper, step):
            if lower:
                yield ast.Slice(None, upper, step)
            if upper:
                yield ast.Slice(lower, None, step)
        case ast.comprehension(target, each, ifs, is_async):
            for n in range(len(ifs)):
                yield ast.comprehension(target, each, ifs[:n] + ifs[n + 1 :], is_async)
        case ast.Call(func, args, keywords):
            for n, keyword in enumerate(keywords):
                if not (isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)):
                    yield ast.Call(func, args, keywords[:n] + keywords[n + 1 :])
            match func:
                case ast.Name(name) if name in OPPOSITES:
                    yield ast.Call(ast.Name(OPPOSITES[name]), args, keywords)
                case ast.Attribute(value, name) if name in OPPOSITES:
                    yield ast.Call(ast.Attribute(value, OPPOSITES[name]), args, keywords)
                case ast.Name(name) if name in ARRANGING:
                    yield args[0] if name == "abs" else ast.Call(ast.Name("list"), args, [])
        case ast.If(_, body, orelse):
            yield from (ast.If(ast.Constant(kept), body, orelse) for kept in (True, False))
        case ast.While(_, body, orelse):
            yield ast.While(ast.Constant(False), body, orelse)
        case ast.With(items, body):
            for n, item in enumerate(items):
                if item.optional_vars is None:
                    others = items[:n] + items[n + 1 :]
                    yield ast.With(others, body) if others else ast.If(ast.Constant(True), body, [])
        case ast.ExceptHandler(kind, name, body) if ast.unparse(body[0]) != "raise":
            yield ast.ExceptHandler(kind, name, [ast.Raise()])
        case ast.Return(ast.AST() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case (
            ast.Expr(ast.Call()) | ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break() | ast.Delete()
        ):
            yield ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript()], _):
            yield ast.Pass()


def _head(node: ast.AST) -> str:
    """A node as text; of one with a body the first line, of a handler the first two."""
    lines = ast.unparse(node).strip().splitlines()
    return " ".join(line.strip() for line in lines[: 2 if isinstance(node, ast.ExceptHandler) else 1])
