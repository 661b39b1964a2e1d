"""`digits run` to the end: what it exports is tried on a server, published and promoted."""

import json
import re

import pytest

from serving.store.store import Store


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_puts_its_model_in_service_and_the_next_one_leaves_it(copy):
    first = copy.digits("run")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "published version 1, promoted" in first.stdout
    store = Store(copy.root / "models/serving")
    assert store.current().stable == 1
    published = store.intact(1).provenance["published"]
    assert published["commit"] and published["infra"]["requests"] == 12

    again = copy.digits("run")
    assert "version 1 is in service" in again.stdout and again.stdout.count("cached") == 8

    copy.edit({"train": {"seed": 2}})
    changed = copy.digits("run")
    assert changed.returncode == 0, changed.stdout + changed.stderr
    log = [line.partition(" - ")[2] for line in changed.stderr.splitlines()]
    assert all(log), "each line has its time, its task and a text"
    foreign = r"[EIW]0000|[Ww]arning|lock file|git add|dvc |oneDNN|XNNPACK"
    assert not [line for line in log if re.search(foreign, line)], changed.stderr
    listed = json.loads(copy.digits("versions", "--json").stdout)
    assert [row["version"] for row in listed] == [2, 1]
    better = store.current().stable == 2
    assert better or "is not promoted" in changed.stdout
    assert "serves again" in copy.digits("rollback", "2" if not better else "1").stdout
