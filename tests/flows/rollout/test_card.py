"""What people read of a version: a card that a hub understands, and the report of this very version."""

import json
import shutil

import pytest
import yaml

from flows.rollout import card
from serving.checks.comparison import Comparison, Rule
from serving.store import cards, publish
from serving.store.store import Store
from tests._project import ROOT
from tests.serving._exports import change, export

FACTS = {"commit": "abc123", "dirty": False, "at": "2030-01-01T00:00:00Z"}
WORSE = Rule("accuracy", 0.002, 0.0005, False, "99.3% | right, 99.5% wanted")


@pytest.fixture
def project(tmp_path):
    """A project with the reports of a real evaluation, and its export."""
    (tmp_path / "reports").mkdir()
    real = {}
    for name in ("metrics", "verdict"):
        shutil.copy(ROOT / "reports" / f"{name}.json", tmp_path / "reports")
        real[name] = json.loads((tmp_path / "reports" / f"{name}.json").read_text())
    real |= {"recipe": {}, "data": {"dataset": "mnist", "sample": False, "batches": {"scans": {}}, "splits": {
        "test": {"n": 10_000, "images_sha256": "fbf9"}}}}  # fmt: skip
    made = export(tmp_path / "models" / "exported")
    change(made / "assets.extra" / "provenance.json", lambda content: content.update(real))
    return tmp_path


@pytest.fixture
def store(project):
    return Store(project / "models" / "serving")


def test_card_and_report_tell_version_commit_data_accuracy_and_then_the_comparison(project, store):
    number = publish.publish(store, project / "models" / "exported", FACTS)
    card.write(project, store, number)
    text, page = (cards.find(store, number, name).read_text() for name in cards.NAMES.values())
    _, head, body = text.split("---\n", 2)
    metrics = json.loads((project / "reports" / "metrics.json").read_text())
    (result,) = yaml.safe_load(head)["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == metrics["accuracy"]
    low, high = (f"{end:.2%}" for end in metrics["accuracy_interval"])
    assert f"| {metrics['accuracy']:.2%} | {low} – {high} |" in body
    for shown in (body, page):
        for fact in ("1, published 2030-01-01T00:00:00Z", "abc123", "sha256 fbf9", "scans"):
            assert fact in shown
        assert "compared with" not in shown
    card.write(project, store, number, Comparison(number, 7, False, (WORSE,)))
    text, page = (cards.find(store, number, name).read_text() for name in cards.NAMES.values())
    for shown in (text, page):
        assert "compared with version 7, which served: worse" in shown
    assert r"99.3% \| right, 99.5% wanted" in text
    assert store.intact(number), "the version itself has not changed"
    publish.publish(store, export(project / "other", "other"), {})
    assert publish.prune(store, keep=1) == [number]
    assert cards.find(store, number) is None


def test_reports_of_another_model_and_records_of_old_make_no_page(project, store):
    number = publish.publish(store, project / "models" / "exported", FACTS)
    change(project / "reports" / "metrics.json", lambda content: content.update(accuracy=0.5))
    card.write(project, store, number)
    assert cards.find(store, number) and cards.find(store, number, cards.REPORT) is None
    old = publish.publish(store, export(project / "old", "old"), {})
    card.write(project, store, old)
    assert cards.find(store, old) is None
