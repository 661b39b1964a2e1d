"""What the compose file and the cluster's files say."""

import yaml

from tests.contract._graph import ROOT

SERVING = ROOT / "serving"
SERVERS, GATEWAY = SERVING / "k8s", SERVING / "k8s" / "gateway"


def services():
    return yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]


def manifests(kind, folder=SERVERS):
    """The Kubernetes objects of a kind."""
    parts = [part for path in sorted(folder.glob("*.yaml")) for part in yaml.safe_load_all(path.read_text())]
    return [part for part in parts if part["kind"] == kind]


def manifest(kind, folder=SERVERS):
    (found,) = manifests(kind, folder)
    return found


def pod(folder=SERVERS):
    return manifest("Deployment", folder)["spec"]["template"]


def container(folder=SERVERS):
    (only,) = pod(folder)["spec"]["containers"]
    return only
