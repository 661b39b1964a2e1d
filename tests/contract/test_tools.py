"""The tools are set up so that nothing calls home and every dependency is accounted for."""

import configparser
import re
import tomllib

from ._graph import ROOT


def test_dvc_telemetry_is_off_in_the_repository():
    config = configparser.ConfigParser()
    config.read_string(re.sub(r"^\s+", "", (ROOT / ".dvc" / "config").read_text(), flags=re.M))
    assert config["core"]["analytics"] == "false"
    assert config["core"]["check_update"] == "false"


def test_prefect_keeps_to_the_project_and_sends_nothing():
    settings = tomllib.loads((ROOT / "prefect.toml").read_text())
    assert settings["server"]["analytics_enabled"] is False
    assert settings["server"]["ephemeral"]["startup_timeout_seconds"] >= 60


def test_every_direct_dependency_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|dev) = \[\n(.*?)^\]", text, re.M | re.S)
    listed = re.findall(r'^    "([a-z0-9-]+)[^"]*",?(.*)$', "".join(lists), re.M)
    assert len(listed) > 15
    assert not [name for name, rest in listed if not re.search(r"#\s*\S+ \S+", rest)]


def test_the_lock_names_no_address_and_pins_every_direct_dependency_with_hashes():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    assert {re.match(r"[a-z0-9-]+", d)[0] for d in direct} <= pinned
    for block in re.split(r"\n(?=[a-z0-9.-]+==)", lock.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]
