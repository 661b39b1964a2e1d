"""Tutorial models and ours, side by side in one run → docs/results.md, each target beside what was measured.

    python -m bench.train                      everything: about an hour a seed where long profiles exist
    python -m bench.train --continue           go on with a run that was broken off, tomorrow as well
    python -m bench.train --continue --only robust     one profile of it; the document: .bench/results.md
    python -m bench.train --write              docs/results.md from the records there are, nothing measured

Needs full MNIST: from a source of params.yaml, or DIGITS_MIRROR.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import pipeline, published, run_tables, workspace
from bench.digests import digest
from bench.figures import YARDSTICK, Record
from bench.machine import commit
from bench.plan import DEFAULT, FEW, MANY, PARTS, SHORT, Job, missing, plan, with_yardsticks
from bench.raw import Raw
from digits import files
from digits.errors import DigitsError
from digits.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; the exit code."""
    given = _parser().parse_args(argv)
    if mirror := os.environ.get("DIGITS_MIRROR"):
        os.environ["DIGITS_MIRROR"] = str(Path(mirror).resolve()) if Path(mirror).is_dir() else mirror
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        if given.write:
            print(
                published.write(ROOT, published.records(given.raw) or published.records(published.kept(ROOT)))
            )
        else:
            Bench(given).run()
    except DigitsError as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: interrupted; the same command with --continue goes on", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.train", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--only", type=_parts, default=DEFAULT, help=f"of {','.join(PARTS)}; default: {','.join(DEFAULT)}"
    )
    most = ", ".join((YARDSTICK, *SHORT))
    parser.add_argument(
        "--seeds",
        type=int,
        help=f"of {YARDSTICK} and our profiles; default: {MANY} of {most}, {FEW} of others",
    )
    parser.add_argument(
        "--reference-seeds", type=int, default=FEW, help=f"of the other references; default: {FEW}"
    )
    parser.add_argument("--sample-seeds", type=int, default=5, help="of trainings on the sample; default: 5")
    parser.add_argument(
        "--first-seed",
        type=int,
        default=1,
        help="to count from; default: 1. A recipe chosen by some seeds is confirmed by others only",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few steps on few images: tries the bench itself"
    )
    parser.add_argument(
        "--continue",
        dest="go_on",
        action="store_true",
        help="keep what --raw holds, do the rest; what other code made is set aside and made again",
    )
    parser.add_argument(
        "--write", action="store_true", help="measure nothing: the document and the README from the records"
    )
    parser.add_argument("--raw", type=Path, default=ROOT / ".bench" / "results.jsonl", help="raw records")
    parser.add_argument(
        "--out", type=Path, help="the document; default: docs/results.md when nothing is left out"
    )
    return parser


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if wrong := [part for part in parts if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"unknown part '{wrong[0]}'; valid: {', '.join(PARTS)}")
    return parts


class Bench:
    """One session of a run: its raw file, its scratch folder, its clock."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.scratch: Path = given.raw.parent
        self.log = self.scratch / "log.txt"
        self.started = time.monotonic()
        facts = {"command": " ".join(["python -m bench.train", *options(given)]), "quick": given.quick}
        self.raw = Raw(given.raw, ROOT, facts, partial(digest, ROOT))

    def run(self) -> None:
        """Everything that is missing, then the document."""
        given = self.given
        self.scratch.mkdir(parents=True, exist_ok=True)
        self._open()
        jobs = plan(given.only, given.seeds, given.reference_seeds, given.sample_seeds, given.first_seed)
        left = with_yardsticks(missing(jobs, self.raw.records))
        for name in self._workspaces(left):
            if given.go_on and workspace.ready(self.scratch / name):
                continue
            self._say(f"data: {name}, through ingest, validate and preprocess")
            workspace.prepare(ROOT, self.scratch / name, sample=name == "sample")
        for place, job in enumerate(left, 1):
            self._train(job, f"run {place} of {len(left)}")
        if "pipeline" in given.only and not self._has("repro"):
            self._measure("pipeline", pipeline.measure)
        if "cold" in given.only and not self._has("cold"):
            self._measure("cold", pipeline.cold)
        self._write()

    def _measure(self, part: str, measure: Callable[..., list[Record]]) -> None:
        about = {"part": part} | self.raw.stamp({"part": part})
        self.raw.keep(*(record | about for record in measure(ROOT, self.log, self._say)))

    def _has(self, kind: str) -> bool:
        return any(record["kind"] == kind for record in self.raw.records)

    def _workspaces(self, jobs: Sequence[Job]) -> list[str]:
        """The data sets that the jobs need; a model of the sample is scored on the full test images too."""
        return (["full"] if jobs else []) + (["sample"] if any(j["part"] == "sample" for j in jobs) else [])

    def _open(self) -> None:
        """Start a raw file, or read the one to go on with."""
        if self.given.go_on:
            if not self.given.quick and published.begin_from(ROOT, self.given.raw):
                self._say("no records here: those of docs/results.jsonl are gone on with")
            if stale := self.raw.go_on():
                names = sorted({str(r.get("model", r.get("part", r["kind"]))) for r in stale})
                self._say(
                    f"{len(stale)} records were made with other code or settings and are set aside; measured "
                    f"again: {', '.join(names)}"
                )
        elif kept := self.raw.start():
            self._say(f"the records of the run before are kept in {kept.name}")
        if commit(ROOT)[1]:
            self._say("the working tree has changes that are not committed; the document will say so")

    def _train(self, job: Job, which: str) -> None:
        """One training, or one timing, in a process of its own."""
        part = "" if job["part"] == "full" else f", {job['part']}"
        what = f"{job['model']} seed {job['seed']}{part}"
        self._say(f"{which}: {what} …")
        spec = job | {"quick": self.given.quick, "scratch": str(self.scratch.resolve())}
        result = self.scratch / "result.json"
        result.unlink(missing_ok=True)
        about = self.raw.stamp(job)
        with self.log.open("ab") as stream:
            done = subprocess.run(
                [sys.executable, "-m", "bench.one", json.dumps(spec), str(result)],
                cwd=ROOT,
                stdout=stream,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
                check=False,
            )
        if done.returncode:
            tail = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise DigitsError(f"{what} failed ({' '.join(tail)}): see {self.log}, then go on with --continue")
        record = files.read_json(result) | about
        self.raw.keep(record)
        self._say(f"{which}: {what}: {run_tables.told(record)}")

    def _write(self) -> None:
        complete = set(DEFAULT) <= set(self.given.only) and not self.given.quick
        if complete and not self.given.out:
            self._say(published.write(ROOT, self.raw.records))
            return
        out = self.given.out or self.scratch / "results.md"
        published.write_page(out, self.raw.records)
        self._say(f"written: {out}")

    def _say(self, line: str) -> None:
        elapsed = int(time.monotonic() - self.started)
        print(f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {line}", flush=True)


def options(given: argparse.Namespace) -> list[str]:
    """The options that change what is measured, as they were given; no paths."""
    defaults = vars(_parser().parse_args([]))
    found = []
    for name in ("only", "seeds", "reference_seeds", "sample_seeds", "first_seed", "quick"):
        value = getattr(given, name)
        if value != defaults[name]:
            text = ",".join(value) if name == "only" else "" if value is True else str(value)
            found.append(f"--{name.replace('_', '-')} {text}".strip())
    return [*found, *(["--continue"] if given.go_on else [])]


if __name__ == "__main__":
    sys.exit(main())
