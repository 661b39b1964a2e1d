"""What people choose for the sessions, and that sessions are made with it."""

import pytest
from tensorflow.core.protobuf import config_pb2

from digits_model_server.flags import Flags
from digits_model_server.runtime import sessions
from digits_model_server.status import Status
from tests.serving.model_server._calls import refused_start


def read(**flags):
    return config_pb2.ConfigProto.FromString(sessions.session_config(Flags(**flags)))


def test_a_file_and_the_flags_beside_it(tmp_path):
    path = tmp_path / "session"
    path.write_text("intra_op_parallelism_threads: 3 graph_options { optimizer_options { opt_level: L0 } }")
    flags = {"per_process_gpu_memory_fraction": 0.5, "mixed_precision": "bfloat16"}
    found = read(tensorflow_session_config_file=str(path), **flags)
    assert found.intra_op_parallelism_threads == 3
    assert found.gpu_options.per_process_gpu_memory_fraction == 0.5
    assert found.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 == 1
    path.write_text("intra_op_parallelism_threads: many")
    with pytest.raises(Status, match=r"Error parsing text-format tensorflow\.ConfigProto in .*session"):
        read(tensorflow_session_config_file=str(path))


def test_a_flag_for_threads_goes_before_the_file_and_the_file_before_what_is_set_here():
    chosen = config_pb2.ConfigProto(intra_op_parallelism_threads=3, inter_op_parallelism_threads=2)
    rewrite = chosen.graph_options.rewrite_options
    rewrite.meta_optimizer_iterations = 2
    found = config_pb2.ConfigProto.FromString(sessions._config(1, 0, chosen.SerializeToString()))
    assert (found.intra_op_parallelism_threads, found.inter_op_parallelism_threads) == (1, 2)
    assert found.graph_options.rewrite_options.meta_optimizer_iterations == 2
    assert found.graph_options.rewrite_options.disable_tfg_optimizer


def test_a_model_without_the_asked_tags_says_so_in_upstream_s_words(half):
    said = refused_start(f"--model_base_path={half}", "--saved_model_tags=gpu", "--max_num_load_retries=0")
    assert "NOT_FOUND: Could not find meta graph def matching supplied tags: { gpu }" in said
