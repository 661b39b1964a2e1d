"""Batches from the inbox: taken once, kept or set aside, whatever is killed."""

import errno
import os
import shutil
from dataclasses import replace

import pytest

from flows.clone import inbox as inboxes
from flows.clone.arrival import BatchArriving, BatchError
from flows.clone.git import CommandFailed
from flows.clone.inbox import InboxError, accept, refuse, take, waiting
from flows.clone.workspace import prepare, share_settings
from tests.flows._kills import kills
from tests.flows._projects import batch, commit, dvc, sh, state, write

pytestmark = pytest.mark.usefixtures("own_home")

ACCEPTED = "refs/digits/accepted/batches"


def names(root, commit="HEAD"):
    listed = sh(root, "git", "ls-tree", "--name-only", commit, "data/incoming/").splitlines()
    return [name.removeprefix("data/incoming/") for name in listed if name.endswith(".dvc")]


def rows(root):
    dvc(root, "repro", "-q")
    return (root / "data" / "raw" / "rows.txt").read_text().split()


# --- waiting


def test_only_whole_batches_wait_by_name_and_the_quarantine_is_none(inbox):
    for name in ("b", "a", "quarantine", ".upload-1"):
        batch(inbox, name)
    write(inbox, "labels.csv", "file,label\n")
    write(inbox, "more.npz", "arrays")
    assert waiting(inbox, still=0) == [inbox / "a", inbox / "b", inbox / "more.npz"]
    assert waiting(inbox) == []
    write(inbox, "b/.complete", "")
    assert waiting(inbox) == [inbox / "b"]


def test_a_batch_whose_name_is_no_text_gets_one_with_escapes(inbox):
    for name in (b"scans-\xff", b"scans-\n", b"new\r.npz"):
        path = inbox / os.fsdecode(name)
        path.write_text("arrays") if path.suffix else write(path, "a.png", "a")
    write(inbox, "new\\r.npz", "another")
    named = [path.name for path in waiting(inbox, still=0)]
    assert named == ["new\\r-2.npz", "new\\r.npz", "scans-\\n", "scans-\\udcff"]


# --- taking


def test_a_batch_is_committed_in_the_clone_alone_and_reaches_the_stages(clone, inbox):
    before = state(clone.project)
    pictures = ("a", "a.b", "a0", "z", "ä 'b'")
    folder = batch(inbox, "my scans", *pictures)
    write(folder, "deep/er/x.png", "x")
    write(folder, "deep-er.png", "y")
    taken = take(clone, folder)  # it compares the digest with DVC's
    assert taken.new and taken.name.startswith("my-scans-")
    assert names(clone.root) == [f"{taken.name}.dvc"]
    assert sh(clone.root, "git", "status", "--porcelain") == ""
    dvc(clone.root, "repro", "-q")
    files = (clone.root / "data" / "raw" / "rows.txt").read_text().splitlines()
    expected = (*pictures, "deep/er/x", "deep-er")
    assert set(files) == {f"data/incoming/{taken.name}/{name}.png" for name in expected}
    assert sh(clone.root, "git", "log", "-1", "--format=%an %s").startswith("digits Incoming batch")
    assert state(clone.project) == before
    assert folder.exists()


@pytest.mark.slow
def test_the_same_content_is_taken_once_whatever_its_name(clone, inbox):
    first = take(clone, batch(inbox, "scans"))
    shutil.copytree(inbox / "scans", inbox / "again")
    second = take(clone, inbox / "again")
    assert (second.name, second.digest) == (first.name, first.digest)
    assert accept(clone, first) and accept(clone, second)
    assert list(inbox.iterdir()) == []
    with prepare(clone.project) as workspace:
        assert not take(workspace, batch(inbox, "scans")).new
        assert len(names(workspace.root)) == 1


