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


def test_a_relative_base_path_is_refused_because_servers_refuse_it():
    with pytest.raises(StoreError, match="relative"):
        render(Pointer("models/digits", 1))


def entry(name="digits", base="/m", policy="specific { versions: 1 }"):
    policy = f"model_version_policy {{ {policy} }}" if policy else ""
    return f'config {{ name: "{name}" base_path: "{base}" {policy} }}'


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("}", "not a model server's configuration"),
        ("", "no model"),
        (entry("half_plus_two"), "half_plus_two"),
        (entry() + entry(), "once"),
        (entry("digits_canary"), "digits_canary"),
        (entry() + entry("digits_canary", base="/n"), "different folders"),
        *(
            (entry(policy=p), "exactly one version")
            for p in ("", "latest { }", "specific { versions: [1, 2] }")
        ),
    ],
)
def test_what_promote_did_not_write_is_refused_with_the_file_and_what_to_do(entries, said):
    with pytest.raises(StoreError, match=said) as refused:
        parse(f"model_config_list {{ {entries} }}", "models/serving/models.config")
    assert "models/serving/models.config" in str(refused.value)
    assert "promote" in str(refused.value)
