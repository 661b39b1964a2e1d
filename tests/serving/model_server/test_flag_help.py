from dataclasses import fields

import pytest

from serving.model_server import flags
from serving.model_server.flags import REFUSED, WITHOUT_EFFECT, Flags

UPSTREAM = """
port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms
rest_api_enable_cors_support enable_batching allow_version_labels_for_unavailable_models
batching_parameters_file enable_per_model_batching_parameters model_config_file
model_config_file_poll_wait_seconds model_name model_base_path num_load_threads num_unload_threads
max_num_load_retries load_retry_interval_micros file_system_poll_wait_seconds
flush_filesystem_caches tensorflow_session_parallelism tensorflow_session_config_file
tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism use_alts_credentials ssl_config_file
platform_config_file per_process_gpu_memory_fraction saved_model_tags grpc_channel_arguments
grpc_max_threads enable_model_warmup num_request_iterations_for_warmup version
monitoring_config_file remove_unused_fields_from_bundle_metagraph prefer_tflite_model
num_tflite_pools num_tflite_interpreters_per_pool enable_signature_method_name_check
xla_cpu_compilation_enabled xla_gpu_compilation_enabled enable_profiler
thread_pool_factory_config_file mixed_precision skip_initialize_tpu enable_grpc_healthcheck_service
enable_serialization_as_tensor_content
"""


@pytest.mark.parametrize("name", UPSTREAM.split())
def test_every_flag_of_upstream_is_listed(name):
    assert flags.usage().count(f"\t--{name}") >= 1


def test_every_flag_is_explained_once():
    known = [*(field.name for field in fields(Flags)), *WITHOUT_EFFECT, *REFUSED]
    assert sorted(known) == sorted(flags.HELP)


def test_defaults_and_reasons_are_told():
    text = flags.usage()
    assert "\t--rest_api_timeout_in_ms=30000\n" in text and "\t--enable_model_warmup=true\n" in text
    assert "refused: ALTS works inside Google's cloud only" in text
