"""The clone: where it starts, what it leaves alone, and that it heals from anything."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from flows.clone import inbox as inboxes
from flows.clone.workspace import WorkspaceBusy, WorkspaceError, prepare
from tests.flows._projects import batch, commit, dvc, killed_at, make, sh, state, write

pytestmark = pytest.mark.usefixtures("own_home")


def status(root):
    return sh(root, "git", "status", "--porcelain", "--ignored=no")


def test_the_clone_is_at_the_commit_of_main_off_any_branch(project):
    with prepare(project) as workspace:
        assert workspace.root == project / ".digits" / "workspace"
        assert workspace.base == sh(project, "git", "rev-parse", "main")
        assert sh(workspace.root, "git", "rev-parse", "HEAD") == workspace.base
        assert sh(workspace.root, "git", "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
        assert (workspace.root / "dvc.yaml").exists()


def test_what_is_not_committed_is_not_taken_and_nothing_of_the_users_changes(project):
    write(project, "code.py", "two\n")
    write(project, "new.py", "new\n")
    write(project, "code2.py", "staged\n")
    sh(project, "git", "add", "code2.py")
    before = state(project)
    with prepare(project) as workspace:
        assert (workspace.root / "code.py").read_text() == "one\n"
        assert not (workspace.root / "new.py").exists()
        assert not (workspace.root / "code2.py").exists()
    assert state(project) == before


def test_dvc_in_the_project_does_not_see_the_clone(project):
    with prepare(project) as workspace:
        dvc(workspace.root, "repro", "-q")
    assert set(dvc(project, "stage", "list", "--all", "--name-only").split()) == {"ingest", "evaluate"}


def test_main_is_taken_though_another_branch_is_checked_out(project):
    main = sh(project, "git", "rev-parse", "main")
    sh(project, "git", "checkout", "-qb", "idea")
    write(project, "code.py", "idea\n")
    commit(project, "idea")
    with prepare(project) as workspace:
        assert workspace.base == main


def test_without_a_main_the_branch_that_is_checked_out_is_taken(tmp_path):
    project = make(tmp_path / "other", branch="trunk")
    with prepare(project) as workspace:
        assert workspace.base == sh(project, "git", "rev-parse", "trunk")


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


def test_a_run_in_the_clone_shares_the_cache_and_the_project_is_spared_the_work(project):
    with prepare(project) as workspace:
        dvc(workspace.root, "repro", "-q")
        shutil.copy2(workspace.root / "dvc.lock", project)
        assert not (workspace.root / ".dvc" / "cache").exists()
    dvc(project, "checkout", "data/raw")
    assert (project / "data" / "raw" / "rows.txt").exists()


SECRET = """
[core]
    remote = store
['remote "store"']
    url = ../../store
['remote "secret"']
    url = s3://bucket/data
    secret_access_key = abc
