"""The committed results are what their committed records say."""

import json
import re

import pytest

from bench import document, front, published, section, train
from digits.errors import DataError

ROOT = train.ROOT
COMMITTED = published.records(published.kept(ROOT))


def test_the_page_of_results_is_what_the_committed_records_say():
    page = published.page(ROOT).read_text(encoding="utf-8")
    assert COMMITTED
    assert section.carried(page, document.document(COMMITTED)) == page


def test_the_table_of_the_front_page_is_what_the_committed_records_say():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert front.page(readme, COMMITTED) == readme


def test_the_committed_records_count_and_name_their_code():
    assert not any(each["quick"] for each in COMMITTED if each["kind"] == "session")
    trained = [each for each in COMMITTED if each["kind"] == "training"]
    assert all(re.fullmatch(r"[0-9a-f]{7,}", each["commit"]) and not each["dirty"] for each in trained)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"# x\n{front.BEGIN}old\n{front.END}\nrest\n")
    return tmp_path


def test_what_is_written_is_read_again_and_gone_on_with_elsewhere(root, tmp_path):
    said = published.write(root, COMMITTED)
    assert "results.md" in said
    assert published.records(published.kept(root)) == COMMITTED
    assert "old" not in (root / "README.md").read_text()
    raw = tmp_path / "elsewhere" / "results.jsonl"
    assert published.begin_from(root, raw)
    assert published.records(raw) == COMMITTED
    raw.write_text(json.dumps(COMMITTED[0]) + "\n")
    assert not published.begin_from(root, raw), "a run's own records are not written over"
    assert published.records(raw) == COMMITTED[:1]


@pytest.mark.parametrize("records", [[], [{"kind": "session", "quick": True}]])
def test_a_trial_or_nothing_is_not_published(root, records):
    with pytest.raises(DataError, match="a run that counts"):
        published.write(root, records)
    assert not published.kept(root).exists()
    assert "old" in (root / "README.md").read_text()
