"""Makes the manager of the models, and the settings of every request, from the flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digits_model_server import metrics
from digits_model_server.batching import settings
from digits_model_server.batching.scheduler import Scheduler
from digits_model_server.batching.settings import BatchSettings, Pool
from digits_model_server.flags import Flags
from digits_model_server.inference.predict import Settings
from digits_model_server.metrics import Observer
from digits_model_server.models.manager import Manager, Pace
from digits_model_server.runtime.saved_model import SavedModel
from digits_model_server.runtime.sessions import Threads


def make_manager(flags: Flags, observer: Observer | None = None) -> tuple[Manager, Settings]:
    """Return a manager that loads and warms up models, nothing loaded yet. observer: None for no metrics."""
    from digits_model_server import protos

    protos.bypass_tensorflow_package()
    from digits_model_server.models import warmup
    from digits_model_server.process import yield_to_requests
    from digits_model_server.runtime import sessions

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
        sessions.session_config(flags),
    )

    batching = _batching(flags, observer)

    def load(directory: Path) -> SavedModel:
        model = SavedModel(directory, tags, threads)
        try:
            if flags.enable_model_warmup:
                yield_to_requests()  # not before: the session's threads inherit the priority
                times = flags.num_request_iterations_for_warmup
                metrics.time_warmup(
                    observer, directory, lambda: warmup.replay(model, directory, settings, times)
                )
            if batching and (how := batching.settings(directory)):
                model.batch(how, batching.scheduler)  # after warm-up, whose requests are run one by one
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
    """How requests are batched. common: settings of every version; None where each brings its own."""

    common: BatchSettings | None
    scheduler: Scheduler

    def settings(self, directory: Path) -> BatchSettings | None:
        """Return the settings of a version; None where it is not batched. Raises Status."""
        return self.common or settings.read_for_version(directory)


def _batching(flags: Flags, observer: Observer | None) -> _Batching | None:
    """Return how requests are batched, None for not at all. Raises Status for a bad parameters file."""
    if not flags.enable_batching:
        return None
    common, pool = BatchSettings(), Pool()
    if flags.batching_parameters_file:
        common, pool = settings.read(Path(flags.batching_parameters_file))
    own = flags.enable_per_model_batching_parameters

    def on_batch(waits: Sequence[float], name: str) -> None:
        if observer:
            for seconds in waits:
                observer.record_queuing(name, seconds)
            observer.count_run()

    return _Batching(None if own else common, Scheduler(pool, on_batch if observer else None))
