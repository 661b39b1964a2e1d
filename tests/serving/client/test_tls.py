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
    files = [folder / name for name in ("key.pem", "cert.pem", "ca.pem")]
    for file, text in zip(files, (pair.key, pair.certificate, authority.certificate), strict=True):
        file.write_text(text)
    return files


@pytest.fixture
def encrypted(certified):
    with serving(certified[:2]) as fake:
        yield fake


def test_https_reaches_a_server_whose_certificate_is_trusted_and_refuses_others_as_it_does_plain_text(
    connect, encrypted, transport, certified
):
    address = encrypted.address(transport)
    assert connect(f"https://{address}", ca_file=certified[2]).predict(IMAGE)[0].digit == 6
    with pytest.raises(Unavailable, match=r"(?i)certificate|ssl|handshake"):
        connect(f"https://{address}", retries=0).predict(IMAGE)
    with pytest.raises(Unavailable):
        connect(address, retries=0).predict(IMAGE)
