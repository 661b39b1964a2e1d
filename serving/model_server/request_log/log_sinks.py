"""A prefix's files and the disk below them: what fails is said once, and tried again later."""

from __future__ import annotations

import errno
import logging
import time

from serving.model_server import status
from serving.model_server.request_log.files import LogFiles

LOG = logging.getLogger("digits-model-server")
AGAIN = 1.0  # seconds until a disk that refused a record is tried again
_CODES = {
    errno.ENOSPC: status.RESOURCE_EXHAUSTED,
    errno.EDQUOT: status.RESOURCE_EXHAUSTED,
    errno.EMFILE: status.RESOURCE_EXHAUSTED,
    errno.ENOENT: status.NOT_FOUND,
    errno.ENOTDIR: status.NOT_FOUND,
    errno.EACCES: status.PERMISSION_DENIED,
    errno.EPERM: status.PERMISSION_DENIED,
    errno.EROFS: status.PERMISSION_DENIED,
}


class Sink:
    """Where the records of one prefix go, for one thread."""

    def __init__(self, prefix: str, most_bytes: int, most_files: int) -> None:
        """See LogFiles."""
        self._prefix, self._files = prefix, LogFiles(prefix, most_bytes, most_files)
        self._code, self._lost, self._again = status.OK, 0, 0.0

    def write(self, record: bytes) -> int:
        """Append it, or leave it out; how it went, as a status code."""
        if self._code != status.OK and time.monotonic() < self._again:
            self._lost += 1
            return self._code
        try:
            self._files.write(record)
        except OSError as error:
            self._failed(error)
            return self._code
        if self._lost:
            LOG.warning("request log %s-*: written to again; it lacks %d requests", self._prefix, self._lost)
        self._code, self._lost = status.OK, 0
        return self._code

    def close(self) -> None:
        """Close the present file."""
        self._files.close()

    def _failed(self, error: OSError) -> None:
        if not self._lost:
            why = error.strerror or str(error)
            LOG.warning("request log %s-*: %s; requests are left out until it works", self._prefix, why)
        self._lost += 1
        self._again = time.monotonic() + AGAIN
        self._code = _CODES.get(error.errno or 0, status.UNKNOWN)
