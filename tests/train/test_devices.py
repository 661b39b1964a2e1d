import pytest
import tensorflow as tf

from digits.runtime.errors import ParamsError
from digits.train import devices
from tests.train.test_profiles import section  # noqa: F401 - a fixture


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
        monkeypatch.setattr(devices, "_cpu_flags", lambda: set(flags))
        return gpus, grown

    return make


@pytest.mark.parametrize(
    ("flags", "precision"),
    [(["avx2", "avx512_bf16"], "bfloat16"), (["amx_bf16"], "bfloat16"), (["avx2"], "float32")],
)
def test_a_cpu_computes_in_bfloat16_where_it_can(section, machine, flags, precision):  # noqa: F811
    machine(flags=flags)
    assert devices.find_hardware(section()) == devices.Hardware("cpu", precision, "augmentation")


@pytest.mark.parametrize(("capability", "precision"), [((9, 0), "bfloat16"), ((7, 5), "float16")])
def test_a_gpu_is_taken_where_there_is_one_and_its_memory_as_needed(section, machine, capability, precision):  # noqa: F811
    gpus, grown = machine(capability=capability)
    assert devices.find_hardware(section()) == devices.Hardware("gpu", precision, "everything")
    assert grown == [(gpus[0], True)]


def test_what_is_asked_for_is_done(section, machine):  # noqa: F811
    machine(capability=(9, 0), flags=["avx512_bf16"])
    found = devices.find_hardware(section(device="cpu", precision="float32", xla="nothing"))
    assert found == devices.Hardware("cpu", "float32", "nothing")


def test_a_gpu_that_is_not_there_is_told(section, machine):  # noqa: F811
    machine()
    with pytest.raises(ParamsError, match=r"train\.device is gpu"):
        devices.find_hardware(section(device="gpu"))
