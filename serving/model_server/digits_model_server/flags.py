"""The command line of `tensorflow_model_server`: its flags, their help, and how they are parsed.

The syntax is `--name=value`, for booleans also `--name`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from digits_model_server.limits import Limits

_NO_TFLITE = "no effect: the SavedModel is what is loaded"
_FIXED = "no effect: the C library's default is used"
HELP = {
    "port": "gRPC's TCP port; 0 for none, then --grpc_socket_path is needed",
    "grpc_socket_path": "serve gRPC on this Unix socket too",
    "rest_api_port": "REST's TCP port; 0 for none",
    "rest_api_num_threads": "threads for slow REST requests; 0 for 4 per processor",
    "rest_api_timeout_in_ms": "time limit of a REST request; 0 for none",
    "rest_api_enable_cors_support": "let pages of any site call the REST API",
    "host": "address to listen on; 0.0.0.0 for all of this machine's",
    "model_name": "name of the model, unless --model_config_file is given",
    "model_base_path": "folder that holds the model's version folders, unless --model_config_file is given",
    "model_config_file": "text ModelServerConfig: the models to serve",
    "model_config_file_poll_wait_seconds": "reread that file this often; 0 to read it only once",
    "file_system_poll_wait_seconds": "check for new versions this often; 0 for only once, negative for never",
    "max_num_load_retries": "retries of a version that failed to load",
    "load_retry_interval_micros": "microseconds between these retries; negative for none",
    "allow_version_labels_for_unavailable_models": "let a new label name a version that is not loaded yet",
    "saved_model_tags": "tags of the graph in the SavedModel, separated by commas",
    "enable_model_warmup": "replay assets.extra/tf_serving_warmup_requests before a version serves",
    "num_request_iterations_for_warmup": "how often to replay each request; 0 for once",
    "tensorflow_session_parallelism": "threads of a session, within and between operations; 0 for automatic",
    "tensorflow_intra_op_parallelism": "threads within an operation; 0 for automatic",
    "tensorflow_inter_op_parallelism": "operations that run at the same time; 0 for automatic",
    "tensorflow_session_config_file": "text ConfigProto for the sessions; the thread flags override it",
    "per_process_gpu_memory_fraction": "share of the GPU's memory to take, 0.0 to 1.0; 0.0 for automatic",
    "mixed_precision": "bfloat16: compute in it where the processor supports it",
    "ssl_config_file": "text SSLConfig with PEM texts: encrypts gRPC; REST stays unencrypted",
    "enable_serialization_as_tensor_content": "Predict responses carry raw bytes rather than lists",
    "enable_reload_config_request": "let gRPC clients replace the models, by HandleReloadConfigRequest",
    "enable_grpc_healthcheck_service": "serve grpc.health.v1.Health on the gRPC port",
    "grpc_channel_arguments": "key=value,key=value for the gRPC server",
    "grpc_max_threads": "threads for slow gRPC requests; 0 for 4 per processor",
    "max_request_bytes": "largest request in bytes, also after unpacking; 0 for no limit",
    "max_batch_rows": "most rows of a request; 0 for no limit",
    "max_json_depth": "deepest nesting of a REST request; 0 for no limit",
    "max_json_parts": "most lists, objects and strings of a REST request; 0 for no limit",
    "max_gzip_ratio": "how many times its size a gzip body may unpack to; 0 for no limit",
    "shutdown_delay_seconds": "seconds after SIGTERM in which the server is not ready but still answers",
    "drain_seconds": "seconds that requests under way have after that",
    "log_format": "text or json: one JSON object a line on standard error",
    "request_log_max_bytes": "bytes at which a file of the request log is closed and the next one begun",
    "request_log_max_files": "how many files of a request log are kept, the newest ones",
    "facts_function": "module:function that makes the rows of the facts log from a request and its answer",
    "facts_log_prefix": "path of the facts log's files, without their ending; empty for no such log",
    "facts_log_group": "let the group of this process read the facts log, as far as the umask lets it",
    "facts_log_rate": "rows of the facts log a second; 0 for no limit",
    "facts_log_days": "days after which a file of the facts log is deleted; 0 for never",
    "facts_log_max_bytes": "bytes at which a file of the facts log is closed and the next one begun",
    "facts_log_max_files": "how many files of the facts log are kept, the newest ones",
    "version": "print the versions and exit",
    "help": "print this and exit",
    "num_load_threads": "no effect: versions are loaded one at a time, while requests are served",
    "num_unload_threads": "no effect: versions are unloaded while requests are served",
    "flush_filesystem_caches": "no effect: the operating system keeps the cache of local files",
    "remove_unused_fields_from_bundle_metagraph": "no effect: only the signatures are kept",
    "prefer_tflite_model": _NO_TFLITE,
    "num_tflite_interpreters_per_pool": _NO_TFLITE,
    "num_tflite_pools": _NO_TFLITE,
    "enable_profiler": "no effect, ProfilerService is UNIMPLEMENTED: TensorFlow's listens on every address",
    "enable_signature_method_name_check": "refuse a call by a signature whose method_name is for another",
    "skip_initialize_tpu": "no effect: there is no TPU",
    "enable_per_model_batching_parameters": "each version's batching_params.pbtxt says how it is batched",
    "xla_cpu_compilation_enabled": _FIXED,
    "xla_gpu_compilation_enabled": _FIXED,
    "thread_pool_factory_config_file": _FIXED,
    "enable_batching": "join requests that arrive at the same time",
    "batching_parameters_file": "text BatchingParameters, for --enable_batching",
    "monitoring_config_file": "text MonitoringConfig: metrics for Prometheus on the REST port",
    "platform_config_file": "PlatformConfigMap",
    "use_alts_credentials": "encrypt with Google's ALTS",
}


def usage() -> str:
    """Return the help text: every flag with its default, a line or two each."""
    defaults = {field.name: field.default for field in fields(Flags)}
    lines = [
        "usage: digits-model-server --model_base_path=/models/m | --model_config_file=FILE [--name=value …]",
        "Values follow an equals sign, not a space. Booleans: --name, --name=true, --name=false.",
        "Flags with their defaults:",
    ]
    for name, default in {**defaults, **WITHOUT_EFFECT}.items():
        shown = str(default).lower() if isinstance(default, bool) else default
        lines.append(f"\t--{name}={shown}\n\t\t{HELP[name]}")
    lines.append("Flags that this server refuses:")
    lines += [f"\t--{name}\n\t\t{HELP[name]}; refused: {why}" for name, why in REFUSED.items()]
    return "\n".join(lines)


TRUE, FALSE = {"true", "1"}, {"false", "0"}
_BOUNDS = ("max_request_bytes", "max_batch_rows", "max_json_depth", "max_json_parts", "max_gzip_ratio")
LOG_FORMATS = ("text", "json")
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")


@dataclass(frozen=True)
class Flags:
    """Every flag that has an effect here, with its default."""

    port: int = 8500  # gRPC; 0: none
    grpc_socket_path: str = ""
    rest_api_port: int = 0  # 0: none
    rest_api_num_threads: int = 0  # 0: 4 × CPUs
    rest_api_timeout_in_ms: int = 30_000
    rest_api_enable_cors_support: bool = False
    host: str = "127.0.0.1"  # not upstream's, which listens everywhere; 0.0.0.0 does here
    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: int = 0
    file_system_poll_wait_seconds: int = 1
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    allow_version_labels_for_unavailable_models: bool = False
    saved_model_tags: str = "serve"
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    tensorflow_session_config_file: str = ""
    per_process_gpu_memory_fraction: float = 0.0
    mixed_precision: str = ""
    ssl_config_file: str = ""
    enable_serialization_as_tensor_content: bool = False
    enable_signature_method_name_check: bool = False
    enable_grpc_healthcheck_service: bool = False
    enable_reload_config_request: bool = True  # not upstream's flag, which always lets them
    grpc_channel_arguments: str = ""
    grpc_max_threads: int = 0  # 0: 4 × CPUs
    max_request_bytes: int = Limits.request_bytes  # this and the next four are not upstream's
    max_batch_rows: int = Limits.batch_rows
    max_json_depth: int = Limits.json_depth
    max_json_parts: int = Limits.json_parts
    max_gzip_ratio: int = Limits.gzip_ratio
    monitoring_config_file: str = ""
    request_log_max_bytes: int = 64 << 20  # of a file; this and the next three are not upstream's
    request_log_max_files: int = 16  # that are kept of a filename_prefix
    facts_function: str = ""  # module:function; this and the next six are not upstream's
    facts_log_prefix: str = ""
    facts_log_group: bool = False
    facts_log_rate: float = 50.0  # rows a second
    facts_log_days: int = 30
    facts_log_max_bytes: int = 16 << 20
    facts_log_max_files: int = 8
    shutdown_delay_seconds: int = 0
    drain_seconds: int = 30
    log_format: str = "text"  # not upstream's
    version: bool = False
    help: bool = False

    @property
    def limits(self) -> Limits:
        """The limits on a single request."""
        return Limits(*(getattr(self, bound) for bound in _BOUNDS))


# Accepted so that existing command lines work. The value is what this server does in any case; a warning at
# the start says so where a flag asks for something else.
WITHOUT_EFFECT: dict[str, bool | int | str] = {
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "flush_filesystem_caches": False,
    "remove_unused_fields_from_bundle_metagraph": True,
    "prefer_tflite_model": False,
    "num_tflite_interpreters_per_pool": 1,
    "num_tflite_pools": 0,
    "enable_profiler": False,
    "skip_initialize_tpu": True,
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
    "thread_pool_factory_config_file": "",
}
# To ignore these would be a surprise later: the server does not start.
REFUSED = {
    "platform_config_file": "this server has the platform tensorflow only: leave the flag out",
    "use_alts_credentials": "ALTS works inside Google's cloud only: encrypt with --ssl_config_file",
}


class FlagsError(Exception):
    """A value that can't be read, or flags that exclude each other; the text is meant for the user."""


