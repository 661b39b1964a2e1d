import os

import pytest
import yaml

from digits.runtime.errors import DigitsError, ParamsError
from flows.search import space
from flows.search import study as sweep_study
from flows.search.study import Row
from tests._project import ROOT

BASE = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]
GRID = space.parse(["train.batch=[32,64]", "train.rate=[0.1,0.2]"], BASE)
LONG = space.parse(["train.batch=[32,64]", "train.rate=[0.1,0.2,0.3,0.4,0.5]"], BASE)
RANGE = space.parse(["train.rate=log(0.001,0.1)"], BASE)
TRAINED = {
    "accuracy": 0.9, "loss": 0.3, "train_accuracy": 0.95, "share": 1.0, "seconds": 2.0, "pid": 7, "began": 5.0
}  # fmt: skip


def opened(root, about=None, sampler="grid", seed=1):
    return sweep_study.open_study(root, "s", about or {"space": "a"}, sampler, seed, prune=True)


def finish(study, trial, accuracy):
    trial.set_user_attr(sweep_study.RESULT, TRAINED | {"accuracy": accuracy})
    study.tell(trial, accuracy)


def test_what_was_done_is_kept_and_the_rest_comes_next_time(tmp_path):
    with opened(tmp_path) as study:
        sweep_study.enqueue_missing(study, GRID, "grid", None)
        trial, first = sweep_study.ask(study, GRID)
        finish(study, trial, 0.7)
    with opened(tmp_path) as study:
        assert sweep_study.enqueue_missing(study, GRID, "grid", None) == 3
        rest = [sweep_study.ask(study, GRID)[1] for _ in range(3)]
        (row,) = sweep_study.rows(study, GRID)
    assert [first, *rest] == space.grid(GRID)
    assert (row.number, row.outcome, row.settings, row.accuracy, row.pid) == (1, "complete", first, 0.7, 7)


def test_a_trial_that_was_killed_is_lost_and_its_settings_come_first(tmp_path):
    with opened(tmp_path, sampler="tpe") as study:
        trial, _ = sweep_study.ask(study, RANGE)
        finish(study, trial, 0.5)
        _, settings = sweep_study.ask(study, RANGE)  # and here it is killed
    with opened(tmp_path, sampler="tpe") as study:
        assert sweep_study.enqueue_missing(study, RANGE, "tpe", 4) == 3
        assert [row.number for row in sweep_study.rows(study, RANGE)] == [1]
        _, again = sweep_study.ask(study, RANGE)
        _, new = sweep_study.ask(study, RANGE)
    assert again == settings
    assert new != settings


def test_a_grid_is_covered_once_though_killed_while_a_trial_took_its_settings(tmp_path):
    with opened(tmp_path) as study:
        sweep_study.enqueue_missing(study, LONG, "grid", None)
        trial, _ = sweep_study.ask(study, ())
        trial.suggest_categorical(LONG[0].key, LONG[0].choices)
    with opened(tmp_path) as study:
        assert sweep_study.enqueue_missing(study, LONG, "grid", None) == 10
        asked = [sweep_study.ask(study, LONG)[1] for _ in range(10)]
    assert sorted(map(str, asked)) == sorted(map(str, space.grid(LONG)))


def test_a_trial_killed_before_it_drew_anything_leaves_nothing_to_try_again(tmp_path):
    with opened(tmp_path, sampler="random") as study:
        sweep_study.ask(study, ())
    with opened(tmp_path, sampler="random") as study:
        assert sweep_study.enqueue_missing(study, RANGE, "random", 2) == 2
        drawn = [sweep_study.ask(study, RANGE)[1]["train.rate"] for _ in range(2)]
    assert len(set(drawn)) == 2


def test_a_study_is_of_one_process_at_a_time_and_about_one_thing(tmp_path):
    about = {"space": "a", "data": "x"}
    busy = pytest.raises(DigitsError, match=f"process {os.getpid()}")
    with opened(tmp_path, about), busy, opened(tmp_path, about):
        pass
    told = "other data: give this sweep another --name"
    with pytest.raises(ParamsError, match=told), opened(tmp_path, about | {"data": "y"}):
        pass


def test_the_winner_is_whole_then_accurate_then_sure_then_early():
    rows = [
        Row(1, "complete", {}, 0.9, 0.4),
        Row(2, "pruned", {}, 0.99, None),
        Row(3, "complete", {}, 0.95, 0.3),
        Row(4, "complete", {}, 0.95, 0.2),
        Row(5, "complete", {}, 0.95, 0.2),
        Row(6, "failed", {}),
    ]
    assert sweep_study.winner(rows).number == 4
    assert sweep_study.winner(rows[1:2]) is None
