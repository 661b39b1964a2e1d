"""The whole graph, by real `dvc repro` in a throw-away project."""

import json

import pytest
import yaml

from digits.train.profiles import PROFILES
from tests._project import project, tree_digest
from tests.contract._graph import dvc_yaml, names

OUTS = [
    out
    for stage in dvc_yaml()["stages"].values()
    for out in names(stage.get("outs", [])) + names(stage.get("metrics", []))
]


def test_a_run_leaves_a_passing_verdict_an_export_in_all_formats_and_no_scratch(built):
    verdict = json.loads((built.root / "reports/verdict.json").read_text())
    assert verdict["passed"] and verdict["dataset"] == "synthetic"
    assert (built.root / "models/exported/saved_model.pb").exists()
    found = json.loads((built.root / "reports/edge.json").read_text())["formats"]
    for name, figures in found.items():
        kept = any((built.root / f"models/edge/{name}{end}").exists() for end in ("", ".tflite"))
        assert kept == ("refused" not in figures)
    assert "refused" not in found["float32"] and "refused" not in found["tfjs"]
    assert not [*built.root.rglob(".*.new-*"), *built.root.rglob(".*.old-*")]
    assert not list((built.root / ".checkpoints").glob("*"))
    reports = ("edge", "metrics", "summary", "validation", "verdict")
    small = ("dvc.lock", *(f"reports/{name}.json" for name in reports))
    assert set(built.ok("git", "status", "--porcelain").split()[1::2]) <= set(small)


def test_a_second_run_runs_nothing(built):
    output = built.repro()
    assert "Running stage" not in output
    assert "up to date" in output


NOTHING = ("src/digits/runtime/progress.py", "src/digits_cli/run.py", "serving/store/store.py")


@pytest.mark.parametrize(
    ("edited", "stale"),
    [
        ((*NOTHING, "flows/retrain.py", "requirements.lock"), set()),
        (("src/digits/evaluate/gate.py",), {"evaluate"}),
        (("src/digits/model/architectures.py",), {"train", "evaluate", "export", "convert"}),
        (("src/digits/lines/compose.py",), {"lines", "evaluate"}),
    ],
)
def test_an_edit_makes_stale_the_stages_that_import_it_and_no_other(built, edited, stale):
    before = {built.root / name: (built.root / name).read_bytes() for name in edited}
    for path, content in before.items():
        path.write_bytes(content + b"\n# edited\n")
    try:
        assert set(json.loads(built.ok("dvc", "status", "--json"))) == stale
    finally:
        for path, content in before.items():
            path.write_bytes(content)


@pytest.mark.slow
def test_everything_is_made_again_bit_for_bit(copy):
    """Not from the cache: each stage runs again, in other processes."""
    before = tree_digest(copy.root, *OUTS)
    copy.repro("--force", "--no-run-cache")
    assert tree_digest(copy.root, *OUTS) == before


@pytest.mark.slow
def test_without_git_the_same_lock_comes_out(built, tmp_path):
    bare = project(tmp_path, git=False)
    done = bare.digits("run", "--no-publish")
    assert done.returncode == 0, done.stdout + done.stderr
    locks = [yaml.safe_load((made.root / "dvc.lock").read_text())["stages"] for made in (bare, built)]
    for lock in locks:  # but for the one file that says how long something took
        lock["convert"]["outs"] = [
            out for out in lock["convert"]["outs"] if out["path"] != "reports/edge.json"
        ]
    assert locks[0] == locks[1]


@pytest.mark.slow
def test_metrics_and_plots_speak(built):
    assert "accuracy" in built.ok("dvc", "metrics", "show", "--json")
    built.ok("dvc", "metrics", "diff")
    built.ok("dvc", "plots", "show", "--out", "plots_page")
    assert (built.root / "plots_page" / "index.html").exists()


STEPS = {"full": 80, "tiny": 800}  # of 64 images; enough for synthetic digits
TRIED = [
    pytest.param(profile, marks=pytest.mark.slow if profile in ("S0", "full") else pytest.mark.exhaustive)
    for profile in sorted(PROFILES)
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("profile", TRIED)
def test_an_experiment_with_another_profile_ends_with_its_model_exported_if_the_gate_lets_it(copy, profile):
    """A line of params.yaml; a tutorial's and the one of several networks in CI, each exhaustively."""
    import tensorflow as tf

    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    steps = f"train.steps={STEPS.get(profile, 150)}"
    done = copy.dvc("exp", "run", "-S", f"train.profile={profile}", "-S", steps)
    assert json.loads((copy.root / "models/candidate/summary.json").read_text())["profile"] == profile
    passed = json.loads((copy.root / "reports/verdict.json").read_text())["passed"]
    assert passed == (done.returncode == 0) == (copy.root / "models/exported").exists(), done.stderr
    assert passed or profile.startswith("S")
    if not passed:
        assert "nothing was exported" in done.stdout + done.stderr
        return
    model = tf.saved_model.load(str(copy.root / "models/exported"))
    answer = model.signatures["serving_default"](images=tf.zeros([2, 28, 28], tf.uint8))
    assert answer["probabilities"].shape == (2, 10) and not answer["accepted"].numpy().any()