def test_a_batch_that_grows_or_goes_while_it_is_copied_and_a_full_disk_are_left_for_the_next_run(
    clone, inbox, monkeypatch
):
    folder = batch(inbox, "scans")
    copyfile = shutil.copyfile

    def grows(*args, **kwargs):
        write(folder, "late.png", "late")
        return copyfile(*args, **kwargs)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "a.png")

    monkeypatch.setattr(shutil, "copyfile", grows)
    with pytest.raises(BatchArriving, match="the next run takes it"):
        take(clone, folder)
    with pytest.raises(BatchArriving, match="disappeared"):
        take(clone, inbox / "gone")
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(InboxError, match=r"a.png: No space left on device"):
        take(clone, folder)
    assert names(clone.root) == []


def test_a_batch_of_which_dvc_would_leave_out_files_is_not_taken(clone, inbox):
    write(clone.root, ".dvcignore", ".gitignore\nb.png\n")
    commit(clone.root, "no b")
    with pytest.raises(BatchError, match="take their patterns out"):
        take(clone, batch(inbox, "scans"))
    assert [path.name for path in (clone.root / "data" / "incoming").iterdir()] == [".gitignore"]


def test_what_dvc_refuses_is_the_batch_s_fault_if_it_takes_another(clone, inbox, monkeypatch):
    added = []

    def refusing(root, *arguments):
        added.append(arguments[-1])
        if "scans" in arguments[-1] or len(added) > 2:
            raise CommandFailed("dvc add failed: odd")
        return dvc(root, *arguments)

    monkeypatch.setattr(inboxes, "dvc", refusing)
    for kind in (BatchError, CommandFailed):  # the second time DVC takes nothing at all
        with pytest.raises(kind, match="dvc add failed: odd"):
            take(clone, batch(inbox, "scans"))
        assert [path.name for path in (clone.root / "data" / "incoming").iterdir()] == [".gitignore"]
        assert sh(clone.root, "git", "status", "--porcelain") == ""
    assert "probe" in added[1] and "probe" in added[3]


# --- accepting


@pytest.mark.slow
def test_an_accepted_batch_stays_for_the_next_runs_and_the_users_tree_knows_nothing_of_it(clone, inbox):
    project = clone.project
    before = state(project)
    taken = take(clone, batch(inbox, "scans"))
    assert accept(clone, taken)
    assert list(inbox.iterdir()) == []
    assert state(project) == before
    with prepare(project) as workspace:
        assert names(workspace.root) == [f"{taken.name}.dvc"]
        second = take(workspace, batch(inbox, "more"))
        assert accept(workspace, second)
        head = sh(workspace.root, "git", "rev-parse", "HEAD")
    write(project, "code.py", "two\n")
    commit(project, "two")
    shutil.rmtree(project / ".digits")
    with prepare(project) as workspace:
        assert len(rows(workspace.root)) == 4
        assert sh(workspace.root, "git", "rev-parse", "HEAD~1") == workspace.base
        first_again = sh(workspace.root, "git", "rev-parse", "HEAD")
    with prepare(project) as workspace:
        assert sh(workspace.root, "git", "rev-parse", "HEAD") == first_again != head


@pytest.mark.slow
def test_what_main_has_merged_is_carried_no_more_and_what_it_dropped_stays_out(clone, inbox):
    project = clone.project
    taken = take(clone, batch(inbox, "scans"))
    assert accept(clone, taken)
    sh(project, "git", "merge", "-q", "--ff-only", ACCEPTED)
    with prepare(project) as workspace:
        assert sh(workspace.root, "git", "rev-parse", "HEAD") == workspace.base
        assert len(names(workspace.root)) == 1
    (project / "data" / "incoming" / f"{taken.name}.dvc").unlink()
    commit(project, "without the scans")
    with prepare(project) as workspace:
        assert names(workspace.root) == []
        again = take(workspace, batch(inbox, "scans"))  # who brings it again means it
        assert again.name == f"{taken.name}-2"
        assert accept(workspace, again)
    with prepare(project) as workspace:
        assert names(workspace.root) == [f"{again.name}.dvc"]


