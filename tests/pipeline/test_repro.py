"""The whole graph, by real `dvc repro` in a throw-away project."""

import json

import pytest
import yaml

from digits import STAGES
from digits.train.profiles import PROFILES
from tests._project import project, tree_digest
from tests.contract._graph import dvc_yaml, names

OUTS = {
    stage: names(entry.get("outs", [])) + names(entry.get("metrics", []))
    for stage, entry in dvc_yaml()["stages"].items()
}
ALL_OUTS = [out for outs in OUTS.values() for out in outs]


def test_a_run_ends_with_a_passing_verdict_and_an_exported_model(built):
    verdict = json.loads((built.root / "reports/verdict.json").read_text())
    assert verdict["passed"] and verdict["dataset"] == "synthetic"
    assert (built.root / "models/exported/saved_model.pb").exists()


def test_the_export_is_converted_for_phones_and_browsers(built):
    found = json.loads((built.root / "reports/edge.json").read_text())["formats"]
    for name, figures in found.items():
        kept = (built.root / "models/edge" / name).exists() or (
            built.root / f"models/edge/{name}.tflite"
        ).exists()
        assert kept == ("refused" not in figures)
    assert "refused" not in found["float32"] and "refused" not in found["tfjs"]


def test_a_second_run_runs_nothing(built):
    output = built.repro()
    assert "Running stage" not in output
    assert "up to date" in output


def test_an_edit_makes_stale_the_stages_that_import_it_and_no_other(built):
    nothing = ("src/digits/runtime/progress.py", "src/digits_cli/run.py", "serving/store/store.py")
    nothing += ("flows/retrain.py", "requirements.lock")
    computing = {"train", "evaluate", "export", "convert"}
    expected = {file: set() for file in nothing} | {
        "src/digits/evaluate/gate.py": {"evaluate"},
        "src/digits/evaluate/report.html.j2": {"evaluate"},
        "src/digits/nn/layers.py": computing,
        "requirements-compute.lock": computing,
    }
    for file, stale in expected.items():
        path = built.root / file
        before = path.read_bytes()
        path.write_bytes(before + b"\n# edited\n")
        try:
            assert set(json.loads(built.ok("dvc", "status", "--json"))) == stale, file
        finally:
            path.write_bytes(before)


def test_the_run_leaves_no_scratch_behind(built):
    left = [p for p in built.root.rglob(".*.new-*")] + [p for p in built.root.rglob(".*.old-*")]
    assert not left
    assert not list((built.root / ".checkpoints").glob("*"))


def test_git_sees_only_the_small_reports_and_the_lock(built):
    changed = built.ok("git", "status", "--porcelain").split()[1::2]
    assert set(changed) <= {
        "dvc.lock",
        "reports/edge.json",
        "reports/metrics.json",
        "reports/validation.json",
        "reports/verdict.json",
    }


@pytest.mark.slow
def test_deleted_outs_come_back_bit_for_bit(built):
    before = {out: tree_digest(built.root, out) for out in ALL_OUTS}
    assert all(before.values())
    built.ok("rm", "-r", *ALL_OUTS)
    built.repro()
    assert {out: tree_digest(built.root, out) for out in ALL_OUTS} == before


@pytest.mark.slow
def test_everything_is_made_again_bit_for_bit(copy):
    """Not from the cache: each stage runs again, in other processes."""
    before = tree_digest(copy.root, *ALL_OUTS)
    copy.repro("--force", "--no-run-cache")
    assert tree_digest(copy.root, *ALL_OUTS) == before


@pytest.mark.slow
def test_without_git_the_same_lock_comes_out(built, tmp_path):
    bare = project(tmp_path, git=False)
    done = bare.digits("run", "--no-publish")
    assert done.returncode == 0, done.stdout + done.stderr

    assert lock(bare) == lock(built)


def lock(made):
    """dvc.lock but for the digest of the one file that says how long something took."""
    tree = yaml.safe_load((made.root / "dvc.lock").read_text())
    tree["stages"]["convert"]["outs"] = [
        out for out in tree["stages"]["convert"]["outs"] if out["path"] != "reports/edge.json"
    ]
    return tree


def test_dag_metrics_params_and_plots_speak(built):
    dag = built.ok("dvc", "dag", "--mermaid")
    assert all(stage in dag for stage in STAGES)
    shown = json.loads(built.ok("dvc", "metrics", "show", "--json"))
    assert "accuracy" in json.dumps(shown)
    built.ok("dvc", "metrics", "diff")
    built.ok("dvc", "plots", "show", "--out", "plots_page")
    assert (built.root / "plots_page" / "index.html").exists()


@pytest.mark.slow
def test_an_experiment_with_another_seed_runs_and_is_listed(copy):
    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    copy.ok("dvc", "exp", "run", "-S", "train.seed=2")
    shown = copy.ok("dvc", "exp", "show", "--json")
    assert '"seed": 2' in shown


STEPS = {"full": 80, "tiny": 800}  # of 64 images; enough for synthetic digits
TRIED = [
    pytest.param(profile, marks=pytest.mark.slow if profile == "full" else pytest.mark.exhaustive)
    for profile in sorted(PROFILES)
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("profile", TRIED)
def test_an_experiment_with_another_profile_ends_with_its_model_exported_if_the_gate_lets_it(copy, profile):
    """A line of params.yaml; the one of several networks in CI, each exhaustively."""
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


@pytest.mark.slow
def test_an_experiment_with_a_tutorials_model_is_scored_and_refused(copy):
    copy.ok("git", "add", "-A")
    copy.ok("git", "commit", "-qm", "first run")
    done = copy.dvc("exp", "run", "-S", "train.profile=S0", "-S", "train.steps=80")
    assert done.returncode != 0
    assert "nothing was exported" in done.stdout + done.stderr
    verdict = json.loads((copy.root / "reports/verdict.json").read_text())
    assert not verdict["passed"]
    assert json.loads((copy.root / "models/candidate/summary.json").read_text())["profile"] == "S0"


def test_a_remote_in_a_local_folder_pushes_and_pulls(copy, tmp_path):
    copy.ok("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    copy.ok("dvc", "push", "-q")
    outs = (*OUTS["preprocess"], *OUTS["export"])
    before = tree_digest(copy.root, *outs)
    copy.ok("rm", "-r", ".dvc/cache", *outs)
    copy.ok("dvc", "pull", "-q")
    assert tree_digest(copy.root, *outs) == before
    assert "Running stage" not in copy.repro()
