"""The clone: where it starts, what it leaves alone, and that it heals from anything."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from dvc.repo import Repo

from flows.clone import inbox as inboxes
from flows.clone.workspace import WorkspaceBusy, WorkspaceError, prepare, share_settings
from tests.flows._projects import batch, commit, dvc, sh, state, write

pytestmark = pytest.mark.usefixtures("own_home")


def status(root):
    return sh(root, "git", "status", "--porcelain", "--ignored=no")


def test_the_clone_has_mains_commit_whatever_is_checked_out_or_uncommitted(project):
    main = sh(project, "git", "rev-parse", "main")
    sh(project, "git", "checkout", "-qb", "idea")
    write(project, "dvc.yaml", "stages: {}")
    commit(project, "idea")
    write(project, "code.py", "two\n")
    write(project, "new.py", "staged\n")
    sh(project, "git", "add", "new.py")
    before = state(project)
    with prepare(project) as workspace:
        root = workspace.root
        assert root == project / ".digits" / "workspace"
        assert workspace.base == main == sh(root, "git", "rev-parse", "HEAD")
        assert sh(root, "git", "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
        assert "evaluate" in (root / "dvc.yaml").read_text()
        assert (root / "code.py").read_text() == "one\n"
        assert not (root / "new.py").exists()
    assert state(project) == before


def test_the_next_run_follows_main_even_where_it_was_rewritten_and_collected(project):
    write(project, "code.py", "two\n")
    commit(project, "two")
    with prepare(project):
        pass
    sh(project, "git", "reset", "-q", "--hard", "HEAD~1")
    sh(project, "git", "reflog", "expire", "--expire=all", "--all")
    sh(project, "git", "gc", "-q", "--prune=now")
    with prepare(project) as workspace:
        assert (workspace.root / "code.py").read_text() == "one\n"
        sh(workspace.root, "git", "fsck", "--strict")


def test_a_run_in_the_clone_shares_the_cache_and_the_project_is_spared_the_work(clone):
    project = clone.project
    dvc(clone.root, "repro", "-q")
    shutil.copy2(clone.root / "dvc.lock", project)
    assert not (clone.root / ".dvc" / "cache").exists()
    dvc(project, "checkout", "data/raw")
    assert (project / "data" / "raw" / "rows.txt").exists()
    listed = [stage.name for stage in Repo(str(project)).index.stages]
    assert sorted(listed) == ["evaluate", "ingest"]  # those of the clone are not seen


SECRET = """
[core]
    no_scm = true
    remote = store
['remote "store"']
    url = ../../store
['remote "secret"']
    url = s3://bucket/data
    secret_access_key = abc
