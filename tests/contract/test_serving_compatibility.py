"""docs/serving-compatibility.md: every fact has a test that exists, or says what differs and why."""

import ast
import re
from functools import cache

from tests.contract._graph import ROOT

PAGE = ROOT / "docs" / "serving-compatibility.md"
TESTS = ROOT / "tests" / "serving" / "model_server"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows():
    """(fact, what holds it here) of every line of the tables."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    facts = [line for line in lines if line.startswith("| ") and not line.startswith("| what upstream")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in facts]


def path(name):
    return (ROOT / "tests" if name.startswith("hostile/") else TESTS) / name


@cache
def functions(name):
    tree = ast.parse(path(name).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def fault(here):
    """Why a fact is not held by what is said of it; empty if it is."""
    named = NAMED.findall(here)
    lost = [f"{f} has no {test}" for f, test in named if not path(f).is_file() or test not in functions(f)]
    reason = named or (here.startswith("differs: ") and len(here) > 30)
    return "; ".join(lost) if reason else "neither test nor reason"


def test_each_fact_has_a_test_or_a_reason():
    assert len(rows()) > 100
    assert not {fact: why for fact, here in rows() if (why := fault(here))}
