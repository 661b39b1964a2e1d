"""A job → a digest of what its figures depend on: a run goes on where nothing of that has changed.

Of the code that is what the job imports, found in the text of the modules; of a profile its resolved recipe
and not the text that it stands in, so that a new profile makes no other one's records worthless.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bench import recipes
from bench.references import REFERENCES
from digits import profiles
from digits.profiles import Hardware

# Only through the resolved recipe, and the sections of params.yaml below.
NOT_BY_TEXT = {f"digits.{name}" for name in ("profiles", "zoo", "params", "train_params", "section")}
NOT_BY_TEXT |= {"bench.figures", "bench.plan"}  # names and order of what is run
FULL, SAMPLE = 55_000, 4_000  # images, about: which of a profile's settings apply
LOCK, PARAMS = "requirements.lock", "params.yaml"


def digest(root: Path, job: Mapping[str, Any]) -> str:
    """The digest of a job of `bench.plan`, or of one whose part is "pipeline" or "cold"."""
    part = job["part"]
    if part in ("pipeline", "cold"):
        sources = sorted((root / "src" / "digits").rglob("*.py"))
        return _sha(root, [*sources, *(root / name for name in (LOCK, PARAMS, "dvc.yaml"))], None)
    params = yaml.safe_load((root / PARAMS).read_text(encoding="utf-8"))
    data: list[Any] = [params["ingest"]["dataset"], params["ingest"]["files"]]
    if part in ("peak", "canonicalisation"):
        start = ["bench.timings"]
    elif part == "compression":
        start = ["bench.compression"]
        data.append(params["preprocess"])
    elif job["model"] in REFERENCES:
        start = ["bench.train_reference", "bench.references"]
    else:
        start = ["bench.train_ours", "bench.latency"]
        data += [params[name] for name in ("preprocess", "evaluate", "export")]
    if part != "peak" and job["model"] not in REFERENCES:
        section = recipes.params_of(job["model"], job["seed"])
        n = SAMPLE if part == "sample" else FULL
        data.append(profiles.resolve(section, n, Hardware("cpu", "float32", "nothing")).to_dict())
    known = _modules(root)
    paths = [known[name] for name in sorted(_closure(root, start))]
    return _sha(root, [*paths, root / LOCK], data)


def _sha(root: Path, paths: Iterable[Path], data: Any) -> str:
    found = hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode())
    for path in paths:
        found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


@cache
def _modules(root: Path) -> dict[str, Path]:
    """Dotted name → file, of the bench and of the package that it measures."""
    found = {}
    for above, package in ((root, "bench"), (root / "src", "digits")):
        for path in (above / package).rglob("*.py"):
            parts = path.relative_to(above).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _closure(root: Path, start: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    queue = list(start)
    while queue:
        name = queue.pop()
        if name not in seen and name not in NOT_BY_TEXT:
            seen.add(name)
            queue.extend(_named(_modules(root)[name], _modules(root).keys()))
    return seen


def _named(path: Path, modules: Iterable[str]) -> set[str]:
    """The modules that a text imports, inside functions too, or names in full to import by name."""
    found: set[Any] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found & set(modules)
