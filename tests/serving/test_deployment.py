"""What the files for the real TensorFlow Serving promise; no container engine and no cluster is needed."""

import re
import socket
import subprocess
import threading
from dataclasses import fields

import pytest
import yaml
from google.protobuf import text_format

from digits_model_server import protos
from digits_model_server.batching import settings
from digits_model_server.flags import Flags
from tests.contract._graph import ROOT
from tests.serving._deployment import GATEWAY, SERVERS, SERVING, container, manifest, manifests, pod, services
from tests.serving.model_server.test_flags import DEFAULTS, MORE

METRICS = "/monitoring/prometheus/metrics"

# The flags of tensorflow_model_server 2.20. It prints an unknown one and starts all the same: a typing error
# would go unnoticed.
UPSTREAM = {each.partition("=")[0].removeprefix("--") for each in DEFAULTS.split()}
FLAGS = {*UPSTREAM, *MORE.split()}


def flags(arguments):
    """The options of a command line by name."""
    pairs = [re.fullmatch(r"--([a-z_]+)=(.+)", argument) for argument in arguments]
    assert all(pairs), f"not all of --name=value: {arguments}"
    return {pair[1]: pair[2] for pair in pairs}


COMMANDS = {
    "compose": lambda: flags(services()["serving"]["command"]),
    "kubernetes": lambda: flags(container()["args"]),
}


# --- the server's own configuration files


def test_the_batching_file_is_one_that_the_server_takes():
    batching, _ = settings.read(SERVING / "batching.config")
    assert batching.rows >= 256 and batching.split, "what the client sends at once"
    assert 0 < batching.timeout < 0.01, "a lone client must not notice it"


def test_the_monitoring_file_turns_the_page_on_where_prometheus_looks():
    monitoring = protos.read(SERVING / "monitoring.config", "MonitoringConfig")
    assert monitoring.prometheus_config.enable
    jobs = yaml.safe_load((SERVING / "prometheus.yml").read_text())["scrape_configs"]
    (job,) = [job for job in jobs if job["job_name"] == "tensorflow-serving"]
    assert job["metrics_path"] == monitoring.prometheus_config.path == METRICS
    (target,) = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert host in services()
    assert port == COMMANDS["compose"]()["rest_api_port"]


def test_kubernetes_has_the_same_monitoring_file():
    (made,) = manifest("Kustomization")["configMapGenerator"]
    (literal,) = made["literals"]
    name, text = literal.split("=", 1)
    ours = protos.read(SERVING / "monitoring.config", "MonitoringConfig")
    assert text_format.Parse(text, protos.message("MonitoringConfig")()) == ours
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert f"{mounts['config']}/{name}" == COMMANDS["kubernetes"]()["monitoring_config_file"]


# --- how the servers are started


@pytest.mark.parametrize("server", COMMANDS)
def test_the_servers_have_these_flags_listen_on_the_ports_of_the_contract_and_follow_the_pointer(server):
    given = COMMANDS[server]()
    assert set(given) <= FLAGS
    assert (given["port"], given["rest_api_port"]) == ("8500", "8501")
    assert given["model_config_file"].endswith("/models.config")
    assert 1 <= int(given["model_config_file_poll_wait_seconds"]) <= 10
    assert given["enable_profiler"] == "false"
    assert not {"enable_batching", "batching_parameters_file"} & set(given), (
        "requests are not joined by default"
    )


# --- compose


