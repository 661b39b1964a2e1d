"""The device that a training runs on, and the precision and compilation that suit it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from digits.runtime.errors import ParamsError


@dataclass(frozen=True)
class Hardware:
    """What a training runs on, and the settings that suit it."""

    device: str  # cpu | gpu
    precision: str  # float32 | bfloat16 | float16
    xla: str  # nothing | augmentation | everything


class Wanted(Protocol):
    """The keys of a section of params.yaml that say what a training shall run on; auto: what suits."""

    @property
    def device(self) -> str: ...  # noqa: D102

    @property
    def precision(self) -> str: ...  # noqa: D102

    @property
    def xla(self) -> str: ...  # noqa: D102


BF16_GPU = (8, 0)  # compute capability; older GPUs are fast in float16


def find_hardware(wanted: Wanted) -> Hardware:
    """Device, precision and use of XLA as wanted, or what suits the machine where that is auto.

    A GPU's memory is taken as needed rather than whole. Raises ParamsError when a GPU is asked for and
    TensorFlow sees none.
    """
    import tensorflow as tf  # here: `train.profiles` needs the class and computes nothing

    gpus = tf.config.list_physical_devices("GPU")
    if wanted.device == "gpu" and not gpus:
        raise ParamsError(
            "device is gpu in params.yaml and TensorFlow sees none: install the extra with "
            "`pip install .[gpu]` and a driver, or set it to auto"
        )
    if wanted.device == "cpu" or not gpus:
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        fastest = "bfloat16" if _is_quick_in_bfloat16(*_cpu()) else "float32"
        return _hardware(wanted, "cpu", fastest, "augmentation")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    return _hardware(wanted, "gpu", "bfloat16" if capability >= BF16_GPU else "float16", "everything")


def _hardware(wanted: Wanted, device: str, precision: str, xla: str) -> Hardware:
    return Hardware(
        device=device,
        precision=precision if wanted.precision == "auto" else wanted.precision,
        xla=xla if wanted.xla == "auto" else wanted.xla,
    )


def _is_quick_in_bfloat16(vendor: str, flags: set[str]) -> bool:
    """Whether a CPU multiplies matrices faster in bfloat16 than in float32 (`bench.train` measures both).

    AVX-512's instructions for bfloat16 double the rate on AMD's CPUs and halve it on an Intel one whose AMX
    is hidden from a virtual machine.
    """
    return "amx_bf16" in flags or ("avx512_bf16" in flags and vendor == "AuthenticAMD")


def _cpu() -> tuple[str, set[str]]:
    """The first CPU's vendor and flags; nothing where /proc does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return "", set()
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    return said.get("vendor_id", ""), set(said.get("flags", "").split())
