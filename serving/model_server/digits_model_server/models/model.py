"""One configured model: its settings, the versions on disk, and those that should be served."""

from __future__ import annotations

from pathlib import Path

from digits_model_server.models import diagnosis, versions
from digits_model_server.models.config import ModelSettings
from digits_model_server.models.versions import AVAILABLE, END, LOADING, START, Version

AGAIN = 60.0  # seconds after which a complaint is repeated while nothing serves
SOON = 10.0  # seconds between two different ones: they may list the files of a busy folder


class ConfiguredModel:
    """A model of the settings. versions: every one ever seen. wanted: those that should be served."""

    def __init__(self, settings: ModelSettings, before: ConfiguredModel | None = None) -> None:
        """before: the same model, which had left the settings; its versions that failed are tried again."""
        self.settings = settings
        seen = before.versions if before else {}
        self.versions: dict[int, Version] = {n: each for n, each in seen.items() if not each.error}
        self.wanted: set[int] = set()
        self.complaint = ""  # what was last logged, and when
        self._complained = 0.0

    def retire(self) -> bool:
        """Cancel what is yet to be loaded; return whether every version has ended."""
        for version in self.versions.values():
            if version.state in (START, LOADING):
                version.state = END
        return all(version.state == END for version in self.versions.values())

    def is_settled(self) -> bool:
        """Return whether one wanted version serves and the others were tried, or all have failed for good."""
        known = self._known()
        if any(version.state == AVAILABLE for version in known):
            tried = (version.state in (AVAILABLE, END) or version.attempts > 0 for version in known)
            return len(known) == len(self.wanted) and all(tried)
        return bool(known) and all(version.state == END and version.error for version in known)

    def failed_version(self) -> Version | None:
        """Return the newest wanted version that failed, where none serves; else None."""
        known = self._known()
        if any(version.state == AVAILABLE for version in known):
            return None
        return next((version for version in known if version.error is not None), None)

    def _known(self) -> list[Version]:
        """Return the wanted versions, the newest first."""
        wanted = sorted(self.wanted, reverse=True)
        return [self.versions[number] for number in wanted if number in self.versions]

    def change(self, settings: ModelSettings) -> None:
        """Take over other settings: a reason to retry what failed under the old ones."""
        old, self.settings = self.settings, settings
        if (old.base_path, old.policy) != (settings.base_path, settings.policy):
            for version in [v for v in self.versions.values() if v.state == END and v.error]:
                del self.versions[version.number]

    def scan(self) -> tuple[dict[int, Path] | None, str]:
        """Return the versions on disk and what is wrong with them; None for versions where the path can't be
        read.
        """
        base, policy = self.settings.base_path, self.settings.policy
        try:
            present, left_out = versions.on_disk(base)
        except OSError:
            return None, self._nothing()
        if not present:
            return present, "; ".join(filter(None, [self._nothing(), _left_out(left_out)]))
        said = [_left_out(left_out)] if left_out else []
        if missing := policy.versions - set(present):
            said.append(f"versions {sorted(missing)} are configured but missing")
        elif not versions.aspired(policy, present):
            said.append("no version is configured: the policy specific names none")
        return present, f"{base} holds versions {sorted(present)}; {'; '.join(said)}" if said else ""

    def _nothing(self) -> str:
        why = diagnosis.explain(diagnosis.survey(self.settings.base_path))
        start = f"No versions of servable {self.settings.name} found under base path"  # upstream's words
        return f"{start} {self.settings.base_path}: {why}" if why else ""

    def should_log(self, complaint: str, now: float) -> bool:
        """Return whether to log a complaint of `scan`: at once, and now and then while nothing serves."""
        if not complaint or not self.complaint:
            log = bool(complaint)
        elif complaint != self.complaint:
            log = now - self._complained >= SOON
        else:
            serves = any(version.state == AVAILABLE for version in self.versions.values())
            log = not serves and now - self._complained >= AGAIN
        if log:
            self._complained = now
        if log or not complaint:
            self.complaint = complaint
        return log

    def update_wanted(self, present: dict[int, Path]) -> None:
        """Begin what is wanted and new; cancel what is still to be loaded and no longer wanted."""
        wanted = versions.aspired(self.settings.policy, present)
        for number, version in self.versions.items():
            if version.state == END and number not in present:
                version.error = None  # removed: when it comes back it is a new one
            if version.state in (START, LOADING) and number not in wanted:
                version.state = END
        for number in wanted:
            known = self.versions.get(number)
            if known is None or (known.state == END and known.error is None):
                self.versions[number] = Version(self.settings.name, number, present[number])
        self.wanted = wanted


def _left_out(names: list[str]) -> str:
    return f"left out: {', '.join(names)}" if names else ""
