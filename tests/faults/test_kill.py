"""kill -9 and a full disk at every change that a stage makes on disk: the rerun heals by itself."""

import pytest

from digits import STAGES
from tests._project import ROOT, tree_digest
from tests.contract._graph import dvc_yaml, names

LIVE = "reports/training"  # the learning curve, which grows while the training goes on
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
    for out in set(outs(stage)) - {LIVE}:
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


def strikes(few):
    """Every stage at a few of its changes; exhaustively, at each."""
    return [
        pytest.param(stage, at_most, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])
        for stage, at_most in few.items()
    ] + [
        pytest.param(stage, 1000, marks=[pytest.mark.exhaustive, pytest.mark.timeout(7200)]) for stage in few
    ]


@pytest.mark.parametrize(("stage", "at_most"), strikes(dict.fromkeys(STAGES, 5) | {"ingest": 30}))
def test_a_kill_or_a_full_disk_at_any_change_leaves_nothing_half_written_and_the_rerun_heals(
    copy, tmp_path, stage, at_most
):
    total = changes(copy, stage, tmp_path / "changes")
    assert total >= 2
    copy.repro()
    before = tree_digest(copy.root, *outs(stage))
    survived = 0
    for at in points(total, at_most):
        done = inject(copy, stage, f"kill:{at}:-")
        assert done.returncode == 0 or stage in done.stderr, "it is named"
        survived += done.returncode == 0
        whole(copy, stage, before)
    assert survived <= 1, "the last changes may be scratch that not every run makes, no others"
    refused = 0
    for at in points(total, max(2, at_most // 3)):
        done = inject(copy, stage, f"full:{at}:-")
        whole(copy, stage, before)
        if done.returncode == 0:
            continue  # what failed was the tidying up, after the result stood whole
        refused += 1
        said = [line for line in done.stderr.splitlines() if line.startswith(f"{stage}: ")]
        assert len(said) == 1 and "disk is full" in said[0], done.stderr
        assert "Traceback" not in done.stderr
    assert refused
    copy.repro("-f", "-s", "--no-run-cache", stage)
    assert tree_digest(copy.root, *outs(stage)) == before
    assert not scratch(copy)
    assert "up to date" in copy.repro()
