"""A second thread beside flow runs: brings the Prefect server back when it dies, and looks into the inbox."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from digits.runtime.errors import DigitsError
from flows.scheduling import server as servers
from flows.scheduling import settings
from flows.scheduling.inbox_trigger import Inbox
from flows.scheduling.server import Server

EVERY = 3.0  # seconds between looks


class Keeper(threading.Thread):
    """Keeps what a scheduler needs until `stop`; ends the server then, if this scheduler started one.

    A server that it starts dies with this thread, so the thread lives as long as the scheduler.
    """

    def __init__(self, project: Path, server: Server | None, port: int) -> None:
        super().__init__(name="keeper", daemon=True)
        self.project, self.server, self.port = project, server, port
        self.inbox: Inbox | None = None  # set once there is a deployment to run
        self.said = ""
        self._end = threading.Event()

    def run(self) -> None:
        """Look after both every few seconds; what goes wrong is told once and tried again."""
        try:
            while not self._end.wait(EVERY):
                try:
                    self._look()
                    self.said = ""
                except Exception as error:  # whatever it is, the schedule must go on
                    self._tell_once(f"{type(error).__name__}: {error}")
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
            found = servers.ensure(self.project, self.port)
            if found.url != self.server.url:
                raise DigitsError(f"another Prefect server runs at {found.url} by now: restart the scheduler")
            self.server = found
            say(f"the Prefect server answers again at {found.page}")
        if self.inbox:
            from prefect.client.orchestration import get_client

            with get_client(sync_client=True) as client:
                if name := self.inbox.tick(client):
                    say(f"new batch in {self.inbox.folder}: run {name}")

    def _gone(self, server: Server) -> bool:
        """Whether it runs no more, whoever started it."""
        return server.ended() or (server.process is None and servers.running(self.project) is None)

    def _tell_once(self, text: str) -> None:
        if text != self.said:
            say(text)
        self.said = text


def for_this_process(project: Path) -> None:
    """The project's Prefect for this process, whose environment it sets: Prefect must not be imported yet.

    The server is the project's if one runs, else one that ends with this process. Raises DigitsError.
    """
    settings.apply(project)
    found = servers.ensure(project, port=servers.free_port())
    os.environ.update(settings.at(found.url))
    keeper = Keeper(project, found, servers.port_of(found.url))
    keeper.start()
    atexit.register(keeper.stop)  # before Prefect is imported: what it still has to send at exit goes first


def say(text: str) -> None:
    """One line with the time, for a log."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{now} {' '.join(text.split())}", file=sys.stderr, flush=True)  # noqa: T201
