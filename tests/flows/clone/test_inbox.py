"""Batches from the inbox: taken once, kept or set aside, whatever is killed."""

import os
import shutil
import signal

import pytest

from flows.clone import inbox as inboxes
from flows.clone.arrival import BatchArriving, BatchError
from flows.clone.inbox import accept, refuse, take, waiting
from flows.clone.workspace import prepare
from tests.flows._projects import batch, commit, dvc, killed_at, sh, state, write

pytestmark = pytest.mark.usefixtures("own_home")

ACCEPTED = "refs/digits/accepted/batches"
SHARES = 2  # a kill at every second step is a slow test; at the others an exhaustive one


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


def test_a_missing_inbox_is_an_error_and_not_an_empty_one(tmp_path):
    with pytest.raises(BatchError, match="gone: No such file"):
        waiting(tmp_path / "gone")


# --- taking


def test_a_batch_is_committed_in_the_clone_alone_and_reaches_the_stages(project, inbox):
    before = state(project)
    with prepare(project) as workspace:
        taken = take(workspace, batch(inbox, "my scans"))
        assert taken.new and taken.name.startswith("my-scans-")
        assert names(workspace.root) == [f"{taken.name}.dvc"]
        assert sh(workspace.root, "git", "status", "--porcelain") == ""
        assert rows(workspace.root) == [f"data/incoming/{taken.name}/{p}.png" for p in "ab"]
        assert sh(workspace.root, "git", "log", "-1", "--format=%an %s").startswith("digits Incoming batch")
    assert state(project) == before
    assert (inbox / "my scans").exists()


def test_our_digest_is_the_one_that_dvc_gives(project, inbox):
    folder = batch(inbox, "scans", "z", "a", "ä 'b'", "a.b", "a0")
    write(folder, "deep/er/x.png", "x")
    write(folder, "deep-er.png", "y")
    with prepare(project) as workspace:
        taken = take(workspace, folder)
        told = (workspace.root / "data" / "incoming" / f"{taken.name}.dvc").read_text()
    assert f"md5: {taken.digest}\n" in told


def test_an_archive_of_arrays_is_a_batch_of_its_own(project, inbox):
    with prepare(project) as workspace:
        taken = take(workspace, write(inbox, "scans.npz", "arrays"))
        assert (workspace.root / "data" / "incoming" / taken.name / "scans.npz").read_text() == "arrays"
        assert accept(workspace, taken)
    assert list(inbox.iterdir()) == []


@pytest.mark.slow
def test_the_same_content_is_taken_once_whatever_its_name(project, inbox):
    with prepare(project) as workspace:
        first = take(workspace, batch(inbox, "scans"))
        shutil.copytree(inbox / "scans", inbox / "again")
        second = take(workspace, inbox / "again")
        assert (second.name, second.digest) == (first.name, first.digest)
        assert len(names(workspace.root)) == 1
        assert accept(workspace, first) and accept(workspace, second)
    assert list(inbox.iterdir()) == []
    with prepare(project) as workspace:
        shutil.copytree(workspace.root / "data" / "incoming" / first.name, inbox / "third")
        third = take(workspace, inbox / "third")
        assert not third.new
        assert len(names(workspace.root)) == 1


def test_a_batch_that_grows_while_it_is_copied_is_left_for_the_next_run(project, inbox, monkeypatch):
    folder = batch(inbox, "scans")
    copyfile = shutil.copyfile

    def grows(*args, **kwargs):
        write(folder, "late.png", "late")
        return copyfile(*args, **kwargs)

    monkeypatch.setattr(shutil, "copyfile", grows)
    with prepare(project) as workspace:
        with pytest.raises(BatchArriving, match="the next run takes it"):
            take(workspace, folder)
        assert names(workspace.root) == []


def test_a_batch_of_which_dvc_would_leave_out_files_is_not_taken(project, inbox):
    write(project, ".dvcignore", ".gitignore\nb.png\n")
    commit(project, "no b")
    with prepare(project) as workspace:
        with pytest.raises(BatchError, match="take their patterns out"):
            take(workspace, batch(inbox, "scans"))
        assert [path.name for path in (workspace.root / "data" / "incoming").iterdir()] == [".gitignore"]


def test_a_batch_that_is_gone_is_no_batch_to_refuse(project, inbox):
    with prepare(project) as workspace, pytest.raises(BatchArriving, match="disappeared"):
        take(workspace, inbox / "gone")


