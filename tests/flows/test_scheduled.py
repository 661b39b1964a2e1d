"""Scheduled runs: in a clone, with batches from an inbox, on record; whatever kills them."""

import json
import shutil

import pytest

from digits import STAGES
from digits.pipeline.repro import Run
from flows import scheduled
from flows.clone import inbox as inboxes
from flows.clone import lineage
from flows.clone.workspace import prepare
from flows.rollout import outcomes, rollout
from flows.rollout.canary import PROMOTED, ROLLED_BACK, Settlement
from flows.rollout.rollout import Acts
from flows.scheduled import RunContext, RunOptions
from serving.checks.comparison import Comparison
from serving.store import promote, publish
from serving.store.store import Store
from tests._project import ROOT
from tests._stand_in import pipeline
from tests.flows._kills import kills
from tests.flows._projects import commit, make, sh, state, write
from tests.flows.test_retrain import task_runs
from tests.serving._exports import export

pytestmark = pytest.mark.slow
WHEN = "2030-01-01T00:00:00Z"


@pytest.fixture
def project(tmp_path, own_home, server):
    root = tmp_path / "project"
    root.mkdir()
    pipeline(root, git=True)
    shutil.copy(ROOT / "params.yaml", root)
    write(root, "reports/verdict.json", json.dumps({"passed": True, "rules": []}))
    commit(root, "start")
    (tmp_path / "inbox").mkdir()
    return root


def retrain(root, **parameters):
    from flows.retrain import retrain as flow

    given = {"project": str(root), "inbox": str(root.parent / "inbox"), "scheduled": True, "publish": False}
    return flow(**given | parameters, return_state=True)


def drop(root, name, text):
    """A batch that has arrived."""
    folder = root.parent / "inbox" / name
    folder.mkdir()
    (folder / "rows.txt").write_text(text)
    (folder / ".complete").touch()
    return folder


def ingested(root):
    return (root / ".digits" / "workspace" / "ingest.out").read_text()


def test_what_is_committed_is_retrained_elsewhere_and_the_tree_stays_as_it_is(project):
    (project / "start").write_text("train")  # a stage that would fail, and was not committed
    before = state(project)
    first = retrain(project)
    assert first.name == "Not published", first.message
    assert task_runs(first) == dict.fromkeys(STAGES, "Ran")
    assert state(project) == before
    assert task_runs(retrain(project)) == dict.fromkeys(STAGES, "Restored")


def test_a_good_batch_is_in_every_run_from_then_on_and_leaves_the_inbox(project):
    folder = drop(project, "monday", "seven")
    first = retrain(project)
    assert first.name == "Not published", first.message
    assert not folder.exists()
    assert "seven" in ingested(project)
    drop(project, "tuesday", "eight")
    retrain(project)
    assert "seven" in ingested(project) and "eight" in ingested(project)


def test_a_poisoned_batch_is_set_aside_with_its_reason_and_the_run_goes_on_without_it(project, monkeypatch):
    told = []
    monkeypatch.setattr("flows.notify.send", told.append)
    retrain(project)
    drop(project, "poisoned", "validate")
    drop(project, "sound", "seven")
    ended = retrain(project)
    assert ended.name == "Not published"
    runs = task_runs(ended)
    assert (runs["batch poisoned"], runs["batch sound"]) == ("Quarantined", "Accepted")
    set_aside = project.parent / "inbox" / "quarantine" / "poisoned"
    reason = f"bad (the reports on it are in {set_aside})"
    assert f"batch poisoned was refused: {reason}" in ended.message
    assert [(notice.run, notice.state, notice.reason) for notice in told] == [
        ("batch poisoned", "Batch refused", reason)
    ]
    assert "validate" in (set_aside / "reports" / "validation" / "seen.txt").read_text()
    assert (set_aside / "reason.txt").read_text() == "bad\n"
    assert (set_aside / "poisoned" / "rows.txt").read_text() == "validate"
    assert "validate" not in ingested(project) and "seven" in ingested(project)
    assert inboxes.waiting(project.parent / "inbox") == []


def test_a_run_s_own_profile_and_seed_are_in_the_clone_for_that_run_alone(project):
    retrain(project, profile="speedrun", seed=7)
    params = (project / ".digits" / "workspace" / "params.yaml").read_text()
    assert "profile: speedrun #" in params and "seed: 7 #" in params
    assert "profile: speedrun" not in (project / "params.yaml").read_text()
    retrain(project)
    params = (project / ".digits" / "workspace" / "params.yaml").read_text()
    assert params == (project / "params.yaml").read_text()


def test_a_profile_that_is_none_or_a_seed_for_the_tree_itself_fails_the_run_before_a_stage(project):
    for given, said in (
        ({"profile": "nonesuch"}, "nonesuch"),
        ({"seed": 7, "scheduled": False}, "edit that"),
    ):
        ended = retrain(project, **given)
        assert ended.is_failed() and said in ended.message
        assert task_runs(ended) == {}


