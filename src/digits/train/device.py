"""Shell helper: what this machine can train on, and how to use it."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from digits.runtime.errors import ParamsError
from digits.runtime.params import TrainParams
from digits.train.profiles import Hardware

BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # elsewhere bfloat16 is emulated, slower than float32
BF16_GPU = (8, 0)  # compute capability; older GPUs are fast in float16


def find(params: TrainParams) -> Hardware:
    """Device, precision and use of XLA as asked for, or what suits the machine where the params say auto.

    A GPU's memory is taken as needed rather than whole. Raises ParamsError when a GPU is asked for and
    TensorFlow sees none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if params.device == "gpu" and not gpus:
        raise ParamsError(
            "train.device is gpu and TensorFlow sees none: install the extra with `pip install .[gpu]` and a "
            "driver, or set it to auto"
        )
    if params.device == "cpu" or not gpus:
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        fastest = "bfloat16" if BF16_FLAGS & _cpu_flags() else "float32"
        return _hardware(params, "cpu", fastest, "augmentation")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    return _hardware(params, "gpu", "bfloat16" if capability >= BF16_GPU else "float16", "everything")


def _hardware(params: TrainParams, device: str, precision: str, xla: str) -> Hardware:
    return Hardware(
        device=device,
        precision=precision if params.precision == "auto" else params.precision,
        xla=xla if params.xla == "auto" else params.xla,
    )


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