"""


@pytest.mark.parametrize("level", [".dvc/config.local", ".dvc/config", "../home/dvc/config"])
def test_a_cache_elsewhere_and_relative_remotes_are_the_same_ones_in_the_clone(clone, tmp_path, level):
    project = clone.project
    write(project, ".dvc/config.local", SECRET)
    already = (project / level).read_text() if "home" not in level else ""
    write(project, level, f"{already}\n[cache]\n    dir = {tmp_path / 'elsewhere'}\n")
    share_settings(project, clone.root)
    own = clone.root / ".dvc" / "config.local"
    assert own.stat().st_mode & 0o077 == 0 and "no_scm" not in own.read_text()
    assert status(clone.root) == ""
    seen = Repo(str(clone.root))
    assert seen.config["remote"]["secret"]["secret_access_key"] == "abc"
    assert seen.cache.local.path == str(tmp_path / "elsewhere" / "files" / "md5")
    assert seen.cloud.get_remote().path == str(tmp_path / "store")


def test_two_runs_never_share_it(project):
    script = "from pathlib import Path\nfrom flows.clone.workspace import prepare\n"
    script += f"with prepare(Path({str(project)!r})):\n    print('held', flush=True)\n    input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", script], **pipes)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(WorkspaceBusy, match=f"process {holder.pid}"), prepare(project):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    with prepare(project) as workspace:
        assert status(workspace.root) == ""


def what_a_killed_run_leaves(root):
    sh(root, "git", "checkout", "-qb", "mine")
    write(root, "code.py", "<<<<<<<")
    write(root, "rubbish/file", "rubbish")
    sh(root, "git", "init", "-q", "rubbish/repository")
    (root / "dvc.yaml").unlink()
    write(root, ".git/MERGE_HEAD", sh(root, "git", "rev-parse", "HEAD") + "\n")
    for name in (".git/index", ".git/HEAD", ".git/config", ".git/refs/digits/base"):
        write(root, f"{name}.lock", "")
    write(root, ".dvc/tmp/rwlock", '{"write": {"')


DAMAGE = {
    "a killed run": what_a_killed_run_leaves,
    "no repository": lambda root: shutil.rmtree(root / ".git"),
    "lost objects": lambda root: shutil.rmtree(root / ".git" / "objects" / "pack"),
    "a damaged index": lambda root: write(root, ".git/index", "rubbish"),
    "no clone at all": lambda root: shutil.rmtree(root),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_it_heals_by_itself_and_keeps_what_was_computed(clone, damage):
    root = clone.root
    write(root, "data/raw/rows.txt", "computed")
    before = state(clone.project)
    DAMAGE[damage](root)
    with prepare(clone.project) as workspace:
        assert status(root) == ""
        assert sh(root, "git", "rev-parse", "HEAD") == workspace.base
        assert (root / "data" / "raw" / "rows.txt").exists() == (damage != "no clone at all")
        assert not (root / "rubbish").exists()
        assert not list((root / ".git").rglob("*.lock"))
    assert state(clone.project) == before


def test_a_hook_that_starts_this_does_not_redirect_it(clone, monkeypatch):
    before = state(clone.project)
    with monkeypatch.context() as hooked:
        hooked.setenv("GIT_DIR", str(clone.project / ".git"))
        hooked.setenv("GIT_INDEX_FILE", str(clone.project / ".git" / "index"))
        shutil.rmtree(clone.root / ".git")
        with prepare(clone.project):
            pass
    assert (clone.root / ".git" / "index").exists()
    assert state(clone.project) == before


@pytest.mark.slow
def test_an_accepted_batch_that_is_damaged_or_thrown_away_comes_back_from_the_cache_or_the_clone(
    clone, inbox
):
    project = clone.project
    taken = inboxes.take(clone, batch(inbox, "scans"))
    assert inboxes.accept(clone, taken)
    picture, cache = clone.root / "data" / "incoming" / taken.name / "a.png", project / ".dvc" / "cache"
    dvc(project, "gc", "--force", "--workspace")
    assert not [path for path in (cache / "files" / "md5").rglob("*") if path.is_file()]
    with prepare(project):
        picture.unlink()
    with prepare(project):
        assert picture.read_text() == "scans a"
    shutil.rmtree(project / ".digits")
    with prepare(project):
        assert picture.read_text() == "scans a"
    shutil.rmtree(cache)
    picture.unlink()
    with pytest.raises(WorkspaceError, match=f"{taken.name} is not in DVC's cache"), prepare(project):
        pass


def test_a_shallow_clone_of_a_checkout_without_a_branch_serves_too(project, tmp_path):
    write(project, "code.py", "two\n")
    commit(project, "two")
    shallow = tmp_path / "shallow"
    sh(tmp_path, "git", "clone", "-q", "--depth", "1", f"file://{project}", str(shallow))
    sh(shallow, "git", "checkout", "-q", "--detach")
    sh(shallow, "git", "branch", "-D", "main")
    with prepare(shallow) as workspace:
        assert (workspace.root / "code.py").read_text() == "two\n"
        assert workspace.base == sh(shallow, "git", "rev-parse", "HEAD")


def refused(folder, why):
    with pytest.raises(WorkspaceError, match=why), prepare(folder):
        pass


def test_what_it_cannot_start_from_is_one_clear_line(tmp_path, project, monkeypatch):
    plain = tmp_path / "plain"
    (plain / "inner").mkdir(parents=True)
    refused(plain, r"not a Git repository.*git init")
    sh(plain, "git", "init", "-q")
    refused(plain, "nothing is committed")
    refused(plain / "inner", "not a Git repository")
    write(project, ".digits", "in the way")
    refused(project, r"\.digits: File exists: fix this")
    monkeypatch.setenv("PATH", os.devnull)
    refused(project, "git is not on the PATH")