def test_a_second_scheduled_run_is_skipped_and_says_who_works(project):
    with prepare(project):
        ended = retrain(project)
    assert (ended.name, ended.is_completed()) == ("Skipped", True)
    assert "another scheduled run (process" in ended.message


# --- on record


def acts(outcome, source, numbers):
    """Acts on a real store, with no server to ask: `numbers` gets what was promoted."""

    def publish_export(root, store, at):
        before = {version.number for version in store.versions()}
        number = publish.publish(store, source, {"commit": sh(root, "git", "rev-parse", "HEAD"), "at": at})
        return number, number not in before

    def go_live(store, number, champion, at):
        if outcome == PROMOTED:
            promote.promote(store, number, champion, at=at)
            numbers.append(number)
        return Settlement(outcome, () if outcome == PROMOTED else ("it is slow",))

    return Acts(publish_export, lambda *_: Comparison(1, None, True, ()), go_live)


def put(project, outcome, told=None):
    """A scheduled run's way from the stages on; the outcome."""
    source = project.parent / "exported"
    with prepare(project) as clone:
        ready = scheduled.begin(clone, RunOptions(), None, print)
        write(clone.root, "reports/metrics.json", json.dumps({"accuracy": 0.99, "rows": 1}))
        made = scheduled.with_lineage(
            ready, acts(outcome, source, []), print if told is None else told.append
        )
        return rollout.bring_into_service(clone.root, ready.store, Run([], 1.0, True), made, lambda: WHEN)


@pytest.fixture
def plain(tmp_path, own_home):
    made = make(tmp_path / "project")
    export(tmp_path / "exported")
    return made


def tags(project):
    return sh(project, "git", "tag", "--list", "digits@v*").split()


def test_a_promoted_version_has_a_tag_at_the_commit_that_it_names(plain):
    told = []
    ended = put(plain, PROMOTED, told)
    assert (ended.name, ended.version) == (outcomes.PROMOTED, 1)
    assert tags(plain) == ["digits@v1.0.0"]
    made = sh(plain, "git", "rev-parse", "digits@v1.0.0^{commit}")
    store = Store(plain / "models" / "serving")
    assert store.version(1).provenance["published"]["commit"] == made
    assert f"digits@v1.0.0 is at commit {made[:12]}" in told
    assert "accuracy: 0.99" in sh(plain, "git", "cat-file", "tag", "digits@v1.0.0")


def test_a_version_that_is_rolled_back_has_none(plain):
    put(plain, PROMOTED)
    shutil.rmtree(plain.parent / "exported")
    export(plain.parent / "exported", "two")
    ended = put(plain, ROLLED_BACK)
    assert (ended.name, ended.reason) == (outcomes.ROLLED_BACK, "it is slow")
    assert tags(plain) == ["digits@v1.0.0"] and lineage.open_proposals(plain) == []


@pytest.mark.parametrize("outcome", [PROMOTED, ROLLED_BACK])
@pytest.mark.parametrize(
    "stride",
    [8, pytest.param(1, marks=pytest.mark.exhaustive)],
    ids=["each eighth", "each"],
)
def test_a_kill_at_any_step_from_the_commit_to_the_tag_is_made_good_by_the_next_run(
    tmp_path, own_home, outcome, stride
):
    """Whatever is in service has its tag, and nothing else has one; numbers are never given twice."""
    here = tmp_path / "here"
    project = make(here / "project")
    export(here / "exported")
    left_by_kills = kills(here, tmp_path / "kills", lambda: put(project, outcome))
    assert len(left_by_kills) > 20
    for n, left in enumerate(left_by_kills[::stride]):
        here.rename(tmp_path / f"seen-{n}")
        left.rename(here)  # the pointer names the folder
        put(project, PROMOTED)
        store = Store(project / "models" / "serving")
        (published,) = store.versions()  # 2 where the killed run had begun to publish 1
        number = published.number
        assert store.current().stable == number, n
        assert tags(project) == [f"digits@v{number}.0.0"], n
        assert lineage.open_proposals(project) == [], n
        made = sh(project, "git", "rev-parse", f"digits@v{number}.0.0^{{commit}}")
        assert published.provenance["published"]["commit"] == made, n


def test_what_could_not_be_pushed_is_told_and_tried_again(plain, tmp_path):
    sh(plain, "git", "remote", "add", "origin", str(tmp_path / "nowhere.git"))
    told = []
    assert put(plain, PROMOTED, told).name == outcomes.PROMOTED
    assert [line for line in told if line.startswith("not pushed: origin")]
    sh(tmp_path, "git", "init", "-q", "--bare", "nowhere.git")
    with prepare(plain) as clone:
        scheduled.push(RunContext(clone, Store(plain / "models" / "serving"), ()), told.append)
    assert tags(tmp_path / "nowhere.git") == ["digits@v1.0.0"]
