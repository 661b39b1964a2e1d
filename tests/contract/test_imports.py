"""Layers, import closures, and imports without effects."""

import ast
import graphlib
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from digits import STAGES
from tests._project import python_path
from tests.contract import _graph
from tests.contract._graph import MODEL_SERVER, ROOT, SRC, closure, imports, local_imports, modules, names

RUNTIME = SRC / "runtime"
SHARED = ("augment", "line_model", "model", "nn")  # packages of several stages
# What a package of digits may import besides itself, the core and `runtime`; `pipeline` drives them all.
MAY = {"runtime": (), "augment": (), "nn": (), "model": ("nn",), "line_model": ("nn",)}
MAY |= {stage: SHARED for stage in STAGES}
# No stage imports another but here: the reader is tested on lines composed as those that it learns from.
LENT = {"evaluate": {"digits.lines", "digits.lines.compose", "digits.lines.grounds"}}
# … nor does serving, but for monitoring, which holds images to the very rules of validate.
LENT["serving.monitoring.expectations"] = {"digits.dataset"} | {
    f"digits.validate{part}" for part in ("", ".gx", ".rules", ".table")
}
# The modules that read or write files, or look at the machine. All others take and return arrays and values.
WITH_IO = {
    *("digits.dataset", "digits.files", "digits.saved_model", "digits.model.candidate"),
    *("digits.line_model.candidate", "digits.line_model.lines"),
    *("digits.ingest.sources", "digits.ingest.batches", "digits.validate.gx", "digits.validate.report"),
    *("digits.train.checkpoint", "digits.train.history", "digits.train.devices", "digits.convert.tflite"),
}
LIGHT = ("ingest", "validate")  # these stages never load TensorFlow


def room(module):
    """The package below digits that a module belongs to; of the core: none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or (SRC / parts[-1]).is_dir() else ""


def closure_files(stage):
    return {modules()[name] for name in closure(f"digits.{stage}.stage")}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_code_that_the_stage_imports(stage):
    declared = [d for d in names(_graph.dvc_yaml()["stages"][stage]["deps"]) if d.startswith("src/")]
    needed = {f for f in closure_files(stage) if RUNTIME not in f.parents and f.name != "__init__.py"}
    covered = {f for d in declared for f in _graph.sources(ROOT / d)}
    assert covered == needed | templates(needed)
    assert declared == sorted(declared)


def templates(modules):
    """The Jinja templates beside modules that name them."""
    return {t for m in modules for t in m.parent.glob("*.j2") if f'"{t.name}"' in m.read_text()}


def test_dvc_sees_neither_bytecode_nor_what_editors_leave():
    folder = "src/digits/train"
    names = ("__pycache__/loop.cpython-311.pyc", "loop.pyc", ".loop.py.swp", "loop.py~", "loop.py")
    listed = [sys.executable, "-m", "dvc", "check-ignore", *(f"{folder}/{name}" for name in names)]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert found.stdout.split() == [f"{folder}/{name}" for name in names[:-1]]


@pytest.mark.parametrize("module", modules())
def test_digits_imports_downwards_and_nothing_of_what_is_above_it(module):
    assert not {name for name in imports(module) if name.split(".")[0] in ("serving", "flows", "digits_cli")}
    here = room(module)
    if here == "pipeline":
        return
    allowed = {"", "runtime", here, *MAY.get(here, ())} if here != "runtime" else {"runtime"}
    lent = {"digits"} | LENT.get(here, set())
    above = {name for name in local_imports(module) - lent if room(name) not in allowed}
    assert not above


def test_no_import_goes_in_a_circle():
    every = _graph.every_module()
    packages = {name for name, path in every.items() if path.name == "__init__.py"}
    graph = {name: {i for i in imports(name) if i in every and i != name} - packages for name in every}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize("module", modules("serving"))
def test_serving_takes_little_from_the_pipeline_and_knows_no_command(module):
    taken = local_imports(module) - {"digits"}
    core = {"digits.facts", "digits.files", "digits.wire"} | LENT.get(module, set())
    assert not {name for name in taken if room(name) != "runtime"} - core
    assert not {name for name in imports(module) if name.split(".")[0] in ("flows", "prefect", "digits_cli")}


@pytest.mark.parametrize("module", modules("flows"))
def test_the_flows_compute_nothing(module):
    found = imports(module)
    outside = ("tensorflow", "keras", "great_expectations", "digits_cli")
    assert not {name for name in found if name.split(".")[0] in outside}
    core = {"digits", "digits.files", "digits.dataset", "digits.wire", "digits.line_model.lines"}
    core |= {"digits.evaluate", "digits.evaluate.report"}  # a page's text
    assert {name for name in local_imports(module) if room(name) not in ("runtime", "pipeline")} <= core


DISK = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "unlink", "urlopen"}


ALOOF = [m for m in modules() if room(m) not in ("runtime", "pipeline") and not m.endswith(".stage")]


@pytest.mark.parametrize("module", [module for module in ALOOF if module not in WITH_IO])
def test_what_computes_touches_no_disk_no_clock_no_global_seed(module):
    tree = ast.parse(modules()[module].read_text())
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        assert call not in ("open", "print", "Path"), call
        assert call.rpartition(".")[2] not in DISK - {"open"}, call
        assert not call.startswith(("time.", "datetime.", "random.", "requests.", "os.environ")), call
        assert call not in ("np.random.seed", "tf.random.set_seed", "keras.utils.set_random_seed"), call
    assert not {name for name in imports(module) if name == "digits.runtime.params.load"}


CHANGES = {"open", "write_text", "write_bytes", "mkdir", "rename", "unlink", "rmtree", "save", "savez"}
RUNTIME_WRITES = {  # neither is an out
    "digits.runtime.stage_main": ["open(log, 'a', encoding='utf-8')"],  # the run's own list of stages
    "digits.runtime.locks": ["lock.open('a+')"],
}


@pytest.mark.parametrize("module", [m for m in modules() if room(m) == "runtime"])
def test_the_runtime_writes_no_out_and_sets_no_variable_but_tensorflows_log_level(module):
    """It is no stage's dep, so nothing in it may change what a stage writes."""
    nodes = list(ast.walk(ast.parse(modules()[module].read_text())))
    stored = [n for n in nodes if isinstance(n, ast.Subscript) and not isinstance(n.ctx, ast.Load)]
    assert "os.environ" not in {ast.unparse(node.value) for node in stored}
    calls = {ast.unparse(node): ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    variables = {"os.putenv", "os.unsetenv", "os.environ.update", "os.environ.pop"}
    assert not variables & set(calls.values())
    for call, function in calls.items():
        assert function != "os.environ.setdefault" or "'TF_CPP_MIN_LOG_LEVEL'" in call
    written = [call for call, function in calls.items() if function.rpartition(".")[2] in CHANGES]
    assert written == RUNTIME_WRITES.get(module, [])


DEP_FOLDERS = sorted(
    {d for stage in STAGES for d in names(_graph.dvc_yaml()["stages"][stage]["deps"]) if (ROOT / d).is_dir()}
    & {f"src/digits/{path.name}" for path in SRC.iterdir()}
)


@pytest.mark.parametrize("folder", DEP_FOLDERS)
def test_a_dep_folders_init_is_a_docstring_and_nothing_else(folder):
    """The test of the deps leaves it out, so it must hold no code."""
    body = ast.parse((ROOT / folder / "__init__.py").read_text()).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)


