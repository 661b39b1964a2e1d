import pytest

from digits.runtime.errors import ParamsError
from flows.reading import pile
from flows.reading.table import Summary


@pytest.mark.slow
def test_a_pile_is_a_flow_run_with_its_summary_and_a_refusal_is_a_failed_one(tmp_path, monkeypatch, server):
    from prefect.client.orchestration import get_client

    from digits.runtime import progress
    from flows.read import read

    orders = []

    def reading(order, workers, scheduler):
        orders.append(order)
        if not order.sources:
            raise ParamsError("no\nsources")
        progress.say("2 files in 1 chunk")
        with progress.bar("reading", 2) as advance:
            advance(2)
        return Summary(files=2, read=2, pages=2)

    monkeypatch.setattr(pile, "read_pile", reading)
    state = read(["in"], "out", base=str(tmp_path), return_state=True)
    assert state.is_completed() and "2 of 2 files read" in state.message
    assert orders[0].folder == tmp_path / "out" and orders[0].how.base == tmp_path
    with get_client(sync_client=True) as client:
        found = {each.key: each.data for each in client.read_artifacts() if each.key}
    assert found["read-progress"] == 100.0
    assert "2 of 2 files read" in found["read"]
    failed = read([], "out", return_state=True)
    assert failed.is_failed() and failed.message == "no sources"
