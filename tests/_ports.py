"""Ports for servers that tests start."""

import random
import socket

BELOW = 32_000  # from about here on the system gives ports to connections of its own choice


def free_port() -> int:
    """Return a port of the loopback that is unused, and that no outgoing connection gets before the server
    does.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, BELOW)  # not one that a seed gives to two
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
