"""The flow on a real Prefect server, over a DVC project whose stages do next to nothing."""

import json

import pytest

from digits import STAGES
from tests._stand_in import pipeline


@pytest.fixture
def root(tmp_path, server):
    made = pipeline(tmp_path)
    (made / "params.yaml").write_text("{}\n")
    (made / "data" / "raw").mkdir(parents=True)
    (made / "reports" / "figures").mkdir(parents=True)
    for name in ("confusion", "mistakes", "learning_curves"):
        (made / "reports" / "figures" / f"{name}.png").write_bytes(b"a picture")
    (made / "reports" / "report.html").write_text("the report")
    verdict = {"passed": True, "rules": [{"rule": "accuracy", "passed": True, "reason": "99 % | right"}]}
    (made / "reports" / "verdict.json").write_text(json.dumps(verdict))
    return made


def retrain(root, **parameters):
    from flows.retrain import retrain as flow

    return flow(project=str(root), publish=False, return_state=True, **parameters)


def client():
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def task_runs(state):
    """The name of the final state by task, of a flow run's tasks."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    with client() as asked:
        return {run.name: run.state_name for run in asked.read_task_runs(flow_run_filter=chosen)}


def artifacts(state):
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with client() as asked:
        return {found.key: found for found in asked.read_artifacts(artifact_filter=chosen)}


def test_each_stage_is_a_task_that_ran_or_was_cached_and_a_run_leaves_its_reason_and_artifacts(root):
    first = retrain(root)
    assert first.name == "Not published", first.message
    assert task_runs(first) == dict.fromkeys(STAGES, "Ran")
    forced = retrain(root, force="export", why="a look at the artifacts")
    assert task_runs(forced) == dict.fromkeys(STAGES, "Cached") | {"export": "Ran"}
    found = artifacts(forced)
    assert [row["stage"] for row in json.loads(found["stages"].data)] == list(STAGES)
    assert "99 % \\| right" in found["verdict"].data
    assert "Not published" in found["outcome"].data
    for key in ("confusion", "mistakes", "learning-curves"):
        assert found[key].data.startswith("data:image/png;base64,YSBwaWN0dXJl")
    assert (
        str(root / "reports" / "report.html") in found["report"].data and "file:" not in found["report"].data
    )
    with client() as asked:
        assert asked.read_flow_run(forced.state_details.flow_run_id).name.endswith("a look at the artifacts")


def test_a_failed_stage_fails_the_run_with_its_own_line(root):
    (root / "start").write_text("validate")
    state = retrain(root)
    assert state.is_failed()
    assert state.message == "validate: bad"
    assert task_runs(state) == {"ingest": "Ran", "validate": "Failed"}


def test_the_gate_s_refusal_is_an_outcome_with_its_reasons(root):
    rules = [{"rule": "accuracy", "passed": False, "reason": "91% right, 98% wanted"}]
    (root / "reports/verdict.json").write_text(json.dumps({"passed": False, "rules": rules}))
    (root / "start").write_text("export")
    state = retrain(root)
    assert state.is_completed()
    assert (state.name, state.message) == ("Refused", "91% right, 98% wanted")
    assert "91% right" in artifacts(state)["verdict"].data
