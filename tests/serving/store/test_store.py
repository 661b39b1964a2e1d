import errno
import json
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from digits.runtime.errors import StoreError
from serving.store import disk, promote, publish
from serving.store.history import LARGEST, UNRECORDED, Event, Refusal
from serving.store.pointer import Pointer
from serving.store.store import Store
from tests.serving._exports import DATA_FILE, TEST_IMAGES, change, export, tree

PROVENANCE = "assets.extra/provenance.json"
FACTS = {"commit": "abc", "dirty": False, "at": "2030-01-01T00:00:00Z"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models" / "serving")


def published(store, tmp_path, *weights, **facts):
    """Publish a model for each of `weights`; the last number."""
    for each in weights:
        number = publish.publish(store, export(tmp_path / "exports" / each, each, **facts), FACTS)
    return number


def in_service(store, tmp_path, *weights):
    """Publish models and promote one after the other."""
    champion = None
    for each in weights:
        number = published(store, tmp_path, each)
        promote.promote(store, number, champion)
        champion = number


def scratch(store):
    return [p.name for p in store.folder.iterdir() if p.name.startswith(".")]


# --- publishing


def test_a_published_version_is_read_only_and_holds_what_was_exported_and_where_it_comes_from(
    store, tmp_path
):
    source = export(tmp_path / "exported")
    (source / DATA_FILE).rename(tmp_path / "cached")
    (source / DATA_FILE).symlink_to(tmp_path / "cached")  # as DVC does
    assert publish.publish(store, source, FACTS) == 1
    paths = [store.folder / "1", *(store.folder / "1").rglob("*")]
    assert not [p for p in paths if p.is_symlink() or stat.S_IMODE(p.stat().st_mode) & 0o222]
    copy, original = tree(store.folder / "1"), tree(source)
    provenance = json.loads(copy.pop(PROVENANCE))
    assert provenance.pop("published") == {"version": 1, **FACTS}
    assert provenance == json.loads(original.pop(PROVENANCE))
    assert copy == original and not scratch(store)
    assert store.current() is None and store.base_path_problem() is None


def test_the_same_content_is_one_version_unless_forced(store, tmp_path):
    assert published(store, tmp_path, "a", "b", "a") == 1
    assert publish.publish(store, tmp_path / "exports" / "a", FACTS, force=True) == 3
    assert [v.number for v in store.versions()] == [1, 2, 3]
    assert published(store, tmp_path, "a") == 3, "of two the newer stands for it"
    for number in (1, 3):
        spoil(store, number)
    assert published(store, tmp_path, "a") == 4, "a damaged one does not"


def test_an_export_with_no_file_beside_its_provenance_is_published(store, tmp_path):
    source, name = export(tmp_path / "exported"), "assets.extra/tf_serving_warmup_requests"
    (source / name).unlink()
    change(source / PROVENANCE, lambda content: content["files"].pop(name))
    assert publish.publish(store, source, FACTS) == 1
    assert store.intact(1).provenance["published"]["version"] == 1


def test_a_number_that_only_the_record_the_folder_or_the_pointer_still_names_is_not_reused(store, tmp_path):
    published(store, tmp_path, "a", "b", "c")
    promote.promote(store, 1, None)
    disk.delete(store.folder / "3")
    assert publish.prune(store, keep=1) == []
    assert published(store, tmp_path, "d") == 4
    store.record.unlink()
    assert published(store, tmp_path, "e") == 5
    promote.promote(store, 5, 1, canary=True)
    disk.delete(store.folder / "5")
    store.record.unlink()
    assert published(store, tmp_path, "f") == 6


def test_what_dead_writers_left_is_swept(store, tmp_path):
    published(store, tmp_path, "a")
    for name in (".incoming-2-dead", ".pruned-1-dead"):
        shutil.copytree(store.folder / "1", store.folder / name)
    (store.root / ".models.config.new-dead").touch()
    assert published(store, tmp_path, "b") == 2
    assert not scratch(store)
    assert sorted(path.name for path in store.root.iterdir()) == [".lock", "digits", "history.json"]


OUTSIDE = ("../outside", "/etc/hostname", "a/../../b")


def edited(**values):
    """Set keys of objects in an export's provenance."""

    def edit(content):
        for key, value in values.items():
            content[key].update(value)

    return lambda exported: change(exported / PROVENANCE, edit)


def spoil(store, number, name=DATA_FILE):
    file = store.folder / str(number) / name
    file.parent.chmod(0o755)
    file.chmod(0o644)
    file.write_text("other")


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (lambda d: (d / DATA_FILE).write_text("half"), "its digest differs"),
        (lambda d: (d / DATA_FILE).unlink(), "is missing"),
        (lambda d: (d / "notes.txt").write_text("x"), "notes.txt was not exported"),
        (lambda d: (d / PROVENANCE).write_text("{"), "not valid JSON"),
        (lambda d: (d / PROVENANCE).write_text("[]"), "lists no files"),
        (lambda d: (d / PROVENANCE).unlink(), "can't be read"),
        (
            lambda d: (d / "saved_model.pb").unlink() or (d / "saved_model.pb").symlink_to("/etc/passwd"),
            "its digest differs",
        ),
        (lambda d: shutil.rmtree(d), "is missing"),
        (lambda d: shutil.rmtree(d / "variables"), "is missing"),
        *((edited(files={name: "0"}), "not a file of this directory") for name in OUTSIDE),
        (edited(verdict={"passed": False}), "no passing verdict"),
    ],
)
def test_an_export_that_is_not_whole_or_did_not_pass_is_refused_and_nothing_is_left(
    store, tmp_path, spoiled, said
):
    source = export(tmp_path / "exported")
    spoiled(source)
    with pytest.raises(StoreError, match=said) as refused:
        publish.publish(store, source, FACTS)
    assert "make run" in str(refused.value)
    assert not list(store.folder.iterdir())


