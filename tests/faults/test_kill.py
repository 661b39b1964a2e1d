"""kill -9 and a full disk at every change that a stage makes on disk: the rerun heals by itself."""

import pytest

from digits.stages import STAGES

from .._project import ROOT, tree_digest
from ..contract._graph import dvc_yaml, names

INJECT = str(ROOT / "tests" / "faults" / "inject")


def outs(stage):
    entry = dvc_yaml()["stages"][stage]
    return names(entry.get("outs", [])) + names(entry.get("metrics", []))


def inject(made, stage, fault):
    """Run one stage again, past the cache, with a fault."""
    path = f"{INJECT}:{made.environment['PYTHONPATH']}"
    return made.dvc("repro", "-s", "-f", "--no-run-cache", stage, DIGITS_FAULT=fault, PYTHONPATH=path)


def changes(made, stage, record):
    """How many changes to the file system an unbroken run of the stage makes."""
    done = inject(made, stage, f"count:0:{record}")
    assert done.returncode == 0, done.stdout + done.stderr
    return len(record.read_text().splitlines())


def whole(made, stage, before):
    """Every out of the stage is absent or as it was: never half-written."""
    for out in outs(stage):
        now = tree_digest(made.root, out)
        assert not now or {f: d for f, d in now.items() if f in before} == now, out
        assert not now or set(now) == {f for f in before if f == out or f.startswith(out + "/")}, out


def points(total, at_most):
    """Where to strike: everywhere if that is affordable, else evenly, the first and the last included."""
    if total <= at_most:
        return list(range(1, total + 1))
    return sorted({1 + round(i * (total - 1) / (at_most - 1)) for i in range(at_most)})


def scratch(made):
    """What writers leave beside their targets when they are killed."""
    return [path for kind in ("new", "old") for path in made.root.rglob(f".*.{kind}-*")]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_at_any_change_leaves_nothing_half_written_and_the_rerun_heals(copy, tmp_path, stage):
    total = changes(copy, stage, tmp_path / "changes")
    assert total >= 2
    copy.repro()
    before = tree_digest(copy.root, *outs(stage))
    survived = 0
    for at in points(total, 30 if stage == "ingest" else 5):
        survived += inject(copy, stage, f"kill:{at}:-").returncode == 0
        whole(copy, stage, before)
    assert survived <= 1, "the last changes may be scratch that not every run makes, no others"
    copy.repro("-f", "-s", "--no-run-cache", stage)
    assert tree_digest(copy.root, *outs(stage)) == before
    assert not scratch(copy)
    assert "up to date" in copy.repro()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_one_clear_line_and_the_rerun_heals(copy, tmp_path, stage):
    total = changes(copy, stage, tmp_path / "changes")
    copy.repro()
    refused = 0
    for at in points(total, 10 if stage == "ingest" else 3):
        done = inject(copy, stage, f"full:{at}:-")
        if done.returncode == 0:
            continue  # what failed was the tidying up, after the result stood whole
        refused += 1
        said = [line for line in done.stderr.splitlines() if line.startswith(f"{stage}: ")]
        assert len(said) == 1 and "disk is full" in said[0], done.stderr
        assert "Traceback" not in done.stderr
    assert refused
    copy.repro("-f", "-s", "--no-run-cache", stage)
    assert not scratch(copy)
    assert "up to date" in copy.repro()
