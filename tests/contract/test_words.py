"""One word per stage, everywhere."""

import inspect
from importlib import import_module

import pytest
import yaml

from digits import STAGES
from digits.runtime.params import SECTIONS
from tests.contract._graph import COMPUTE_LOCK, COMPUTING, ROOT, SRC, dvc_yaml, names


def test_graph_params_packages_and_tests_have_the_stages_by_name():
    assert tuple(dvc_yaml()["stages"]) == STAGES, "in run order"
    sections = (*STAGES, "monitor")  # which belongs to what is served, and to no stage
    assert tuple(yaml.safe_load((ROOT / "params.yaml").read_text())) == sections
    assert tuple(SECTIONS) == sections
    assert {path.parent.name for path in SRC.rglob("stage.py")} == set(STAGES)
    assert {p.parent.name for p in (ROOT / "tests").glob("*/test_stage.py")} == set(STAGES)


def test_each_stage_has_a_description_and_one_file_has_the_metrics():
    stages = dvc_yaml()["stages"].values()
    assert all(stage["desc"] for stage in stages)
    assert [name for stage in stages for name in names(stage.get("metrics", []))] == ["reports/summary.json"]


@pytest.mark.parametrize("stage", STAGES)
def test_paths_in_cmd_are_the_deps_and_outs(stage):
    entry = dvc_yaml()["stages"][stage]
    assert entry["params"][0] == stage
    words = entry["cmd"].split()
    assert words[:3] == ["python", "-m", f"digits.{stage}.stage"]
    options, paths = words[3::2], words[4::2]
    deps = [d for d in names(entry["deps"]) if not d.startswith("src/") and d != COMPUTE_LOCK]
    made = names(entry.get("outs", [])) + names(entry.get("metrics", [])) + names(entry.get("plots", []))
    assert sorted(paths) == sorted(deps + made)
    run = inspect.signature(import_module(f"digits.{stage}.stage").run)
    parameters = [name for name in run.parameters if not name.endswith("params")]
    assert [option.removeprefix("--").replace("-", "_") for option in options] == parameters


def test_what_computes_with_tensorflow_depends_on_the_lock_and_training_on_no_test_image():
    deps = {stage: set(names(entry["deps"])) for stage, entry in dvc_yaml()["stages"].items()}
    assert tuple(stage for stage in STAGES if COMPUTE_LOCK in deps[stage]) == COMPUTING
    assert not [stage for stage in STAGES if "requirements.lock" in deps[stage]]
    assert not deps["train"] & {"data/prepared", "data/prepared/test", "data/prepared/manifest.json"}
    assert [stage for stage in STAGES if "data/prepared/test" in deps[stage]] == ["evaluate"]
