"""Imports TensorFlow quietly and fast.

Without the dozen lines that it writes before it can be asked not to, and without the packages that Keras
would load on the chance that someone uses them.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Notes on the build, and on a GPU that isn't there; whether one is used, `train` says itself.
NOISE = re.compile(
    rb"absl::InitializeLog|oneDNN custom operations|cudart_stub|cuda_platform|cpu_feature_guard|"
    rb"oneDNN supports DT_UINT8 only|To enable the following instructions|TF-TRT Warning|"
    rb"Unable to register cu|^fully_quantize: |Created TensorFlow Lite XNNPACK delegate"
)

# Keras imports these where it finds them, for wrappers and plots of its own: a quarter of the time of `import
# tensorflow`. Whoever needs one imports it as ever.
SPARED = ("matplotlib.pyplot", "pandas", "sklearn")


def load_tensorflow() -> None:
    """Import TensorFlow and have it look for devices; what it says beyond the usual goes to stderr."""
    with filtered_stderr(), _spared():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _spared() -> Iterator[None]:
    """Let the packages of SPARED seem to be missing, those that are not loaded yet."""
    held = [name for name in SPARED if name not in sys.modules]
    for name in held:
        sys.modules[name] = None  # type: ignore[assignment]  # what makes an import of it fail
    try:
        yield
    finally:
        for name in held:
            del sys.modules[name]


@contextlib.contextmanager
def filtered_stderr() -> Iterator[None]:
    """Hold back file descriptor 2, which C++ code writes to directly, then pass on all but the noise."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not NOISE.search(line)))