def test_what_was_not_tried_on_a_server_is_refused(store, tmp_path):
    source = export(tmp_path / "exported", "new")
    tried = publish.read_export(export(tmp_path / "before", "old")).provenance["files"]
    with pytest.raises(StoreError, match="was replaced while"):
        publish.publish(store, source, FACTS, validated=tried)
    now = publish.read_export(source).provenance["files"]
    assert publish.publish(store, source, FACTS, validated=now) == 1


def test_a_file_that_changes_under_the_copy_is_noticed(store, tmp_path, monkeypatch):
    source = export(tmp_path / "exported")
    seal = disk.copy

    def changed_first(*arguments):
        (source / DATA_FILE).write_text("changed")
        seal(*arguments)

    monkeypatch.setattr(disk, "copy", changed_first)
    with pytest.raises(StoreError, match="changed while it was copied"):
        publish.publish(store, source, FACTS)
    assert not list(store.folder.iterdir())


def test_the_versions_are_listed_with_the_damaged_ones_and_without_strangers(store, tmp_path):
    published(store, tmp_path, "a", "b")
    for name in ("007", "notes", LARGEST + 1, "９", "0", "-1"):
        (store.folder / str(name)).mkdir()
    (store.folder / "6").touch()
    (store.folder / "9").symlink_to("9")
    spoil(store, 2, PROVENANCE)
    found = store.versions()
    assert [(v.number, bool(v.unreadable)) for v in found] == [(1, False), (2, True)]
    assert published(store, tmp_path, "c") == 10, "a server reads 007 as 7"
    (store.folder / str(LARGEST)).mkdir()
    assert store.versions()[-1].number == LARGEST


# --- promoting


def test_the_first_promotion_needs_no_champion_and_the_same_again_changes_nothing(store, tmp_path):
    in_service(store, tmp_path, "a")
    assert store.current() == Pointer(str(store.folder), 1)
    names = [".lock", "digits", "history.json", "models.config"]
    assert sorted(path.name for path in store.root.iterdir()) == names
    before, record = tree(store.root), store.record.stat().st_ino
    promote.promote(store, 1, 1)
    assert store.record.stat().st_ino == record and tree(store.root) == before


def test_a_stale_candidate_is_told_what_serves_and_what_to_do(store, tmp_path):
    in_service(store, tmp_path, "a", "b")
    published(store, tmp_path, "c")
    told = r"judged against version 1, .* version 2 is in service: run `digits promote 3`"
    with pytest.raises(StoreError, match=told):
        promote.promote(store, 3, 1)
    with pytest.raises(StoreError, match="judged against nothing, but now version 2 is in service"):
        promote.promote(store, 3, None)
    assert store.current().stable == 2


