"""Flags → the manager of the models, and what holds for every request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.model_server import metrics
from serving.model_server.batching import settings
from serving.model_server.batching.scheduler import Scheduler
from serving.model_server.batching.settings import BatchSettings, Pool
from serving.model_server.flags import Flags
from serving.model_server.inference.predict import Settings
from serving.model_server.metrics import Observer
from serving.model_server.models.manager import Manager, Pace
from serving.model_server.runtime.saved_model import SavedModel
from serving.model_server.runtime.sessions import Threads


def manager(flags: Flags, observer: Observer | None = None) -> tuple[Manager, Settings]:
    """What loads, warms up and looks after the models; nothing is loaded yet. observer: counts, if any."""
    from serving.model_server import protos

    protos.messages_only()
    from serving.model_server.models import warmup
    from serving.model_server.process import yield_to_requests
    from serving.model_server.runtime import sessions

    settings = Settings(
        flags.limits,
        flags.enable_serialization_as_tensor_content,
        flags.enable_signature_method_name_check,
        observer,
    )
    tags = [tag for tag in flags.saved_model_tags.split(",") if tag]
    threads = Threads(
        flags.tensorflow_session_parallelism,
        flags.tensorflow_intra_op_parallelism,
        flags.tensorflow_inter_op_parallelism,
        sessions.read(flags),
    )

    joined = _batching(flags, observer)

    def load(directory: Path) -> SavedModel:
        model = SavedModel(directory, tags, threads)
        try:
            if flags.enable_model_warmup:
                yield_to_requests()  # not before: the session's threads have the priority of their maker
                times = flags.num_request_iterations_for_warmup
                metrics.warming(observer, directory, lambda: warmup.replay(model, directory, settings, times))
            if joined and (how := joined.settings(directory)):
                model.batch(how, joined.scheduler)  # the requests recorded with it came one by one
        except BaseException:
            model.close()
            raise
        return model

    pace = Pace(
        flags.file_system_poll_wait_seconds,
        flags.max_num_load_retries,
        flags.load_retry_interval_micros / 1e6,
    )
    free = flags.allow_version_labels_for_unavailable_models
    return Manager(load, pace, labels_for_unavailable=free), settings


@dataclass(frozen=True)
class _Batching:
    """How requests are joined. common: of every version; None where each brings its own, or isn't batched."""

    common: BatchSettings | None
    scheduler: Scheduler

    def settings(self, directory: Path) -> BatchSettings | None:
        """Of a version. Raises Status."""
        return self.common or settings.of_version(directory)


def _batching(flags: Flags, observer: Observer | None) -> _Batching | None:
    """Raises Status for a bad parameters file."""
    if not flags.enable_batching:
        return None
    common, pool = BatchSettings(), Pool()
    if flags.batching_parameters_file:
        common, pool = settings.read(Path(flags.batching_parameters_file))
    own = flags.enable_per_model_batching_parameters

    def seen(waits: Sequence[float], name: str) -> None:
        if observer:
            for seconds in waits:
                observer.queued(name, seconds)
            observer.wrapped_run()

    return _Batching(None if own else common, Scheduler(pool, seen if observer else None))
