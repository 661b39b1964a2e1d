"""Certificates that are valid for an hour, and the SSLConfig files that hold them."""

import datetime
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Pair:
    """A private key and its certificate, as PEM text."""

    key: str
    certificate: str


class Authority:
    """Signs certificates of 127.0.0.1."""

    def __init__(self, name: str) -> None:
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), name
        self.certificate = _signed(name, self._key, name, self._key, ca=True)

    def issue(self, name: str) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(name, key, self._name, self._key, ca=False)
        return Pair(_pem(key, serialization.NoEncryption()), certificate)


def protected(password: bytes) -> str:
    """Return a new key encrypted with a password."""
    return _pem(ec.generate_private_key(ec.SECP256R1()), serialization.BestAvailableEncryption(password))


def config(path: Path, **fields: str | bool) -> Path:
    """Write a text SSLConfig and return its path."""
    path.write_text("\n".join(f"{name}: {json.dumps(value)}" for name, value in fields.items()))
    return path


def _signed(subject, key, issuer, signer, *, ca):
    """The certificate of a name's key, signed with the key of another name, as PEM text."""
    now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    names = x509.SubjectAlternativeName([address, x509.DNSName("localhost")])
    subject, issuer = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (subject, issuer)
    )
    certificate = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - hour)
        .not_valid_after(now + hour)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key, encryption) -> str:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(*form, encryption).decode()
