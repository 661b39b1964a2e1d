"""Encrypted connections: only to a server whose certificate is trusted and names it."""

import numpy as np
import pytest

from digits_client import Unavailable
from tests.serving.client._fake import serving
from tests.serving.model_server._tls import Authority

IMAGE = np.full((28, 28), 6, np.uint8)


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """The files of a key, of its certificate, and of who signed that."""
    folder, authority = tmp_path_factory.mktemp("tls"), Authority("digits test")
    pair = authority.issue("server")
    contents = {"key.pem": pair.key, "cert.pem": pair.certificate, "ca.pem": authority.certificate}
    for name, text in contents.items():
        (folder / name).write_text(text)
    return [folder / name for name in contents]


@pytest.fixture
def encrypted(certified):
    with serving(certified[:2]) as fake:
        yield fake


def test_https_reaches_a_server_whose_certificate_is_trusted(connect, encrypted, transport, certified):
    client = connect(f"https://{encrypted.address(transport)}", ca_file=certified[2])
    assert client.predict(IMAGE)[0].digit == 6


def test_a_server_whose_certificate_is_not_trusted_is_refused_and_refuses_plain_text(
    connect, encrypted, transport
):
    with pytest.raises(Unavailable, match=r"(?i)certificate|ssl|handshake"):
        connect(f"https://{encrypted.address(transport)}", retries=0).predict(IMAGE)
    with pytest.raises(Unavailable):
        connect(encrypted.address(transport), retries=0).predict(IMAGE)
