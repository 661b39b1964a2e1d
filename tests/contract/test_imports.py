"""Layers, import closures, and imports without effects."""

import ast
import os
import subprocess
import sys

import pytest

from digits.stages import STAGES

from ._graph import (
    ROOT,
    closure,
    dvc_yaml,
    flow_modules,
    imports,
    local_imports,
    modules,
    names,
    serving_imports,
    serving_modules,
)

SHELL = {
    *("files", "locks", "model_files", "params", "processes", "progress", "quiet"),
    *("sources", "download", "incoming", "checkpoint", "quarantine_files", "unfinished", "device"),
    *("bundle", "curves", "distribution", "formats", "quantize", "dvc_tree", "repro", "steps"),
    *("training", "summary", "cli", "commands"),
}
TOP = {
    "dvc_tree",
    "repro",
    "steps",
    "training",
    "summary",
    "cli",
    "commands",
}  # drive the stages; no stage imports them
# What the serving package may take from the pipeline: names and errors, its way with files and processes.
SERVING_MAY = {f"digits.{name}" for name in ("errors", "wire", "files", "locks", "processes")}
READERS = {"digits.dataset", "digits.mapped"}  # splits are read and written beside what they are
ROOTS_EXEMPT = {"digits", "digits.stages"}  # hold a docstring and the order of the stages


def layer(module: str) -> str:
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "stages":
        return "stage"
    return "top" if parts[1] in TOP else "shell" if parts[1] in SHELL else "core"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_import_closure(stage):
    declared = [d for d in names(dvc_yaml()["stages"][stage]["deps"]) if d.startswith("src/")]
    needed = closure(f"digits.stages.{stage}") - ROOTS_EXEMPT
    assert declared == sorted(str(modules()[m].relative_to(ROOT)) for m in needed)


@pytest.mark.parametrize("module", [m for m in modules() if layer(m) == "core"])
def test_core_imports_core_alone(module):
    allowed = {m for m in modules() if layer(m) == "core"} | {"digits", "digits.params"}
    assert local_imports(module) <= allowed


def test_params_reach_core_as_types_or_not_at_all():
    users = [m for m in modules() if layer(m) == "core" and "digits.params" in imports(m)]
    for module in users:
        assert "digits.params.load" not in imports(module)


def test_no_stage_imports_another_stage_or_the_command_line():
    for stage in STAGES:
        others = {f"digits.stages.{s}" for s in STAGES if s != stage}
        others |= {m for m in modules() if layer(m) == "top"}
        assert not closure(f"digits.stages.{stage}") & others


@pytest.mark.parametrize("module", [m for m in modules() if m.startswith("digits.stages.")])
def test_no_stage_knows_of_serving(module):
    assert not {name for m in closure(module) for name in serving_imports(m)}


@pytest.mark.parametrize("module", [m for m in modules() if layer(m) != "top"])
def test_the_command_line_is_the_top_and_nothing_imports_it(module):
    assert not {name for name in local_imports(module) if name.split(".")[1:2] in (["cli"], ["commands"])}
    assert not serving_imports(module)


@pytest.mark.parametrize("module", serving_modules())
def test_serving_takes_little_from_the_pipeline_and_knows_no_command(module):
    assert local_imports(module) - {"digits"} <= SERVING_MAY


@pytest.mark.parametrize("module", ["serving.store", "serving.publishing", "serving.promotion"])
def test_the_store_needs_no_tensorflow(module, imported):
    assert imported(module) == {"quiet": True, "tensorflow": False}


@pytest.mark.parametrize("module", ["serving.infra", "serving.judge"])
def test_the_checks_load_tensorflow_when_they_run_and_not_before(module, imported):
    assert imported(module) == {"quiet": True, "tensorflow": False}


@pytest.mark.parametrize("module", [*modules(), *serving_modules()])
def test_nothing_but_the_command_line_knows_of_the_flows(module):
    if not module.startswith("digits.commands"):
        assert not {name for name in imports(module) if name.split(".")[0] in ("flows", "prefect")}


@pytest.mark.parametrize("module", flow_modules())
def test_the_flows_compute_nothing(module):
    found = imports(module)
    assert not {name for name in found if name.split(".")[0] in ("tensorflow", "keras", "great_expectations")}
    assert not {name for name in found if name.startswith(("digits.cli", "digits.commands"))}


DISK = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "unlink", "urlopen"}


@pytest.mark.parametrize("module", [m for m in modules() if layer(m) == "core" and m not in READERS])
def test_core_touches_no_disk_no_clock_no_global_seed(module):
    tree = ast.parse(modules()[module].read_text())
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        assert call not in ("open", "print", "Path"), call
        assert call.rpartition(".")[2] not in DISK - {"open"}, call
        assert not call.startswith(("time.", "datetime.", "random.", "requests.", "os.environ")), call
        assert call not in ("np.random.seed", "tf.random.set_seed", "keras.utils.set_random_seed"), call


EFFECTS = """
import json, logging, os, sys, threading
before = set(os.listdir('.')), logging.getLogger().level, list(logging.getLogger().handlers)
import importlib
importlib.import_module(sys.argv[1])
after = set(os.listdir('.')), logging.getLogger().level, list(logging.getLogger().handlers)
print(json.dumps({'quiet': before == after, 'tensorflow': 'tensorflow' in sys.modules}))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Import a module in a process of its own; tell whether that was quiet and what it loaded."""
    import json

    def run(module: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-c", EFFECTS, module],
            cwd=tmp_path_factory.mktemp("empty"),
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 1, f"{module} prints when imported: {done.stdout}"
        return json.loads(lines[0])

    return run


@pytest.mark.parametrize("module", ["digits.stages.ingest", "digits.stages.validate", "digits.cli"])
def test_light_modules_load_no_tensorflow_and_have_no_effects(module, imported):
    assert imported(module) == {"quiet": True, "tensorflow": False}


@pytest.mark.parametrize("stage", ["preprocess", "train", "evaluate", "export", "convert"])
def test_stages_have_no_effects_and_check_params_before_tensorflow_loads(stage, imported):
    assert imported(f"digits.stages.{stage}") == {"quiet": True, "tensorflow": False}


@pytest.mark.parametrize("module", ["digits.stages.ingest", "digits.stages.validate"])
def test_nothing_in_the_closure_names_tensorflow(module):
    for name in closure(module):
        assert not {i for i in imports(name) if i.split(".")[0] in ("tensorflow", "keras")}, name


def test_sizes_stay_small():
    every = modules() | serving_modules()
    long = {m: n for m, p in every.items() if (n := len(p.read_text().splitlines())) > 220}
    assert not long
