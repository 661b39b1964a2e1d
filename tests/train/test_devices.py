import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from digits.runtime import hardware
from digits.runtime.errors import ParamsError, TrainingError
from digits.runtime.hardware import Hardware
from digits.train import devices
from digits.train.devices import Cluster, Replicas
from tests._project import ROOT, environment
from tests.train._recipes import tiny


@pytest.fixture
def machine(monkeypatch):
    """A machine with some GPUs and CPU flags."""

    def make(*, capability=None, flags=()):
        gpus = [object()] if capability else []
        config, experimental = tf.config, tf.config.experimental
        monkeypatch.setattr(config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else [])
        monkeypatch.setattr(config, "set_visible_devices", lambda *_: None)
        grown = []
        monkeypatch.setattr(experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu, on)))
        monkeypatch.setattr(experimental, "get_device_details", lambda _: {"compute_capability": capability})
        monkeypatch.setattr(hardware, "_cpu_flags", lambda: set(flags))
        return gpus, grown

    return make


@pytest.mark.parametrize(
    ("flags", "precision"),
    [(["avx2", "avx512_bf16"], "bfloat16"), (["amx_bf16"], "bfloat16"), (["avx2"], "float32")],
)
def test_a_cpu_computes_in_bfloat16_where_it_can(section, machine, flags, precision):
    machine(flags=flags)
    assert hardware.find_hardware(section()) == Hardware("cpu", precision, "augmentation")


@pytest.mark.parametrize(("capability", "precision"), [((9, 0), "bfloat16"), ((7, 5), "float16")])
def test_a_gpu_is_taken_where_there_is_one_and_its_memory_as_needed(section, machine, capability, precision):
    gpus, grown = machine(capability=capability)
    assert hardware.find_hardware(section()) == Hardware("gpu", precision, "everything")
    assert grown == [(gpus[0], True)]


def test_what_is_asked_for_is_done(section, machine):
    machine(capability=(9, 0), flags=["avx512_bf16"])
    found = hardware.find_hardware(section(device="cpu", precision="float32", xla="nothing"))
    assert found == Hardware("cpu", "float32", "nothing")


def test_a_gpu_that_is_not_there_is_told(section, machine):
    machine()
    with pytest.raises(ParamsError, match=r"device is gpu"):
        hardware.find_hardware(section(device="gpu"))


CPU, GPU = Hardware("cpu", "float32", "augmentation"), Hardware("gpu", "bfloat16", "everything")
HOSTS = {"worker": ["a:1", "b:1"]}


class Devices:
    """Stands for a strategy over some devices."""

    def __init__(self, count):
        self.num_replicas_in_sync = count


@pytest.fixture
def hosts(monkeypatch):
    """A machine with some GPUs, and a TF_CONFIG in its environment."""

    def make(*, gpus=0, cluster=None, task=("worker", 0)):
        physical = [object()] * gpus
        monkeypatch.setattr(
            tf.config, "list_physical_devices", lambda kind: physical if kind == "GPU" else [1]
        )
        logical = [tf.config.LogicalDevice(f"GPU:{n}", "GPU") for n in range(gpus)]
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: logical if kind == "GPU" else [1])
        monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda devices: Devices(len(devices)))
        monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: Devices(2 * max(gpus, 1)))
        monkeypatch.delenv("TF_CONFIG", raising=False)
        if cluster:
            told = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
            monkeypatch.setenv("TF_CONFIG", json.dumps(told))

    return make


def section_of(section, **changes):
    return section(**({"distribution": "auto", "xla": "auto"} | changes))


@pytest.mark.parametrize(("gpus", "hardware"), [(0, CPU), (1, GPU), (4, CPU)])
def test_one_device_stays_alone_and_its_settings_as_they_are(section, hosts, gpus, hardware):
    hosts(gpus=gpus)
    found, together = devices.find_replicas(section_of(section), hardware)
    assert found == hardware
    assert together.strategy is None and together.count == 1


def test_several_gpus_train_together_with_xla_for_the_augmentation_alone(section, hosts):
    hosts(gpus=4)
    found, together = devices.find_replicas(section_of(section), GPU)
    assert found == Hardware("gpu", "bfloat16", "augmentation")
    assert together.count == 4 and together.hosts == 1 and together.is_chief


def test_none_leaves_the_other_gpus_and_hosts_alone(section, hosts):
    hosts(gpus=4, cluster=HOSTS)
    assert devices.find_replicas(section_of(section, distribution="none"), GPU)[1].strategy is None


@pytest.mark.parametrize("asked", ["auto", "hosts"])
def test_the_hosts_of_tf_config_train_together(section, hosts, asked):
    hosts(cluster=HOSTS, task=("worker", 1))
    _, together = devices.find_replicas(section_of(section, distribution=asked), CPU)
    assert (together.hosts, together.host, together.is_chief) == (2, 1, False)


