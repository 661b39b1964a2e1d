"""The train stage on two hosts: two real processes on loopback, each in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import yaml

from digits import dataset
from tests._ports import free_port
from tests._project import ROOT, environment, tree_digest
from tests._raw import split

pytestmark = pytest.mark.slow  # each process loads TensorFlow and waits for the other

# Plain gradient descent, in float32: what differs is the order of sums, and nothing makes it larger.
CHANGES = {"steps": 12, "batch": 60, "xla": "nothing", "precision": "float32", "validation_every": 1}
CHANGES |= {"optimizer": "sgd", "rate": 0.005, "device": "cpu"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with tiny prepared data and params: 3 epochs of 4 steps."""
    root = tmp_path_factory.mktemp("hosts")
    for name, n, seed in (("train", 240, 1), ("validation", 60, 2)):
        dataset.save_split(root / "prepared" / name, split(n, seed))
    return root


def params_file(home, **changes):
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    tree["train"] |= CHANGES | changes
    path = home / f"params-{'-'.join(map(str, changes.values()))}.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def start(home, out, params, config=None):
    out.mkdir(exist_ok=True, parents=True)
    command = [sys.executable, "-m", "digits.train.stage", "--params", str(params)]
    for name in ("train", "validation"):
        command += [f"--{name}", str(home / "prepared" / name)]
    command += ["--candidate", str(out / "candidate"), "--live", str(out / "live")]
    env = environment(out) | {"PYTHONPATH": str(ROOT / "src")} | ({"TF_CONFIG": config} if config else {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=out, env=env, text=True, **pipes)


def finish(*processes):
    """What each said; all must end well."""
    said = [process.communicate(timeout=400) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(said), said
    return [screen for screen, _ in said]


def start_two(home, out, params):
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": place}} for place in range(2)]
    return [start(home, out / str(place), params, json.dumps(task)) for place, task in enumerate(tasks)]


def furthest(one, two):
    """The largest difference of two candidates' weights."""
    differences = []

    def compare(name, value):
        if isinstance(value, h5py.Dataset):
            differences.append(np.abs(value[...] - other[name][...]).max())

    with h5py.File(one / "model.weights.h5") as first, h5py.File(two / "model.weights.h5") as other:
        first.visititems(compare)
    assert len(differences) > 10
    return max(differences)


def test_two_hosts_make_the_one_candidate_that_one_host_makes(home):
    params = params_file(home, steps=5)  # more would make of a rounding error another training
    finish(start(home, home / "alone", params))
    finish(*start_two(home, home / "together", params))
    together = home / "together"
    assert furthest(home / "alone" / "candidate", together / "0" / "candidate") < 1e-3
    made = {name.name for name in (together / "1").iterdir() if not name.name.startswith(".keras")}
    assert not made & {"candidate", "live", ".checkpoints"}  # the chief's alone
    assert (together / "0" / "live" / "metrics.json").exists()


def test_a_host_that_dies_ends_the_others_and_nothing_is_lost(home):
    params, out = params_file(home, steps=40), home / "killed"
    unbroken = home / "unbroken"
    finish(*start_two(home, unbroken, params))
    chief, worker = start_two(home, out, params)
    while not list((out / "0" / ".checkpoints").glob("*.npz")) and chief.poll() is None:
        time.sleep(0.005)
    os.kill(worker.pid, signal.SIGKILL)
    killed = time.monotonic()
    worker.communicate()
    _, errors = chief.communicate(timeout=120)
    assert time.monotonic() - killed < 60
    assert chief.returncode == 4
    assert errors.strip().splitlines()[-1].startswith("train: host 0 lost another of the 2 hosts")
    assert "Traceback" not in errors
    assert not (out / "0" / "candidate").exists()
    # the worker too, which has no checkpoint of its own
    assert all("going on after epoch" in screen for screen in finish(*start_two(home, out, params)))
    assert tree_digest(out / "0", "candidate", "live") == tree_digest(unbroken / "0", "candidate", "live")
