"""What a killed run leaves on trial is ended by the next one; what a person put there is not."""

import pytest

from flows.rollout import canary, replicas
from flows.rollout.canary import end_abandoned_trial
from serving.store.pointer import Pointer


class Store:
    """As much of a store as `live` needs: the pointer, and a folder."""

    def __init__(self, root, canary):
        self.root, self.pointer = root, Pointer(stable=1, canary=canary, base_path="/store/digits")

    def current(self):
        return self.pointer


@pytest.fixture
def ended(monkeypatch):
    found = []
    monkeypatch.setattr(replicas, "find_running", lambda _: ())
    monkeypatch.setattr(canary, "recover", lambda store, _: found.append(store.pointer.canary))
    return found


def test_the_trial_of_a_killed_run_is_ended(tmp_path, ended):
    (tmp_path / "trial-of-a-run").write_text("2\n")
    end_abandoned_trial(Store(tmp_path, 2))
    assert ended == [2]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mark", "canary"), [(None, 2), ("3\n", 2), ("2\n", None)])
def test_a_person_s_trial_goes_on(tmp_path, ended, mark, canary):
    if mark:
        (tmp_path / "trial-of-a-run").write_text(mark)
    end_abandoned_trial(Store(tmp_path, canary))
    assert ended == []
