"""What the gateway's image, compose service and cluster files promise; no container engine is needed."""

import argparse
import re
import subprocess
import sys

from serving.app import main
from serving.app.settings import add_options
from tests.contract._graph import ROOT
from tests.serving._deployment import GATEWAY, SERVING, container, manifest, manifests, pod, services
from tests.serving._server import environment

PACKAGES = (SERVING / "app" / "packages.txt").read_text().split()
# Imports what the gateway imports, with every other installed package out of sight, and opens it.
ALONE = """
import asyncio, importlib.metadata, pathlib, sys
allowed, folder = set(sys.argv[1].split(",")), pathlib.Path(sys.argv[2])
plain = lambda name: name.lower().replace("_", "-")
owners = importlib.metadata.packages_distributions()
class Guard:
    def find_spec(self, name, path=None, target=None):
        found = {plain(each) for each in owners.get(name.partition(".")[0], [])} - {"digits"}
        if found and not found & allowed:
            raise ModuleNotFoundError(f"No module named {name!r}: not of packages.txt")
sys.meta_path.insert(0, Guard())
import serving.app.__main__, asyncpg
from serving.app.application import open_gateway
from serving.app.settings import Settings
import serving.app.server
async def go():
    given = Settings(feedback=f"sqlite:///{folder / 'f.db'}", log=folder / "requests", server="localhost:1")
    async with open_gateway(given):
        print("open")
asyncio.run(go())
"""


def settings(arguments, tmp_path, env=()):
    """What the gateway makes of a container's arguments: an unknown one would end it."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    filled = [re.sub(r"\$\{\w+:\?[^}]*\}", str(tmp_path), each) for each in arguments]
    return main.read(parser.parse_args(filled), tmp_path, dict(env))


def test_the_image_has_every_package_that_the_gateway_imports(tmp_path):
    command = [sys.executable, "-c", ALONE, ",".join(PACKAGES), str(tmp_path)]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "open\n", done.stderr[-2000:]


def test_the_images_packages_are_those_of_the_lock_with_their_digests(tmp_path):
    (script,) = re.findall(r"awk '(.*?)'", (SERVING / "app" / "Dockerfile").read_text())
    lock = ROOT / "requirements.lock"
    command = ["awk", script, SERVING / "app" / "packages.txt", lock]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^([a-z0-9-]+)==", made, re.M)
    assert sorted(set(names)) == PACKAGES  # one may be there twice, for different Pythons
    assert set(made.splitlines()) <= set(lock.read_text().splitlines())
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z])", made))


def test_the_image_runs_as_nobody_and_holds_no_more_than_it_needs():
    text = (SERVING / "app" / "Dockerfile").read_text()
    assert "USER 65534:65534" in text
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M)
    needed = {"requirements.lock", "serving/app/packages.txt", "src/digits", "serving"}
    assert set(" ".join(copied).split()) == needed
    for path in " ".join(copied).split():
        assert (ROOT / path).exists()


def test_compose_gives_it_options_that_it_has(tmp_path):
    service = services()["gateway"]
    given, address = settings(service["command"], tmp_path)
    assert given.server == "serving:8500" and address.host == "0.0.0.0"
    assert "localhost" in given.hosts
    state = [mount["target"] for mount in service["volumes"] if mount["type"] == "volume"]
    assert state == ["/var/lib/digits"]
    assert given.feedback.startswith(f"sqlite:///{state[0]}/") and str(given.log).startswith(state[0])
    assert service["healthcheck"]["test"][0] == "CMD" and "/readyz" in service["healthcheck"]["test"][-1]
    assert service["build"] == {"context": "..", "dockerfile": "serving/app/Dockerfile"}


def test_the_pods_share_a_database_and_come_and_go_without_losing_a_request(tmp_path):
    only = container(GATEWAY)
    named = {each["name"]: "postgresql://u@db/x" for each in only["env"] if "FEEDBACK" in each["name"]}
    given, address = settings(only["args"], tmp_path, named)
    assert given.feedback.startswith("postgresql")
    assert given.server.partition(":")[0] in {part["metadata"]["name"] for part in manifests("Service")}
    grace = pod(GATEWAY)["spec"]["terminationGracePeriodSeconds"]
    assert address.drain >= 5 and grace > address.drain + given.limits.seconds
    probes = {name: only[name]["httpGet"]["path"] for name in ("readinessProbe", "livenessProbe")}
    assert probes == {"readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    assert manifest("Deployment", GATEWAY)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
