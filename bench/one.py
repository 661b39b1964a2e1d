"""One training, or one timing, in a process of its own: job → record. Started by bench.train.

    python -m bench.one JOB OUT

JOB: {"part": "full", "model": "S1", "seed": 1, "round": "1", "quick": false, "scratch": ".bench"}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.references import REFERENCES
from digits import files
from digits.processes import die_with_parent


def measured(job: dict[str, Any]) -> dict[str, Any]:
    """The record of a job."""
    # Here, not above: each job loads what it needs, and bench.digests follows these imports.
    if job["part"] == "canonicalisation":
        from bench import timings

        return {"kind": "canonicalisation"} | timings.canonicalisation(job)
    if job["part"] == "compression":
        from bench import compression

        return {"kind": "compression"} | compression.compression(job)
    if job["part"] == "peak":
        from bench import timings

        return {"kind": "peak", "gflops": timings.peak()}
    if job["model"] in REFERENCES and job["part"] != "claims":
        from bench import train_reference

        return {"kind": "training"} | train_reference.reference(job)
    from bench import train_ours

    return {"kind": "training"} | train_ours.ours(job)


def main(argv: list[str]) -> None:
    """Do the job of argv[0], a JSON object; write its record to argv[1]."""
    die_with_parent()
    job = json.loads(argv[0])
    known = {key: job[key] for key in ("part", "model", "seed", "round")}
    files.write_text(Path(argv[1]), json.dumps(measured(job) | known))


if __name__ == "__main__":
    main(sys.argv[1:])
