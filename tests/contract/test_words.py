"""One word per stage, everywhere."""

import inspect
import re
from importlib import import_module

import pytest
import yaml

from digits import STAGES
from digits.runtime.params import SECTIONS
from tests.contract._graph import COMPUTE_LOCK, COMPUTING, ROOT, SRC, dvc_yaml, names


def test_the_graph_lists_the_stages_in_run_order():
    assert tuple(dvc_yaml()["stages"]) == STAGES


def test_every_stage_has_a_params_section_of_its_name():
    assert tuple(yaml.safe_load((ROOT / "params.yaml").read_text())) == STAGES
    assert tuple(SECTIONS) == STAGES


def test_every_stage_is_a_package_of_its_name_and_nothing_else_has_a_stage():
    assert {path.parent.name for path in SRC.rglob("stage.py")} == set(STAGES)


def test_every_stage_has_a_test_file_of_its_name():
    assert {p.parent.name for p in (ROOT / "tests").glob("*/test_stage.py")} == set(STAGES)


@pytest.mark.parametrize("page", ["README.md", "src/README.md"])
def test_the_pages_name_the_stages_in_run_order(page):
    text = (ROOT / page).read_text()
    positions = [text.find(stage) for stage in STAGES]
    assert -1 not in positions
    rows = [m.group(1) for m in re.finditer(r"^\|\s*`?(\w+)`?\s*\|", text, re.M) if m.group(1) in STAGES]
    assert tuple(rows) in ((), STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_its_own_params(stage):
    assert dvc_yaml()["stages"][stage]["params"][0] == stage


@pytest.mark.parametrize("stage", STAGES)
def test_paths_in_cmd_are_the_deps_and_outs(stage):
    entry = dvc_yaml()["stages"][stage]
    words = entry["cmd"].split()
    assert words[:3] == ["python", "-m", f"digits.{stage}.stage"]
    options, paths = words[3::2], words[4::2]
    deps = [d for d in names(entry["deps"]) if not d.startswith("src/") and d != COMPUTE_LOCK]
    made = names(entry.get("outs", [])) + names(entry.get("metrics", [])) + names(entry.get("plots", []))
    assert sorted(paths) == sorted(deps + made)
    run = inspect.signature(import_module(f"digits.{stage}.stage").run)
    assert [o.removeprefix("--").replace("-", "_") for o in options] == [
        p for p in run.parameters if not p.endswith("params")
    ]


def test_what_computes_with_tensorflow_depends_on_the_lock():
    stages = dvc_yaml()["stages"]
    computing = [s for s in STAGES if COMPUTE_LOCK in stages[s]["deps"]]
    assert tuple(computing) == COMPUTING
    assert not [s for s in STAGES if "requirements.lock" in stages[s]["deps"]]


def test_train_does_not_depend_on_the_test_split():
    deps = names(dvc_yaml()["stages"]["train"]["deps"])
    assert not [
        d for d in deps if d in ("data/prepared", "data/prepared/test", "data/prepared/manifest.json")
    ]
    readers = [s for s, e in dvc_yaml()["stages"].items() if "data/prepared/test" in names(e["deps"])]
    assert readers == ["evaluate"]
