"""The manager of the models: loads new versions before unloading old ones; one that fails changes nothing.

One thread, `Reconciler`, watches the disk and loads and unloads; requests read a snapshot and never wait
for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits_model_server.models import versions
from digits_model_server.models.config import ModelSettings
from digits_model_server.models.model import ConfiguredModel
from digits_model_server.models.versions import AVAILABLE, END, LOADING, UNLOADING, Version
from digits_model_server.process import trim_memory
from digits_model_server.status import INTERNAL, UNKNOWN, Status, invalid, not_found, precondition

Load = Callable[
    [Path], Any
]  # a version's folder → the loaded model, warmed up; it has close(). Raises Status


@dataclass(frozen=True)
class Pace:
    """How often to look at the disk, and how to retry. Seconds; poll: 0 looks once, negative never."""

    poll: float = 1.0
    retries: int = 5
    retry_after: float = 60.0


class Manager:
    """All models of a server."""

    def __init__(self, load: Load, pace: Pace, *, labels_for_unavailable: bool = False) -> None:
        self.load, self.pace = load, pace
        self.models: dict[str, ConfiguredModel] = {}
        self.leaving: list[ConfiguredModel] = []  # models that the settings no longer name
        self.gone: dict[str, ConfiguredModel] = {}  # the last that have left: their status is still served
        self.changed = threading.Condition()  # guards all of these
        self.stopping = False
        self.follows: tuple[Callable[[], Sequence[ModelSettings]], float] | None = None
        self._labels_for_unavailable = labels_for_unavailable
        self._serving: dict[
            str, dict[int, Version]
        ] = {}  # replaced as a whole: requests read it without a lock
        self._reconciler = Reconciler(self)

    # --- for requests

    @contextmanager
    def model(self, spec: Any) -> Iterator[Version]:
        """Yield the version that a ModelSpec selects, loaded while the block runs. Raises Status."""
        version = self.enter(spec.name, *_asked(spec))
        try:
            yield version
        finally:
            version.leave()

    def enter(self, name: str, number: int | None = None, label: str | None = None) -> Version:
        """Return a version like `model`; the caller calls its `leave`.

        Without number and label it is the highest version that serves.
        """
        if not name:
            raise invalid("ModelSpec has no name specified.")
        while True:
            serving = self._serving.get(name, {})
            wanted = self._labelled(name, label) if label is not None else number
            if wanted is None:
                if not serving:
                    raise not_found(f"Servable not found for request: Latest({name})")
                version = serving[max(serving)]
            elif wanted in serving:
                version = serving[wanted]
            else:
                raise not_found(f"Servable not found for request: Specific({name}, {wanted})")
            if version.enter():  # else it was unloaded meanwhile: look at the newer snapshot
                return version

    def _labelled(self, name: str, label: str) -> int:
        model = self.models.get(name)
        labels = model.settings.labels if model else {}
        if label not in labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return labels[label]

    def states(self, name: str, number: int | None = None) -> list[tuple[int, int, Status | None]]:
        """Return (version, state, error) of every version ever seen, newest first. Raises Status."""
        with self.changed:
            model = self.models.get(name)
            model = model or next((each for each in self.leaving if each.settings.name == name), None)
            model = model or self.gone.get(name)
            known = model.versions if model else {}
            if number is not None and number not in known:
                raise not_found(f"Could not find version {number} of model {name}")
            if not known:
                raise not_found(f"Could not find any versions of model {name}")
            chosen = [number] if number is not None else sorted(known, reverse=True)
            return [(each, known[each].state, known[each].error) for each in chosen]

    # --- for the process

    def start(self, settings: Sequence[ModelSettings]) -> None:
        """Load all models; wait until each serves at least one version. Raises Status when one can't."""
        self.declare(settings)
        self._reconciler.start()
        self._wait([each.name for each in settings], "servable")

    def follow(self, read: Callable[[], Sequence[ModelSettings]], every: float) -> None:
        """Reread the settings every so many seconds and apply them; invalid ones change nothing."""
        with self.changed:
            self.follows = read, every
            self._reconciler.wake()

    def apply(self, settings: Sequence[ModelSettings]) -> None:
        """Declare the models and wait for the new ones. Raises Status.

        Models that are not named are unloaded, even all of them.
        """
        self._wait(self.declare(settings), "model")

    def stop(self) -> None:
        """Refuse new requests, wait for those under way, unload everything."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        self._reconciler.join()
        serving, self._serving = self._serving, {}
        for each in serving.values():
            for version in each.values():
                version.close()

    # --- settings

    def declare(self, settings: Sequence[ModelSettings]) -> list[str]:
        """Take over the settings and return the names that are new.

        Raises Status, and then nothing has changed.
        """
        with self.changed:
            for each in settings:
                self._check_labels(each)
            named = {each.name for each in settings}
            for name in [name for name in self.models if name not in named]:
                self.leaving.append(self.models.pop(name))
            new = []
            for each in settings:
                if each.name in self.models:
                    self.models[each.name].change(each)
                else:
                    new.append(each.name)
                    self.models[each.name] = ConfiguredModel(each, self.gone.pop(each.name, None))
            self._reconciler.wake()
            return new

    def _check_labels(self, settings: ModelSettings) -> None:
        known = self.models.get(settings.name)
        before = known.settings.labels if known else {}
        for label, number in settings.labels.items():
            free = self._labels_for_unavailable and before.get(label, number) == number
            if not free and number not in self._serving.get(settings.name, {}):
                raise precondition(
                    f"Request to assign label to version {number} of model {settings.name}, which is not "
                    "currently available for inference"
                )

    def _wait(self, names: Sequence[str], what: str) -> None:
        with self.changed:
            while True:
                waiting = [self.models[name] for name in names if name in self.models]
                if self.stopping or all(model.is_settled() for model in waiting):
                    break
                self.changed.wait()
            failed = [version for model in waiting if (version := model.failed_version())]
        if failed:
            each = (f"{{{{name: {v.model} version: {v.number}}} due to error: {v.error}}}, " for v in failed)
            raise Status(UNKNOWN, f"{len(failed)} {what}(s) did not become available: {{{''.join(each)}}}")

    def set_state(self, version: Version, state: int) -> None:
        """Set a version's state, and update which versions requests find."""
        with self.changed:
            version.state = state
            of_model = dict(self._serving.get(version.model, {}))
            if state == AVAILABLE:
                of_model[version.number] = version
            elif of_model.get(version.number) is version:
                del of_model[version.number]
            self._serving = {**self._serving, version.model: of_model}
            self.changed.notify_all()


