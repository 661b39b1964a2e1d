"""Runs exports that are killed: reads lines `URL INBOX STEP`, prints an exit code for each.

A step is a change on disk or a commit of the store; each export is a process of its own, killed before its
STEP, or ending by itself when it has fewer.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from serving.app.feedback.export import export
from serving.app.feedback.store import FeedbackStore
from serving.store import disk


async def struck(url, inbox, at):
    seen = 0

    def step(*_):
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function):
        return lambda *arguments, **options: (step(), function(*arguments, **options))[1]

    store = FeedbackStore(url)
    await store.open()
    event.listen(store._engine.sync_engine, "commit", step)
    for name in ("mkdir", "write_bytes", "rename"):
        setattr(Path, name, before(getattr(Path, name)))
    disk.sync = before(disk.sync)
    await export(store, inbox)
    await store.close()


def main():
    for line in sys.stdin:
        url, inbox, at = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(struck(url, Path(inbox), int(at)))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
