"""kill -9 and a full disk at every change that the store makes, and two commands at once."""

import json
import os
import signal
import subprocess
import sys

import pytest

from serving.store import publish
from serving.store.store import Store
from tests._project import ROOT
from tests.serving._exports import export

ACTS = ["publish", "promote", "canary", "rollback", "prune"]
BEFORE = {"stable": 2, "canary": None, "base_path": "HERE", "versions": {"1": [], "2": [], "3": [], "4": []}}


def struck(act, tmp_path):
    command = [sys.executable, "-m", "tests.faults._strike", act, str(tmp_path)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    strikes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(strikes) >= 12
    return strikes


def serves(state):
    return {key: state[key] for key in ("stable", "canary", "base_path")}


def one_of_two_states(strike):
    """What serves is what served before or what the act leaves; every version is whole."""
    left, unbroken = strike["left"], strike["unbroken"]
    assert "error" not in left, strike
    assert serves(left) in (serves(BEFORE), serves(unbroken)), strike
    assert not any(left["versions"].values()), strike
    assert left["stable"] != left["previous"], strike
    assert not any(left["edges"].values()), strike


def healed(strike, act):
    """The same act again leads to the same end; a number that was given is not given again."""
    after, unbroken = strike["healed"], strike["unbroken"]
    assert serves(after) == serves(unbroken), strike
    assert after["weights"] == unbroken["weights"], strike
    assert not any(after["versions"].values()), strike
    assert not after["scratch"], strike
    assert after["edges"].keys() == after["versions"].keys(), strike
    assert not any(after["edges"].values()), strike
    assert after["highest"] >= max(int(number) for number in after["versions"]), strike
    if act in ("publish", "prune", "canary"):
        assert after["previous"] == unbroken["previous"], strike


@pytest.mark.parametrize("act", ACTS)
def test_a_kill_or_a_full_disk_at_any_change_leaves_the_old_state_or_the_new_and_the_rerun_heals(
    act, tmp_path
):
    refused = 0
    for strike in struck(act, tmp_path):
        if strike["action"] == "kill":
            assert strike["code"] == -signal.SIGKILL, strike
            said = strike.get("again", "")
            assert not said or (act == "rollback" and "is in service already" in said), strike
        elif strike["code"]:
            refused += 1
            assert strike["code"] == 6 and "disk is full" in strike["said"], strike
            assert "\n" not in strike["said"], strike
        one_of_two_states(strike)
        healed(strike, act)
    assert refused


PUBLISH = """
import sys
from pathlib import Path
from serving.store import publish
from serving.store.store import Store
sys.stdin.readline()
print(publish.publish(Store(Path(sys.argv[1])), Path(sys.argv[2]), {}))
"""


def test_publishes_at_once_get_a_number_for_each_content(tmp_path):
    root, one, two = tmp_path / "serving", export(tmp_path / "a", "a"), export(tmp_path / "b", "b")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [
        subprocess.Popen([sys.executable, "-c", PUBLISH, str(root), str(source)], **pipes)
        for source in (one, two, one)
    ]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    first, second, again = (int(racer.communicate()[0]) for racer in racers)
    assert {first, second} == {1, 2} and again == first
    assert [publish.version.problems(v) for v in Store(root).versions()] == [[], []]
