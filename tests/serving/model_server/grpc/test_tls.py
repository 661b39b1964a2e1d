"""An encrypted gRPC port, asked by real clients; and files that can't be meant."""

import grpc
import pytest

from digits_model_server.grpc import server
from digits_model_server.status import Status
from tests.serving.model_server import _tls
from tests.serving.model_server._calls import ask_half, connected, refused


@pytest.fixture(scope="module")
def authority():
    return _tls.Authority("digits test")


@pytest.fixture(scope="module")
def pair(authority):
    return authority.issue("server")


def channel(target, ca=None, client=None):
    texts = (ca, client and client.key, client and client.certificate)
    credentials = grpc.ssl_channel_credentials(*(text and text.encode() for text in texts))
    return grpc.secure_channel(target, credentials, options=[("grpc.enable_http_proxy", 0)])


@pytest.fixture
def ssl(pair, tmp_path):
    """Writes the SSLConfig of a pair, with more fields or others."""
    fields = {"server_key": pair.key, "server_cert": pair.certificate}
    return lambda **more: _tls.config(tmp_path / "ssl", **(fields | more))


def test_clients_that_trust_the_certificate_are_answered_and_rest_stays_plain(
    launch, half, ssl, authority, tmp_path
):
    socket_path = tmp_path / "socket"
    with launch(half, f"--ssl_config_file={ssl()}", f"--grpc_socket_path={socket_path}") as server:
        with channel(server.target, authority.certificate) as made:
            assert ask_half(made, 2.0) == 2.0
        with channel(server.target) as system, connected(server) as plain:
            assert refused(ask_half, system, 2.0)[0] == refused(ask_half, plain, 2.0)[0] == "UNAVAILABLE"
        options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.default_authority", "localhost")]
        trusted = grpc.ssl_channel_credentials(authority.certificate.encode())
        with grpc.secure_channel(f"unix:{socket_path}", trusted, options=options) as made:
            assert ask_half(made, 4.0) == 3.0, "the socket is encrypted too, as upstream's"
        assert server.rest("/v1/models/default:predict", {"instances": [2.0]})[0] == 200
        assert "not encrypted: --ssl_config_file is for gRPC" in server.text()


def test_client_verify_demands_a_certificate_of_the_authority(launch, half, ssl, authority):
    file = ssl(custom_ca=authority.certificate, client_verify=True)
    other = _tls.Authority("another").issue("client")
    with launch(half, f"--ssl_config_file={file}") as server:
        with channel(server.target, authority.certificate, authority.issue("client")) as made:
            assert ask_half(made, 2.0) == 2.0
        for client in (None, other):
            with channel(server.target, authority.certificate, client) as made:
                assert refused(ask_half, made, 2.0)[0] == "UNAVAILABLE"


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
def test_what_can_t_be_meant_is_named(authority, ssl, change, said):
    texts = {"protected": _tls.protected(b"secret"), "another": authority.issue("another").key}
    with pytest.raises(Status, match=said) as caught:
        server.credentials(ssl(**{name: texts.get(value, value) for name, value in change.items()}))
    assert "\n" not in caught.value.message
