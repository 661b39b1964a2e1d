"""What to run → every job, in order: one round a seed, each with the yardstick in it. Pure.

A round holds what is compared by time: ratios are taken to the yardstick's training in the same round, and in
the same session, since tomorrow's machine may be a slower one. Short trainings share a round; a long one has
a round of its own, or the machine would have changed by the time that its turn comes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.claims import VARIANTS
from bench.figures import YARDSTICK, Record
from bench.references import REFERENCES
from digits.zoo import PROFILES

# Tutorial models are contestants of their own here, by Keras's `fit`: not again as profiles.
OURS = tuple(name for name in PROFILES if not re.match(r"S\d", name))
SHOWN = (*REFERENCES, *OURS)  # in the order of the tables
SHORT = ("speedrun", "fast")  # trained in about the yardstick's time
COMPRESSED = ("fast", "tiny")  # whose TFLite files are measured
GROUPS = ("references", "profiles", "claims", "sample", "compression", "pipeline", "cold")
PARTS = (*GROUPS, *OURS)
DEFAULT = GROUPS[:-1]  # `cold` downloads every package again
MANY, FEW = 5, 3  # seeds: where a target is close, and elsewhere
Job = dict[str, Any]


def seeds_of(model: str, seeds: int | None = None, reference_seeds: int = FEW) -> int:
    """How many seeds a model is trained with; `seeds` replaces the default of ours and the yardstick."""
    if model in REFERENCES and model != YARDSTICK:
        return reference_seeds
    return seeds or (MANY if model in (YARDSTICK, *SHORT) else FEW)


def profiles(parts: Sequence[str]) -> list[str]:
    """Our profiles in some parts: all of `profiles`, or those named."""
    return [name for name in OURS if "profiles" in parts or name in parts]


def plan(
    parts: Sequence[str],
    seeds: int | None = None,
    reference_seeds: int = FEW,
    sample_seeds: int = 5,
    first_seed: int = 1,
) -> list[Job]:
    """Every job, in order, besides the yardsticks of rounds that have none: `with_yardsticks` adds those."""
    ours = profiles(parts)
    references = list(REFERENCES) if "references" in parts else []
    counts = {name: seeds_of(name, seeds, reference_seeds) for name in (*ours, *references)}
    order = (YARDSTICK, *SHORT, *(name for name in REFERENCES if name != YARDSTICK))
    jobs: list[Job] = []
    for place in range(max(counts.values(), default=0)):
        seed = first_seed + place
        due = [name for name in counts if place < counts[name]]
        rounds = {f"{seed}": [name for name in order if name in due]}
        rounds |= {f"{name} {seed}": [name] for name in due if name not in order}
        for label, models in rounds.items():
            if models:
                jobs.append({"part": "peak", "model": "matmul", "seed": seed, "round": label})
            jobs += [{"part": "full", "model": model, "seed": seed, "round": label} for model in models]
    if "claims" in parts:
        for place in range(seeds or FEW):
            seed = first_seed + place
            jobs += [
                {"part": "claims", "model": m, "seed": seed, "round": f"claims {seed}"} for m in VARIANTS
            ]
    if "sample" in parts:
        for place in range(sample_seeds):
            seed = first_seed + place
            jobs.append({"part": "sample", "model": "fast", "seed": seed, "round": f"sample {seed}"})
    if "compression" in parts:
        for model in COMPRESSED:
            jobs.append({"part": "compression", "model": model, "seed": first_seed, "round": "compression"})
    if "fast" in ours:
        jobs.append({"part": "canonicalisation", "model": "fast", "seed": 1, "round": "canonicalisation"})
    return jobs


def missing(jobs: Sequence[Job], records: Sequence[Record]) -> list[Job]:
    """The jobs that have no record yet; a round's matrix product is measured again when the round goes on."""
    done = {_key(record) for record in records if "round" in record}
    left = [job for job in jobs if _key(job) not in done]
    going_on = {job["round"] for job in left if job["part"] == "full"}
    return [job for job in jobs if job in left or (job["part"] == "peak" and job["round"] in going_on)]


def _key(job: Mapping[str, Any]) -> tuple[Any, ...]:
    own_round = job["round"] if job["part"] in ("peak", "yardstick") else None
    return job["part"], job["model"], job["seed"], own_round


def with_yardsticks(jobs: Sequence[Job]) -> list[Job]:
    """The jobs of one session, those of a round that lacks the yardstick with one timed before them."""
    timed = {job["round"] for job in jobs if job["part"] == "full" and job["model"] == YARDSTICK}
    found: list[Job] = []
    for job in jobs:
        if job["part"] == "full" and job["round"] not in timed:
            timed.add(job["round"])
            found.append(job | {"part": "yardstick", "model": YARDSTICK})
        found.append(job)
    return found
