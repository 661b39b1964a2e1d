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
    assert "models/serving/cards/1/report.html" in first.stdout
    store = Store(copy.root / "models/serving")
    assert store.current().stable == 1
    published = store.intact(1).provenance["published"]
    assert published["commit"] and published["infra"]["requests"] == 12

    again = copy.digits("run")
    assert again.returncode == 0 and "version 1 is in service" in again.stdout
    assert "nothing has changed: all stages are up to date" in again.stdout

    copy.edit({"train": {"seed": 2}})
    changed = copy.digits("run")
    assert changed.returncode == 0, changed.stdout + changed.stderr
    foreign = r"[EIW]0000|[Ww]arning|lock file|git add|dvc |oneDNN|XNNPACK"
    assert "train" in changed.stdout
    assert not re.search(foreign, changed.stdout + changed.stderr), changed.stdout + changed.stderr
    listed = json.loads(copy.digits("versions", "--json").stdout)
    assert [row["version"] for row in listed] == [2, 1]
    better = store.current().stable == 2
    assert better or "is not promoted" in changed.stdout
    assert "serves again" in copy.digits("rollback", "2" if not better else "1").stdout
