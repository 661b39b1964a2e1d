"""Stands in for `python` in front of a stage: runs it, appends what it took to a file.

python -m bench.shim LOG -m digits.stages.ingest …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.account import run


def main(argv: list[str]) -> int:
    log, arguments = Path(argv[0]), argv[1:]
    used = run([sys.executable, *arguments])
    name = arguments[1].rpartition(".")[2] if arguments[:1] == ["-m"] else arguments[0]
    with log.open("a", encoding="utf-8") as stream:
        stream.write(
            json.dumps({"stage": name, "wall": used.wall, "cpu": used.cpu, "peak_mib": used.peak_mib}) + "\n"
        )
    return used.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
