"""Commit, tag and push of a promoted version, and that it ends once begun."""

import re
import shutil
from dataclasses import replace

import gto
import pytest
from dvc.api import artifacts_show

from flows.clone import lineage
from flows.clone.lineage import LineageError, facts, record
from flows.clone.workspace import prepare
from tests._project import ROOT
from tests.flows._kills import kills
from tests.flows._projects import commit, dvc, sh, state, write

pytestmark = pytest.mark.usefixtures("own_home")

TOLD = {"accuracy": 0.9912, "interval": [0.9888, 0.9931], "verdict": "passed", "data": {"test": {"n": 5}}}
PROVENANCE = {
    "dataset": "mnist",
    "weights_sha256": "abc",
    "metrics": {"accuracy": 0.9912, "accuracy_interval": [0.9888, 0.9931], "confused": []},
    "verdict": {"passed": True, "rules": [{"rule": "accuracy", "passed": True}]},
    "data": {"splits": {"test": {"n": 5, "images_sha256": "def"}}, "sample": False},
}


def retrain(workspace, accuracy=0.99):
    """What the stages leave: dvc.lock, reports that Git takes, others that it ignores, and rubbish."""
    write(workspace.root, "dvc.lock", f"schema: '2.0'\nstages: {{}}\n# {accuracy}\n")
    write(workspace.root, "reports/metrics.json", f'{{"accuracy": {accuracy}}}')
    write(workspace.root, "reports/figures/big.json", "ignored")
    write(workspace.root, "code.py", "rubbish\n")
    write(workspace.root, "notes.txt", "rubbish\n")


def bare(where, name):
    sh(where, "git", "init", "-q", "--bare", name)
    return where / name


def name_user(project):
    sh(project, "git", "config", "user.name", "Ada")
    sh(project, "git", "config", "user.email", "ada@example.org")


def tags(repository):
    return sh(repository, "git", "tag", "--list", "digits@v*").split()


@pytest.fixture
def remote(project, tmp_path):
    made = bare(tmp_path, "remote.git")
    sh(project, "git", "remote", "add", "origin", "../remote.git")
    return made


def test_a_tag_leads_to_the_commit_with_lock_and_reports_in_the_users_name_and_the_branch_stays(clone):
    project = clone.project
    before = state(project)
    assert record(clone, 1, TOLD).commit == clone.base  # what main has already needs no commit
    retrain(clone)
    form = "--format=%an <%ae> %cn"
    assert sh(project, "git", "log", "-1", form, lineage.commit(clone)) == "digits <digits@localhost> digits"
    done = record(clone, 3, TOLD)
    assert (done.tag, done.pushes) == ("digits@v3.0.0", ())
    assert state(project) == before
    assert sh(project, "git", "rev-parse", "digits@v3.0.0^{commit}") == done.commit
    assert sh(project, "git", "rev-parse", f"{done.commit}~1") == clone.base
    changed = sh(project, "git", "diff", "--name-only", "main", "digits@v3.0.0").split()
    assert changed == ["dvc.lock", "reports/metrics.json"]
    name_user(project)
    retrain(clone, 0.98)
    record(clone, 4, TOLD)
    assert sh(project, "git", "log", "-1", form, "digits@v4.0.0") == "Ada <ada@example.org> Ada"
    assert "Tagger: Ada" in sh(project, "git", "show", "digits@v4.0.0")
    shown = sh(project, "git", "show", "--no-patch", "digits@v3.0.0")
    assert "digits version 3" in shown and "accuracy: 0.9912" in shown


def test_the_same_again_changes_nothing_and_another_model_does_not_take_over_the_number(clone):
    project = clone.project
    retrain(clone)
    published = lineage.commit(clone)
    first = record(clone, 1, TOLD)
    assert first.commit == published
    refs = sh(project, "git", "for-each-ref")
    assert record(clone, 1, TOLD) == first
    with prepare(project) as workspace:
        assert record(workspace, 1, TOLD) == first
        assert sh(project, "git", "for-each-ref") == refs
        with pytest.raises(LineageError, match=r"digits@v1\.0\.0 describes another model"):
            record(workspace, 1, TOLD | {"accuracy": 0.5})
        assert sh(project, "git", "for-each-ref") == refs
        sh(project, "git", "tag", "old-digits@v1.0.0", "digits@v1.0.0")
        sh(project, "git", "tag", "-d", "digits@v1.0.0")
        record(workspace, 1, TOLD | {"accuracy": 0.5})


