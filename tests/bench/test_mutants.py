"""Mutants: which there are of a piece of code, and that a test which notices one kills it."""

import ast
import json
import subprocess
import sys

import pytest

from bench import mutations


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("a < b", {"a < b -> a <= b", "a < b -> a >= b"}),
        ("a + 1", {"a + 1 -> a - 1", "1 -> 2", "1 -> 0"}),
        ("a['key']", {"'key' -> 'xkey'"}),
        ("a = 'a sentence'", set()),
        ("a: int | None = b", set()),
        ("min(a)", {"min(a) -> max(a)", "min(a) -> pass"}),
        ("x = f(a, key=b)", {"f(a, key=b) -> f(a)"}),
        ("raise E('no', 1)", {"raise E('no', 1) -> pass"}),
        ("if a:\n b = c", {"if a: -> if True:", "if a: -> if False:"}),
        ("with a(), b() as c:\n d = c", {"with a(), b() as c: -> with b() as c:"}),
        ("def f(a=2):\n return a", {"2 -> 3", "2 -> 1", "return a -> return None"}),
        ("try:\n a = b\nexcept E:\n a = c", {"except E: a = c -> except E: raise"}),
        ("a = b[:n]", {":n -> :"}),
    ],
)
def test_code_has_these_mutants(code, changes):
    found = list(mutations.mutants(code))
    assert {mutant.change for mutant in found} == changes
    assert all(ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(code)) for mutant in found)


TINY = """\
def larger(a, b):
    return a if a > b else b


def left(n):
    while n:
        n -= 1
    return n


def unread(a):
    return a
"""
TESTS = """\
from tiny import larger, left

def test_the_larger_is_the_larger():
    assert (larger(1, 2), larger(2, 1)) == (2, 2)

def test_nothing_is_left():
    assert left(2) == 0
"""
MEASURE = """\
import json, sys
from pathlib import Path
from bench import mutants
mutants.PATIENCE = 1.0
found = mutants.measure("tiny", ["test_tiny.py"], Path(sys.argv[1]), 2)
print(json.dumps([(m.text, m.change, became) for m, became in found]))
"""


@pytest.mark.slow  # it starts processes, and one of them must run into its time limit
def test_a_mutant_that_a_test_notices_is_killed_and_no_file_is_changed(tmp_path):
    for name, text in (("tiny.py", TINY), ("test_tiny.py", TESTS), ("pytest.ini", "")):
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    became = {(text, change): end for text, change, end in json.loads(done.stdout)}
    choice = "return a if a > b else b"
    assert became[choice, "a > b -> a <= b"] == "killed"
    assert became[choice, "a > b -> a >= b"] == "survived", "of two equal ones either is the larger"
    assert became["n -= 1", "n -= 1 -> pass"] == "timed out"
    assert became["return a", "return a -> return None"] == "survived", "no test reaches it"
    assert (tmp_path / "tiny.py").read_text() == TINY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pytest.ini", "test_tiny.py", "tiny.py"]
