"""The thread that keeps a manager's models as they should be: looks, loads, unloads."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from serving.model_server.models import versions
from serving.model_server.models.model import Watched
from serving.model_server.models.version import Version
from serving.model_server.models.versions import AVAILABLE, END, LOADING, UNLOADING
from serving.model_server.process import trim
from serving.model_server.status import INTERNAL, Status

if TYPE_CHECKING:
    from serving.model_server.models.manager import Manager

LOG = logging.getLogger("digits-model-server")
LONGEST = 3600.0  # seconds of sleep
SHORTEST = 0.01
MOST_GONE = 1000  # models that are remembered after they have left


class Keeper:
    """Works for one manager until it stops."""

    def __init__(self, manager: Manager) -> None:
        self._of = manager
        self._due = self._settings_due = 0.0  # by time.monotonic()
        self._complaint = ""
        self._closers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def soon(self) -> None:
        """Look at once. The caller holds the manager's lock."""
        self._due = 0.0
        self._of.changed.notify_all()

    def finish(self) -> None:
        """Wait for the end of what is under way; the manager is stopping."""
        if self._thread.is_alive():
            self._thread.join()
        for closer in self._closers:
            closer.join()

    def _run(self) -> None:
        while not self._of.stopping:
            try:
                self._turn()
            except Exception:  # a thread that ends would leave everything as it is, unseen
                LOG.exception("the keeper of the models met an error and goes on")
                time.sleep(1.0)

    def _turn(self) -> None:
        now = time.monotonic()
        if self._of.follows and now >= self._settings_due:
            self._reread()
        if now >= self._due:
            poll = self._of.pace.poll
            with self._of.changed:
                self._due = now + poll if poll > 0 else float("inf")
            if poll >= 0:
                self._look()
        if self._step():
            return
        with self._of.changed:
            if not self._of.stopping and (pause := self._pause()) > 0:
                self._of.changed.wait(min(max(SHORTEST, pause), LONGEST))

    def _pause(self) -> float:
        """Seconds until something is due."""
        due = [self._due] + ([self._settings_due] if self._of.follows else [])
        for model in self._of.models.values():
            due += [each.again_at for each in model.versions.values() if each.state == LOADING]
        return min(due) - time.monotonic()

    def _reread(self) -> None:
        assert self._of.follows
        read, every = self._of.follows
        self._settings_due = time.monotonic() + every
        complaint = ""
        try:
            if settings := read():
                self._of.declare(settings)
            elif self._of.models:  # rather half a file than a wish
                complaint = "they name no model"
        except Exception as error:
            complaint = str(error)
        if complaint and complaint != self._complaint:
            LOG.error("the settings are not applied, everything serves on: %s", complaint)
        self._complaint = complaint

    def _look(self) -> None:
        with self._of.changed:
            models = list(self._of.models.values())
        for model in models:
            present, complaint = model.look()
            if model.complains(complaint, time.monotonic()):
                LOG.warning("model %s: %s", model.settings.name, complaint)
            if present is not None:  # a mount that went away is no reason to stop serving
                with self._of.changed:
                    model.take_stock(present)

    def _step(self) -> bool:
        """Do the next thing for each model; whether there was one."""
        with self._of.changed:
            models, leaving = list(self._of.models.values()), list(self._of.leaving)
        acted = [self._act(model, model.wanted) for model in models]
        for model in leaving:
            acted.append(self._act(model, set()))
            with self._of.changed:
                if model.leave():
                    self._of.leaving.remove(model)
                    self._of.gone[model.settings.name] = model
                    if len(self._of.gone) > MOST_GONE:
                        del self._of.gone[next(iter(self._of.gone))]
        return any(acted)

    def _act(self, model: Watched, wanted: set[int]) -> bool:
        with self._of.changed:
            known = dict(model.versions)
        now = time.monotonic()
        for number, version in known.items():
            if version.state == LOADING and number in wanted and version.again_at <= now:
                self._load(version)
                return True
        action = versions.next_action({number: each.state for number, each in known.items()}, wanted)
        if action:
            (self._load if action.load else self._unload)(known[action.version])
        return action is not None

    def _load(self, version: Version) -> None:
        self._of.set_state(version, LOADING)
        started = time.monotonic()
        try:
            with ThreadPoolExecutor(1, "load") as thread:  # of its own: it may lower its priority for good
                loaded = thread.submit(self._of.load, version.path).result()
        except Exception as error:
            self._failed(version, error)
            return
        version.opened(loaded)
        self._of.set_state(version, AVAILABLE)
        LOG.info("%s/%d serves after %.1f s", version.model, version.number, time.monotonic() - started)

    def _failed(self, version: Version, error: Exception) -> None:
        why = error if isinstance(error, Status) else Status(INTERNAL, f"{type(error).__name__}: {error}")
        with self._of.changed:
            version.attempts += 1
            self._of.changed.notify_all()
        if version.attempts <= self._of.pace.retries:
            LOG.warning("%s/%d can't be loaded, tried again: %s", version.model, version.number, why)
            version.again_at = time.monotonic() + max(0.0, self._of.pace.retry_after)
            return
        LOG.error("%s/%d can't be loaded: %s", version.model, version.number, why)
        version.error = why
        self._of.set_state(version, END)

    def _unload(self, version: Version) -> None:
        self._of.set_state(version, UNLOADING)

        def close() -> None:  # waits for its requests: no reason to hold up other versions
            version.close()
            trim()
            self._of.set_state(version, END)
            LOG.info("%s/%d is unloaded", version.model, version.number)

        closer = threading.Thread(target=close, name=f"unload {version.model}/{version.number}", daemon=True)
        self._closers = [*(each for each in self._closers if each.is_alive()), closer]
        closer.start()