def test_gto_and_dvc_read_which_version_serves_and_a_rollback_counts(clone, monkeypatch):
    project = clone.project

    def serving():
        shown = gto.api.show(str(project))["digits"]["stage"]["serving"]
        rev = artifacts_show("digits", stage="serving", repo=str(project))["rev"]
        return shown, sh(project, "git", "rev-parse", f"{rev}^{{commit}}")

    made = {}
    for number in (1, 2):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"2030-01-0{number}T00:00:00Z")
        retrain(clone, number / 10)
        made[number] = record(clone, number, TOLD | {"accuracy": number / 10}).commit
        for _ in range(2):
            lineage.mark_serving(project, number)
            assert serving() == (f"v{number}.0.0", made[number])
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2030-01-03T00:00:00Z")
    lineage.mark_serving(project, 1)
    assert serving() == ("v1.0.0", made[1])
    assert len(sh(project, "git", "tag", "--list", "digits#serving#*").split()) == 3
    lineage.mark_serving(project, 7)  # which has no tag: it was made by hand
    assert serving() == ("v1.0.0", made[1])


def test_a_tag_of_old_is_still_its_versions(clone):
    project = clone.project
    retrain(clone)
    text = lineage.message(3, TOLD)
    name_user(project)
    sh(project, "git", "tag", "--annotate", "--cleanup=verbatim", "-m", text, "digits@v3", "main")
    done = record(clone, 3, TOLD)
    assert (done.tag, done.commit) == ("digits@v3", sh(project, "git", "rev-parse", "main"))
    assert tags(project) == ["digits@v3"]
    with pytest.raises(LineageError, match="digits@v3 describes another model"):
        record(clone, 3, TOLD | {"accuracy": 0.5})


def test_the_documented_merge_brings_a_versions_state_into_a_branch_that_went_on(clone):
    """Though a run in the tree has written a lock and reports of its own, and main has committed others."""
    project = clone.project
    retrain(clone)
    record(clone, 7, TOLD)
    write(project, "reports/metrics.json", '{"accuracy": 0.5}')
    write(project, "dvc.lock", "schema: '2.0'\nstages: {}\n# another\n")
    commit(project, "a run of ours")
    write(project, "code.py", "two\n")
    commit(project, "main goes on")
    write(project, "reports/metrics.json", '{"accuracy": 0.6}')
    text = (ROOT / "docs" / "operations.md").read_text()
    (block,) = re.findall(r"```sh\n(git [^`]*?git merge [^`]*?)```", text)
    name_user(project)
    sh(project, "sh", "-ec", block.replace("dvc checkout\n", ""))  # the lock here names no data
    assert (project / "reports" / "metrics.json").read_text() == '{"accuracy": 0.99}'
    assert "# 0.99" in (project / "dvc.lock").read_text()
    assert (project / "code.py").read_text() == "two\n"
    assert sh(project, "git", "status", "--porcelain") == ""


def test_no_hook_runs_and_nothing_asks_for_a_signature(project, remote, tmp_path):
    ran = tmp_path / "ran"
    hooks = ("pre-commit", "commit-msg", "post-commit", "pre-push", "reference-transaction", "post-checkout")
    for hooked in (project / ".git" / "hooks", tmp_path / "template" / "hooks"):
        for name in hooks:
            hook = write(hooked, name, f"#!/bin/sh\ntouch {ran}\nexit 1\n")
            hook.chmod(0o755)
    for key in ("commit.gpgSign", "tag.gpgSign", "tag.forceSignAnnotated"):
        sh(project, "git", "config", "--global", key, "true")
    sh(project, "git", "config", "--global", "init.templateDir", str(tmp_path / "template"))
    sh(project, "git", "config", "--global", "core.hooksPath", str(tmp_path / "template" / "hooks"))
    sh(remote, "git", "config", "core.hooksPath", "/dev/null")  # what the other side runs is its own affair
    with prepare(project) as workspace:
        retrain(workspace)
        done = record(workspace, 1, TOLD)
    assert not done.warnings
    assert not ran.exists()


# --- killed on the way


def test_a_proposal_is_no_tag_until_the_promotion_is_certain(clone):
    project = clone.project
    retrain(clone)
    made = lineage.propose(clone, 4, TOLD)
    lineage.propose(clone, 5, TOLD)
    assert tags(project) == []
    assert lineage.open_proposals(project) == [4, 5]
    shutil.rmtree(project / ".digits")
    sh(project, "git", "gc", "-q", "--prune=now")
    for _ in range(2):
        lineage.complete(project, 4)
        lineage.discard(project, 5)
        assert sh(project, "git", "rev-parse", "digits@v4.0.0^{commit}") == made
        assert lineage.open_proposals(project) == []
    assert tags(project) == ["digits@v4.0.0"]


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_nothing_half_and_the_same_again_completes_it(clone, remote, tmp_path):
    before = state(clone.project)
    retrain(clone)
    here = tmp_path / "here"
    here.mkdir()
    for folder in (clone.project, remote):
        folder.rename(here / folder.name)
    at_work = replace(clone, project=here / "project", root=here / "project" / ".digits" / "workspace")
    left_by_kills = kills(here, tmp_path / "kills", lambda: record(at_work, 1, TOLD))
    for left in left_by_kills:
        project = left / "project"
        assert state(project) == before
        done = record(replace(clone, project=project, root=project / ".digits" / "workspace"), 1, TOLD)
        assert not done.warnings
        assert sh(left / "remote.git", "git", "rev-parse", "digits@v1.0.0^{commit}") == done.commit
        assert sh(project, "git", "show", "digits@v1.0.0:reports/metrics.json") == '{"accuracy": 0.99}'
        assert lineage.open_proposals(project) == []
    assert len(left_by_kills) > 10