def test_a_trial_beside_the_stable_version_ends_with_its_promotion_or_without_touching_that(store, tmp_path):
    published(store, tmp_path, "a", "b")
    with pytest.raises(StoreError, match="nothing is in service yet"):
        promote.promote(store, 1, None, canary=True)
    with pytest.raises(StoreError, match="no version is on trial"):
        promote.withdraw(store)
    promote.promote(store, 1, None)
    with pytest.raises(StoreError, match="the stable version already"):
        promote.promote(store, 1, 1, canary=True)
    with pytest.raises(StoreError, match="no version is on trial"):
        promote.withdraw(store)
    assert promote.promote(store, 2, 1, canary=True) == Pointer(str(store.folder), 1, 2)
    assert promote.withdraw(store) == Pointer(str(store.folder), 1)
    assert store.history().serving_stack() == [1]
    promote.promote(store, 2, 1, canary=True)
    assert store.history().previous() is None and not store.history().was_promoted(2)
    assert promote.promote(store, 2, 1) == Pointer(str(store.folder), 2)
    assert store.history().previous() == 1


def test_a_missing_or_damaged_version_is_never_pointed_at(store, tmp_path):
    assert store.versions() == []
    with pytest.raises(StoreError, match=r"version 1 is not in .*: nothing is published"):
        promote.promote(store, 1, None)
    published(store, tmp_path, "a", "b")
    with pytest.raises(StoreError, match=r"version 9 is not in .*: the published versions are 1, 2"):
        promote.promote(store, 9, None)
    spoil(store, 2)
    with pytest.raises(StoreError, match="version 2 is damaged"):
        promote.promote(store, 2, None)
    assert store.current() is None


# --- rolling back


def test_rolling_back_twice_goes_back_two_versions(store, tmp_path):
    with pytest.raises(StoreError, match="nothing is in service"):
        promote.rollback(store)
    in_service(store, tmp_path, "a", "b", "c")
    assert promote.rollback(store, expected_champion=3).stable == 2
    with pytest.raises(StoreError, match="version 2 is in service now, not 3"):  # the second of two at once
        promote.rollback(store, expected_champion=3)
    promote.promote(store, 3, 2, canary=True)
    assert promote.rollback(store) == Pointer(str(store.folder), 1), "that ends a trial"
    with pytest.raises(StoreError, match=r"no version served before version 1; .* versions are 1, 2, 3"):
        promote.rollback(store)
    with pytest.raises(StoreError, match="1 is in service already; the published versions are 1, 2, 3"):
        promote.rollback(store, 1)
    assert promote.rollback(store, 3).stable == 3


def test_rolling_back_skips_what_was_pruned_and_else_lists_what_is_there(store, tmp_path):
    in_service(store, tmp_path, "a", "b", "c", "d")
    published(store, tmp_path, "e")
    disk.delete(store.folder / "3")
    assert promote.rollback(store).stable == 2
    assert store.previous() == 1
    spoil(store, 1)
    with pytest.raises(StoreError, match=r"version 1 is damaged: .* the published versions are 1, 2, 4, 5"):
        promote.rollback(store)
    disk.delete(store.folder / "1")
    with pytest.raises(StoreError, match=r"no version .* still published \(1 did\); .* versions are 2, 4, 5"):
        promote.rollback(store)
    with pytest.raises(StoreError, match=r"version 1 is not in .*: the published versions are 2, 4, 5"):
        promote.rollback(store, 1)
    assert store.previous() is None and store.current().stable == 2


# --- what a crash or a person leaves


def test_a_promotion_that_was_not_recorded_is_known_from_the_pointer(store, tmp_path):
    published(store, tmp_path, "a", "b", accuracy=0.991)
    promote.promote(store, 1, None)
    before = store.record.read_bytes()
    promote.promote(store, 2, 1)
    store.record.write_bytes(before)
    known = store.history()
    assert known.previous() == 1
    assert known.events[-1] == Event(2, UNRECORDED, None, 0.991, TEST_IMAGES)
    promote.promote(store, 2, 2)
    recorded = json.loads(store.record.read_text())["events"]
    assert [event["action"] for event in recorded] == ["promote", "unrecorded"]
    assert promote.rollback(store).stable == 1


