"""A version's formats for phones and browsers: beside it, of its own export only, never in its way."""

import json

import pytest

from serving.store import cards, disk, edge, publish, version
from serving.store.store import Store
from tests.serving._exports import change, export, make_formats, tree

FACTS = {"commit": "abc", "at": "2026-11-21T10:00:00+00:00"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models" / "serving")


@pytest.fixture
def source(tmp_path):
    return export(tmp_path / "exported")


@pytest.fixture
def made(tmp_path, source):
    return make_formats(tmp_path / "edge", source)


def test_formats_are_published_beside_their_version_with_their_own_provenance(store, source, made):
    number = publish.publish(store, source, FACTS, formats=made)
    found = edge.find(store, number)
    assert found == store.root / "edge" / "1"
    published, original = tree(found), tree(made)
    record = json.loads(published.pop("provenance.json"))
    assert record.pop("published") == {"version": 1, **FACTS}
    assert record == json.loads(original.pop("provenance.json"))
    assert published == original
    assert found.stat().st_mode & 0o222 == 0, "published formats are read-only"
    assert version.problems(store.version(number)) == []


def test_formats_of_another_export_stay_out_and_the_version_is_published(store, source, made, tmp_path):
    other = export(tmp_path / "other", "other")
    listed = publish.read_export(other).provenance["files"]
    assert "made from another export: run `dvc repro convert`" in edge.mismatch(made, listed)
    assert publish.publish(store, other, FACTS, formats=made) == 1
    assert edge.find(store, 1) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: (made / "int8.tflite").unlink(),
        lambda made: (made / "int8.tflite").write_text("other"),
        lambda made: (made / "tfjs" / "more.bin").write_text("other"),
        lambda made: (made / "provenance.json").unlink(),
        lambda made: change(
            made / "provenance.json", lambda record: record["files"].update({"../../up": "0"})
        ),
    ],
    ids=["missing", "changed", "an unknown file", "no provenance", "outside"],
)
def test_damaged_formats_are_never_published(store, source, made, spoil):
    spoil(made)
    assert "is incomplete" in edge.mismatch(made, publish.read_export(source).provenance["files"])
    assert publish.publish(store, source, FACTS, formats=made) == 1
    assert edge.find(store, 1) is None


def test_publishing_again_adds_formats_that_were_made_later_and_changes_none(store, source, made, tmp_path):
    assert publish.publish(store, source, FACTS, formats=tmp_path / "none") == 1
    assert edge.find(store, 1) is None and version.problems(store.version(1)) == []
    assert publish.publish(store, source, FACTS, formats=made) == 1
    first = tree(edge.find(store, 1))
    make_formats(made, source, "another")
    assert publish.publish(store, source, FACTS, formats=made) == 1
    assert tree(edge.find(store, 1)) == first
    assert publish.publish(store, source, FACTS, formats=made, force=True) == 2
    assert (edge.find(store, 2) / "int8.tflite").read_text() == "another"


def test_published_formats_that_were_damaged_are_laid_anew(store, source, made):
    publish.publish(store, source, FACTS, formats=made)
    (store.edges / "1" / "int8.tflite").chmod(0o644)
    (store.edges / "1" / "int8.tflite").write_text("spoiled")
    assert edge.find(store, 1) is None
    listed = publish.read_export(source).provenance["files"]
    edge.add(store, 1, made, listed, FACTS)
    assert (edge.find(store, 1) / "int8.tflite").read_text() == "one"


def test_formats_and_card_go_with_the_version_that_is_pruned_or_formats_with_the_next_command(
    store, tmp_path
):
    for weights in "abc":
        new = export(tmp_path / weights, weights)
        publish.publish(store, new, FACTS, formats=make_formats(tmp_path / f"{weights}-edge", new))
    cards.write(store, 1, {cards.CARD: "one"})
    assert cards.find(store, 1).is_relative_to(store.root / "cards")
    assert publish.prune(store, keep=1) == [1, 2] and cards.find(store, 1) is None
    assert [path.name for path in store.edges.iterdir()] == ["3"]
    disk.delete(store.folder / "3")
    publish.publish(store, export(tmp_path / "d", "d"), FACTS)
    assert not list(store.edges.iterdir())