EFFECTS = """
import contextlib, importlib, io, json, logging, os, sys, threading
def state():
    root = logging.getLogger()
    return set(os.listdir('.')), root.level, list(root.handlers)
for module in sys.argv[1:]:
    if child := os.fork():
        assert not os.waitpid(child, 0)[1], f'{module} cannot be imported'
        continue
    before, variables = state(), dict(os.environ)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        importlib.import_module(module)
    heavy = [name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules]
    found = {'quiet': before == state(), 'heavy': heavy, 'sets': dict(os.environ) != variables}
    print(json.dumps([module, found | {'printed': said.getvalue()}]), flush=True)
    os._exit(0)
"""
STAGE_MODULES = [f"digits.{stage}.stage" for stage in STAGES]
STORE = ["serving.store.store", "serving.store.publish", "serving.store.promote"]
CHECKS = ["serving.checks.infra_validator", "serving.checks.served_scores"]
RUNTIME_MODULES = [m for m in modules() if room(m) == "runtime"]


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """What importing each module does, in a process of its own: its effects, and what it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", EFFECTS, *STAGE_MODULES, *STORE, *CHECKS, *RUNTIME_MODULES, "digits_cli"],
        cwd=tmp_path_factory.mktemp("empty"),
        env=os.environ | {"PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("module", [*STAGE_MODULES, *CHECKS, "digits_cli", *STORE, *RUNTIME_MODULES])
def test_importing_has_no_effects_and_loads_no_tensorflow_and_what_only_runs_loads_no_numpy(module, imported):
    """So a stage checks its params before the seconds that TensorFlow takes to load."""
    found = imported[module]
    assert not {"tensorflow", "keras"} & set(found["heavy"])
    assert module in CHECKS or (found["quiet"] and not found["printed"])
    assert module not in (*STORE, *RUNTIME_MODULES) or not (found["heavy"] or found["sets"])


@pytest.mark.parametrize("stage", LIGHT)
def test_nothing_in_the_closure_names_tensorflow(stage):
    for name in closure(f"digits.{stage}.stage") - {"digits.runtime.tf_import"}:
        assert not {i for i in imports(name) if i.split(".")[0] in ("tensorflow", "keras")}, name


def test_the_packages_of_the_model_server_import_downwards():
    """grpc and rest at the top, then request_log, models, inference, runtime, batching, and the ground."""
    names = {m for m, path in modules(MODEL_SERVER).items() if path.name != "__init__.py"}
    server = "digits_model_server."

    def package(module):
        parts = module.removeprefix(server).split(".")
        return ".".join(parts[:-1]) or parts[0]

    graph = {}
    for module in names:
        below = {package(i) for i in imports(module) if i in names and i.startswith(server)}
        graph.setdefault(package(module), set()).update(below - {package(module)})
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("batching") < order.index("runtime") < order.index("inference")
    assert order.index("inference") < order.index("models") < order.index("request_log")
    assert order.index("request_log") < min(order.index("rest"), order.index("middleware"))


def test_the_model_server_stands_alone_with_what_it_declares():
    """So its wheel serves without the rest of the project."""
    distributions = packages_distributions()
    tops = {i.split(".")[0] for module in modules(MODEL_SERVER) for i in imports(module)}
    tops -= sys.stdlib_module_names | {"digits_model_server"}
    owners = {canonicalize_name(each) for top in tops - {"google"} for each in distributions[top]}
    files = (ROOT / "pyproject.toml", (ROOT / MODEL_SERVER).parent / "pyproject.toml")
    whole, declared = (tomllib.loads(file.read_text())["project"]["dependencies"] for file in files)
    assert {re.match(r"[a-z0-9-]+", each)[0] for each in declared} == owners | {"protobuf"}
    assert set(declared) <= set(whole)