@pytest.mark.parametrize("kind", ["link", "pipe", "dangling"])
def test_links_and_pipes_are_not_read(project, inbox, kind):
    folder = batch(inbox, "scans")
    if kind == "pipe":
        os.mkfifo(folder / "odd")
    else:
        (folder / "odd").symlink_to("/etc/passwd" if kind == "link" else "/nowhere")
    with prepare(project) as workspace:
        with pytest.raises(BatchError, match="neither a file nor a folder"):
            take(workspace, folder)
        place = refuse(workspace, folder, "a link")
    assert (place / "scans" / "odd").is_symlink() or kind == "pipe"


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("my scans (2)", "my-scans-2"),
        ("scans.2030", "scans.2030"),
        ("scans.npz", "scans"),
        ("--x.", "x"),
        ("ß", "batch"),
        ("a" * 70, "a" * 60),
    ],
)
def test_a_batch_is_named_after_itself_and_its_content_and_no_name_is_given_twice(inbox, name, own):
    path = write(inbox, name, "arrays") if name.endswith(".npz") else batch(inbox, name)
    used = set()
    for expected in (f"{own}-01234567", f"{own}-01234567-2", f"{own}-01234567-3"):
        assert inboxes._name(path, "0123456789", used) == expected
        used.add(expected)


# --- accepting


@pytest.mark.slow
def test_an_accepted_batch_stays_for_the_next_runs_and_the_users_tree_knows_nothing_of_it(project, inbox):
    before = state(project)
    with prepare(project) as workspace:
        taken = take(workspace, batch(inbox, "scans"))
        assert accept(workspace, taken)
    assert list(inbox.iterdir()) == []
    assert state(project) == before
    with prepare(project) as workspace:
        assert names(workspace.root) == [f"{taken.name}.dvc"]
        assert len(rows(workspace.root)) == 2
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
def test_a_batch_that_was_taken_but_not_accepted_is_gone_with_the_next_run(project, inbox):
    with prepare(project) as workspace:
        taken = take(workspace, batch(inbox, "scans"))
    with prepare(project) as workspace:
        assert names(workspace.root) == []
        assert not (workspace.root / "data" / "incoming" / taken.name).exists()
        assert rows(workspace.root) == []
    assert waiting(inbox, still=0) == [inbox / "scans"]


@pytest.mark.slow
def test_only_the_accepted_ones_of_several_are_kept(project, inbox):
    with prepare(project) as workspace:
        good = take(workspace, batch(inbox, "good"))
        take(workspace, batch(inbox, "undecided"))
        assert accept(workspace, good)
    assert names(project, ACCEPTED) == [f"{good.name}.dvc"]


@pytest.mark.slow
def test_what_main_has_merged_is_carried_no_more_and_what_it_dropped_stays_out(project, inbox):
    with prepare(project) as workspace:
        taken = take(workspace, batch(inbox, "scans"))
        assert accept(workspace, taken)
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


def test_an_original_that_changed_since_is_not_removed(project, inbox):
    with prepare(project) as workspace:
        taken = take(workspace, batch(inbox, "scans"))
        write(inbox, "scans/late.png", "late")
        assert not accept(workspace, taken)
    assert (inbox / "scans" / "late.png").exists()
    with prepare(project) as workspace:
        assert names(workspace.root) == []


# --- refusing


@pytest.mark.slow
def test_a_refused_batch_is_in_quarantine_with_its_reason_and_the_others_stay(project, inbox):
    with prepare(project) as workspace:
        early = take(workspace, batch(inbox, "early"))
        assert accept(workspace, early)
    with prepare(project) as workspace:
        bad = take(workspace, batch(inbox, "bad"))
        late = take(workspace, batch(inbox, "late"))
        place = refuse(workspace, bad, "labels are poisoned")
        assert place == inbox / "quarantine" / "bad"
        assert (place / "reason.txt").read_text() == "labels are poisoned\n"
        assert sorted(p.name for p in (place / "bad").iterdir()) == ["a.png", "b.png", "labels.csv"]
        assert names(workspace.root) == sorted([f"{early.name}.dvc", f"{late.name}.dvc"])
        assert not (workspace.root / "data" / "incoming" / bad.name).exists()
        assert sh(workspace.root, "git", "status", "--porcelain") == ""
        assert len(rows(workspace.root)) == 4
    assert waiting(inbox, still=0) == [inbox / "late"]


