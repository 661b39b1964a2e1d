"""Encrypted connections: only to a server whose certificate is trusted and names it."""

import datetime
import ipaddress

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from digits_client import Unavailable
from tests.serving.client._fake import serving

IMAGE = np.full((28, 28), 6, np.uint8)


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A key, a certificate of 127.0.0.1 signed by itself, and the files of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "digits test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address, x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key_pem)
    return folder / "key.pem", folder / "cert.pem"


@pytest.fixture
def encrypted(certified):
    with serving(certified) as fake:
        yield fake


def test_https_reaches_a_server_whose_certificate_is_trusted(connect, encrypted, transport, certified):
    client = connect(f"https://{encrypted.address(transport)}", ca_file=certified[1])
    assert client.predict(IMAGE)[0].digit == 6


def test_https_refuses_a_server_whose_certificate_is_not_trusted(connect, encrypted, transport):
    with pytest.raises(Unavailable, match=r"(?i)certificate|ssl|handshake"):
        connect(f"https://{encrypted.address(transport)}", retries=0).predict(IMAGE)


def test_plain_text_to_an_encrypted_server_is_refused(connect, encrypted, transport):
    with pytest.raises(Unavailable):
        connect(encrypted.address(transport), retries=0).predict(IMAGE)


def test_a_file_without_certificates_is_refused(connect, tmp_path, transport):
    from digits_client import BadRequest

    (tmp_path / "empty.pem").write_text("nothing\n")
    with pytest.raises(BadRequest, match="certificate"):
        connect("https://localhost", ca_file=tmp_path / "empty.pem")
