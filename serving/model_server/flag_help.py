"""What `--help` says of each flag, those without effect too."""

from __future__ import annotations

from dataclasses import fields

from serving.model_server.flags import REFUSED, WITHOUT_EFFECT, Flags

_NO_TFLITE = "no effect: saved_model.pb is what is loaded"
_FIXED = "no effect: the C library's own choice holds"
TEXTS = {
    "port": "gRPC's TCP port; 0 for none, then --grpc_socket_path is needed",
    "grpc_socket_path": "serve gRPC on a Unix socket, too",
    "rest_api_port": "REST's TCP port; 0 for none",
    "rest_api_num_threads": "threads for REST requests that take long; 0 for 4 per processor",
    "rest_api_timeout_in_ms": "how long a REST request may take; 0 for any time",
    "rest_api_enable_cors_support": "let pages of any site call the REST API",
    "host": "address to listen on; 0.0.0.0 for all of this machine's",
    "model_name": "name of the model, unless --model_config_file is given",
    "model_base_path": "folder that holds the model's version folders, unless --model_config_file is given",
    "model_config_file": "text ModelServerConfig: the models to serve",
    "model_config_file_poll_wait_seconds": "read that file anew this often; 0 for once",
    "file_system_poll_wait_seconds": "look for new versions this often; 0 for once, below 0 for never",
    "max_num_load_retries": "how often a version that failed to load is tried again",
    "load_retry_interval_micros": "wait between these attempts; below 0 for none",
    "allow_version_labels_for_unavailable_models": "let a new label name a version that is not loaded yet",
    "saved_model_tags": "tags of the graph in the SavedModel, with commas between them",
    "enable_model_warmup": "replay assets.extra/tf_serving_warmup_requests before a version serves",
    "num_request_iterations_for_warmup": "how often to replay each request; 0 for once",
    "tensorflow_session_parallelism": "threads of a session, within and between operations; 0 for automatic",
    "tensorflow_intra_op_parallelism": "threads within an operation; 0 for automatic",
    "tensorflow_inter_op_parallelism": "operations that run at the same time; 0 for automatic",
    "tensorflow_session_config_file": "text ConfigProto for the sessions; the flags for threads go before it",
    "per_process_gpu_memory_fraction": "share of the GPU's memory to take, 0.0 to 1.0; 0.0 for automatic",
    "mixed_precision": "bfloat16 to compute in it on processors that can",
    "ssl_config_file": "text SSLConfig with PEM texts: encrypt gRPC; REST stays plain",
    "enable_serialization_as_tensor_content": "answer Predict in packed bytes rather than in lists",
    "enable_grpc_healthcheck_service": "answer grpc.health.v1.Health on the gRPC port",
    "grpc_channel_arguments": "key=value,key=value for the gRPC server",
    "grpc_max_threads": "threads for gRPC requests that take long; 0 for 4 per processor",
    "max_request_bytes": "largest request, packed or not; 0 for any",
    "max_batch_rows": "largest batch of a request; 0 for any",
    "max_json_depth": "deepest nesting of a REST request; 0 for any",
    "max_gzip_ratio": "how many times its size a gzip body may unpack to; 0 for any",
    "shutdown_delay_seconds": "after SIGTERM, not ready but still answering for so long",
    "drain_seconds": "how long requests under way may take after that",
    "request_log_max_bytes": "size at which a file of the request log is closed and another begun",
    "request_log_max_files": "newest files of a request log that are kept",
    "version": "print the versions and exit",
    "help": "print this and exit",
    "num_load_threads": "no effect: versions are loaded one at a time, beside the requests",
    "num_unload_threads": "no effect: versions are unloaded beside the requests",
    "flush_filesystem_caches": "no effect: the system keeps its own cache of local files",
    "remove_unused_fields_from_bundle_metagraph": "no effect: the signatures are all that is kept",
    "prefer_tflite_model": _NO_TFLITE,
    "num_tflite_interpreters_per_pool": _NO_TFLITE,
    "num_tflite_pools": _NO_TFLITE,
    "enable_profiler": "no effect, ProfilerService is UNIMPLEMENTED: TensorFlow's would listen everywhere",
    "enable_signature_method_name_check": "answer a call only by signatures whose method_name is for it",
    "skip_initialize_tpu": "no effect: there is no TPU",
    "enable_per_model_batching_parameters": "batching_params.pbtxt of a version holds for its batches",
    "xla_cpu_compilation_enabled": _FIXED,
    "xla_gpu_compilation_enabled": _FIXED,
    "thread_pool_factory_config_file": _FIXED,
    "enable_batching": "join requests that come at the same time",
    "batching_parameters_file": "text BatchingParameters, for --enable_batching",
    "monitoring_config_file": "text MonitoringConfig: metrics for Prometheus on the REST port",
    "platform_config_file": "PlatformConfigMap",
    "use_alts_credentials": "encrypt with Google's ALTS",
}


def usage() -> str:
    """Every flag with its default, a line or two each."""
    defaults = {field.name: field.default for field in fields(Flags)}
    lines = [
        "usage: digits-model-server --model_base_path=/models/m | --model_config_file=FILE [--name=value …]",
        "Values follow an equals sign, not a space. Booleans: --name, --name=true, --name=false.",
        "Flags, as they are when left out:",
    ]
    for name, default in {**defaults, **WITHOUT_EFFECT}.items():
        shown = str(default).lower() if isinstance(default, bool) else default
        lines.append(f"\t--{name}={shown}\n\t\t{TEXTS[name]}")
    lines.append("Flags that this server refuses:")
    lines += [f"\t--{name}\n\t\t{TEXTS[name]}; refused: {why}" for name, why in REFUSED.items()]
    return "\n".join(lines)
