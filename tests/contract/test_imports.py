"""Layers, import closures, and imports without effects."""

import ast
import subprocess
import sys

import pytest

from digits.stages import STAGES

from ._graph import ROOT, closure, dvc_yaml, imports, local_imports, modules, names

SHELL = {
    *("files", "model_files", "params", "processes", "progress", "quiet"),
    *("sources", "download", "incoming", "checkpoint", "quarantine_files", "unfinished", "device"),
    *("bundle", "repro", "summary", "cli"),
}
TOP = {"repro", "summary", "cli"}  # drive the stages; no stage imports them
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
        others = {f"digits.stages.{s}" for s in STAGES if s != stage} | {f"digits.{m}" for m in TOP}
        assert not closure(f"digits.stages.{stage}") & others


DISK = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "unlink", "urlopen"}


@pytest.mark.parametrize("module", [m for m in modules() if layer(m) == "core"])
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


@pytest.mark.parametrize("stage", ["preprocess", "train", "evaluate", "export"])
def test_stages_have_no_effects_and_check_params_before_tensorflow_loads(stage, imported):
    assert imported(f"digits.stages.{stage}") == {"quiet": True, "tensorflow": False}


@pytest.mark.parametrize("module", ["digits.stages.ingest", "digits.stages.validate"])
def test_nothing_in_the_closure_names_tensorflow(module):
    for name in closure(module):
        assert not {i for i in imports(name) if i.split(".")[0] in ("tensorflow", "keras")}, name


def test_sizes_stay_small():
    long = {m: n for m, p in modules().items() if (n := len(p.read_text().splitlines())) > 220}
    assert not long
