"""An encrypted gRPC port, asked by real clients; and files that can't be meant."""

import grpc
import pytest

from digits_model_server.grpc import server
from digits_model_server.status import Status
from tests.serving._server import Server
from tests.serving.model_server import _tls
from tests.serving.model_server._calls import ask_half, connected


@pytest.fixture(scope="module")
def authority():
    return _tls.Authority("digits test")


@pytest.fixture(scope="module")
def pair(authority):
    return authority.issue("server")


def channel(target, ca=None, client=None):
    given = [None if text is None else text.encode() for text in (ca, client and client.key)]
    chain = client.certificate.encode() if client else None
    credentials = grpc.ssl_channel_credentials(given[0], given[1], chain)
    return grpc.secure_channel(target, credentials, options=[("grpc.enable_http_proxy", 0)])


def test_clients_that_trust_the_certificate_are_answered_and_rest_stays_plain(
    half, pair, authority, tmp_path
):
    file = _tls.config(tmp_path / "ssl", server_key=pair.key, server_cert=pair.certificate)
    socket_path = tmp_path / "socket"
    flags = (f"--model_base_path={half}", f"--ssl_config_file={file}", f"--grpc_socket_path={socket_path}")
    with Server(tmp_path / "log", *flags) as server:
        with channel(server.target, authority.certificate) as made:
            assert ask_half(made, 2.0) == 2.0
        with channel(server.target) as made, pytest.raises(grpc.RpcError) as caught:
            ask_half(made, 2.0)  # trusts the system's authorities, not this one
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        with connected(server) as made, pytest.raises(grpc.RpcError):
            ask_half(made, 2.0)
        options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.default_authority", "localhost")]
        trusted = grpc.ssl_channel_credentials(authority.certificate.encode())
        with grpc.secure_channel(f"unix:{socket_path}", trusted, options=options) as made:
            assert ask_half(made, 4.0) == 3.0, "the socket is encrypted too, as upstream's"
        assert server.rest("/v1/models/default:predict", {"instances": [2.0]})[0] == 200
        assert "not encrypted: --ssl_config_file is for gRPC" in server.text()


def test_client_verify_demands_a_certificate_of_the_authority(half, pair, authority, tmp_path):
    file = _tls.config(
        tmp_path / "ssl",
        server_key=pair.key,
        server_cert=pair.certificate,
        custom_ca=authority.certificate,
        client_verify=True,
    )
    other = _tls.Authority("another").issue("client")
    flags = (f"--model_base_path={half}", f"--ssl_config_file={file}")
    with Server(tmp_path / "log", *flags) as server:
        with channel(server.target, authority.certificate, authority.issue("client")) as made:
            assert ask_half(made, 2.0) == 2.0
        for client in (None, other):
            with channel(server.target, authority.certificate, client) as made:
                with pytest.raises(grpc.RpcError) as caught:
                    ask_half(made, 2.0)
                assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"server_key": ""}, "server_key is missing"),
        ({"server_key": "/etc/tls/key.pem"}, "the text itself belongs here, not a path"),
        ({"server_cert": "-----BEGIN CERTIFICATE-----\nrubbish\n"}, "server_cert can't be read"),
        ({"server_key": "-----BEGIN PRIVATE KEY-----\nrubbish\n"}, "server_key or server_cert can't be read"),
        ({"server_key": "protected"}, "protected by a password"),
        ({"server_key": "another"}, "server_key is not the key of server_cert"),
        ({"custom_ca": "rubbish"}, "custom_ca is not a certificate"),
        ({"client_verify": True}, "client_verify needs custom_ca"),
    ],
)
def test_what_can_t_be_meant_is_named(authority, pair, tmp_path, change, said):
    texts = {"protected": _tls.protected(b"secret"), "another": authority.issue("another").key}
    change = {name: texts.get(value, value) for name, value in change.items()}
    fields = {"server_key": pair.key, "server_cert": pair.certificate} | change
    with pytest.raises(Status, match=said) as caught:
        server.credentials(_tls.config(tmp_path / "ssl", **fields))
    assert "\n" not in caught.value.message