@dataclass(frozen=True)
class CommandLine:
    """A parsed command line.

    unknown: arguments that are no flags. ignored: flags that have no effect here.
    """

    flags: Flags
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def parse(arguments: Sequence[str]) -> CommandLine:
    """Parse a command line. Raises FlagsError."""
    defaults = {field.name: field.default for field in fields(Flags)}
    chosen: dict[str, Any] = {}
    unknown, ignored = [], []
    for argument in arguments:
        name, equals, text = argument.removeprefix("--").partition("=")
        default = defaults.get(name, WITHOUT_EFFECT.get(name))
        if name in REFUSED and argument.startswith("--"):
            if text.lower() not in FALSE and (text or not equals):
                raise FlagsError(f"--{name}: {REFUSED[name]}")
        elif not argument.startswith("--") or default is None or not (equals or isinstance(default, bool)):
            unknown.append(argument)
        else:
            value = _value(name, type(default), text if equals else "true")
            if name in defaults:
                chosen[name] = value
            elif value != default:
                ignored.append(name)
    flags = replace(Flags(), **chosen)
    _check(flags)
    return CommandLine(flags, tuple(unknown), tuple(ignored))


def _value(name: str, kind: type, text: str) -> Any:
    if kind is bool:
        if text.lower() not in TRUE | FALSE:
            raise FlagsError(f"--{name} is '{text}'; expected true or false")
        return text.lower() in TRUE
    if kind is int:
        if not _WHOLE.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
            raise FlagsError(f"--{name} is '{text}'; expected a whole number")
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise FlagsError(f"--{name} is '{text}'; expected a number") from None
    return text


