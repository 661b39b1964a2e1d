"""Runs Git and DVC as child processes that never prompt, run no hooks, and end with their parent process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from digits.pipeline import dvc_process
from digits.runtime.addresses import without_secrets
from digits.runtime.errors import DigitsError
from digits.runtime.processes import die_with_parent

PATIENCE = 600.0  # seconds for a command that only touches this machine
SETTINGS = (
    *("core.hooksPath=/dev/null", "commit.gpgSign=false", "tag.gpgSign=false", "push.gpgSign=false"),
    *("tag.forceSignAnnotated=false", "push.followTags=false", "submodule.recurse=false"),
    *("core.fsmonitor=false", "gc.autoDetach=false", "maintenance.autoDetach=false"),
)
# Variables that point Git to another repository: they are set where a hook or `git rebase -x` starts this.
REDIRECTING = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS"),
    *("GIT_CONFIG_COUNT", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE"),
)
UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never", "GIT_EDITOR": "true", "LC_ALL": "C"}


class CommandFailed(DigitsError):
    """Git or DVC failed or took too long; the text has the line of its output that explains most."""


def git(
    root: Path,
    *arguments: str,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> str:
    """Run Git in the repository at `root`, never in one above it; return its output without final newlines.

    stdin: text for its standard input. env: variables on top of this process's. patience: seconds. Raises
    CommandFailed.
    """
    kept = {name: value for name, value in os.environ.items() if name not in REDIRECTING}
    environment = kept | UNATTENDED | {"GIT_CEILING_DIRECTORIES": str(root.parent)} | dict(env or {})
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    return _run(["git", *settings, *arguments], root, environment, stdin, patience, _named("git", arguments))


def git_or_none(root: Path, *arguments: str) -> str | None:
    """Run Git as `git` does, but return None where it fails: for questions that may be answered with no."""
    with contextlib.suppress(CommandFailed):
        return git(root, *arguments)
    return None


def commit_of(root: Path, name: str) -> str | None:
    """The commit that a name refers to; None if there is none."""
    return git_or_none(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def identity(project: Path) -> dict[str, str]:
    """Environment variables for `git` with the author of commits: the project's Git user, else digits."""
    name, email = git_or_none(project, "config", "user.name"), git_or_none(project, "config", "user.email")
    known = {"NAME": name or "digits", "EMAIL": email or "digits@localhost"}
    roles = ("AUTHOR", "COMMITTER")
    return {key: os.environ.get(key) or value for role in roles for key, value in _prefixed(role, known)}


def dvc(root: Path, *arguments: str, patience: float = PATIENCE) -> str:
    """Run DVC at `root` and return its standard output. patience: seconds. Raises CommandFailed."""
    kept = {name: value for name, value in os.environ.items() if name not in REDIRECTING}
    environment = kept | dvc_process.variables(root) | {"LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "dvc", *arguments]
    return _run(command, root, environment, None, patience, _named("dvc", arguments))


def _named(tool: str, arguments: tuple[str, ...]) -> str:
    """The tool and its subcommand, for messages."""
    words = (word for before, word in zip(("", *arguments), arguments, strict=False) if before != "-c")
    return f"{tool} {next((word for word in words if not word.startswith('-')), '')}"


def _prefixed(role: str, values: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"GIT_{role}_{key}", value) for key, value in values.items()]


def _run(
    command: list[str], root: Path, env: Mapping[str, str], stdin: str | None, patience: float, name: str
) -> str:
    try:
        child = subprocess.Popen(
            command,
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,  # no terminal to ask for a password on
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        raise CommandFailed(f"{name} can't run in {root} ({error.filename}: {error.strerror})") from None
    try:
        output, said = child.communicate(stdin, timeout=patience)
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{name} in {root} did not end within {patience:g} s") from None
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.returncode:
        reason = without_secrets(_reason(said or output, child.returncode))
        raise CommandFailed(f"{name} in {root} failed: {reason}")
    return output.rstrip("\n")


def _reason(said: str, code: int) -> str:
    """The line of an output that explains most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("fatal:", "error:", "! [", "remote: error"))]
    return (errors or lines or [f"exit status {code}"])[0]