def test_the_chief_comes_before_the_workers():
    cluster = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}

    def host(job, index):
        return devices._cluster(json.dumps({"cluster": cluster, "task": {"type": job, "index": index}}))

    assert host("chief", 0) == Cluster(3, 0)
    assert host("worker", 1) == Cluster(3, 2)


def test_what_is_asked_for_and_not_there_is_told(section, hosts):
    hosts(gpus=1)
    with pytest.raises(ParamsError, match="sees 1 GPU"):
        devices.find_replicas(section_of(section, distribution="mirrored"), GPU)
    with pytest.raises(ParamsError, match="TF_CONFIG in the environment names fewer than two"):
        devices.find_replicas(section_of(section, distribution="hosts"), CPU)
    hosts(gpus=2)
    with pytest.raises(ParamsError, match=r"train\.xla is everything"):
        devices.find_replicas(section_of(section, xla="everything"), GPU)


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        json.dumps({"cluster": HOSTS}),
        json.dumps({"cluster": HOSTS, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": HOSTS | {"ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}),
    ],
)
def test_a_tf_config_that_says_something_else_is_told(config):
    with pytest.raises(ParamsError, match="TF_CONFIG in the environment is"):
        devices._cluster(config)


def test_a_batch_that_can_not_be_shared_equally_is_refused():
    three = Replicas(Devices(3))
    devices.check_batch(tiny(batch=66), three)
    with pytest.raises(ParamsError, match=r"train\.batch is 64, which 3 devices .* take 63 or 66"):
        devices.check_batch(tiny(batch=64), three)
    with pytest.raises(ParamsError, match=r"batch is 64"):
        devices.check_batch(tiny(batch=66, teacher=tiny(batch=64)), three)


def test_a_host_that_is_lost_is_told_in_one_line_and_other_errors_as_they_are():
    two = Replicas(Devices(2), host=1, hosts=2)
    lost = tf.errors.UnavailableError(None, None, "Graph execution error:\n\nrecvmsg:Connection reset\nmore")
    with (
        pytest.raises(
            TrainingError, match=r"host 1 lost another of the 2 .* again.*recvmsg:Connection reset\)"
        ),
        devices.raise_if_host_lost(two),
    ):
        raise lost
    with pytest.raises(tf.errors.UnavailableError), devices.raise_if_host_lost(Replicas()):
        raise lost
    with pytest.raises(tf.errors.ResourceExhaustedError), devices.raise_if_host_lost(two):
        raise tf.errors.ResourceExhaustedError(None, None, "memory")


def test_hosts_that_hold_other_data_are_told(monkeypatch):
    two = Replicas(Devices(2), host=1, hosts=2)
    monkeypatch.setattr(two, "over_hosts", lambda own: own)  # the other host's row stays empty
    with pytest.raises(TrainingError, match="do not hold the same data"):
        devices.check_alike(two, "0a1b")
    monkeypatch.setattr(
        two, "over_hosts", lambda own: [a + b for a, b in zip(own, own[4:] + own[:4], strict=True)]
    )
    devices.check_alike(two, "0a1b")


CLOSE = 1e-3  # of weights around 0.1 to 1: five times what the order of float32's sums made in five steps


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What one device made of each recipe, and what two made together, by the recipe's name."""
    folder = tmp_path_factory.mktemp("replicas")
    env = environment(folder) | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", "tests.train._two_devices", str(folder)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return lambda name: tuple(dict(np.load(folder / f"{name}-{count}.npz")) for count in (1, 2))


def furthest(one, two):
    assert one.keys() == two.keys()
    return max(np.abs(one[name] - two[name]).max() for name in one if name.startswith("weight"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "ensemble", "outliers", "muon"])
def test_two_devices_make_the_weights_of_one(made, name):
    """With augmentation, batch norm, dropout, penalties, averaged weights, a teacher, outliers."""
    one, two = made(name)
    assert furthest(one, two) < CLOSE
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-2 if name == "muon" else 1e-4)


@pytest.mark.slow
def test_so_do_they_where_kernels_are_pruned(made):
    one, two = made("pruned")
    assert furthest(one, two) < CLOSE
    zeros = [np.mean(two[name] == 0) for name in two if name.startswith("weight") and two[name].ndim > 1]
    assert min(zeros) > 0.3


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch_of_both(made):
    _, two = made("stopping")
    assert two["stopped"]
    assert two["kept"] == pytest.approx(two["val_loss"].min(), rel=1e-3)


@pytest.mark.slow
def test_both_pass_over_overflows_of_float16(made):
    one, two = made("float16")
    assert np.isfinite(furthest(one, two))
    assert two["loss"][-1] < two["loss"][0]


def test_one_device_hands_back_what_it_is_given():
    alone = Replicas()
    assert alone.count == 1 and alone.is_chief
    assert alone.over_hosts([0.1, 1e300]) == [0.1, 1e300]
    assert alone.from_chief(b"all") == b"all"
    assert alone.alike(b"digest")
