"""TensorFlow's message classes without TensorFlow, whose package is 600 MB of memory and 6 s.

The generated modules (`tensorflow.core.….*_pb2`) need protobuf alone; only their parent package loads
everything. The C library does the computing (`runtime`).
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


def folder() -> Path:
    """Where the package tensorflow lies. Raises ModuleNotFoundError."""
    loaded = sys.modules.get("tensorflow")
    spec = None if loaded else importlib.util.find_spec("tensorflow")
    places = getattr(loaded, "__path__", None) or (spec and spec.submodule_search_locations) or ()
    for place in map(Path, places):  # once it is loaded, Keras's folders stand there too
        if (place / "core").is_dir():
            return place
    raise ModuleNotFoundError("the package tensorflow is not installed")


def messages_only() -> None:
    """Let this process import `tensorflow.core` without the package around it: for a server's own process.

    `import tensorflow` gives an empty package afterwards; where it is loaded already nothing happens.
    """
    if "tensorflow" in sys.modules:
        return
    place = str(folder())
    package = ModuleType("tensorflow", "Messages alone: see serving.model_server.protos.")
    package.__path__ = [place]
    package.__spec__ = ModuleSpec("tensorflow", None, is_package=True)
    package.__spec__.submodule_search_locations = [place]
    sys.modules["tensorflow"] = package
