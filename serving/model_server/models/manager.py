"""Settings of the models → which versions serve: a new one is ready before the old one goes, one that fails
changes nothing.

One thread (`keeper`) looks at the disk, loads and decides; requests read a snapshot and never wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.model_server.models.config import ModelSettings
from serving.model_server.models.keeper import Keeper
from serving.model_server.models.model import Watched
from serving.model_server.models.version import Version
from serving.model_server.models.versions import AVAILABLE
from serving.model_server.status import UNKNOWN, Status, invalid, not_found, precondition

Load = Callable[
    [Path], Any
]  # a version's folder → the loaded model, warmed up; it has close(). Raises Status


@dataclass(frozen=True)
class Pace:
    """How often to look, in seconds, and how to try again. poll: 0 looks once, below 0 never."""

    poll: float = 1.0
    retries: int = 5
    retry_after: float = 60.0


class Manager:
    """All models of a server."""

    def __init__(self, load: Load, pace: Pace, *, labels_for_unavailable: bool = False) -> None:
        self.load, self.pace = load, pace
        self.models: dict[str, Watched] = {}
        self.leaving: list[Watched] = []  # models that the settings no longer name
        self.gone: dict[str, Watched] = {}  # the last of those that have left: people ask for them
        self.changed = threading.Condition()  # guards all of these
        self.stopping = False
        self.follows: tuple[Callable[[], Sequence[ModelSettings]], float] | None = None
        self._labels_for_unavailable = labels_for_unavailable
        self._serving: dict[
            str, dict[int, Version]
        ] = {}  # replaced as a whole: requests read it without a lock
        self._keeper = Keeper(self)

    # --- what requests need

    @contextmanager
    def model(self, spec: Any) -> Iterator[Version]:
        """The version that a ModelSpec asks for, kept for as long as the block runs. Raises Status."""
        version = self.enter(spec.name, *_asked(spec))
        try:
            yield version
        finally:
            version.leave()

    def enter(self, name: str, number: int | None = None, label: str | None = None) -> Version:
        """Like `model`; the caller calls `leave`. Neither number nor label: the highest that serves."""
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
            if version.enter():  # else it went while we looked: the snapshot is newer by now
                return version

    def _labelled(self, name: str, label: str) -> int:
        model = self.models.get(name)
        labels = model.settings.labels if model else {}
        if label not in labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return labels[label]

    def states(self, name: str, number: int | None = None) -> list[tuple[int, int, Status | None]]:
        """(version, state, error) of every version ever seen, newest first. Raises Status."""
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

    # --- what the process needs

    def start(self, settings: Sequence[ModelSettings]) -> None:
        """Load all models; wait until each serves a version at least. Raises Status when one can't."""
        self.declare(settings)
        self._keeper.start()
        self._wait([each.name for each in settings], "servable")

    def follow(self, read: Callable[[], Sequence[ModelSettings]], every: float) -> None:
        """Read the settings anew every so many seconds and apply them; bad ones change nothing."""
        with self.changed:
            self.follows = read, every
            self._keeper.soon()

    def apply(self, settings: Sequence[ModelSettings]) -> None:
        """Declare the models, wait for the new ones; those not named go, all of them too. Raises Status."""
        self._wait(self.declare(settings), "model")

    def stop(self) -> None:
        """Let no request in any more, wait for those under way, give everything back."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        self._keeper.finish()
        serving, self._serving = self._serving, {}
        for each in serving.values():
            for version in each.values():
                version.close()

    # --- settings

    def declare(self, settings: Sequence[ModelSettings]) -> list[str]:
        """Take over the settings; the names that are new. Raises Status, and then nothing has changed."""
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
                    self.models[each.name] = Watched(each, self.gone.pop(each.name, None))
            self._keeper.soon()
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
                if self.stopping or all(model.settled() for model in waiting):
                    break
                self.changed.wait()
            failed = [version for model in waiting if (version := model.failed())]
        if failed:
            each = (f"{{{{name: {v.model} version: {v.number}}} due to error: {v.error}}}, " for v in failed)
            raise Status(UNKNOWN, f"{len(failed)} {what}(s) did not become available: {{{''.join(each)}}}")

    def set_state(self, version: Version, state: int) -> None:
        """Move a version on, and with it what requests find."""
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
