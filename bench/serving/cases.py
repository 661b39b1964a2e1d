"""The cases of the serving bench, in order: server, interface, images in a request, clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OURS, REAL = "ours", "tensorflow_model_server"
JOINING = "ours-batching"  # the same server with --enable_batching and its defaults
LOGGING = "ours-logging"  # the same server with every request in its log
NOOP_GRPC = ("noop-grpc-aio", "noop-grpc-threads")  # the better of the two in a round is the floor
NOOP_REST = ("noop-rest", "noop-rest-aiohttp")  # bare asyncio; with the library that the server has too
FLASK, FASTAPI = "flask", "fastapi"
SERVERS = (OURS, JOINING, LOGGING, REAL, *NOOP_GRPC, *NOOP_REST, FLASK, FASTAPI)

CLIENTS = (1, 8, 64)
BATCHES = (1, 32, 256)
PIXELS, PNG = "pixels", "png"
GRPC, REST = "grpc", "rest"

# (interface, payload) that a server is asked by, with single images
INTERFACES: dict[str, tuple[tuple[str, str], ...]] = {
    OURS: ((GRPC, PIXELS), (GRPC, PNG), (REST, PIXELS), (REST, PNG)),
    JOINING: ((GRPC, PIXELS), (GRPC, PNG), (REST, PIXELS), (REST, PNG)),
    LOGGING: ((GRPC, PIXELS),),
    REAL: ((GRPC, PIXELS), (GRPC, PNG), (REST, PIXELS), (REST, PNG)),
    NOOP_GRPC[0]: ((GRPC, PIXELS),),
    NOOP_GRPC[1]: ((GRPC, PIXELS),),
    NOOP_REST[0]: ((REST, PIXELS),),
    NOOP_REST[1]: ((REST, PIXELS),),
    FLASK: ((REST, PIXELS),),
    FASTAPI: ((REST, PIXELS),),
}
# who gets larger requests, over gRPC: (server, clients)
BATCHED = {OURS: CLIENTS, REAL: CLIENTS, NOOP_GRPC[0]: (8,)}


@dataclass(frozen=True)
class Case:
    """One load on one server. `batch`: images in a request; `clients`: concurrent requests."""

    server: str
    interface: str
    payload: str
    batch: int
    clients: int

    @property
    def title(self) -> str:
        """The name shown in the output."""
        images = f"{self.batch} × {self.payload}" if self.batch > 1 else self.payload
        return f"{self.server} {self.interface} {images}, {self.clients} clients"


def cases(servers: Iterable[str], clients: Sequence[int] = CLIENTS) -> list[Case]:
    """Return one round.

    Cases that are compared are next to each other, so that ratios are of the same minute.
    """
    there = [server for server in SERVERS if server in set(servers)]
    plan = []
    for count in clients:
        for interface, payload in ((GRPC, PIXELS), (GRPC, PNG), (REST, PIXELS), (REST, PNG)):
            plan += [
                Case(s, interface, payload, 1, count) for s in there if (interface, payload) in INTERFACES[s]
            ]
        for batch in BATCHES[1:]:
            plan += [Case(s, GRPC, PIXELS, batch, count) for s in there if count in BATCHED.get(s, ())]
    return plan
