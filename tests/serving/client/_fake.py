"""A model server on loopback whose model is arithmetic, with faults on request: real sockets, no TensorFlow.

An MNIST-like image shows the digit of its first pixel. A picture is MAGIC and its digit in ASCII; one that
continues with "bad" is refused. A line says that digit in its first columns, then a separator, then how many
pixels wide it is; a picture of a line is 40 wide.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc

from digits_client import codec_grpc
from digits_client.codec_grpc import PREDICT, STATES, STATUS

MAGIC = b"\x89PNG\r\n\x1a\n"
SURE = 0.9375  # exact in float32
HTTP = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429}
HTTP |= {"INTERNAL": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}


def picture(digit: int, tail: bytes = b"") -> bytes:
    """Return a picture of that digit, for the fake."""
    return MAGIC + str(digit).encode() + tail


class Refusal(Exception):
    """A status code and its text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass
class Fake:
    """The requests that the server has received, and how it shall answer."""

    versions: dict[int, str] = field(default_factory=lambda: {3: "AVAILABLE"})
    faults: list[Refusal] = field(default_factory=list)  # one for each of the next requests
    asked: list[tuple[str, int, int | None]] = field(default_factory=list)  # signature, images, version
    tells_index: bool = True  # which picture of a request is bad
    index_offset: int = 0  # as when a server counts through the requests that it has joined
    garbage: bytes | None = None  # answered in place of an answer
    accepts: bool | None = None  # every answer, no answer; None: a version without that output
    reads_lines: bool = True  # False: a version without the signatures of lines
    stuck: threading.Event = field(default_factory=threading.Event)  # set: answer; clear: hold every request
    arrived: threading.Event = field(default_factory=threading.Event)  # a request is being held
    on_predict: Any = None  # called after each Predict that succeeds
    grpc: str = ""
    rest: str = ""

    def __post_init__(self) -> None:
        self.stuck.set()

    def address(self, transport: str) -> str:
        return self.grpc if transport == "grpc" else self.rest

    def enter(self) -> None:
        self.arrived.set()
        self.stuck.wait(30)
        if self.faults:
            raise self.faults.pop(0)

    def pick(self, model: str, version: int | None) -> int:
        ready = [v for v, state in self.versions.items() if state == "AVAILABLE"]
        if model != "digits" or not ready or (version is not None and version not in ready):
            told = f"Latest({model})" if version is None else f"Specific({model}, {version})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {told}")
        return max(ready) if version is None else version

    def predict(
        self, model: str, version: int | None, signature: str, images: list[Any]
    ) -> tuple[int, list[int]]:
        self.asked.append((signature, len(images), version))
        self.enter()
        used = self.pick(model, version)
        if signature.startswith("lines") and not self.reads_lines:
            raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
        digits = [self.digit(i, image) for i, image in enumerate(images)]
        if self.on_predict:
            self.on_predict()
        return used, digits

    def digit(self, index: int, image: Any) -> int:
        if not isinstance(image, bytes):
            return int(image[0][0]) % 10
        if image[9:12] == b"bad":
            told = f"assertion failed: [image_bytes[{index + self.index_offset}] is blank: expected ink]"
            told = told if self.tells_index else "Invalid PNG data, size 60"
            where = "\n\t [[{{node map/while/cond_1/DecodePng}}]]"  # as TensorFlow adds it
            raise Refusal("INVALID_ARGUMENT", f"Graph execution error:\n\n{told}{where}")
        return int(image[8:9])

    def statuses(self, model: str, version: int | None) -> list[tuple[int, str, str]]:
        self.enter()
        known = {v: s for v, s in self.versions.items() if version in (None, v)}
        if model != "digits" or not known:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {model}")
        return [(v, s.split(":")[0], s.partition(":")[2]) for v, s in sorted(known.items(), reverse=True)]


