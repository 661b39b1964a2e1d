import pytest

from serving.model_server import flags
from serving.model_server.flags import FlagsError

BASE = ["--model_base_path=/models/m"]


def test_values_are_read_as_upstream_spells_them():
    given = flags.parse(
        [*BASE, "--port=9000", "--rest_api_enable_cors_support", "--enable_model_warmup=FALSE"]
    )
    assert (given.flags.port, given.flags.rest_api_port) == (9000, 0)
    assert given.flags.rest_api_enable_cors_support and not given.flags.enable_model_warmup
    assert given.unknown == () and given.ignored == ()


def test_what_has_no_meaning_or_no_effect_is_named_not_swallowed():
    given = flags.parse([*BASE, "--nonsense=1", "stray", "--num_load_threads=4"])
    assert given.unknown == ("--nonsense=1", "stray") and given.ignored == ("num_load_threads",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port=many"], "--port is 'many'; expected a whole number"),
        (["--port"], "--port has no value"),
        (["--enable_model_warmup=perhaps"], "expected true or false"),
        (["--port=70000"], "expected 0 to 65535"),
        (["--request_log_max_files=0"], "expected 1 or more"),
        (["--port=0"], "server_options.port and server_options.grpc_socket_path are not set"),
        (["--enable_batching"], "does not join requests"),
        (["--ssl_config_file=x"], "does not encrypt"),
        (
            [f"--tensorflow_{name}_parallelism=2" for name in ("session", "intra_op", "inter_op")],
            "Either configure tensorflow_session_parallelism or",
        ),
    ],
)
def test_what_can_t_be_honoured_is_refused(arguments, said):
    with pytest.raises(FlagsError, match=said.replace("(", r"\(")):
        flags.parse([*BASE, *arguments])


def test_a_refused_flag_that_is_off_is_no_reason_to_stop():
    flags.parse([*BASE, "--enable_batching=false", "--ssl_config_file="])


def test_neither_a_path_nor_a_config_is_refused():
    with pytest.raises(FlagsError, match=r"Both server_options\.model_base_path and"):
        flags.parse([])
