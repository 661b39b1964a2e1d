"""docs/serving-compatibility.md: every fact has a test that exists, or says what differs and why."""

import ast
import re

import pytest

from tests.contract._graph import ROOT

PAGE = ROOT / "docs" / "serving-compatibility.md"
TESTS = ROOT / "tests" / "serving" / "model_server"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
SECTIONS = (
    "Command line and start",
    "gRPC calls",
    "Models, versions, labels, reload",
    "Warm-up",
    "REST: paths, verbs, status codes",
    "REST: how JSON is read",
    "REST: predict",
    "REST: classify, regress, status, metadata",
    "Metrics for Prometheus",
    "Batching",
    "What clients can meet at the edges",
    "Styles of models",
)


def rows():
    """(section, fact, what holds it here) of every line of the tables."""
    section, found = "", []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| what upstream", "|---")):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found.append((section, *cells))
    return found


def path(name):
    return (ROOT / "tests" if name.startswith("hostile/") else TESTS) / name


def functions(name):
    tree = ast.parse(path(name).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_is_walked(section):
    assert sum(row[0] == section for row in rows()) >= 5, f"{section}: too few facts"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[1][:50])
def test_each_fact_has_a_test_or_a_reason(row):
    assert len(row) == 3, f"not two cells: {row}"
    _, fact, here = row
    named = NAMED.findall(here)
    for file, function in named:
        assert path(file).is_file(), f"{fact}: there is no {file}"
        assert function in functions(file), f"{fact}: {file} has no {function}"
    assert named or (here.startswith("differs: ") and len(here) > 30), f"{fact}: neither test nor reason"