def test_an_archive_is_taken_and_an_original_that_changed_since_is_neither_removed_nor_set_aside(
    clone, inbox
):
    taken = take(clone, write(inbox, "scans.npz", "arrays"))
    assert (clone.root / "data" / "incoming" / taken.name / "scans.npz").read_text() == "arrays"
    assert accept(clone, taken) and list(inbox.iterdir()) == []
    kept = names(clone.root)
    taken = take(clone, batch(inbox, "scans"))
    write(inbox, "scans/late.png", "late")
    assert not accept(clone, taken)
    assert refuse(clone, taken, "half of it") is None
    assert names(clone.root) == kept
    assert (inbox / "scans" / "late.png").exists()


# --- refusing


@pytest.mark.slow
def test_a_refused_batch_is_in_quarantine_with_its_reason_and_the_others_stay(clone, inbox):
    early, bad, late = (take(clone, batch(inbox, name)) for name in ("early", "bad", "late"))
    assert accept(clone, early)
    place = refuse(clone, bad, "labels are poisoned")
    assert place == inbox / "quarantine" / "bad"
    assert (place / "reason.txt").read_text() == "labels are poisoned\n"
    assert whole(place / "bad")
    assert names(clone.root) == sorted([f"{early.name}.dvc", f"{late.name}.dvc"])
    assert not (clone.root / "data" / "incoming" / bad.name).exists()
    assert sh(clone.root, "git", "status", "--porcelain") == ""
    assert len(rows(clone.root)) == 4
    assert waiting(inbox, still=0) == [inbox / "late"]
    assert not accept(clone, bad)
    again = take(clone, batch(inbox, "early"))
    assert refuse(clone, again, "a copy")  # what was accepted stays though its copy is refused
    assert names(clone.root) == sorted([f"{early.name}.dvc", f"{late.name}.dvc"])
    assert names(clone.project, ACCEPTED) == [f"{early.name}.dvc"]


def test_each_refusal_of_one_name_has_a_place_and_one_that_was_broken_off_goes_on_in_its_own(inbox):
    write(inbox, "quarantine/bad/reason.txt", "half")
    for name, reason in (("bad", "one"), ("bad-2", "two")):
        place = refuse(None, batch(inbox, "bad"), reason)
        assert place == inbox / "quarantine" / name and whole(place / "bad")
        assert (place / "reason.txt").read_text() == f"{reason}\n"
    (inbox / "quarantine").rename(inbox / "elsewhere")
    assert refuse(None, batch(inbox, "bad"), "three") == inbox / "quarantine" / "bad"


# --- kill -9


def judged(workspace, inbox, verdict):
    """What a run does with its batches."""
    for found in waiting(inbox, still=0):
        taken = take(workspace, found)
        accept(workspace, taken) if verdict == "accept" else refuse(workspace, taken, "bad")


def whole(folder):
    return sorted(p.name for p in folder.iterdir()) == ["a.png", "b.png", "labels.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("verdict", ["accept", "refuse"])
def test_a_kill_at_any_step_neither_loses_a_batch_nor_takes_it_twice(clone, inbox, tmp_path, verdict):
    old = take(clone, batch(inbox, "old"))
    assert accept(clone, old)
    users, folder = state(clone.project), batch(inbox, "scans")
    here = tmp_path / "here"
    here.mkdir()
    project = clone.project.rename(here / "project")
    at_work = replace(clone, project=project, root=project / ".digits" / "workspace")
    inbox.rename(here / "inbox")
    share_settings(project, at_work.root)
    left_by_kills = kills(here, tmp_path / "kills", lambda: judged(at_work, here / "inbox", verdict))
    for left in left_by_kills:
        project, its_inbox = left / "project", left / "inbox"
        assert state(project) == users
        kept = "scans-" in " ".join(names(project, ACCEPTED))
        aside = its_inbox / "quarantine" / "scans" / "scans"
        originals = [path for path in (its_inbox / folder.name, aside) if path.exists()]
        assert kept or originals
        assert all(whole(path) for path in originals)
        with prepare(project) as workspace:
            judged(workspace, its_inbox, verdict)
        assert waiting(its_inbox, still=0) == []
        if verdict == "accept":
            assert " ".join(names(project, ACCEPTED)).count("scans-") == 1
        else:
            assert names(project, ACCEPTED) == [f"{old.name}.dvc"]
            assert whole(aside)
    assert len(left_by_kills) > 10, [path.name for path in left_by_kills]
