"""Flags → the manager of the models, and what holds for every request."""

from __future__ import annotations

from pathlib import Path

from serving.model_server.flags import Flags
from serving.model_server.manager import Manager, Pace
from serving.model_server.predict import Settings
from serving.model_server.savedmodel import SavedModel
from serving.model_server.sessions import Threads


def manager(flags: Flags) -> tuple[Manager, Settings]:
    """What loads, warms up and looks after the models; nothing is loaded yet."""
    from serving.model_server import protos

    protos.messages_only()
    from serving.model_server import warmup
    from serving.model_server.priority import yield_to_requests

    settings = Settings(
        flags.limits, flags.enable_serialization_as_tensor_content, flags.enable_signature_method_name_check
    )
    tags = [tag for tag in flags.saved_model_tags.split(",") if tag]
    threads = Threads(
        flags.tensorflow_session_parallelism,
        flags.tensorflow_intra_op_parallelism,
        flags.tensorflow_inter_op_parallelism,
    )

    def load(directory: Path) -> SavedModel:
        model = SavedModel(directory, tags, threads)
        try:
            if flags.enable_model_warmup:
                yield_to_requests()  # not before: the session's threads have the priority of their maker
                warmup.replay(model, directory, settings, flags.num_request_iterations_for_warmup)
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
