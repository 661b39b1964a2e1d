import io

import numpy as np
import yaml
from PIL import Image

from flows.search import sweep_picture, sweep_space, sweep_study
from flows.search.sweep_study import Row

from ..._project import ROOT

BASE = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]
SPACE = sweep_space.parse(
    ["train.batch=[32,64]", "train.rate=log(0.001,0.1)", "train.steps=uniform(5,50)"], BASE
)


def row(number, outcome, batch, rate, steps, accuracy):
    settings = {"train.batch": batch, "train.rate": rate, "train.steps": steps}
    return Row(number, outcome, settings, accuracy, None if outcome == "pruned" else 0.3)


ROWS = [
    row(1, "complete", 32, 0.001, 5, 0.91),
    row(2, "complete", 64, 0.1, 50, 0.98),
    row(3, "pruned", 32, 0.01, 20, 0.4),
    Row(4, "failed", {}, error="the loss is nan"),
]


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)


def red(png):
    image = pixels(png)
    return int(((image[..., 0] - image[..., 1] > 100) & (image[..., 0] > 150)).sum())


def test_the_winner_is_drawn_in_red_over_every_axis():
    best = sweep_study.winner(ROWS)
    with_best, without = sweep_picture.draw(SPACE, ROWS, best), sweep_picture.draw(SPACE, ROWS[:1], None)
    assert red(with_best) > 500
    assert red(without) == 0


def test_equal_trials_give_equal_bytes_and_a_wider_space_a_wider_picture():
    assert sweep_picture.draw(SPACE, ROWS, ROWS[1]) == sweep_picture.draw(SPACE, ROWS, ROWS[1])
    assert (
        pixels(sweep_picture.draw(SPACE, ROWS, None)).shape[1]
        > pixels(sweep_picture.draw(SPACE[:1], ROWS, None)).shape[1]
    )


def test_one_trial_and_none_can_be_drawn():
    assert sweep_picture.draw(SPACE, ROWS[:1], ROWS[0])
    assert sweep_picture.draw(SPACE, [], None)
