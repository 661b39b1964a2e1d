"""--ssl_config_file → what the gRPC port encrypts with; a bad one is refused before anything is loaded."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

from serving.model_server import schemas
from serving.model_server.status import Status, invalid

_PROTECTED = "ENCRYPTED"  # in the head of a key that wants a password


def credentials(path: Path) -> Any:
    """gRPC server credentials. Raises Status: what is wrong with the file, or with the texts in it."""
    import grpc

    config = schemas.read(path, "SSLConfig")
    _check(path, config)
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials(
        [pair], config.custom_ca.encode() or None, require_client_auth=config.client_verify
    )


def _check(path: Path, config: Any) -> None:
    """Raise Status for what gRPC would take without a word, to fail every connection later."""
    for name, kind in (("server_key", "PRIVATE KEY-----"), ("server_cert", "-----BEGIN CERTIFICATE-----")):
        text = getattr(config, name)
        if not text:
            raise invalid(f"{path}: {name} is missing")
        if kind not in text:
            hint = "; the text itself belongs here, not a path" if "-----BEGIN" not in text else ""
            raise invalid(f"{path}: {name} is not in PEM format, with a line {kind}{hint}")
    if _PROTECTED in config.server_key:
        raise invalid(f"{path}: server_key is protected by a password: give it without one")
    if config.client_verify and not config.custom_ca:
        raise invalid(f"{path}: client_verify needs custom_ca, which signed the clients' certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # how strong a key is to be is its owner's choice
    if config.custom_ca:
        try:
            context.load_verify_locations(cadata=config.custom_ca)
        except (ssl.SSLError, ValueError) as error:
            raise _bad(path, "custom_ca is no certificate in PEM format", error) from None
    try:
        _load(context, config.server_key, config.server_cert)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise invalid(f"{path}: server_key is not the key of server_cert") from None
        raise _bad(path, "server_key or server_cert can't be read", error) from None
    except OSError as error:
        raise invalid(f"{path} can't be checked in a temporary folder: {error.strerror or error}") from None


def _load(context: ssl.SSLContext, key: str, certificate: str) -> None:
    """OpenSSL reads files only: for a moment they lie in a folder of this user alone."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "certificate"), Path(folder, "key")
        for file, text in zip(files, (certificate, key), strict=True):
            file.write_text(text, encoding="utf-8")
        context.load_cert_chain(*files, password=lambda: "")


def _bad(path: Path, what: str, error: Exception) -> Status:
    return invalid(f"{path}: {what}: {getattr(error, 'reason', None) or error}")
