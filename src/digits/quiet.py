"""Shell helper: loads TensorFlow without the dozen lines that it writes before anyone can ask it not to."""

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
    rb"Unable to register cu"
)


def load_tensorflow() -> None:
    """Import TensorFlow and have it look for devices; what it says beyond the usual goes to stderr."""
    with _filtered_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _filtered_stderr() -> Iterator[None]:
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