"""
SEEN = """
from dvc.repo import Repo
repo = Repo()
secret = repo.config["remote"]["secret"]["secret_access_key"]
print(repo.cache.local.path, repo.cloud.get_remote().path, secret)
"""


@pytest.mark.parametrize("level", [".dvc/config.local", ".dvc/config", "../home/dvc/config"])
def test_a_cache_elsewhere_and_relative_remotes_are_the_same_ones_in_the_clone(project, tmp_path, level):
    write(project, ".dvc/config.local", SECRET)
    with write(project, level, (project / level).read_text() if "home" not in level else "").open(
        "a"
    ) as stream:
        stream.write(f"\n[cache]\n    dir = {tmp_path / 'elsewhere'}\n")
    with prepare(project) as workspace:
        seen = sh(workspace.root, sys.executable, "-c", SEEN).split()
        assert (workspace.root / ".dvc" / "config.local").stat().st_mode & 0o077 == 0
        assert status(workspace.root) == ""
    assert seen == [str(tmp_path / "elsewhere" / "files" / "md5"), str(tmp_path / "store"), "abc"]


def test_settings_of_a_time_without_git_do_not_reach_the_clone(project):
    write(project, ".dvc/config.local", "[core]\n    no_scm = true\n")
    with prepare(project) as workspace:
        assert "no_scm" not in (workspace.root / ".dvc" / "config.local").read_text()


def test_two_runs_never_share_it(project):
    script = "from pathlib import Path\nfrom flows.clone.workspace import prepare\n"
    script += f"with prepare(Path({str(project)!r})):\n    print('held', flush=True)\n    input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(WorkspaceBusy, match=f"process {holder.pid}"), prepare(project):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    with prepare(project) as workspace:
        assert status(workspace.root) == ""


def rubbish(root):
    write(root, "code.py", "rubbish")
    write(root, "rubbish/file", "rubbish")
    sh(root, "git", "init", "-q", "rubbish/repository")
    (root / "dvc.yaml").unlink()


def half_a_merge(root):
    write(root, ".git/MERGE_HEAD", sh(root, "git", "rev-parse", "HEAD") + "\n")
    write(root, "code.py", "<<<<<<<")


DAMAGE = {
    "uncommitted rubbish": rubbish,
    "half a merge": half_a_merge,
    "locks of a killed git": lambda root: [
        write(root, f".git/{name}.lock", "") for name in ("index", "HEAD", "config", "refs/digits/base")
    ],
    "no repository": lambda root: shutil.rmtree(root / ".git"),
    "half a repository": lambda root: (root / ".git" / "HEAD").unlink(),
    "lost objects": lambda root: shutil.rmtree(root / ".git" / "objects" / "pack"),
    "a damaged index": lambda root: write(root, ".git/index", "rubbish"),
    "an empty ref": lambda root: write(root, ".git/refs/digits/base", ""),
    "a branch checked out": lambda root: sh(root, "git", "checkout", "-qb", "mine"),
    "a lock of a dead dvc": lambda root: write(root, ".dvc/tmp/rwlock", '{"write": {"'),
    "no clone at all": lambda root: shutil.rmtree(root),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_it_heals_by_itself_and_keeps_what_was_computed(project, damage):
    with prepare(project) as workspace:
        root = workspace.root
    write(root, "data/raw/rows.txt", "computed")
    before = state(project)
    DAMAGE[damage](root)
    with prepare(project) as workspace:
        assert status(root) == ""
        assert sh(root, "git", "rev-parse", "HEAD") == workspace.base
        assert (root / "data" / "raw" / "rows.txt").exists() == (damage != "no clone at all")
        assert not (root / "rubbish").exists()
        assert not list((root / ".git").rglob("*.lock"))
    assert state(project) == before


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_the_project_alone_and_the_next_run_is_clean(project):
    def act():
        with prepare(project):
            pass

    before, at = state(project), 0
    code, steps = -signal.SIGKILL, []
    while code:
        at += 1
        shutil.rmtree(project / ".digits", ignore_errors=True)
        code, steps = killed_at(at, act)
        assert code in (0, -signal.SIGKILL), steps
        assert state(project) == before
        with prepare(project) as workspace:
            assert status(workspace.root) == "", steps
            assert sh(workspace.root, "git", "rev-parse", "HEAD") == workspace.base
    assert at > 10


def test_a_hook_that_starts_this_does_not_redirect_it(project, monkeypatch):
    before = state(project)
    monkeypatch.setenv("GIT_DIR", str(project / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(project / ".git" / "index"))
    with prepare(project) as workspace:
        root = workspace.root
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert (root / ".git" / "index").exists()
    assert state(project) == before


@pytest.mark.slow
def test_a_batch_damaged_in_the_clone_is_checked_out_again(project, inbox):
    with prepare(project) as workspace:
        taken = inboxes.take(workspace, batch(inbox, "scans"))
        assert inboxes.accept(workspace, taken)
    pictures = workspace.root / "data" / "incoming" / taken.name
    (pictures / "a.png").unlink()
    with prepare(project):
        assert (pictures / "a.png").read_text() == "scans a"
    shutil.rmtree(project / ".digits")
    with prepare(project):
        assert (pictures / "a.png").read_text() == "scans a"
    shutil.rmtree(project / ".dvc" / "cache")
    (pictures / "a.png").unlink()
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


def test_without_git_or_a_commit_it_says_what_to_do(tmp_path):
    (tmp_path / "plain").mkdir()
    with pytest.raises(WorkspaceError, match=r"not a Git repository.*git init"), prepare(tmp_path / "plain"):
        pass
    sh(tmp_path / "plain", "git", "init", "-q")
    with pytest.raises(WorkspaceError, match="nothing is committed"), prepare(tmp_path / "plain"):
        pass
    (tmp_path / "plain" / "inner").mkdir()
    with pytest.raises(WorkspaceError, match="not a Git repository"), prepare(tmp_path / "plain" / "inner"):
        pass


def test_a_machine_without_git_is_one_clear_line(project, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(WorkspaceError, match="git is not on the PATH"), prepare(project):
        pass


def test_a_folder_that_cannot_be_made_is_one_clear_line(project):
    write(project, ".digits", "in the way")
    with pytest.raises(WorkspaceError, match=r"\.digits: File exists: fix this"), prepare(project):
        pass


@pytest.mark.slow
def test_an_accepted_batch_that_dvc_gc_threw_away_is_put_back_from_the_clone(project, inbox):
    with prepare(project) as clone:
        assert inboxes.accept(clone, inboxes.take(clone, batch(inbox, "monday")))
    dvc(project, "gc", "--force", "--workspace")
    cache = project / ".dvc" / "cache" / "files" / "md5"
    assert not [path for path in cache.rglob("*") if path.is_file()]
    with prepare(project):
        pass
    shutil.rmtree(project / ".digits")
    with prepare(project) as clone:
        assert (next((clone.root / "data" / "incoming").glob("monday-*/")) / "a.png").exists()
