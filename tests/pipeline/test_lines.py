"""Lines that people bring, through the inbox and the whole graph."""

import json

import pytest
import yaml

from digits.line_model.lines import load_real_lines
from tests._lines import line_batch, text_of, written

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_a_batch_of_lines_in_the_inbox_trains_the_line_reader_and_not_the_candidate(copy):
    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    inbox = copy.root / "inbox"
    good = [(written(4, seed), text_of(4, seed)) for seed in range(110)]
    for name, rows in {"cheques": good, "letters": [(written(3, 1), "abc"), (written(3, 2), "def")]}.items():
        (line_batch(inbox / name, rows) / ".complete").touch()
    done = copy.digits("schedule", "--once", "--inbox", "inbox", timeout=1000)
    assert done.returncode == 0, done.stdout + done.stderr

    assert [path.name for path in inbox.iterdir() if path.name[0] != "."] == ["quarantine"]
    reason = (inbox / "quarantine" / "letters" / "reason.txt").read_text()
    assert reason.startswith(
        "none of its 2 rows can be used, 2 of them like this: the text is 'abc': expected"
    )
    workspace = copy.root / ".digits" / "workspace"
    assert len(load_real_lines(workspace / "data/prepared/lines")) == 88
    assert json.loads((workspace / "models/lines/recipe.json").read_text())["n_real"] == 88
    (held,) = json.loads((workspace / "reports/metrics.json").read_text())["lines"]["slices"].values()
    assert held["n"] == 22
    now, before = (
        yaml.safe_load((root / "dvc.lock").read_text())["stages"] for root in (workspace, copy.root)
    )
    assert now["train"] == before["train"] and now["lines"] != before["lines"]
