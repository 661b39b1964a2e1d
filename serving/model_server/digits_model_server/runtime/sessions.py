"""A model's sessions, one for large requests and one for small: what speeds up a batch slows down a row.

A thread that shares the convolution of one image with two others waits for them longer than it would compute
alone. So requests of few rows run in a session whose operations have one thread each and, where that is
quick, in the thread that brings the request; all others run in one whose operations share the cores.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from digits_model_server.flags import Flags
from digits_model_server.runtime.session import Call, Session
from digits_model_server.status import invalid

LOG = logging.getLogger("digits-model-server")
BFLOAT16 = "bfloat16"


def session_config(flags: Flags) -> bytes:
    """Return the ConfigProto that the flags ask for, serialized; empty for none. Raises Status."""
    from google.protobuf import text_format
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

    config = config_pb2.ConfigProto()
    if path := flags.tensorflow_session_config_file:
        try:
            text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
        except OSError as error:
            raise invalid(f"{path}: {error.strerror}") from None
        except (text_format.ParseError, UnicodeError) as error:
            raise invalid(f"Error parsing text-format tensorflow.ConfigProto in {path}: {error}") from None
    if flags.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    if flags.mixed_precision == BFLOAT16:
        rewrite = config.graph_options.rewrite_options
        rewrite.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    elif flags.mixed_precision:
        LOG.warning("--mixed_precision=%s has no effect: only %s is known", flags.mixed_precision, BFLOAT16)
    serialized: bytes = config.SerializeToString()
    return serialized


FEW_ROWS = 8
FEW_ROWS_BATCHED = 128  # where several threads run batches at once, splitting a batch gains nothing
LIGHT = 64 << 20  # bytes of variables: a larger model is not loaded twice
QUICK = 0.005  # seconds: what takes less needs no deadline of its own, and no other thread
MEMORY = 0.9  # weight of earlier values in the moving mean of a call's seconds
TRIES = 3  # runs before a call can count as quick


@dataclass(frozen=True)
class Threads:
    """The flags --tensorflow_…_parallelism: 0 leaves the number to TensorFlow."""

    session: int = 0
    intra: int = 0
    inter: int = 0
    config: bytes = b""  # a serialized ConfigProto that overrides this server's own settings

    @property
    def chosen(self) -> bool:
        """Whether the user has set anything: then there is one session, with exactly these settings."""
        return bool(self.session or self.intra or self.inter or self.config)


class _Timed:
    """A call, and the mean of the time it takes."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.runs, self.mean = 0, 0.0

    @property
    def quick(self) -> bool:
        return self.runs >= TRIES and self.mean < QUICK

    def took(self, seconds: float) -> None:
        """Record a run. Threads may overwrite each other's: it is a mean."""
        keep = MEMORY if self.runs >= TRIES else 0.0
        self.mean = keep * self.mean + (1 - keep) * seconds
        self.runs += 1


class Sessions:
    """The sessions of one version."""

    def __init__(self, directory: Path, tags: Sequence[str], threads: Threads) -> None:
        """Load a version directory. Raises Status."""
        wide = threads.intra or threads.session, threads.inter or threads.session
        self._wide = Session(directory, tags, _config(*wide, threads.config))
        self._lean: Session | None = None
        if not threads.chosen and _weight(directory) <= LIGHT and (os.cpu_count() or 1) > 1:
            try:
                self._lean = Session(directory, tags, _config(1, threads.inter))
                self._lean.meta_graph = b""
            except BaseException:
                self._wide.close()
                raise
        self._at_once = _run_options(-1, None)
        self._calls = lru_cache(maxsize=256)(self._make)

    def meta_graph(self) -> bytes:
        """Return the serialized MetaGraphDef and forget it: it is large, and the sessions have their own."""
        found, self._wide.meta_graph = self._wide.meta_graph, b""
        return found

    def use_one_session(self) -> None:
        """Run all requests in one session from now on: they change state, of which each session has a copy.
        No call may be running.
        """
        if self._lean:
            self._lean.close()
        self._lean = None

    def run(
        self,
        feeds: tuple[str, ...],
        fetches: tuple[str, ...],
        arrays: Sequence[NDArray[Any]],
        seconds: float | None,
        few_rows: int = FEW_ROWS,
    ) -> list[NDArray[Any]]:
        """Return the fetched tensors.

        seconds: time limit, which holds for runs that are not quick. Raises Status.
        """
        few = all(not array.ndim or len(array) <= few_rows for array in arrays)
        timed = self._calls(feeds, fetches, few and self._lean is not None)
        quick = few and timed.quick
        here = quick or (few and seconds is None)
        options = self._at_once if here else b"" if seconds is None else _run_options(0, seconds)
        began = time.perf_counter()
        answer = timed.call(arrays, options)
        timed.took(time.perf_counter() - began)
        return answer

    def close(self) -> None:
        """Free the memory. No call may be running."""
        self._calls.cache_clear()
        self._wide.close()
        if self._lean:
            self._lean.close()

    def _make(self, feeds: tuple[str, ...], fetches: tuple[str, ...], lean: bool) -> _Timed:
        session = self._lean if lean and self._lean else self._wide
        return _Timed(session.call(feeds, fetches))


def _weight(directory: Path) -> int:
    """Return the size of the variables in bytes."""
    return sum(path.stat().st_size for path in directory.glob("variables/*"))


def _config(intra: int, inter: int, chosen: bytes = b"") -> bytes:
    """Return a serialized ConfigProto. 0: the value in `chosen`, else TensorFlow's choice."""
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

    config = config_pb2.ConfigProto()
    # Signatures never change: one copy of the graph less.
    config.experimental.optimize_for_static_graph = True
    # The graph's optimisation is most of what a rollout takes from the requests beside it. What is left out
    # halves that, and made no measured difference to the answers' time.
    rewrite = config.graph_options.rewrite_options
    rewrite.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    rewrite.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    rewrite.disable_tfg_optimizer = True
    config.MergeFromString(chosen)
    if intra:
        config.intra_op_parallelism_threads = intra
    if inter:
        config.inter_op_parallelism_threads = inter
    serialized: bytes = config.SerializeToString()
    return serialized


def _run_options(pool: int, seconds: float | None) -> bytes:
    """Return serialized RunOptions. pool: -1 for the calling thread. seconds: time limit, None for none."""
    from tensorflow.core.protobuf import config_pb2

    options = config_pb2.RunOptions(inter_op_thread_pool=pool)
    if seconds is not None:
        options.timeout_in_ms = max(1, int(seconds * 1000))
    serialized: bytes = options.SerializeToString()
    return serialized
