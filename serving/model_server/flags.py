"""`tensorflow_model_server`'s command line → Flags. Its spelling: `--name=value`, booleans also `--name`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from serving.model_server.limits import Limits

TRUE, FALSE = {"true", "1"}, {"false", "0"}
_BOUNDS = ("max_request_bytes", "max_batch_rows", "max_json_depth", "max_gzip_ratio")
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
    grpc_channel_arguments: str = ""
    grpc_max_threads: int = 0  # 0: 4 × CPUs
    max_request_bytes: int = Limits.request_bytes  # this and the next three are not upstream's
    max_batch_rows: int = Limits.batch_rows
    max_json_depth: int = Limits.json_depth
    max_gzip_ratio: int = Limits.gzip_ratio
    monitoring_config_file: str = ""
    request_log_max_bytes: int = 64 << 20  # of a file; this and the next three are not upstream's
    request_log_max_files: int = 16  # that are kept of a filename_prefix
    shutdown_delay_seconds: int = 0
    drain_seconds: int = 30
    version: bool = False
    help: bool = False

    @property
    def limits(self) -> Limits:
        """What a request may cost."""
        return Limits(self.max_request_bytes, self.max_batch_rows, self.max_json_depth, self.max_gzip_ratio)


# Accepted for the sake of existing command lines. The value is what this server does whatever it is told;
# the start says so to whoever asks for another.
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
# Asking for these and not getting them would be a surprise later: the start is refused.
REFUSED = {
    "platform_config_file": "this server has the platform tensorflow only: leave the flag out",
    "use_alts_credentials": "ALTS works inside Google's cloud only: encrypt with --ssl_config_file",
}


class FlagsError(Exception):
    """A value that can't be read, or flags that exclude each other; the text is for a person."""


@dataclass(frozen=True)
class Given:
    """What a command line asks for. unknown: without a meaning. ignored: flags without effect here."""

    flags: Flags
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def parse(arguments: Sequence[str]) -> Given:
    """Read a command line. Raises FlagsError."""
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
    return Given(flags, tuple(unknown), tuple(ignored))


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
    for name in ("request_log_max_bytes", "request_log_max_files"):
        if getattr(flags, name) < 1:
            raise FlagsError(f"--{name} is {getattr(flags, name)}; expected 1 or more")
    for name in (*_BOUNDS, "shutdown_delay_seconds", "drain_seconds"):
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