def shares(digit: int) -> list[float]:
    """Return the fake's probabilities: exact in float32, summing to 1."""
    return [{digit: SURE, (digit + 1) % 10: 0.0625}.get(i, 0.0) for i in range(10)]


def line_rows(digits: list[int], widths: list[int], widest: int) -> list[dict[str, Any]]:
    """Return the fake's answers for lines, filled up to the widest."""
    rows = []
    for digit, width in zip(digits, widths, strict=True):
        classes = [digit, 10, *map(int, str(width))]
        spare = [-1] * (24 - len(classes))
        columns = [[SURE if i == c else 0.0 for i in range(12)] for c in classes]
        columns += [[0.0] * 11 + [1.0]] * (-(-widest // 4) - len(classes))
        row = {"text": f"{digit}{width}", "written": f"{digit}.{width}", "confidence": SURE, "accepted": True}
        row |= {"length": len(classes), "character": classes + spare, "columns": columns}
        row |= {"probability": [SURE] * len(classes) + spare, "column_count": -(-width // 4)}
        rows.append(row | {"position": [4.0 * i + 2 for i in range(len(classes))] + spare})
    return rows


# --- gRPC ---


def _tensor(tensor: Any, dtype: int, shape: list[int], values: list[Any]) -> None:
    tensor.dtype = dtype
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    kinds = {1: "float_val", 3: "int_val", 7: "string_val", 9: "int64_val", 10: "bool_val"}
    getattr(tensor, kinds[dtype]).extend(values)


def _line_outputs(outputs: Any, rows: list[dict[str, Any]]) -> None:
    types = {"text": 7, "written": 7, "accepted": 10, "length": 3, "character": 3, "column_count": 3}
    for name in rows[0]:
        shape, flat = [len(rows)], [row[name] for row in rows]
        while isinstance(flat[0], list):
            shape.append(len(flat[0]))
            flat = [each for part in flat for each in part]
        flat = [each.encode() if isinstance(each, str) else each for each in flat]
        _tensor(outputs[name], types.get(name, 1), shape, flat)


def _grpc_predict(fake: Fake, body: bytes) -> bytes:
    request = codec_grpc.PredictRequest.FromString(body)
    spec = request.model_spec
    lines = spec.signature_name.startswith("lines")
    tensor = next(tensor for name, tensor in request.inputs.items() if name != "width")
    widths, widest = [40] * len(tensor.string_val), 40
    if spec.signature_name.endswith("encoded"):
        images: list[Any] = list(tensor.string_val)
    else:
        n, h, w = (dim.size for dim in tensor.tensor_shape.dim)
        assert len(tensor.tensor_content) == n * h * w
        images = memoryview(tensor.tensor_content).cast("B", (n, h, w)).tolist()
        widths, widest = list(request.inputs["width"].int_val) if lines else [], w
    version = spec.version.value if spec.HasField("version") else None
    used, digits = fake.predict(spec.name, version, spec.signature_name, images)
    response = codec_grpc.PredictResponse()
    response.model_spec.name, response.model_spec.version.value = spec.name, used
    if lines:
        _line_outputs(response.outputs, line_rows(digits, widths, widest))
        return response.SerializeToString()
    n = len(digits)
    _tensor(response.outputs["digit"], 9, [n], digits)
    _tensor(response.outputs["confidence"], 1, [n], [SURE] * n)
    _tensor(response.outputs["probabilities"], 1, [n, 10], [p for d in digits for p in shares(d)])
    if fake.accepts is not None:
        _tensor(response.outputs["accepted"], 10, [n], [fake.accepts] * n)
    return response.SerializeToString()


def _grpc_status(fake: Fake, body: bytes) -> bytes:
    spec = codec_grpc.GetModelStatusRequest.FromString(body).model_spec
    version = spec.version.value if spec.HasField("version") else None
    response = codec_grpc.GetModelStatusResponse()
    for number, state, text in fake.statuses(spec.name, version):
        each = response.model_version_status.add(version=number)
        each.state = next(code for code, name in STATES.items() if name == state)
        each.status.error_message = text
    return response.SerializeToString()


def grpc_server(fake: Fake, tls: Any = None, limit: int = -1, port: int = 0) -> tuple[Any, int]:
    """Start a server, which takes messages of at most `limit` bytes; return it and its port."""
    options = [("grpc.max_receive_message_length", limit), ("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=options)

    class Doors(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            answer = {PREDICT: _grpc_predict, STATUS: _grpc_status}[details.method]

            def handle(body: bytes, context: Any) -> bytes:
                try:
                    made = answer(fake, body)
                    return made if fake.garbage is None else fake.garbage
                except Refusal as refusal:
                    return context.abort(grpc.StatusCode[refusal.code], refusal.text)

            return grpc.unary_unary_rpc_method_handler(handle)

    server.add_generic_rpc_handlers((Doors(),))
    address = f"127.0.0.1:{port}"
    port = server.add_secure_port(address, tls) if tls else server.add_insecure_port(address)
    server.start()
    return server, port


# --- REST ---

ROUTE = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict)?$")


def _rest(fake: Fake, path: str, body: bytes) -> dict[str, Any]:
    matched = ROUTE.match(path)
    if not matched:
        raise Refusal("INVALID_ARGUMENT", f"Malformed request: {path}")
    model, version = matched[1], int(matched[2]) if matched[2] else None
    if not matched[3]:
        states = fake.statuses(model, version)
        told = [{"version": str(v), "state": s, "status": {"error_message": text}} for v, s, text in states]
        return {"model_version_status": told}
    asked = json.loads(body)
    images = asked["instances"]
    widths, widest = [40] * len(images), 40
    if asked["signature_name"].endswith("encoded"):
        images = [base64.b64decode(each["b64"], validate=True) for each in images]
    elif asked["signature_name"] == "lines":
        widths = [each["width"] for each in images]
        images = [each["lines"] for each in images]
        widest = len(images[0][0])
    _, digits = fake.predict(model, version, asked["signature_name"], images)
    if asked["signature_name"].startswith("lines"):
        return {"predictions": line_rows(digits, widths, widest)}
    told = {} if fake.accepts is None else {"accepted": fake.accepts}
    rows = [{"probabilities": shares(d), "digit": d, "confidence": SURE} | told for d in digits]
    return {"predictions": rows}


def rest_server(fake: Fake) -> ThreadingHTTPServer:
    """Return a server that is not yet serving."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, body = 200, json.dumps(_rest(fake, self.path, body)).encode()
                if fake.garbage is not None:
                    body = fake.garbage
            except Refusal as refusal:
                status, body = HTTP[refusal.code], json.dumps({"error": refusal.text}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)
                self.wfile.flush()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.connections: list[socket.socket] = []

        def process_request(self, request: Any, address: Any) -> None:
            self.connections.append(request)
            super().process_request(request, address)

        def server_close(self) -> None:
            super().server_close()
            for each in self.connections:  # ends those that a client keeps for its next request
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

        def handle_error(self, *_: object) -> None:
            return

    return Server(("127.0.0.1", 0), Handler)


@contextlib.contextmanager
def serving(tls: tuple[Path, Path] | None = None) -> Iterator[Fake]:
    """Open both ports until the block ends; encrypted if given the files of a key and its certificate."""
    fake = Fake()
    web = rest_server(fake)
    credentials = None
    if tls:
        key, certificate = tls
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        web.socket = context.wrap_socket(web.socket, server_side=True)
    server, port = grpc_server(fake, tls=credentials)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    fake.grpc, fake.rest = f"127.0.0.1:{port}", f"127.0.0.1:{web.server_port}"
    try:
        yield fake
    finally:
        fake.stuck.set()
        server.stop(None).wait()
        web.shutdown()
        thread.join()
        web.server_close()
