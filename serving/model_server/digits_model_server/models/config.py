"""Reads a text-format ModelServerConfig into the checked settings of each model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digits_model_server.status import invalid

PLATFORM = "tensorflow"
LOG_TYPE = "tfrecord"
LATEST, ALL, SPECIFIC = "latest", "all", "specific"
_URI = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


class ConfigError(Exception):
    """A config file that can't be read or parsed; the text is meant for the user."""


@dataclass(frozen=True)
class Policy:
    """Which of the versions on disk should be served."""

    kind: str = LATEST
    count: int = 1  # of the latest
    versions: frozenset[int] = frozenset()  # the specific ones


@dataclass(frozen=True)
class Logging:
    """The request log of a model: the share of requests that is sampled, and the absolute path prefix of its
    files.
    """

    prefix: str
    rate: float


@dataclass(frozen=True)
class ModelSettings:
    """One model of the config. logging: None for no request log."""

    name: str
    base_path: str
    policy: Policy = Policy()
    labels: dict[str, int] = field(default_factory=dict)
    logging: Logging | None = None


def single_model(name: str, base_path: str) -> list[ModelSettings]:
    """Return the settings for --model_name and --model_base_path. Raises Status."""
    return _checked([ModelSettings(name, base_path)])


def read(path: Path) -> list[ModelSettings]:
    """Return the models of a config file.

    Raises ConfigError for the file, Status for unsupported settings.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file: {error}") from None
    return from_proto(parse(text))


def parse(text: str) -> Any:
    """Return the ModelServerConfig message.

    Raises ConfigError in upstream's words, which its users search for.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    try:
        return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (text_format.ParseError, UnicodeError) as error:
        raise ConfigError(
            f"Error parsing text-format tensorflow.serving.ModelServerConfig: {error}"
        ) from None


def from_proto(config: Any) -> list[ModelSettings]:
    """Return the models of a message, none for an empty one. Raises Status."""
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("custom_model_config is not supported: list the models in model_config_list")
    return _checked(_settings(each) for each in config.model_config_list.config)


def _settings(model: Any) -> ModelSettings:
    if not model.model_platform and not model.model_type:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    if model.model_platform and model.model_type:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    if model.model_type not in (0, 1):
        raise invalid(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
    if model.model_platform not in ("", PLATFORM):
        raise invalid(f"Model {model.name} requests unsupported platform {model.model_platform}")
    choice = model.model_version_policy
    kind = choice.WhichOneof("policy_choice")
    if kind == ALL:
        policy = Policy(ALL)
    elif kind == SPECIFIC:
        policy = Policy(SPECIFIC, versions=frozenset(choice.specific.versions))
    else:
        policy = Policy(LATEST, count=max(1, choice.latest.num_versions))
    return ModelSettings(
        model.name, model.base_path, policy, dict(model.version_labels), _logging(model.name, model)
    )


def _logging(name: str, model: Any) -> Logging | None:
    asked = model.logging_config
    sampling, collector = asked.sampling_config, asked.log_collector_config
    rate, prefix = sampling.sampling_rate, collector.filename_prefix
    if collector.type not in ("", LOG_TYPE):
        raise invalid(f"Model {name} asks for a log collector of type {collector.type}; expected {LOG_TYPE}")
    if sampling.per_task_sampling_configs or asked.HasField("custom_logging_config"):
        raise invalid(f"Model {name}: per_task_sampling_configs and custom_logging_config are not supported")
    if not 0 <= rate <= 1:
        raise invalid(f"Model {name} has sampling_rate {rate:g}; expected 0 to 1")
    if not rate:
        return None
    if not prefix.startswith("/") or prefix.endswith("/"):
        raise invalid(
            f"Model {name} has log files with filename_prefix '{prefix}'; expected an absolute path that the "
            "names of the files begin with"
        )
    return Logging(prefix, rate)


def _checked(models: Iterable[ModelSettings]) -> list[ModelSettings]:
    found: dict[str, ModelSettings] = {}
    for model in models:
        if model.name in found:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        if not model.base_path.startswith("/") and not _URI.match(model.base_path):
            raise invalid(
                f"Expected model {model.name} to have an absolute path or URI; "
                f"got base_path()={model.base_path}"
            )
        if _URI.match(model.base_path):
            raise invalid(
                f"model {model.name} is at {model.base_path}: this server reads local folders only; mount it"
            )
        found[model.name] = model
    return list(found.values())
