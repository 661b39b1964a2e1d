"""Mutants: which there are of a piece of code, and that a test which notices one kills it."""

import ast
import json
import subprocess
import sys
import textwrap

import pytest

from bench import mutants, mutations


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("a < b", {"a < b -> a <= b", "a < b -> a >= b"}),
        ("a and b", {"a and b -> a or b", "a and b -> a", "a and b -> b"}),
        ("not a", {"not a -> a"}),
        ("a + 1", {"a + 1 -> a - 1", "1 -> 2", "1 -> 0"}),
        ("x = True", {"True -> False"}),
        ("a['key']", {"'key' -> 'xkey'"}),
        ("a = 'a sentence'", set()),
        ("'docstring'", set()),
        ("a: int | None = b", set()),
        ("f'{a} of {b + 1}'", set()),
        ("f'{a}.{b - c}'", {"b - c -> b + c"}),
        ("min(a)", {"min(a) -> max(a)", "min(a) -> pass"}),
        ("x = f(a, key=b)", {"f(a, key=b) -> f(a)"}),
        ("raise E('no', 1)", {"raise E('no', 1) -> pass"}),
        ("if a:\n b = c", {"if a: -> if True:", "if a: -> if False:"}),
        ("with a(), b() as c:\n d = c", {"with a(), b() as c: -> with b() as c:"}),
        ("def f(a=2):\n return a", {"2 -> 3", "2 -> 1", "return a -> return None"}),
        ("try:\n a = b\nexcept E:\n a = c", {"except E: a = c -> except E: raise"}),
        ("from pathlib import Path\na = b / c", {"b / c -> b"}),
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


def measure(folder, tests):
    for name, text in (("tiny.py", TINY), ("test_tiny.py", tests)):
        (folder / name).write_text(textwrap.dedent(text))
    (folder / "pytest.ini").touch()
    command = [sys.executable, "-c", MEASURE, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_mutant_that_a_test_notices_is_killed_and_no_file_is_changed(tmp_path):
    done = measure(tmp_path, TESTS)
    assert done.returncode == 0, done.stderr
    became = {(text, change): end for text, change, end in json.loads(done.stdout)}
    choice, loop = "return a if a > b else b", "while n:"
    assert became[choice, "a > b -> a <= b"] == became[choice, "a if a > b else b -> a"] == "killed"
    assert became[choice, "a > b -> a >= b"] == "survived", "of two equal ones either is the larger"
    assert became["n -= 1", "n -= 1 -> pass"] == "timed out"
    assert became[loop, "while n: -> while False:"] == "killed"
    assert became["return a", "return a -> return None"] == "survived", "no test reaches it"
    assert (tmp_path / "tiny.py").read_text() == TINY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pytest.ini", "test_tiny.py", "tiny.py"]


def test_tests_that_fail_without_a_mutant_measure_nothing(tmp_path):
    done = measure(tmp_path, TESTS.replace("== 0", "== 1"))
    assert "DigitsError: the tests of tiny fail without a mutant" in done.stderr
    assert "FAILED test_tiny.py::test_nothing_is_left" in done.stderr


def test_a_module_that_is_not_measured_is_an_error(capsys):
    with pytest.raises(SystemExit):
        mutants.main(["--module", "gate,nonesuch"])
    assert "digits.evaluate.gate" in capsys.readouterr().err
