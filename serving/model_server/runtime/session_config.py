"""Flags → the settings that people choose for TensorFlow's sessions."""

from __future__ import annotations

import logging
from pathlib import Path

from serving.model_server.flags import Flags
from serving.model_server.status import invalid

LOG = logging.getLogger("digits-model-server")
BFLOAT16 = "bfloat16"


def read(flags: Flags) -> bytes:
    """A serialized ConfigProto with what was asked for, empty for nothing. Raises Status for a bad file."""
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
