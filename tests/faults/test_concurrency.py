"""Two runs at once, and locks that a killed run left: one clear message, and the rerun heals."""

import json
import os
import subprocess
import sys

from tests._project import tree_digest


def test_of_two_dvc_repro_at_once_none_spoils_anything(copy):
    before = tree_digest(copy.root, "data/raw", "data/prepared", "models/candidate")
    command = [sys.executable, "-m", "dvc", "repro", "-f", "-s", "--no-run-cache", "ingest"]
    pair = [
        subprocess.Popen(command, cwd=copy.root, env=copy.environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [(p.communicate()[1], p.returncode) for p in pair]
    assert any(code == 0 for _, code in ended)
    for said, code in ended:
        assert code == 0 or "busy" in said or "lock" in said
        assert "Traceback" not in said
    assert "up to date" in copy.repro()
    assert tree_digest(copy.root, "data/raw", "data/prepared", "models/candidate") == before


def test_locks_of_a_dead_process_block_nothing(copy):
    dead = subprocess.Popen(["true"])
    dead.wait()
    info = {"pid": dead.pid, "cmd": "dvc repro"}
    locks = copy.root / ".dvc" / "tmp"
    (locks / "rwlock").write_text(json.dumps({"write": {str(copy.root / "data/raw"): info}, "read": {}}))
    (locks / "lock").write_text(f"{dead.pid}\n")
    (locks / "digits-run.lock").write_text(str(dead.pid))
    assert copy.digits("run", "ingest").returncode == 0


def test_a_killed_stage_is_named_and_the_rerun_heals(copy):
    before = tree_digest(copy.root, "data/raw")
    path = f"{os.path.dirname(__file__)}/inject:{copy.environment['PYTHONPATH']}"  # noqa: PTH120
    done = copy.dvc("repro", "-f", "-s", "--no-run-cache", "ingest", DIGITS_FAULT="kill:2:-", PYTHONPATH=path)
    assert done.returncode != 0 and "ingest" in done.stderr
    copy.repro()
    assert tree_digest(copy.root, "data/raw") == before