@pytest.mark.slow
def test_what_was_accepted_stays_though_its_copy_is_refused_and_what_was_refused_is_not_accepted(
    project, inbox
):
    with prepare(project) as workspace:
        good = take(workspace, batch(inbox, "good"))
        assert accept(workspace, good)
        again = take(workspace, batch(inbox, "good"))
        assert refuse(workspace, again, "a copy")
        assert names(workspace.root) == [f"{good.name}.dvc"]
        bad = take(workspace, batch(inbox, "bad"))
        refuse(workspace, bad, "bad")
        assert not accept(workspace, bad)
    assert names(project, ACCEPTED) == [f"{good.name}.dvc"]


def test_a_second_refusal_of_one_name_has_a_place_of_its_own(project, inbox):
    with prepare(project) as workspace:
        refuse(workspace, batch(inbox, "bad"), "one")
        place = refuse(workspace, batch(inbox, "bad"), "two")
    assert place == inbox / "quarantine" / "bad-2"
    assert (place / "reason.txt").read_text() == "two\n"


def test_a_refusal_that_was_broken_off_goes_on_in_its_place(inbox):
    write(inbox, "quarantine/bad/reason.txt", "half")
    place = refuse(None, batch(inbox, "bad"), "one")
    assert place == inbox / "quarantine" / "bad"
    assert (place / "reason.txt").read_text() == "one\n" and whole(place / "bad")
    (inbox / "quarantine").rename(inbox / "elsewhere")
    assert refuse(None, batch(inbox, "bad"), "two") == place


def test_a_quarantine_that_cannot_be_written_to_is_named(inbox):
    folder = batch(inbox, "bad")
    write(inbox, "quarantine", "a file")
    with pytest.raises(BatchError, match=r"quarantine.*: fix this and run again"):
        refuse(None, folder, "bad")
    assert whole(folder)


def test_a_refused_original_that_changed_since_is_looked_at_again(project, inbox):
    with prepare(project) as workspace:
        taken = take(workspace, batch(inbox, "scans"))
        write(inbox, "scans/late.png", "late")
        assert refuse(workspace, taken, "half of it") is None
        assert names(workspace.root) == []
    assert (inbox / "scans" / "late.png").exists()


# --- kill -9


NEVER = 1_000_000  # steps


def flow(project, inbox, verdict):
    """What a run does with its batches."""
    with prepare(project) as workspace:
        for found in waiting(inbox, still=0):
            taken = take(workspace, found)
            accept(workspace, taken) if verdict == "accept" else refuse(workspace, taken, "bad")


def whole(folder):
    return sorted(p.name for p in folder.iterdir()) == ["a.png", "b.png", "labels.csv"]


@pytest.mark.parametrize("verdict", ["accept", "refuse"])
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=pytest.mark.exhaustive if first > 1 else pytest.mark.slow)
        for first in range(1, SHARES + 1)
    ],
)
def test_a_kill_at_any_step_neither_loses_a_batch_nor_takes_it_twice(project, inbox, verdict, first):
    batch(inbox, "old")
    flow(project, inbox, "accept")
    (before,) = names(project, ACCEPTED)
    _, own = killed_at(NEVER, lambda: flow(project, inbox, verdict))  # those of `prepare` have their test
    users, at, code = state(project), len(own) + first - SHARES, -signal.SIGKILL
    while code:
        at += SHARES
        folder = batch(inbox, f"scans-{at}")
        code, steps = killed_at(at, lambda: flow(project, inbox, verdict))
        assert code in (0, -signal.SIGKILL), steps
        assert state(project) == users
        kept = f"scans-{at}" in " ".join(names(project, ACCEPTED))
        aside = inbox / "quarantine" / folder.name / folder.name
        left = [path for path in (folder, aside) if path.exists()]
        assert kept or left, steps
        assert all(whole(path) for path in left), steps
        flow(project, inbox, verdict)
        assert waiting(inbox, still=0) == [], steps
        if verdict == "accept":
            assert " ".join(names(project, ACCEPTED)).count(f"scans-{at}-") == 1, steps
        else:
            assert names(project, ACCEPTED) == [before], steps
            assert whole(aside), steps
    assert at > 20


@pytest.mark.slow
def test_a_kill_between_keeping_and_removing_is_made_good_by_the_next_run(project, inbox, monkeypatch):
    with prepare(project) as workspace:
        taken = take(workspace, batch(inbox, "scans"))
        with monkeypatch.context() as broken:
            broken.setattr(os, "sync", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                accept(workspace, taken)
    assert waiting(inbox, still=0) == [inbox / "scans"]
    with prepare(project) as workspace:
        taken = inboxes.take(workspace, inbox / "scans")
        assert not taken.new
        assert accept(workspace, taken)
        assert names(workspace.root) == [f"{taken.name}.dvc"]
    assert list(inbox.iterdir()) == []