# --- remotes


def test_tags_go_to_every_remote_or_those_that_are_asked_for(clone, remote, tmp_path):
    other = bare(tmp_path, "other.git")
    sh(clone.project, "git", "remote", "add", "other", str(other))
    retrain(clone)
    assert not record(clone, 1, TOLD, to=["other"]).warnings
    assert (tags(remote), tags(other)) == ([], ["digits@v1.0.0"])
    done = record(clone, 1, TOLD)
    assert [(p.remote, p.ok, p.detail) for p in done.pushes] == [
        ("origin", True, "pushed digits#serving#1, digits@v1.0.0"),
        ("other", True, "up to date"),
    ]
    assert tags(remote) == ["digits@v1.0.0"]
    assert sh(remote, "git", "branch") == ""


@pytest.mark.slow
def test_a_remote_that_is_away_is_a_warning_and_gets_everything_later_but_for_a_number_it_has(
    project, remote
):
    sh(project, "git", "push", "-q", "origin", "main:refs/tags/digits@v4.0.0")
    away = remote.rename(remote.with_name("away.git"))
    with prepare(project) as workspace:
        for number in (1, 2):
            retrain(workspace, number)
            (warning,) = record(workspace, number, TOLD | {"accuracy": number}).warnings
            assert warning.startswith("origin: tags not pushed, tried again next time")
            assert "\n" not in warning
    assert tags(project) == ["digits@v1.0.0", "digits@v2.0.0"]
    away.rename(remote)
    with prepare(project) as workspace:
        retrain(workspace, 3)
        assert not record(workspace, 3, TOLD | {"accuracy": 3}).warnings
        assert tags(remote) == ["digits@v1.0.0", "digits@v2.0.0", "digits@v3.0.0", "digits@v4.0.0"]
        retrain(workspace, 4)
        assert "another digits@v4.0.0" in record(workspace, 4, TOLD).warnings[0]
        assert sh(remote, "git", "rev-parse", "digits@v4.0.0") == workspace.base


@pytest.mark.slow
def test_data_reach_dvcs_remote_before_the_tag_goes_out_and_what_was_missed_follows(
    project, remote, tmp_path
):
    store = tmp_path / "store"
    write(tmp_path, "store", "in the way of the folder")
    write(project, ".dvc/config.local", "[core]\n    remote = s\n['remote \"s\"']\n    url = ../../store\n")
    with prepare(project) as workspace:
        write(workspace.root, "data/incoming/one.png", "1")
        dvc(workspace.root, "repro", "-q")
        done = record(workspace, 1, TOLD)
        assert [push.ok for push in done.pushes] == [False, False]
        assert "digits@v1.0.0 not pushed, tried again next time" in done.warnings[0]
        assert "waits until DVC's remote has its data" in done.warnings[1]
        assert tags(remote) == []
        store.unlink()
        write(workspace.root, "data/incoming/two.png", "2")
        dvc(workspace.root, "repro", "-q")
        assert not record(workspace, 2, TOLD | {"accuracy": 0.995}).warnings
        assert record(workspace, 2, TOLD | {"accuracy": 0.995}).pushes[0].detail == "up to date"
    assert tags(remote) == ["digits@v1.0.0", "digits@v2.0.0"]
    stored = {path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert {b"data/incoming/one.png", b"data/incoming/one.png\ndata/incoming/two.png"} <= stored


# --- what a tag tells


def test_the_facts_of_a_version_are_read_from_its_provenance():
    assert lineage.message(7, facts(PROVENANCE)).splitlines() == [
        *("digits version 7", "", "accuracy: 0.9912", "interval: [0.9888, 0.9931]", "verdict: passed"),
        *("dataset: mnist", "weights_sha256: abc", "data.test.n: 5", "data.test.images_sha256: def"),
    ]
    rules = [{"rule": "accuracy", "passed": False}, {"rule": "calibration", "passed": True}]
    assert facts({"verdict": {"passed": False, "rules": rules}}) == {"verdict": "refused: accuracy"}
    assert lineage.message(1, facts({})) == "digits version 1\n"


@pytest.mark.slow
def test_a_run_where_nothing_is_stale_has_the_metrics_of_the_last_one(project):
    with prepare(project) as workspace:
        dvc(workspace.root, "repro")
        lineage.commit(workspace)
    with prepare(project) as workspace:
        assert "evaluate" in dvc(workspace.root, "status")
        lineage.recall(workspace)
        assert "up to date" in dvc(workspace.root, "status")
        assert sh(workspace.root, "git", "diff", "--cached", "--name-only") == ""
