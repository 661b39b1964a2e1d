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


@pytest.mark.parametrize(
    ("mark", "on_trial", "ends"),
    [("2\n", 2, True), (None, 2, False), ("3\n", 2, False), ("2\n", None, False)],
)
def test_the_trial_of_a_killed_run_ends_and_a_person_s_goes_on(tmp_path, monkeypatch, mark, on_trial, ends):
    found = []
    monkeypatch.setattr(replicas, "find_running", lambda _: ())
    monkeypatch.setattr(canary, "recover", lambda store, _: found.append(store.pointer.canary))
    if mark:
        (tmp_path / "trial-of-a-run").write_text(mark)
    end_abandoned_trial(Store(tmp_path, on_trial))
    assert found == ([2] if ends else [])
    assert list(tmp_path.iterdir()) == []
