import subprocess
import sys

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from digits.runtime.errors import StoreError
from serving.store.pointer import Pointer, parse, render

ODD = '/models of "mine"/dig\\its/ü'


@pytest.mark.parametrize("base_path", ["/models/digits", ODD])
@pytest.mark.parametrize("canary", [None, 12])
def test_what_is_written_is_read_back(base_path, canary):
    pointer = Pointer(base_path, 3, canary)
    assert parse(render(pointer), "models.config") == pointer


def test_a_server_reads_from_it_two_models_with_one_specific_version_each():
    config = text_format.Parse(
        render(Pointer("/models/digits", 3, 4)), model_server_config_pb2.ModelServerConfig()
    )
    entries = config.model_config_list.config
    assert [(e.name, e.base_path, e.model_platform) for e in entries] == [
        ("digits", "/models/digits", "tensorflow"),
        ("digits_canary", "/models/digits", "tensorflow"),
    ]
    assert [list(e.model_version_policy.specific.versions) for e in entries] == [[3], [4]]


def test_it_names_what_it_names():
    assert Pointer("/m", 3).versions == {3}
    assert Pointer("/m", 3, 4).versions == {3, 4}


def test_a_relative_base_path_is_refused_because_servers_refuse_it():
    with pytest.raises(StoreError, match="relative"):
        render(Pointer("models/digits", 1))


TWO = "model_version_policy { specific { versions: 1 versions: 2 } }"


def entry(name="digits", base="/m", policy="model_version_policy { specific { versions: 1 } }"):
    return f'config {{ name: "{name}" base_path: "{base}" {policy} }}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_config_list {", "not a model server's configuration"),
        ("<!DOCTYPE html>", "not a model server's configuration"),
        ("", "no model"),
        (f"model_config_list {{ {entry('half_plus_two')} }}", "half_plus_two"),
        (f"model_config_list {{ {entry()} {entry()} }}", "once"),
        (f"model_config_list {{ {entry('digits_canary')} }}", "digits_canary"),
        (f"model_config_list {{ {entry()} {entry('digits_canary', base='/n')} }}", "different folders"),
        (f"model_config_list {{ {entry(policy='')} }}", "exactly one version"),
        (
            f"model_config_list {{ {entry(policy='model_version_policy { latest { } }')} }}",
            "exactly one version",
        ),
        (
            f"model_config_list {{ {entry(policy=TWO)} }}",
            "exactly one version",
        ),
    ],
)
def test_what_promote_did_not_write_is_refused_with_the_file_and_what_to_do(text, said):
    with pytest.raises(StoreError, match=said) as refused:
        parse(text, "models/serving/models.config")
    assert "models/serving/models.config" in str(refused.value)
    assert "promote" in str(refused.value)


def test_reading_the_pointer_loads_no_tensorflow():
    code = "import sys, serving.store.promote, serving.store.publish; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