def _check(flags: Flags) -> None:
    if flags.version or flags.help:
        return
    if not flags.port and not flags.grpc_socket_path:
        raise FlagsError(
            "INVALID_ARGUMENT: At least one of server_options.grpc_port or server_options.grpc_socket_path "
            "must be set."
        )
    if not flags.model_config_file and not flags.model_base_path:
        raise FlagsError(
            "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are "
            "empty!"
        )
    if flags.batching_parameters_file and not flags.enable_batching:
        raise FlagsError(
            "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )
    for name in ("port", "rest_api_port"):
        if not 0 <= getattr(flags, name) <= 65535:
            raise FlagsError(f"--{name} is {getattr(flags, name)}; expected 0 to 65535")
    if flags.log_format not in LOG_FORMATS:
        raise FlagsError(f"--log_format is '{flags.log_format}'; expected {' or '.join(LOG_FORMATS)}")
    if bool(flags.facts_log_prefix) > bool(flags.facts_function):
        raise FlagsError("--facts_log_prefix needs --facts_function=module:function, which makes its rows")
    bounds = ("request_log_max_bytes", "request_log_max_files", "facts_log_max_bytes", "facts_log_max_files")
    for name in bounds:
        if getattr(flags, name) < 1:
            raise FlagsError(f"--{name} is {getattr(flags, name)}; expected 1 or more")
    for name in (*_BOUNDS, "shutdown_delay_seconds", "drain_seconds", "facts_log_days", "facts_log_rate"):
        if getattr(flags, name) < 0:
            raise FlagsError(f"--{name} is {getattr(flags, name)}; expected 0 or more")
    if not 0 <= flags.per_process_gpu_memory_fraction <= 1:
        share = flags.per_process_gpu_memory_fraction
        raise FlagsError(f"--per_process_gpu_memory_fraction is {share}; expected 0 to 1")
    threads = (
        flags.tensorflow_session_parallelism,
        flags.tensorflow_intra_op_parallelism,
        flags.tensorflow_inter_op_parallelism,
    )
    if all(value > 0 for value in threads):
        raise FlagsError(
            "INVALID_ARGUMENT: Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) separately. You cannot configure all."
        )
