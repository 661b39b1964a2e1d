from dataclasses import fields

import pytest

from digits_model_server import flags
from digits_model_server.flags import REFUSED, WITHOUT_EFFECT, Flags, FlagsError

BASE = ["--model_base_path=/models/m"]
DEFAULTS = """
--port=8500 --grpc_socket_path= --rest_api_port=0 --rest_api_timeout_in_ms=30000 --saved_model_tags=serve
--rest_api_enable_cors_support=false --model_name=default --model_config_file= --max_num_load_retries=5
--model_config_file_poll_wait_seconds=0 --file_system_poll_wait_seconds=1 --enable_batching=false
--load_retry_interval_micros=60000000 --enable_per_model_batching_parameters=false --enable_model_warmup=true
--allow_version_labels_for_unavailable_models=false --num_request_iterations_for_warmup=0
--tensorflow_session_parallelism=0 --tensorflow_intra_op_parallelism=0 --tensorflow_inter_op_parallelism=0
--enable_grpc_healthcheck_service=false --enable_signature_method_name_check=false
--enable_serialization_as_tensor_content=false
"""
MORE = """
rest_api_num_threads batching_parameters_file model_base_path num_load_threads num_unload_threads
flush_filesystem_caches tensorflow_session_config_file use_alts_credentials ssl_config_file
platform_config_file per_process_gpu_memory_fraction grpc_channel_arguments grpc_max_threads version
monitoring_config_file remove_unused_fields_from_bundle_metagraph prefer_tflite_model num_tflite_pools
num_tflite_interpreters_per_pool xla_cpu_compilation_enabled xla_gpu_compilation_enabled enable_profiler
thread_pool_factory_config_file mixed_precision skip_initialize_tpu
"""


def test_what_is_left_out_is_as_upstream_has_it():
    assert flags.parse([*BASE, *DEFAULTS.split()]) == flags.parse(BASE)


def test_every_flag_of_upstream_is_listed_and_explained_once_with_its_default():
    text = flags.usage()
    for shown in (*(f"\t{flag}\n" for flag in DEFAULTS.split()), *(f"\t--{name}" for name in MORE.split())):
        assert shown in text
    known = [*(field.name for field in fields(Flags)), *WITHOUT_EFFECT, *REFUSED]
    assert sorted(known) == sorted(flags.HELP)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port=1_0"], "--port is '1_0'; expected a whole number"),
        (["--num_load_threads=many"], "--num_load_threads is 'many'; expected a whole number"),
        (["--per_process_gpu_memory_fraction=2"], "expected 0 to 1"),
        (["--per_process_gpu_memory_fraction=x"], "expected a number"),
        (["--max_request_bytes=-1"], "expected 0 or more"),
        (["--enable_model_warmup=perhaps"], "expected true or false"),
        (["--log_format=xml"], "--log_format is 'xml'; expected text or json"),
        (["--port=70000"], "expected 0 to 65535"),
        (["--request_log_max_files=0"], "expected 1 or more"),
        (["--port=0"], "At least one of server_options.grpc_port or server_options.grpc_socket_path must"),
        (["--use_alts_credentials"], "ALTS works inside Google's cloud only"),
        (["--platform_config_file=x"], "the platform tensorflow only"),
        (
            [f"--tensorflow_{name}_parallelism=2" for name in ("session", "intra_op", "inter_op")],
            "Either configure server_options.tensorflow_session_parallelism or",
        ),
        (["--model_base_path="], r"Both server_options\.model_base_path and"),
    ],
)
def test_what_can_t_be_honoured_is_refused(arguments, said):
    with pytest.raises(FlagsError, match=said):
        flags.parse([*BASE, *arguments])


def test_a_boolean_has_five_spellings():
    for text, expected in {"": True, "=TRUE": True, "=1": True, "=False": False, "=0": False}.items():
        given = flags.parse([*BASE, f"--rest_api_enable_cors_support{text}"])
        assert given.flags.rest_api_enable_cors_support is expected, text


def test_whole_numbers_are_read_as_upstream_reads_them():
    for text, expected in {"+7": 7, " 7 ": 7, "-7": -7}.items():
        assert flags.parse([*BASE, f"--max_num_load_retries={text}"]).flags.max_num_load_retries == expected


def test_a_value_after_a_space_is_no_value_and_what_has_no_meaning_is_named():
    odd = ["--port", "9000", "--enable_model_warmup", "false", "-port=1", "--nonsense=1"]
    given = flags.parse([*BASE, *odd])
    assert given.unknown == ("--port", "9000", "false", "-port=1", "--nonsense=1")
    assert given.flags.port == 8500 and given.flags.enable_model_warmup


def test_a_flag_without_effect_that_asks_for_what_is_done_anyhow_is_no_news():
    quiet = ["--num_load_threads=0", "--enable_profiler=false", "--prefer_tflite_model=0"]
    assert flags.parse([*BASE, *quiet, "--platform_config_file="]).ignored == ()
    loud = ["--enable_profiler=true", "--prefer_tflite_model", "--num_load_threads=4"]
    ignored = ("enable_profiler", "prefer_tflite_model", "num_load_threads")
    assert flags.parse([*BASE, *loud]).ignored == ignored
