"""A thread beside the flow runs that restarts the Prefect server when it dies and watches the inbox.

The scheduler runs one, and so does each command that runs a flow in its own process (`digits run`, `sweep`,
`crossval`), through `start_prefect`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from digits.runtime.errors import DigitsError
from flows.scheduling import server, settings
from flows.scheduling.inbox_trigger import Inbox
from flows.scheduling.server import Server

EVERY = 3.0  # seconds between looks


class Supervisor(threading.Thread):
    """Keeps the Prefect server running until `stop`, which also ends the server if this process started it.

    A server that this thread starts dies with it, so the thread lives as long as the scheduler.
    """

    def __init__(self, project: Path, running: Server | None, port: int) -> None:
        super().__init__(name="supervisor", daemon=True)
        self.project, self.server, self.port = project, running, port
        self.inbox: Inbox | None = None  # set once there is a deployment to run
        self.last_line = ""
        self._end = threading.Event()

    def run(self) -> None:
        """Check server and inbox every few seconds; an error is logged once and the check repeated."""
        try:
            while not self._end.wait(EVERY):
                try:
                    self._look()
                    self.last_line = ""
                except Exception as error:  # whatever it is, the schedule must go on
                    self._say_once(f"{type(error).__name__}: {error}")
        finally:
            if self.server:
                self.server.stop()

    def stop(self) -> None:
        """End the thread and the server."""
        self._end.set()
        self.join()

    def _look(self) -> None:
        if self.server and self._gone(self.server):
            say("the Prefect server died: starting it again")
            running = server.ensure(self.project, self.port)
            if running.url != self.server.url:
                raise DigitsError(f"another Prefect server now runs at {running.url}: restart the scheduler")
            self.server = running
            say(f"the Prefect server answers again at {running.page}")
        if self.inbox:
            from prefect.client.orchestration import get_client

            with get_client(sync_client=True) as client:
                if name := self.inbox.tick(client):
                    say(f"new batch in {self.inbox.folder}: run {name}")

    def _gone(self, running: Server) -> bool:
        """Whether the server has ended, whether or not this process started it."""
        return running.has_ended() or (running.process is None and server.find_running(self.project) is None)

    def _say_once(self, text: str) -> None:
        if text != self.last_line:
            say(text)
        self.last_line = text


def start_prefect(project: Path) -> None:
    """Set this process up for the project's Prefect; Prefect must not be imported yet.

    The server is the project's if one runs, else one that ends with this process. Prefect then prints
    nothing. Raises DigitsError.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # the command tells it all
    settings.apply(project)
    running = server.ensure(project, port=server.free_port())
    os.environ.update(settings.variables_for(running.url))
    supervisor = Supervisor(project, running, server.port_of(running.url))
    supervisor.start()
    # registered before Prefect is imported, so that Prefect sends its last logs before the server stops
    atexit.register(supervisor.stop)


def say(text: str) -> None:
    """Print one line with the time to standard error, the scheduler's log."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{now} {' '.join(text.split())}", file=sys.stderr, flush=True)  # noqa: T201
