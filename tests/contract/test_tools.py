"""The tools are set up so that nothing calls home and every dependency is accounted for."""

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from digits_model_server import __version__
from tests.contract._graph import COMPUTE_LOCK, COMPUTING, ROOT, closure, imports


def test_dvc_and_prefect_send_nothing():
    config = configparser.ConfigParser()
    config.read_string(re.sub(r"^\s+", "", (ROOT / ".dvc" / "config").read_text(), flags=re.M))
    assert config["core"]["analytics"] == "false"
    assert config["core"]["check_update"] == "false"
    assert tomllib.loads((ROOT / "prefect.toml").read_text())["server"]["analytics_enabled"] is False


def test_a_clone_with_the_line_ends_of_windows_has_those_of_sh_and_of_dvcs_digests(tmp_path):
    def git(*arguments):
        author = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=true"]
        subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True)

    names = (".gitattributes", "setup.sh", "params.yaml", "src/digits/wire.py")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "start")
    for name in names[1:]:
        (tmp_path / name).unlink()
    git("checkout", "--", ".")
    assert all((tmp_path / name).read_bytes() == (ROOT / name).read_bytes() for name in names)


def test_the_lock_names_no_address_and_pins_every_direct_dependency_with_hashes():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    pinned = blocks("requirements.lock")
    assert {re.match(r"[a-z0-9-]+", d)[0] for d in direct} <= set(pinned)
    assert not [name for name, each in pinned.items() if not all("--hash=sha256:" in block for block in each)]


def test_what_an_extra_adds_is_locked_and_fits_what_is_always_there_and_every_other_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    files = {path.stem: path for path in (ROOT / "requirements-extras").iterdir()}
    assert set(files) == set(extras) and f"in {' '.join(sorted(extras))};" in (ROOT / "Makefile").read_text()
    pinned = dict(blocks("requirements.lock"))
    for name, (direct,) in extras.items():
        added = blocks(f"requirements-extras/{name}.lock")
        assert "://" not in files[name].read_text()
        assert all("--hash=sha256:" in block for each in added.values() for block in each)
        assert Requirement(direct).name in pinned | added, f"make lock: {name}"
        assert {each: pinned.get(each, added[each]) for each in added} == added, "one version of a package"
        pinned |= added


def test_the_projects_have_one_version():
    """A release is all of them, and the model server and the client are installed by themselves too."""
    projects = [ROOT, ROOT / "serving" / "client", ROOT / "serving" / "model_server"]
    found = [tomllib.loads((each / "pyproject.toml").read_text())["project"] for each in projects]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert [each.get("version", __version__) for each in found] == [cited] * 3
    assert found[2]["dynamic"] == ["version"]


def blocks(lock):
    """The pins of a lock with their hashes, by the name of the package."""
    found = {}
    text = re.sub(r"^#.*\n?", "", (ROOT / lock).read_text(), flags=re.M)
    for block in filter(None, re.split(r"\n(?=[a-z0-9.-]+==)", text.strip())):
        found.setdefault(block.partition("==")[0], []).append(block)
    return found


RECORDS_ONLY = {"dvclive"}  # writes the learning curve; its dependencies are all of DVC's


def test_the_compute_lock_is_what_the_computing_stages_import_and_equals_the_lock():
    """So a new linter or web library makes no model stale, and another TensorFlow does."""
    distributions = packages_distributions()
    modules = {m for stage in COMPUTING for m in closure(f"digits.{stage}.stage") if ".runtime" not in m}
    tops = {name.split(".")[0] for module in modules for name in imports(module)} - sys.stdlib_module_names
    imported = {canonicalize_name(d) for top in tops - {"digits"} for d in distributions[top]} - RECORDS_ONLY
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["dependency-groups"]["compute"]) == imported
    whole, part = blocks("requirements.lock"), blocks(COMPUTE_LOCK)
    assert imported <= set(part)
    assert {name: whole.get(name) for name in part} == part
    for name in part:  # and what these need, on every system that the lock is for
        try:
            needed = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:  # of another system
            continue
        for each in needed:
            extra = "extra" in str(each.marker or "")
            if not extra and canonicalize_name(each.name) in whole:
                assert canonicalize_name(each.name) in part, f"{name} needs {each.name}"
