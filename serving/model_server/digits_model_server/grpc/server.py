"""The gRPC server: its ports, its encryption by --ssl_config_file, and its Unix socket.

A bad TLS file is refused before anything is loaded. The path of a Unix socket is taken over from a server
that is gone, never from one that is running.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from digits_model_server import protos, status
from digits_model_server.event_loop import EventLoopServer
from digits_model_server.grpc.service import Method
from digits_model_server.status import UNAVAILABLE, Status, invalid

_PROTECTED = "ENCRYPTED"  # in the header of a password-protected key


def credentials(path: Path) -> Any:
    """Return gRPC server credentials from an SSLConfig file. Raises Status that says what is wrong in it."""
    import grpc

    config = protos.read(path, "SSLConfig")
    _check(path, config)
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials(
        [pair], config.custom_ca.encode() or None, require_client_auth=config.client_verify
    )


def _check(path: Path, config: Any) -> None:
    """Raise Status for what gRPC would accept silently, only to fail every connection later."""
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
        raise invalid(f"{path}: client_verify needs custom_ca, the CA that signed the clients' certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the strength of the key is its owner's choice
    if config.custom_ca:
        try:
            context.load_verify_locations(cadata=config.custom_ca)
        except (ssl.SSLError, ValueError) as error:
            raise _bad(path, "custom_ca is not a certificate in PEM format", error) from None
    try:
        _load(context, config.server_key, config.server_cert)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise invalid(f"{path}: server_key is not the key of server_cert") from None
        raise _bad(path, "server_key or server_cert can't be read", error) from None
    except OSError as error:
        raise invalid(f"{path} can't be checked in a temporary folder: {error.strerror or error}") from None


def _load(context: ssl.SSLContext, key: str, certificate: str) -> None:
    """Load a key and its certificate. OpenSSL reads files only, so they lie briefly in a private folder."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "certificate"), Path(folder, "key")
        for file, text in zip(files, (certificate, key), strict=True):
            file.write_text(text, encoding="utf-8")
        context.load_cert_chain(*files, password=lambda: "")


def _bad(path: Path, what: str, error: Exception) -> Status:
    return invalid(f"{path}: {what}: {getattr(error, 'reason', None) or error}")


LONGEST = 107  # bytes of a path that the system's address of a socket holds
PATIENCE = 1.0  # seconds for a server to take a connection


def claim_path(path: str) -> None:
    """Make the path free for a Unix socket: remove one whose server is gone. Raises Status if it can't."""
    if len(os.fsencode(path)) > LONGEST:
        raise invalid(f"--grpc_socket_path={path} is longer than {LONGEST} bytes: the system takes no more")
    folder = Path(path).parent
    if not folder.is_dir():
        raise invalid(f"--grpc_socket_path={path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise invalid(f"--grpc_socket_path={path}: this user may not write in {folder}")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise invalid(f"--grpc_socket_path={path} exists and is not a socket: it is left as it is")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):  # nobody listens: its server was killed
            Path(path).unlink(missing_ok=True)
            return
        except OSError as error:
            why = f"can't be probed: {error.strerror or error}"
        else:
            why = "belongs to a server that is running"
    raise Status(
        UNAVAILABLE, f"can't listen on unix:{path}: it {why}; stop what uses it, or choose another path"
    )


LOG = logging.getLogger("digits-model-server")
CODES = {code.value[0]: code for code in grpc.StatusCode}
MOST = 2**31 - 1
PENDING = 100_000  # requests that gRPC may hold until the event loop takes them; its own limit is 1,000
HANDSHAKE = 20_000  # milliseconds in which a connection must begin as HTTP/2; gRPC's own limit is 120,000
_WHOLE = re.compile(r"[+-]?[0-9]+")
Service = Callable[[EventLoopServer], grpc.GenericRpcHandler]  # made in the server's event loop


class GrpcServer(EventLoopServer):
    """Serves methods on addresses until it is stopped."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        addresses: list[str],
        threads: int,
        most_bytes: int,
        arguments: str,
        credentials: Any = None,
        services: Sequence[Service] = (),
    ) -> None:
        """arguments: channel arguments as `key=value,key=value`. Raises Status for malformed ones."""
        super().__init__("grpc", threads)
        self._methods, self._addresses = methods, addresses
        self._credentials, self._services = credentials, services
        self._options = [
            ("grpc.max_receive_message_length", most_bytes or MOST),
            ("grpc.max_send_message_length", MOST),
            ("grpc.server.max_pending_requests", PENDING),  # else those of a stalled second are cancelled
            ("grpc.server.max_pending_requests_hard_limit", PENDING),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE),
            ("grpc.so_reuseport", 0),  # else a second server takes the same port and half of the calls
            *channel_arguments(arguments),
        ]

    async def serve(self) -> None:
        """Run the server until it is asked to stop."""
        server = grpc.aio.server(options=self._options)
        handlers: dict[str, dict[str, Any]] = {}
        for path, method in self._methods.items():
            _, service, name = path.split("/")
            handlers.setdefault(service, {})[name] = grpc.unary_unary_rpc_method_handler(
                self._handler(path, method)
            )
        for service, listed in handlers.items():
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, listed)])
        server.add_generic_rpc_handlers([made(self) for made in self._services])
        for address in self._addresses:
            _listen(server, address, self._credentials)
        await server.start()
        self.mark_ready()
        await self.stopping.wait()
        await server.stop(self.grace)

    def _handler(self, path: str, method: Method) -> Any:
        async def handle(data: bytes, context: Any) -> bytes:
            try:
                kind = path, len(data).bit_length()
                return await self.answer(kind, _answer, method, data, context.time_remaining())
            except Status as error:
                return await _abort(context, error)
            except Exception as error:
                LOG.exception("a request failed")
                return await _abort(context, Status(status.INTERNAL, f"{type(error).__name__}: {error}"))

        return handle


async def _answer(method: Method, data: bytes, seconds: float | None) -> bytes:
    """Parse a request, answer it and return the serialized response. Raises Status."""
    try:
        request = method.request.FromString(data)
    except DecodeError:
        raise Status(status.INTERNAL, "the request is not the message that this call takes") from None
    response = method.response()
    await method.answer(request, response, seconds)
    serialized: bytes = response.SerializeToString()
    return serialized


async def _abort(context: Any, error: Status) -> bytes:
    await context.abort(CODES[error.code], status.shorten(error.message))
    raise AssertionError("abort raises")


def channel_arguments(text: str) -> list[tuple[str, Any]]:
    """Parse `key=value,key=value` into pairs; whole numbers become int. Raises Status."""
    found: list[tuple[str, Any]] = []
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise invalid(f"--grpc_channel_arguments: '{pair}' is not of the form key=value")
        whole = _WHOLE.fullmatch(value) and -MOST - 1 <= int(value) <= MOST
        found.append((key, int(value) if whole else value))
    return found


def _listen(server: Any, address: str, credentials: Any) -> None:
    try:
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
    except RuntimeError:
        bound = 0
    if not bound:
        raise Status(
            status.UNAVAILABLE,
            f"can't listen on {address}: it is in use, or not this machine's; stop what uses it, or choose "
            "another port",
        )
