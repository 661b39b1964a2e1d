"""Trains tutorials' models and ours side by side, and prints their quality and cost.

    python -m bench.train                           every model, three seeds: hours
    python -m bench.train --only fast --seeds 1     one profile beside S1: five minutes on two cores
    python -m bench.train --only lines --seeds 1    the line reader beside `fast`: ten minutes

Records are added to .bench/train.jsonl. The same command continues an interrupted run: what this
commit has trained is not trained twice. Needs full MNIST: from a source of params.yaml, or DIGITS_MIRROR.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import pipeline, workspace
from bench.records import FOLDER, ROOT, Record, Run, read
from bench.references import BASELINE, REFERENCES
from bench.report import report
from digits import files
from digits.runtime.errors import DigitsError
from digits.runtime.processes import die_with_parent
from digits.train.profiles import PROFILES

Job = dict[str, object]
Say = Callable[[str], None]
OURS = tuple(name for name in PROFILES if not re.match(r"S\d", name))
# Variants of a tutorial's model, and what they vary, all trained by the pipeline's own stage.
VARIANTS = ("S4-plain", *(name for name in PROFILES if name.startswith("S4-")))
MODELS = (*REFERENCES, *OURS, *VARIANTS)
PARTS = (*MODELS, "sample", "lines", "pipeline", "cold")
DEFAULT = (*REFERENCES, *OURS, "sample", "lines", "pipeline")  # `cold` downloads every package again
SEEDS = (1, 2, 3)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit code."""
    given = _parser().parse_args(argv)
    if mirror := os.environ.get("DIGITS_MIRROR"):
        os.environ["DIGITS_MIRROR"] = str(Path(mirror).resolve()) if Path(mirror).is_dir() else mirror
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        measure(given)
    except DigitsError as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: interrupted; the same command continues", file=sys.stderr)
        return 130
    print("\n" + report(read(given.out)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.train", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--only",
        type=_parts,
        default=DEFAULT,
        help=f"some of {','.join(PARTS)}; default: {','.join(DEFAULT)}",
    )
    parser.add_argument(
        "--seeds",
        type=_seeds,
        default=SEEDS,
        help="default: 1,2,3. A recipe chosen by some seeds has to be confirmed by others",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few steps on few images: tries the bench itself"
    )
    parser.add_argument("--out", type=Path, default=FOLDER / "train.jsonl", help="the file of records")
    return parser


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if wrong := [part for part in parts if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"unknown part '{wrong[0]}'; valid: {', '.join(PARTS)}")
    return parts


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def measure(given: argparse.Namespace) -> None:
    """Do every job that is left, and record it. Raises DigitsError when one fails."""
    began, log = time.monotonic(), given.out.parent / "log.txt"

    def say(line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {line}", flush=True)

    given.out.parent.mkdir(parents=True, exist_ok=True)
    run = Run(given.out, quick=given.quick)
    jobs = missing(plan(given.only, given.seeds), read(given.out), run.about)
    kinds = {job["kind"] for job in jobs}
    for name in ("full", "sample"):  # a model of the sample is scored on the full test images too
        if kinds if name == "full" else kinds & {"sample", "line_reader"}:
            say(f"data: {name}, through ingest, validate and preprocess")
            workspace.prepare(ROOT, given.out.parent / name, sample=name == "sample")
    for place, job in enumerate(jobs, 1):
        what = f"run {place} of {len(jobs)}: {job['kind']} {job['model']}, seed {job['seed']}"
        say(f"{what} …")
        record = _done(job | {"quick": given.quick, "scratch": str(given.out.parent.resolve())}, log)
        run.keep(record)
        say(f"{what}: {_short(record)}")
    for part, function in {"pipeline": pipeline.measure, "cold": pipeline.cold}.items():
        if part in given.only:
            run.keep(*function(ROOT, log, say))


def plan(parts: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """Return every job in order. Each seed is a round, which begins with the baseline of its ratios.

    The models alternate within the rounds, so that a machine that slows down slows all of them.
    """
    models = [name for name in MODELS if name in parts]
    jobs: list[Job] = []
    for seed in seeds:
        if models:
            jobs.append({"kind": "peak", "model": "matmul", "seed": seed})
        for model in dict.fromkeys([BASELINE, *models] if models else []):
            jobs.append({"kind": "training", "model": model, "seed": seed})
        if "sample" in parts:
            jobs.append({"kind": "sample", "model": "fast", "seed": seed})
        if "lines" in parts:
            jobs += [{"kind": "line_reader", "model": data, "seed": seed} for data in ("full", "sample")]
    if "fast" in models:
        jobs.append({"kind": "canonicalisation", "model": "fast", "seed": seeds[0]})
    return jobs


def missing(jobs: Sequence[Job], records: Sequence[Record], about: Record) -> list[Job]:
    """Return the jobs that have no record of this commit; a continued round begins like every round."""
    same = [r for r in records if (r["commit"], r["quick"]) == (about["commit"], about["quick"])]
    keys = ("kind", "model", "seed")
    done = {tuple(r.get(key) for key in keys) for r in same if not r["commit"].endswith("+")}
    left = [job for job in jobs if tuple(job[key] for key in keys) not in done]
    rounds = {job["seed"] for job in left if job["kind"] == "training"}
    first = [job for job in jobs if job["seed"] in rounds and job["model"] in ("matmul", BASELINE)]
    return [job for job in jobs if job in left or job in first]


def _done(job: Job, log: Path) -> Record:
    """Do a job in a process of its own and return its record."""
    result = log.with_name("result.json")
    result.unlink(missing_ok=True)
    with log.open("ab") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "bench.one", json.dumps(job), str(result)],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
            check=False,
        )
    if done.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise DigitsError(f"{job['model']} failed ({' '.join(tail)}): see {log}; the same command continues")
    return dict(files.read_json(result))


def _short(record: Record) -> str:
    if record["kind"] == "peak":
        return ", ".join(f"{name} {rate:,.0f} GFLOP/s" for name, rate in record["gflops"].items())
    if record["kind"] == "canonicalisation":
        return f"{record['ms_per_image']:.4f} ms an image"
    if record["kind"] == "line_reader":
        return f"{record['lines']['wall']:.1f} s, `fast` {record['fast']['wall']:.1f} s"
    return f"{record['wall']:.1f} s wall, {record['cpu']:.1f} CPU-s, {record['accuracy']:.2%}"


if __name__ == "__main__":
    sys.exit(main())
