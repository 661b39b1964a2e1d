"""What two versions are compared on: the candidate's own test images and, where both read them, lines."""

import numpy as np
import pytest

from digits import dataset, files
from digits.dataset import Split
from digits.line_model.lines import LONGEST, Lines, save_lines
from digits.runtime.errors import StoreError
from flows.rollout import release
from serving.checks import served_scores
from serving.checks.comparison import Duel
from serving.store import publish
from serving.store.store import Store
from tests.flows._projects import make, sh, write
from tests.serving._exports import export

RIGHT = np.ones(10, bool)


@pytest.fixture
def root(tmp_path):
    """A project with ten test images, and two lines that say "12" and "3.4"."""
    images = np.random.default_rng(1).integers(0, 256, (10, 28, 28), np.uint8)
    dataset.save_split(tmp_path / release.TEST, Split(images, np.zeros(10, np.uint8), np.full(10, "mnist")))
    (tmp_path / release.TEST_LINES).parent.mkdir(parents=True)
    texts = np.full((2, LONGEST), -1, np.int32)
    texts[0, :2], texts[1, :3] = [1, 2], [3, 10, 4]
    lines = Lines(np.zeros((2, 32, 40), np.uint8), texts, np.array([2, 3], np.int32))
    save_lines(tmp_path / release.TEST_LINES, [lines])
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """What two versions were scored on, in place of servers that do it."""
    seen = []

    def duel(store, candidate, champion, images, labels, *, written):
        seen.append((len(images), [text for group in written for text in group.texts]))
        on_lines = Duel(RIGHT, RIGHT, 1.0, 1.0) if written else None
        return Duel(RIGHT, RIGHT, 1.0, 1.0, on_lines)

    monkeypatch.setattr(served_scores, "duel", duel)
    return seen


def compared(root, champion, candidate):
    """Compare two versions, that read lines or don't."""
    store = Store(root / "serving")
    test_images = dataset.array_sha256(dataset.load_split(root / release.TEST).images)
    for place, lines in enumerate((champion, candidate)):
        made = export(root / f"export-{place}", str(place), test_images=test_images, lines=lines)
        publish.publish(store, made, {})
    return release.compare(root, store, 2, 1)


@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize("candidate", [True, False])
def test_lines_are_compared_where_both_read_them(root, asked, champion, candidate):
    digest = files.file_sha256(root / release.TEST_LINES)
    outcome = compared(root, digest if champion else None, digest if candidate else None)
    assert asked == [(10, ["12", "3.4"] if champion and candidate else [])]
    assert outcome.passed is (candidate or not champion)
    assert ("lines_accuracy" in {rule.rule for rule in outcome.rules}) is (champion and candidate)


def test_lines_that_are_not_the_candidates_are_refused_with_what_to_do(root, asked):
    with pytest.raises(StoreError, match=r"validation.npz holds other lines than version 2 .*dvc checkout"):
        compared(root, "other", "other")
    assert asked == []


def test_what_a_run_itself_writes_is_no_change_of_what_was_committed(tmp_path, own_home):
    project = make(tmp_path / "project")
    write(project, "dvc.lock", "schema: '2.0'\n")
    write(project, "reports/summary.json", "{}")
    commit = sh(project, "git", "rev-parse", "HEAD")
    assert release.origin(project) == {"commit": commit, "dirty": False}
    write(project, "code.py", "two\n")
    assert release.origin(project) == {"commit": commit, "dirty": True}
