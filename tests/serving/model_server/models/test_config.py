import pytest

from digits_model_server.models import config
from digits_model_server.models.config import ConfigError, Logging, Policy
from digits_model_server.status import INVALID_ARGUMENT, Status


def model(name="m", path="/models/m", rest='model_platform: "tensorflow"'):
    return f'config {{ name: "{name}" base_path: "{path}" {rest} }}'


def read(*models):
    return config.from_proto(config.parse(f"model_config_list {{ {' '.join(models)} }}"))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", Policy()),
        ("latest { num_versions: 3 }", Policy("latest", 3)),
        ("latest { num_versions: 0 }", Policy("latest", 1)),
        ("all {}", Policy("all")),
        ("specific { versions: 4 versions: 2 }", Policy("specific", versions=frozenset({2, 4}))),
    ],
)
def test_policies(policy, expected):
    policy = policy and f"model_version_policy {{ {policy} }}"
    (found,) = read(model(rest=f'model_platform: "tensorflow" {policy}'))
    assert (found.name, found.base_path, found.policy) == ("m", "/models/m", expected)


RELATIVE = r"Expected model m to have an absolute path or URI; got base_path\(\)=models/m"
PLATFORM = (
    r"Illegal setting %s ModelServerConfig::model_type \(deprecated\) %s ModelServerConfig::model_platform, "
    "model name is m$"
)


def test_labels_and_the_deprecated_type_that_is_the_platform_too():
    rest = 'model_type: TENSORFLOW version_labels { key: "stable" value: 3 }'
    assert read(model(rest=rest))[0].labels == {"stable": 3}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([model(), model()], "Illegal to list model m multiple times in config list"),
        ([model(path="models/m")], RELATIVE),
        ([model(rest="")], PLATFORM % ("neither", "nor")),
        ([model(rest='model_platform: "tensorflow" model_type: TENSORFLOW')], PLATFORM % ("both", "and")),
        ([model(rest="model_type: OTHER")], "ModelServerConfig::model_type choice 2 not supported.$"),
        ([model(rest='model_platform: "caffe"')], "Model m requests unsupported platform caffe$"),
        ([model(path="gs://bucket/m")], "reads local folders"),
    ],
)
def test_settings_that_make_no_sense_are_refused(models, said):
    with pytest.raises(Status, match=said) as caught:
        read(*models)
    assert caught.value.code == INVALID_ARGUMENT


def test_a_config_without_models_is_none():
    assert read() == config.from_proto(config.parse("")) == []


def test_a_file_that_is_no_config_is_refused_in_the_words_that_people_look_for(tmp_path):
    with pytest.raises(Status, match="INVALID_ARGUMENT: custom_model_config is not supported"):
        config.from_proto(config.parse("custom_model_config {}"))
    path = tmp_path / "models.config"
    path.write_text("model_config_list { config { nmae: 1 } }")
    with pytest.raises(ConfigError, match=r"Error parsing text-format .*\.ModelServerConfig.*nmae"):
        config.read(path)
    with pytest.raises(ConfigError, match=r"gone.config: No such file"):
        config.read(tmp_path / "gone.config")


def logged(text):
    return model(rest=f'model_platform: "tensorflow" logging_config {{ {text} }}')


PREFIX = 'filename_prefix: "/logs/m"'
HALF = "sampling_config { sampling_rate: 0.5 }"


def test_a_model_says_what_is_logged():
    kept = f'log_collector_config {{ type: "tfrecord" {PREFIX} }}'
    found = read(logged(f"{kept} {HALF}").replace('"m"', '"n"'), logged(kept))
    assert [each.logging for each in found] == [Logging("/logs/m", 0.5), None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('log_collector_config { type: "kafka" }', "log collector of type kafka; expected tfrecord"),
        (HALF, "filename_prefix ''; expected an absolute path"),
        (f'log_collector_config {{ filename_prefix: "/logs/" }} {HALF}', "expected an absolute path"),
        ("sampling_config { sampling_rate: nan }", "has sampling_rate nan; expected 0 to 1"),
        ("sampling_config { per_task_sampling_configs { } }", "are not supported"),
        ("custom_logging_config { }", "are not supported"),
    ],
)
def test_a_log_that_can_t_be_kept_is_refused(text, said):
    with pytest.raises(Status, match=said):
        read(logged(text))
