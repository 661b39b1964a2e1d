"""Tutorial models and ours, side by side in one run → docs/results.md, each target beside what was measured.

    python -m bench.train                      everything: about 45 minutes on two cores
    python -m bench.train --continue           go on with a run that was broken off
    python -m bench.train --only sample        some parts; the document goes to .bench/results.md

Needs full MNIST: from a source of params.yaml, or DIGITS_MIRROR.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import front, pipeline, table, workspace
from bench.figures import PROFILES, YARDSTICK, Record, header
from bench.machine import code_digest, commit, machine
from bench.references import REFERENCES
from digits import files
from digits.errors import DataError, DigitsError
from digits.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("references", "profiles", "sample", "pipeline", "cold")
DEFAULT = PARTS[:4]  # `cold` downloads every package again
Job = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; the exit code."""
    given = _parser().parse_args(argv)
    if mirror := os.environ.get("DIGITS_MIRROR"):
        os.environ["DIGITS_MIRROR"] = str(Path(mirror).resolve()) if Path(mirror).is_dir() else mirror
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
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
    parser.add_argument("--seeds", type=int, default=3, help=f"of {YARDSTICK} and our profiles; default: 3")
    parser.add_argument("--reference-seeds", type=int, default=1, help="of the other references; default: 1")
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
        "--continue", dest="go_on", action="store_true", help="keep what --raw holds, do the rest"
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


def plan(
    parts: Sequence[str], seeds: int, reference_seeds: int, sample_seeds: int, first_seed: int = 1
) -> list[Job]:
    """Every training, in order: one round a seed, so that a machine that slows down slows all of it."""
    jobs: list[Job] = []
    others = [name for name in REFERENCES if name != YARDSTICK]
    for place in range(max(seeds, reference_seeds)):
        seed = first_seed + place
        models = [YARDSTICK] if "references" in parts else []
        models += PROFILES if "profiles" in parts and place < seeds else []
        models += others if "references" in parts and place < reference_seeds else []
        jobs += [{"part": "full", "model": model, "seed": seed} for model in models]
    if "sample" in parts:
        jobs += [
            {"part": "sample", "model": "fast", "seed": first_seed + place} for place in range(sample_seeds)
        ]
    if "profiles" in parts:
        jobs.append({"part": "canonicalisation", "model": "fast", "seed": 1})
    return jobs


def missing(jobs: Sequence[Job], records: Sequence[Record]) -> list[Job]:
    """The jobs that have no record yet."""
    done = {(r.get("part"), r.get("model"), r.get("seed")) for r in records}
    return [job for job in jobs if (job["part"], job["model"], job["seed"]) not in done]


class Bench:
    """One run: its raw file, its scratch folder, its clock."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.raw: Path = given.raw
        self.scratch: Path = given.raw.parent
        self.log = self.scratch / "log.txt"
        self.started = time.monotonic()
        self.records: list[Record] = []

    def run(self) -> None:
        """Everything that is missing, then the document."""
        given = self.given
        self.scratch.mkdir(parents=True, exist_ok=True)
        self._open()
        jobs = plan(given.only, given.seeds, given.reference_seeds, given.sample_seeds, given.first_seed)
        left = missing(jobs, self.records)
        for name in self._workspaces(left):
            if given.go_on and workspace.ready(self.scratch / name):
                continue
            self._say(f"data: {name}, through ingest, validate and preprocess")
            workspace.prepare(ROOT, self.scratch / name, sample=name == "sample")
        for job in left:
            self._train(job, len(jobs) - len(left) + left.index(job) + 1, len(jobs))
        if "pipeline" in given.only and not any(r["kind"] == "repro" for r in self.records):
            self._keep(*pipeline.measure(ROOT, self.log, self._say))
        if "cold" in given.only and not any(r["kind"] == "cold" for r in self.records):
            self._keep(*pipeline.cold(ROOT, self.log, self._say))
        self._write()

    def _workspaces(self, jobs: Sequence[Job]) -> list[str]:
        """The data sets that the jobs need; a model of the sample is scored on the full test images too."""
        return (["full"] if jobs else []) + (["sample"] if any(j["part"] == "sample" for j in jobs) else [])

    def _open(self) -> None:
        """Start a raw file, or read the one to go on with. Raises DataError when that was made otherwise."""
        code = code_digest(ROOT)
        if self.given.go_on and self.raw.exists():
            lines = self.raw.read_text(encoding="utf-8").splitlines()
            self.records = [json.loads(line) for line in lines if line.endswith("}")]
            first = header(self.records)
            if first["code"] != code or first["quick"] != self.given.quick:
                raise DataError(
                    f"{self.raw} was made with other code or settings: run without --continue to start anew"
                )
            self.raw.write_text("".join(json.dumps(r) + "\n" for r in self.records), encoding="utf-8")
            return
        name, dirty = commit(ROOT)
        if dirty:
            self._say("the working tree has changes that are not committed; the document will say so")
        files.write_text(self.raw, "")
        self._keep(
            {
                "kind": "header",
                "code": code,
                "commit": name,
                "dirty": dirty,
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "command": " ".join(["python -m bench.train", *self._options()]),
                "quick": self.given.quick,
                "machine": machine(),
            }
        )

    def _options(self) -> list[str]:
        """The options that change what is measured; no paths."""
        defaults = vars(_parser().parse_args([]))
        found = []
        for name in ("only", "seeds", "reference_seeds", "sample_seeds", "first_seed", "quick"):
            value = getattr(self.given, name)
            if value != defaults[name]:
                text = ",".join(value) if name == "only" else "" if value is True else str(value)
                found.append(f"--{name.replace('_', '-')} {text}".strip())
        return found

    def _train(self, job: Job, number: int, count: int) -> None:
        """One training in a process of its own."""
        what = f"{job['model']} seed {job['seed']}" + ("" if job["part"] == "full" else f", {job['part']}")
        self._say(f"run {number} of {count}: {what} …")
        spec = job | {"quick": self.given.quick, "scratch": str(self.scratch.resolve())}
        result = self.scratch / "result.json"
        result.unlink(missing_ok=True)
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
        record = files.read_json(result)
        self._keep(record)
        if record["kind"] == "training":
            self._say(
                f"run {number} of {count}: {what}: {record['wall']:.1f} s wall, {record['cpu']:.1f} CPU-s, "
                f"{record['accuracy']:.2%}"
            )
        else:
            self._say(f"run {number} of {count}: {what}: {record['ms_per_image']:.4f} ms an image")

    def _keep(self, *records: Record) -> None:
        with self.raw.open("a", encoding="utf-8") as stream:
            for record in records:
                stream.write(json.dumps(record) + "\n")
        self.records += records

    def _write(self) -> None:
        complete = set(DEFAULT) <= set(self.given.only) and not self.given.quick
        out = self.given.out or (ROOT / "docs" / "results.md" if complete else self.scratch / "results.md")
        files.write_text(out, table.document(self.records))
        self._say(f"written: {out}")
        if out == ROOT / "docs" / "results.md":
            readme = ROOT / "README.md"
            files.write_text(readme, front.page(readme.read_text(encoding="utf-8"), self.records))

    def _say(self, line: str) -> None:
        elapsed = int(time.monotonic() - self.started)
        print(f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
