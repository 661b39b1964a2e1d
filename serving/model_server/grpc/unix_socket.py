"""The path of a Unix socket: taken over from a server that is gone, never from one that serves."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from serving.model_server.status import UNAVAILABLE, Status, invalid

LONGEST = 107  # bytes of a path that the system's address of a socket holds
PATIENCE = 1.0  # seconds for a server to take a connection


def claim(path: str) -> None:
    """Make way at the path, which a socket may be bound to then. Raises Status where it must not."""
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
        raise invalid(f"--grpc_socket_path={path} is there already and is no socket: it is left as it is")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):  # nobody listens: its server was killed
            Path(path).unlink(missing_ok=True)
            return
        except OSError as error:
            why = f"can't be looked at: {error.strerror or error}"
        else:
            why = "belongs to a server that is running"
    raise Status(
        UNAVAILABLE, f"can't listen on unix:{path}: it {why}; stop what uses it, or choose another path"
    )
