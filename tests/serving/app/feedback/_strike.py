"""Runs exports that are killed: reads lines `URL INBOX STEP`, prints a line `EXIT-CODE STEPS` for each.

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


class Steps:
    def __init__(self, at):
        self.at, self.seen = at, 0

    def step(self, *_):
        self.seen += 1
        if self.seen == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function):
        def stepped(*arguments, **options):
            self.step()
            return function(*arguments, **options)

        return stepped


async def struck(url, inbox, steps):
    store = FeedbackStore(url)
    await store.open()
    event.listen(store._engine.sync_engine, "commit", steps.step)
    for name in ("mkdir", "write_bytes", "rename"):
        setattr(Path, name, steps.before(getattr(Path, name)))
    disk.sync = steps.before(disk.sync)
    await export(store, inbox)
    await store.close()


def main():
    for line in sys.stdin:
        url, inbox, at = line.split()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            steps, code = Steps(int(at)), 1
            try:
                asyncio.run(struck(url, Path(inbox), steps))
                code = 0
            finally:
                os.write(writer, str(steps.seen).encode())
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as told:
            seen = told.read() or "0"
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen, flush=True)


if __name__ == "__main__":
    main()