def test_a_damaged_pointer_or_record_names_the_file(store, tmp_path):
    published(store, tmp_path, "a")
    for text in ("{", "[" * 100_000):
        store.record.write_text(text)
        with pytest.raises(StoreError, match=r"history.json is damaged"):
            promote.promote(store, 1, None)
    store.record.unlink()
    store.record.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        store.history()
    store.record.rmdir()
    store.pointer.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        store.current()
    store.pointer.rmdir()
    store.pointer.write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match=r"models.config is not text"):
        promote.promote(store, 1, None)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EIO, r"Input/output error .*: fix it"),
        (errno.EROFS, r"can't be read or written .*: run this as its owner, or mount it writable"),
    ],
)
def test_a_disk_that_fails_is_an_error_of_one_line(store, tmp_path, monkeypatch, code, said):
    published(store, tmp_path, "a")

    def fails(path):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "iterdir", fails)
    with pytest.raises(StoreError, match=said):
        store.versions()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Not a directory"), Store(tmp_path / "file" / "serving").alone():
        pass


@pytest.mark.parametrize(
    "act", [lambda store: promote.promote(store, 1, 1), lambda store: promote.rollback(store, 1)]
)
def test_a_moved_project_says_so_and_promoting_or_rolling_back_writes_the_pointer_anew(store, tmp_path, act):
    in_service(store, tmp_path, "a")
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    moved = Store(tmp_path / "elsewhere" / "serving")
    assert str(moved.folder) in moved.base_path_problem() and "digits promote 1" in moved.base_path_problem()
    assert act(moved) == moved.current() == Pointer(str(moved.folder), 1)
    assert moved.base_path_problem() is None
    assert moved.history().previous() is None


def test_where_containers_see_the_store_is_remembered_before_the_pointer_says_so(
    store, tmp_path, monkeypatch
):
    published(store, tmp_path, "a", "b")
    promote.promote(store, 1, None)
    with monkeypatch.context() as killed:
        killed.setattr("serving.store.store.render", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote.promote(store, 2, 1, base_path="/models/digits")
    assert store.history().base_path == "/models/digits" and not store.history().was_promoted(2)
    promote.promote(store, 1, 1, base_path="/models/digits")
    assert promote.promote(store, 2, 1) == Pointer("/models/digits", 2)
    assert store.base_path_problem() is None
    assert promote.rollback(store) == Pointer("/models/digits", 1)
    assert promote.promote(store, 2, 1, base_path=str(store.folder)).base_path == str(store.folder)
    assert store.history().base_path is None
    with pytest.raises(StoreError, match="relative"):
        promote.promote(store, 1, 2, base_path="models/digits")


# --- pruning


def test_pruning_keeps_the_last_and_what_serves_is_on_trial_or_served_before(store, tmp_path):
    published(store, tmp_path, *"abcdefg")
    promote.promote(store, 1, None)
    promote.promote(store, 4, 1)
    promote.promote(store, 5, 4, canary=True)
    assert publish.prune(store) == [2], "five are kept unless another number is given"
    assert publish.prune(store, keep=2) == [3]
    assert [v.number for v in store.versions()] == [1, 4, 5, 6, 7]
    assert not scratch(store)
    with pytest.raises(StoreError, match="at least 1"):
        publish.prune(store, keep=0)


# --- two at once


def test_a_store_that_is_held_too_long_names_the_holder(store):
    said = f"process {os.getpid()} has held"
    with store.alone(), pytest.raises(StoreError, match=said), disk.lock(store.root, patience=0.05):
        pass


def test_what_changes_a_store_waits_for_who_holds_it(store, tmp_path):
    in_service(store, tmp_path, "a", "b")
    published(store, tmp_path, "c", "d")
    promote.promote(store, 3, 2, canary=True)
    acts = {
        "withdraw": lambda: promote.withdraw(store),
        "promote": lambda: promote.promote(store, 3, 2),
        "rollback": lambda: promote.rollback(store),
        "refuse": lambda: promote.refuse(store, Refusal(3, 2, ("worse",))),
        "prune": lambda: publish.prune(store, keep=1),
    }
    for name, act in acts.items():
        waiting = threading.Thread(target=act)
        with store.alone():
            before = tree(store.root)
            waiting.start()
            waiting.join(0.1)
            assert waiting.is_alive() and tree(store.root) == before, name
        waiting.join()
        assert tree(store.root) != before, name
