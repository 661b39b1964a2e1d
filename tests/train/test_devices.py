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
from digits.train.devices import Replicas
from tests._project import ROOT, environment
from tests.train._recipes import tiny

CPU, GPU = Hardware("cpu", "float32", "augmentation"), Hardware("gpu", "bfloat16", "everything")
CPU_BF16 = Hardware("cpu", "bfloat16", "augmentation")
HOSTS = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}


class Devices:
    """Stands for a strategy over some devices."""

    def __init__(self, count):
        self.num_replicas_in_sync = count


@pytest.fixture
def machine(monkeypatch):
    """A machine with some GPUs and CPU flags, and a TF_CONFIG; returns whose memory is taken as needed."""

    def make(gpus=0, *, capability=(9, 0), vendor="GenuineIntel", flags=(), host=None):
        physical, grown = [f"GPU {n}" for n in range(gpus)], []
        logical = [tf.config.LogicalDevice(f"GPU:{n}", "GPU") for n in range(gpus)]
        config, experimental, distribute = tf.config, tf.config.experimental, tf.distribute
        monkeypatch.setattr(config, "list_physical_devices", lambda kind: physical if kind == "GPU" else [1])
        monkeypatch.setattr(config, "list_logical_devices", lambda kind: logical if kind == "GPU" else [1])
        monkeypatch.setattr(config, "set_visible_devices", lambda *_: None)
        monkeypatch.setattr(experimental, "set_memory_growth", lambda gpu, _: grown.append(gpu))
        monkeypatch.setattr(experimental, "get_device_details", lambda _: {"compute_capability": capability})
        monkeypatch.setattr(hardware, "_cpu", lambda: (vendor, set(flags)))
        monkeypatch.setattr(distribute, "MirroredStrategy", lambda devices: Devices(len(devices)))
        monkeypatch.setattr(distribute, "MultiWorkerMirroredStrategy", lambda: Devices(3 * max(gpus, 1)))
        monkeypatch.delenv("TF_CONFIG", raising=False)
        if host is not None:
            task = {"type": "worker", "index": host}
            monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": HOSTS, "task": task}))
        return grown

    return make


ASKED = {"device": "cpu", "precision": "float32", "xla": "nothing"}


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ({"vendor": "AuthenticAMD", "flags": ["avx512_bf16"]}, {}, CPU_BF16),
        ({"flags": ["avx2", "avx512_bf16"]}, {}, CPU),  # AMX hidden: float32 is twice as fast
        ({"flags": ["avx512_bf16", "amx_bf16"]}, {}, CPU_BF16),
        ({"flags": ["avx2"]}, {}, CPU),
        ({"gpus": 1}, {}, GPU),
        ({"gpus": 1, "capability": (7, 5)}, {}, Hardware("gpu", "float16", "everything")),
        ({"gpus": 1, "flags": ["avx512_bf16"]}, ASKED, Hardware(*ASKED.values())),
    ],
)
def test_a_gpu_is_taken_where_there_is_one_and_bfloat16_where_it_is_quick(
    section, machine, there, asked, found
):
    grown = machine(**there)
    assert hardware.find_hardware(section(**asked)) == found
    assert grown == ["GPU 0"] * (found.device == "gpu")


@pytest.mark.parametrize(
    ("there", "hardware", "asked", "together"),
    [
        ({"gpus": 0}, CPU, "auto", (1, 1, 0)),
        ({"gpus": 1}, GPU, "auto", (1, 1, 0)),
        ({"gpus": 4}, CPU, "auto", (1, 1, 0)),
        ({"gpus": 4}, GPU, "auto", (4, 1, 0)),
        ({"gpus": 4, "host": 0}, GPU, "none", (1, 1, 0)),
        ({"host": 1}, CPU, "auto", (3, 3, 2)),  # the chief comes before the workers
        ({"host": 1}, CPU, "hosts", (3, 3, 2)),
    ],
)
def test_gpus_and_the_hosts_of_tf_config_train_together(section, machine, there, hardware, asked, together):
    machine(**there)
    found, replicas = devices.find_replicas(section(distribution=asked, xla="auto"), hardware)
    assert (replicas.count, replicas.hosts, replicas.host) == together
    several_gpus = together[0] > 1 and hardware == GPU  # XLA is then for the augmentation alone
    assert found == (Hardware("gpu", "bfloat16", "augmentation") if several_gpus else hardware)


