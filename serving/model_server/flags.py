"""`tensorflow_model_server`'s command line → Flags. Its spelling: `--name=value`, booleans also `--name`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from serving.model_server.limits import Limits

TRUE, FALSE = {"true", "1"}, {"false", "0"}


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
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    enable_serialization_as_tensor_content: bool = False
    enable_signature_method_name_check: bool = False
    enable_grpc_healthcheck_service: bool = False
    grpc_channel_arguments: str = ""
    grpc_max_threads: int = 0  # 0: 4 × CPUs
    max_request_bytes: int = Limits.request_bytes  # this and the next three are not upstream's
    max_batch_rows: int = Limits.batch_rows
    max_json_depth: int = Limits.json_depth
    max_gzip_ratio: int = Limits.gzip_ratio
    drain_seconds: int = 30  # not upstream's: how long requests in flight may take after SIGTERM
    version: bool = False
    help: bool = False

    @property
    def limits(self) -> Limits:
        """What a request may cost."""
        return Limits(self.max_request_bytes, self.max_batch_rows, self.max_json_depth, self.max_gzip_ratio)


# Accepted for the sake of existing command lines: no effect here, and the start says so.
WITHOUT_EFFECT = {
    "num_load_threads",
    "num_unload_threads",
    "flush_filesystem_caches",
    "remove_unused_fields_from_bundle_metagraph",
    "prefer_tflite_model",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "per_process_gpu_memory_fraction",
    "enable_profiler",
    "skip_initialize_tpu",
    "enable_per_model_batching_parameters",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
    "mixed_precision",
    "thread_pool_factory_config_file",
    "use_alts_credentials",
}
# Asking for these and not getting them would be a surprise later: the start is refused.
REFUSED = {
    "ssl_config_file": "this server does not encrypt yet: put a proxy that does in front of it",
    "enable_batching": "this server does not join requests yet: leave the flag out",
    "batching_parameters_file": "this server does not join requests yet: leave the flag out",
    "monitoring_config_file": "this server has no metrics yet: leave the flag out",
    "platform_config_file": "this server has the platform tensorflow only: leave the flag out",
    "tensorflow_session_config_file": "this server has its own session settings: leave the flag out",
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
        if not argument.startswith("--") or (
            name not in defaults and name not in {*WITHOUT_EFFECT, *REFUSED}
        ):
            unknown.append(argument)
        elif name in WITHOUT_EFFECT:
            ignored.append(name)
        elif name in REFUSED:
            if text.lower() not in FALSE and (text or not equals):
                raise FlagsError(f"--{name}: {REFUSED[name]}")
        else:
            chosen[name] = _value(name, type(defaults[name]), text if equals else None)
    flags = replace(Flags(), **chosen)
    _check(flags)
    return Given(flags, tuple(unknown), tuple(ignored))


def _value(name: str, kind: type, text: str | None) -> Any:
    if kind is bool:
        word = "true" if text is None else text.lower()
        if word not in TRUE | FALSE:
            raise FlagsError(f"--{name} is '{text}'; expected true or false")
        return word in TRUE
    if text is None:
        raise FlagsError(f"--{name} has no value; expected --{name}=…")
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise FlagsError(f"--{name} is '{text}'; expected a whole number") from None
    return text


def _check(flags: Flags) -> None:
    if flags.version or flags.help:
        return
    if not flags.port and not flags.grpc_socket_path:
        raise FlagsError(
            "INVALID_ARGUMENT: server_options.port and server_options.grpc_socket_path are not set."
        )
    if not flags.model_config_file and not flags.model_base_path:
        raise FlagsError(
            "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are "
            "empty!"
        )
    for name in ("port", "rest_api_port"):
        if not 0 <= getattr(flags, name) <= 65535:
            raise FlagsError(f"--{name} is {getattr(flags, name)}; expected 0 to 65535")
    threads = (
        flags.tensorflow_session_parallelism,
        flags.tensorflow_intra_op_parallelism,
        flags.tensorflow_inter_op_parallelism,
    )
    if all(value > 0 for value in threads):
        raise FlagsError(
            "INVALID_ARGUMENT: Either configure tensorflow_session_parallelism or "
            "(tensorflow_intra_op_parallelism, tensorflow_inter_op_parallelism)."
        )


def usage() -> str:
    """The flags and their defaults."""
    lines = ["usage: digits-model-server [--name=value …]", "Flags:"]
    for field in fields(Flags):
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        lines.append(f"\t--{field.name}={default}")
    return "\n".join(lines)
