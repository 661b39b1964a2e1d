"""A stand-in for the retraining flow: records that it ran, then waits for as long as a file `hold` exists."""

import json
import os
import time
from pathlib import Path

from prefect import flow
from prefect.states import Completed, State

from flows.scheduling import recovery, settings


@flow(name="retrain", persist_result=False)
def retrain(
    project: str = ".",
    profile: str | None = None,
    seed: int | None = None,
    force: str | None = None,
    why: str = "by hand",
    inbox: str | None = None,
    scheduled: bool = False,
) -> State:
    settings.die_with_scheduler()
    recovery.watch_this_run()
    root = Path(project)
    told = {"pid": os.getpid(), "why": why, "profile": profile, "seed": seed, "force": force}
    told |= {"scheduled": scheduled, "at": time.time(), "cwd": str(Path.cwd())}
    with (root / "fired.jsonl").open("a") as stream:
        stream.write(json.dumps(told) + "\n")
    while (root / "hold").exists():
        time.sleep(0.1)
    if (root / "fail").exists():
        raise RuntimeError("told to fail")
    if inbox:
        for batch in Path(inbox).iterdir():
            batch.rename(root / batch.name)
    return Completed(name="Nothing new", message="nothing is stale")
