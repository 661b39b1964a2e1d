import pytest

from serving.model_server.grpc import server
from serving.model_server.status import INVALID_ARGUMENT, Status


def test_channel_arguments_are_numbers_where_they_look_like_them():
    found = server.channel_arguments("grpc.a=7,grpc.b=-7,grpc.c=7s,grpc.d=,grpc.e=x=y")
    assert found == [("grpc.a", 7), ("grpc.b", -7), ("grpc.c", "7s"), ("grpc.d", ""), ("grpc.e", "x=y")]
    assert server.channel_arguments("") == []


def test_a_channel_argument_without_a_value_is_refused():
    with pytest.raises(Status, match=r"'grpc\.a' is not of the form key=value") as caught:
        server.channel_arguments("grpc.a")
    assert caught.value.code == INVALID_ARGUMENT
