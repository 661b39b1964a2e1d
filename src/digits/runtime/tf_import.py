"""Imports TensorFlow without its start-up messages and without packages that are not needed.

It prints a dozen lines before it can be told not to, and Keras imports packages on the chance that they are
used.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Notes on the build, and on a missing GPU; `train` itself says whether one is used.
NOISE = re.compile(
    rb"absl::InitializeLog|oneDNN custom operations|cudart_stub|cuda_platform|cpu_feature_guard|"
    rb"oneDNN supports DT_UINT8 only|To enable the following instructions|TF-TRT Warning|"
    rb"Unable to register cu|^fully_quantize: |Created TensorFlow Lite XNNPACK delegate"
)

# Keras imports these where it finds them, for wrappers and plots of its own: a quarter of the time of `import
# tensorflow`. They can be imported as usual afterwards.
SPARED = ("matplotlib.pyplot", "pandas", "sklearn")


def load_tensorflow() -> None:
    """Import TensorFlow and have it look for devices; unusual messages of it go to stderr."""
    with filtered_stderr(), _spared():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _spared() -> Iterator[None]:
    """Make the packages of SPARED that are not loaded yet look missing."""
    held = [name for name in SPARED if name not in sys.modules]
    for name in held:
        sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail
    try:
        yield
    finally:
        for name in held:
            del sys.modules[name]


@contextlib.contextmanager
def filtered_stderr() -> Iterator[None]:
    """Capture file descriptor 2, to which C++ code writes directly, then pass on all but the noise."""
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
