import json

import matplotlib
import numpy as np
import yaml
from optuna.trial import TrialState
from PIL import Image

from flows.search import report, space
from flows.search import study as sweep_study
from flows.search.report import Plan
from tests._project import ROOT

BASE = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]
DRAWN = "train.steps=uniform(5,50) train.rate=log(1e-3,0.1) train.batch=[32,64] train.early_stopping=[null,3]"
SPACE = space.parse(DRAWN.split(), BASE)
PLAN = Plan(SPACE, BASE, "made-up", "random", 4, 1, 1, None, True)
TRAINED = {"train_accuracy": 0.9, "share": 1.0, "seconds": 2.0, "pid": 7, "began": 5.0}


def written(root, *ends):
    """What a sweep with trials that ended so writes. ends: a state, or the accuracy of a whole trial."""
    with sweep_study.open_study(root, "s", {}, "random", 1, prune=True) as study:
        for end in ends:
            trial, _ = sweep_study.ask(study, SPACE)
            if end == TrialState.FAIL:
                study.tell(trial, state=end)
                continue
            pruned = end == TrialState.PRUNED
            accuracy = 0.4 if pruned else end
            loss = None if pruned else 0.3
            trial.set_user_attr(sweep_study.RESULT, TRAINED | {"accuracy": accuracy, "loss": loss})
            study.tell(trial, None if pruned else accuracy, state=end if pruned else TrialState.COMPLETE)
        return report.write(root, PLAN, study)


def test_the_table_and_the_drawing_tell_every_trial_the_winner_and_its_command(tmp_path):
    found = written(tmp_path, 0.91, TrialState.PRUNED, 0.98, TrialState.FAIL)
    table = json.loads(found.table.read_text())
    assert [trial["outcome"] for trial in table["trials"]] == ["complete", "pruned", "complete", "failed"]
    assert table["winner"] == found.winner.number == 3
    assert table["command"] == found.command and f"{found.winner.settings['train.rate']}" in found.command
    assert found.picture == tmp_path / "reports" / "sweeps" / "made-up.png"
    with Image.open(found.picture) as picture:
        assert 600 < picture.width < 2000 and 400 < picture.height < 800
        assert np.asarray(picture.convert("L")).std() > 10
    assert matplotlib.pyplot.get_fignums() == []
    (tmp_path / "failed").mkdir()
    assert written(tmp_path / "failed", TrialState.FAIL).picture.exists(), "though no trial is whole"