@pytest.mark.parametrize("name", ["serving", "gateway", "prometheus"])
def test_containers_are_confined_bounded_and_reached_from_this_machine_alone(name):
    service = services()[name]
    assert service["ports"] and "network_mode" not in service
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in service["ports"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    default = re.sub(r"\$\{\w+:-(\d+)\}", r"\1", service["user"])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", default), "root, or not a number"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["healthcheck"]["test"][0] == "CMD"
    binds = [mount for mount in service["volumes"] if mount["type"] == "bind"]
    assert binds
    if name == "serving":
        opened = {COMMANDS["compose"]()[flag] for flag in ("port", "rest_api_port")}
        assert {port.rpartition(":")[2] for port in service["ports"]} == opened
    for mount in binds:
        assert mount["read_only"] is True
        assert mount["bind"] == {"create_host_path": False}, "a missing one is an error"
        if mount["source"].startswith("./"):
            assert (SERVING / mount["source"]).is_file()


def test_the_folder_of_the_pointer_is_mounted_at_the_path_that_it_has_outside():
    given = COMMANDS["compose"]()["model_config_file"].removesuffix("/models.config")
    (mount,) = [m for m in services()["serving"]["volumes"] if m["target"] == given]
    assert mount["source"] == mount["target"]
    assert given.startswith("${DIGITS_STORE:?"), "left empty it must be refused with a word of help"


@pytest.mark.parametrize("status, healthy", [("200 OK", True), ("404 Not Found", False)])
def test_the_health_check_is_a_script_that_tells_200_from_404(status, healthy):
    """Run for real against a socket; only the port differs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = []

        def answer():
            connection, _ = listener.accept()
            with connection:
                request = b""
                while not request.endswith(b"\r\n\r\n"):  # the shell sends line by line
                    request += connection.recv(4096)
                asked.append(request)
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        script = services()["serving"]["healthcheck"]["test"][-1].replace("$$", "$")
        assert "curl" not in script and "wget" not in script, "the image has neither"
        script = script.replace("/8501", f"/{listener.getsockname()[1]}")
        done = subprocess.run(["bash", "-c", script], timeout=20, check=False)
        thread.join()
    assert (done.returncode == 0) is healthy
    assert asked[0].startswith(b"GET /v1/models/digits/metadata HTTP/1.1\r\nHost: ")


def test_images_are_of_a_release_and_can_be_pinned_from_outside():
    wanted = {"serving": "tensorflow/serving:2.20.0", "prometheus": r"prom/prometheus:v\d+\.\d+\.\d+"}
    for name, image in wanted.items():
        assert re.fullmatch(rf"\$\{{DIGITS_{name.upper()}_IMAGE:-{image}\}}", services()[name]["image"])
    assert "DIGITS_SERVING_IMAGE=tensorflow/serving:2.20.0@sha256:" in (SERVING / "compose.yaml").read_text()


# --- Kubernetes


@pytest.mark.parametrize("folder", [SERVERS, GATEWAY], ids=["servers", "gateway"])
def test_every_part_points_at_the_pods_and_kustomize_is_given_all(folder):
    labels = manifest("Deployment", folder)["spec"]["selector"]["matchLabels"]
    assert labels.items() <= pod(folder)["metadata"]["labels"].items()
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        assert manifests(kind, folder)
        for part in manifests(kind, folder):
            found = part["spec"].get("podSelector", part["spec"].get("selector"))
            assert found.get("matchLabels", found) == labels
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(manifest("Kustomization", folder)["resources"]) == files
    (image,) = manifest("Kustomization", folder)["images"]
    assert image["name"] == container(folder)["image"]
    assert folder is GATEWAY or image.get("digest") or image["newTag"] == "2.20.0"


def test_the_autoscaler_owns_the_count_of_servers():
    target = manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", manifest("Deployment")["metadata"]["name"])
    scaler = manifest("HorizontalPodAutoscaler")["spec"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert "replicas" not in manifest("Deployment")["spec"], "it would set the count back at every apply"


@pytest.mark.parametrize("folder", [SERVERS, GATEWAY], ids=["servers", "gateway"])
def test_pods_run_without_rights_write_nowhere_but_tmp_and_are_bounded(folder):
    spec, only = pod(folder)["spec"], container(folder)
    assert spec["automountServiceAccountToken"] is False
    context, own = spec["securityContext"], only["securityContext"]
    assert context["runAsNonRoot"] is True and context["runAsUser"] > 0 and context["runAsGroup"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    writable = [mount["mountPath"] for mount in only["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/tmp"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for part in ("requests", "limits"):
        assert set(only["resources"][part]) == {"cpu", "memory"}


def test_the_store_is_mounted_as_a_folder_where_the_flag_looks_for_the_pointer():
    (mount,) = [mount for mount in container()["volumeMounts"] if mount["name"] == "store"]
    assert mount["readOnly"] is True and "subPath" not in mount
    assert COMMANDS["kubernetes"]()["model_config_file"] == f"{mount['mountPath']}/models.config"
    (volume,) = [volume for volume in pod()["spec"]["volumes"] if volume["name"] == "store"]
    claim = volume["persistentVolumeClaim"]
    assert claim == {"claimName": manifest("PersistentVolumeClaim")["metadata"]["name"], "readOnly": True}


def test_a_pod_takes_requests_only_when_the_model_answers_and_lives_as_long_as_it_listens():
    ports = {port["name"]: str(port["containerPort"]) for port in container()["ports"]}
    given = COMMANDS["kubernetes"]()
    assert ports == {"grpc": given["port"], "rest": given["rest_api_port"]}
    assert container()["readinessProbe"]["httpGet"] == {"path": "/v1/models/digits/metadata", "port": "rest"}
    for probe in ("livenessProbe", "startupProbe"):
        assert container()[probe]["tcpSocket"]["port"] in ports


def test_no_request_is_dropped_by_an_update_or_by_maintenance():
    spec = manifest("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    (wait,) = [int(w) for w in container()["lifecycle"]["preStop"]["exec"]["command"] if w.isdecimal()]
    longest = int(COMMANDS["kubernetes"]()["rest_api_timeout_in_ms"]) / 1000
    assert pod()["spec"]["terminationGracePeriodSeconds"] >= wait + longest
    assert manifest("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_service_stays_inside_the_cluster_and_only_labelled_pods_call_servers_which_call_nobody():
    names = {port["name"] for port in container()["ports"]}
    services = manifests("Service")
    assert {each["metadata"]["name"] for each in services} == {"digits-serving", "digits-serving-each"}
    for service in services:
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    assert not manifests("Ingress")
    policy = manifest("NetworkPolicy")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["egress"] == []
    assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])
    wanted = policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert wanted.items() <= pod(GATEWAY)["metadata"]["labels"].items(), "the gateway is let in"


# --- the run book


def test_the_run_book_names_flags_that_exist_and_files_that_are_there():
    text = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"--([a-z_]+_[a-z_]+)\b", text))  # ours have hyphens; one-word flags are shared
    assert named
    assert named <= FLAGS | {field.name for field in fields(Flags)}
    for path in set(re.findall(r"`(serving/[\w./-]+\.(?:config|yaml|yml|md))`", text)):
        assert (ROOT / path).is_file(), path