def _asked(spec: Any) -> tuple[int | None, str | None]:
    kind = spec.WhichOneof("version_choice")
    if kind == "version":
        return spec.version.value, None
    return None, spec.version_label if kind == "version_label" else None


LOG = logging.getLogger("digits-model-server")
LONGEST = 3600.0  # seconds of sleep
SHORTEST = 0.01
MOST_GONE = 1000  # models that are remembered after they have left


class Reconciler:
    """The thread that brings the loaded versions of one manager to those that are wanted."""

    def __init__(self, manager: Manager) -> None:
        self._of = manager
        self._due = self._settings_due = 0.0  # by time.monotonic()
        self._complaint = ""
        self._closers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Have it look at the disk at once. The caller holds the manager's lock."""
        self._due = 0.0
        self._of.changed.notify_all()

    def join(self) -> None:
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
                LOG.exception("the models' manager failed and goes on")
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
        """Return the seconds until something is due."""
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
            elif self._of.models:  # more likely a half-written file than an intention
                complaint = "they name no model"
        except Exception as error:
            complaint = str(error)
        if complaint and complaint != self._complaint:
            LOG.error("the new settings are not applied, the old ones stay in force: %s", complaint)
        self._complaint = complaint

    def _look(self) -> None:
        with self._of.changed:
            models = list(self._of.models.values())
        for model in models:
            present, complaint = model.scan()
            if model.should_log(complaint, time.monotonic()):
                LOG.warning("model %s: %s", model.settings.name, complaint)
            if present is not None:  # a mount that disappeared is no reason to stop serving
                with self._of.changed:
                    model.update_wanted(present)

    def _step(self) -> bool:
        """Do the next thing for each model; return whether there was one."""
        with self._of.changed:
            models, leaving = list(self._of.models.values()), list(self._of.leaving)
        acted = [self._act(model, model.wanted) for model in models]
        for model in leaving:
            acted.append(self._act(model, set()))
            with self._of.changed:
                if model.retire():
                    self._of.leaving.remove(model)
                    self._of.gone[model.settings.name] = model
                    if len(self._of.gone) > MOST_GONE:
                        del self._of.gone[next(iter(self._of.gone))]
        return any(acted)

    def _act(self, model: ConfiguredModel, wanted: set[int]) -> bool:
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
        version.open(loaded)
        self._of.set_state(version, AVAILABLE)
        LOG.info("%s/%d serves after %.1f s", version.model, version.number, time.monotonic() - started)

    def _failed(self, version: Version, error: Exception) -> None:
        why = error if isinstance(error, Status) else Status(INTERNAL, f"{type(error).__name__}: {error}")
        with self._of.changed:
            version.attempts += 1
            self._of.changed.notify_all()
        if version.attempts <= self._of.pace.retries:
            LOG.warning("%s/%d can't be loaded, will be tried again: %s", version.model, version.number, why)
            version.again_at = time.monotonic() + max(0.0, self._of.pace.retry_after)
            return
        LOG.error("%s/%d can't be loaded: %s", version.model, version.number, why)
        version.error = why
        self._of.set_state(version, END)

    def _unload(self, version: Version) -> None:
        self._of.set_state(version, UNLOADING)

        def close() -> None:  # waits for its requests: no reason to hold up other versions
            version.close()
            trim_memory()
            self._of.set_state(version, END)
            LOG.info("%s/%d is unloaded", version.model, version.number)

        closer = threading.Thread(target=close, name=f"unload {version.model}/{version.number}", daemon=True)
        self._closers = [*(each for each in self._closers if each.is_alive()), closer]
        closer.start()
