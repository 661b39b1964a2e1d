"""The project's graph and import structure, read from its files."""

import ast
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "digits"
COMPUTING = ("train", "lines", "evaluate", "export", "convert")  # what they make depends on TensorFlow
MODEL_SERVER = "serving/model_server/digits_model_server"
COMPUTE_LOCK = "requirements-compute.lock"  # the libraries that these compute with


def dvc_yaml() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())


def names(entries: list) -> list[str]:
    """Return the paths of deps, outs or metrics, whether plain or with options."""
    return [next(iter(e)) if isinstance(e, dict) else e for e in entries]


@cache
def modules(package: str = "src/digits") -> dict[str, Path]:
    """Return the file of every module of a package, by its dotted name.

    `serving` without the projects of their own below it.
    """
    top, found = ROOT / package, {}
    apart = {ROOT / "serving" / name for name in ("client", "model_server")} - set(top.parents)
    for path in sorted(top.rglob("*.py")):
        if not apart & set(path.parents):
            parts = path.relative_to(top.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def every_module() -> dict[str, Path]:
    """Return the file of every module of all packages but the client, by its dotted name."""
    packages = ("src/digits", "src/digits_cli", "serving", MODEL_SERVER, "flows")
    return {name: path for package in packages for name, path in modules(package).items()}


@cache
def imports(module: str) -> frozenset[str]:
    """Return every module that a module's text imports, inside functions too, without those for type checks
    only.
    """
    tree = ast.parse(every_module()[module].read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def local_imports(module: str) -> set[str]:
    return {name for name in imports(module) if name in modules()}


def sources(path: Path) -> set[Path]:
    """Return what DVC hashes of a dep that is code, but for the docstrings in `__init__.py`."""
    if path.is_file():
        return {path}
    found = (each for kind in ("*.py", "*.j2") for each in path.rglob(kind))
    return {each for each in found if each.name != "__init__.py"}


def closure(module: str) -> set[str]:
    """Return the module and everything inside src/digits that it imports, directly or not."""
    seen: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(local_imports(name))
    return seen