def test_what_is_asked_for_and_not_there_and_a_tf_config_that_says_something_else_are_told(
    section, machine, monkeypatch
):
    machine()
    with pytest.raises(ParamsError, match=r"device is gpu"):
        hardware.find_hardware(section(device="gpu"))
    machine(gpus=1)
    with pytest.raises(ParamsError, match="sees 1 GPU"):
        devices.find_replicas(section(distribution="mirrored"), GPU)
    with pytest.raises(ParamsError, match="TF_CONFIG in the environment names fewer than two"):
        devices.find_replicas(section(distribution="hosts"), CPU)
    machine(gpus=2)
    with pytest.raises(ParamsError, match=r"train\.xla is everything"):
        devices.find_replicas(section(distribution="auto", xla="everything"), GPU)
    machine()
    unknown = {"cluster": HOSTS, "task": {"type": "worker", "index": 2}}
    server = {"cluster": HOSTS | {"ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}
    for config in ("{", "[]", *map(json.dumps, ({"cluster": HOSTS}, unknown, server))):
        monkeypatch.setenv("TF_CONFIG", config)
        with pytest.raises(ParamsError, match="TF_CONFIG in the environment is"):
            devices.find_replicas(section(distribution="auto"), CPU)


def test_a_batch_that_can_not_be_shared_equally_is_refused():
    three = Replicas(Devices(3))
    devices.check_batch(tiny(batch=66), three)
    for uneven in (tiny(batch=64), tiny(batch=66, teacher=tiny(batch=64))):
        with pytest.raises(ParamsError, match=r"train\.batch is 64, which 3 devices .* take 63 or 66"):
            devices.check_batch(uneven, three)


def test_a_host_that_is_lost_or_holds_other_data_is_told_in_one_line_and_other_errors_as_they_are(
    monkeypatch,
):
    two = Replicas(Devices(2), host=1, hosts=2)
    lost = tf.errors.UnavailableError(None, None, "Graph execution error:\n\nrecvmsg:Connection reset\nmore")
    told = r"host 1 lost another of the 2 .* again.*recvmsg:Connection reset\)"
    with pytest.raises(TrainingError, match=told), devices.raise_if_host_lost(two):
        raise lost
    with pytest.raises(tf.errors.UnavailableError), devices.raise_if_host_lost(Replicas()):
        raise lost
    with pytest.raises(tf.errors.ResourceExhaustedError), devices.raise_if_host_lost(two):
        raise tf.errors.ResourceExhaustedError(None, None, "memory")
    monkeypatch.setattr(two, "over_hosts", lambda own: own)  # the other host's row stays empty
    with pytest.raises(TrainingError, match="do not hold the same data"):
        devices.check_alike(two, "0a1b")

    def both(own):
        return [a + b for a, b in zip(own, own[4:] + own[:4], strict=True)]

    monkeypatch.setattr(two, "over_hosts", both)
    devices.check_alike(two, "0a1b")


@pytest.mark.slow
def test_two_devices_make_the_weights_of_one(tmp_path):
    """With augmentation, batch norm, dropout, penalties, averaged weights, a teacher, pruning, outliers."""
    env = environment(tmp_path) | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", "tests.train._two_devices", str(tmp_path)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    made, apart = {}, {}
    for name in ("whole", "ensemble", "pruned", "muon", "stopping", "float16"):
        one, made[name] = (dict(np.load(tmp_path / f"{name}-{count}.npz")) for count in (1, 2))
        assert one.keys() == made[name].keys()
        apart[name] = max(np.abs(one[key] - made[name][key]).max() for key in one if key.startswith("weight"))
        if name not in ("stopping", "float16"):
            assert apart[name] < 1e-3, name  # of weights around 0.1 to 1: five times what sums' order made
            assert made[name]["loss"] == pytest.approx(one["loss"], rel=1e-2 if name == "muon" else 1e-4)
    kernels = [v for k, v in made["pruned"].items() if k.startswith("weight") and v.ndim > 1]
    assert min(np.mean(kernel == 0) for kernel in kernels) > 0.3
    stopping, losses = made["stopping"], made["float16"]["loss"]  # after its best epoch
    assert stopping["stopped"] and stopping["kept"] == pytest.approx(stopping["val_loss"].min(), rel=1e-3)
    assert np.isfinite(apart["float16"]) and losses[-1] < losses[0], "both pass over its overflows"
