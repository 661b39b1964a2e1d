"""The train stage on tiny prepared data, in processes of its own."""

import subprocess
import sys

import yaml

from digits import dataset
from tests._project import ROOT, environment
from tests._raw import split


def prepare(root, train, validation):
    """Write as many images as `preprocess` would."""
    for name, n, seed in (("train", train, 1), ("validation", validation, 2)):
        dataset.save_split(root / "prepared" / name, split(n, seed))
    return root


def write_params(path, **changes):
    """Write params.yaml with other settings of `train`."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    tree["train"] |= changes
    path.write_text(yaml.safe_dump(tree))
    return path


def start(home, out, params, config=None):
    """Run the stage in a folder, on the data of another, with a TF_CONFIG."""
    out.mkdir(exist_ok=True, parents=True)
    command = [sys.executable, "-m", "digits.train.stage", "--params", str(params)]
    command += [f"--{name}={home / 'prepared' / name}" for name in ("train", "validation")]
    command += [f"--{name}={out / name}" for name in ("candidate", "live")]
    env = environment(out) | {"PYTHONPATH": str(ROOT / "src")} | ({"TF_CONFIG": config} if config else {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=out, env=env, text=True, **pipes)


def finish(*processes):
    """What each said; all must end well."""
    said = [process.communicate(timeout=400) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(said), said
    return [screen for screen, _ in said]
