"""What the training bench runs, and how a run goes on over several sessions."""

import json

import pytest

from bench import claims, digests, plan, raw, recipes, train
from bench.references import REFERENCES
from digits import profiles
from digits.errors import DataError

BOTH = ("references", "profiles")


@pytest.fixture
def with_a_long_one(monkeypatch):
    monkeypatch.setattr(plan, "OURS", ("speedrun", "fast", "robust"))


def full(jobs):
    return [(job["model"], job["seed"]) for job in jobs if job["part"] == "full"]


def record(job, **more):
    return job | {"kind": "training", "session": 1, "commit": "abc", "dirty": False} | more


def test_tutorial_models_are_no_profiles_of_ours():
    assert "fast" in plan.OURS
    assert not set(plan.OURS) & set(REFERENCES)
    assert set(plan.OURS) <= set(profiles.PROFILES)


def test_a_round_holds_the_yardstick_and_ours_then_the_other_references(monkeypatch):
    monkeypatch.setattr(plan, "OURS", ("speedrun", "fast"))
    jobs = plan.plan(BOTH, seeds=2, reference_seeds=1)
    first = [(name, 1) for name in ("S1", "speedrun", "fast", "S0", "S2", "S3", "S4")]
    assert full(jobs) == first + [(name, 2) for name in ("S1", "speedrun", "fast")]
    assert {job["round"] for job in jobs if job["part"] == "full" and job["seed"] == 1} == {"1"}


def test_seeds_are_many_where_a_target_is_close_and_fewer_elsewhere(with_a_long_one):
    models = [model for model, _ in full(plan.plan(BOTH))]
    counts = {model: models.count(model) for model in models}
    assert counts == {"S1": 5, "speedrun": 5, "fast": 5, "robust": 3, "S0": 3, "S2": 3, "S3": 3, "S4": 3}
    assert len(full(plan.plan(BOTH, seeds=1, reference_seeds=0))) == 4


def test_a_long_training_has_a_round_of_its_own_that_begins_with_the_yardstick(with_a_long_one):
    jobs = plan.with_yardsticks(plan.plan(BOTH, seeds=1))
    own = [(job["part"], job["model"]) for job in jobs if job["round"] == "robust 1"]
    assert own == [("peak", "matmul"), ("yardstick", "S1"), ("full", "robust")]
    shared = [job for job in jobs if job["round"] == "1"]
    assert not [job for job in shared if job["part"] == "yardstick"], "that one trains and scores it"


def test_a_profile_is_run_alone_by_its_name(with_a_long_one):
    jobs = plan.with_yardsticks(plan.plan(("robust",), seeds=2))
    order = ["matmul", "S1", "robust"]
    assert [(job["model"], job["seed"]) for job in jobs] == [(m, s) for s in (1, 2) for m in order]


def test_every_round_has_the_matrix_product_measured():
    jobs = plan.plan(BOTH, seeds=3)
    assert {j["round"] for j in jobs if j["part"] == "full"} == {
        j["round"] for j in jobs if j["part"] == "peak"
    }


def test_seeds_can_be_ones_that_no_choice_was_made_by():
    jobs = plan.plan((*BOTH, "sample"), seeds=2, reference_seeds=2, sample_seeds=2, first_seed=11)
    assert {job["seed"] for job in jobs if job["part"] != "canonicalisation"} == {11, 12}


def test_variants_of_a_tutorials_model_are_trained_by_the_same_stage_as_the_one_they_vary():
    jobs = plan.plan(("claims",), seeds=2)
    assert [(j["model"], j["seed"]) for j in jobs] == [(name, s) for s in (1, 2) for name in claims.VARIANTS]
    assert "S4" in claims.VARIANTS and set(claims.VARIANTS) <= set(profiles.PROFILES)
    assert plan.with_yardsticks(jobs) == jobs, "nothing of them is compared by time"


def test_compressed_profiles_have_a_job_each():
    jobs = plan.plan(("compression",), first_seed=11)
    assert [(j["part"], j["model"], j["seed"]) for j in jobs] == [
        ("compression", "fast", 11),
        ("compression", "tiny", 11),
    ]
    assert set(plan.COMPRESSED) <= set(plan.OURS)


def test_only_what_is_missing_is_done_again():
    jobs = plan.plan((*BOTH, "sample"), seeds=2, reference_seeds=1)
    done = [record(job) for job in jobs if job["model"] not in ("S3", "S4")]
    left = plan.missing(jobs, done)
    assert [job["model"] for job in left] == ["matmul", "S3", "S4"]
    assert plan.missing(jobs, [record(job) for job in jobs]) == []


def test_a_round_that_goes_on_in_another_session_times_the_yardstick_again():
    jobs = plan.plan(BOTH, seeds=2)
    done = [record(job) for job in jobs if (job["model"], job["seed"]) != ("fast", 2)]
    left = plan.with_yardsticks(plan.missing(jobs, done))
    assert [(job["part"], job["model"]) for job in left] == [
        ("peak", "matmul"),
        ("yardstick", "S1"),
        ("full", "fast"),
    ]


# --- the raw file


def opened(path, digest=lambda _: "same", **facts):
    return raw.Raw(path, train.ROOT, {"command": "bench", "quick": False} | facts, digest)


def begun(path, **facts):
    made = opened(path, **facts)
    made.start()
    job = {"part": "full", "model": "fast", "seed": 1, "round": "1"}
    made.keep({"kind": "training"} | job | made.stamp(job))
    return made


def test_a_record_says_when_and_by_what_it_was_made(tmp_path):
    begun(tmp_path / "raw.jsonl")
    session, made = map(json.loads, (tmp_path / "raw.jsonl").read_text().splitlines())
    assert (session["kind"], session["session"], session["command"]) == ("session", 1, "bench")
    assert session["machine"]["cores"] >= 1
    assert made["code"] == "same" and made["session"] == 1
    assert made["commit"] and made["date"].count("-") == 2 and made["dirty"] in (True, False)


def test_a_run_goes_on_where_it_was_broken_off_as_another_session(tmp_path):
    path = tmp_path / "raw.jsonl"
    first = begun(path)
    path.write_text(path.read_text() + '{"kind": "train')  # as a killed run leaves it
    again = opened(path)
    assert again.go_on() == []
    assert again.records == first.records
    again.keep({"kind": "peak"} | again.stamp({"part": "peak"}))
    assert [r["session"] for r in again.records] == [1, 1, 2, 2]
    third = opened(path)
    third.go_on()
    assert third.records == again.records and third.session == 3


def test_what_other_code_made_is_set_aside_and_not_lost(tmp_path):
    path = tmp_path / "raw.jsonl"
    made = begun(path).records[1]
    again = opened(path, digest=lambda _: "other")
    assert again.go_on() == [made]
    assert [r["kind"] for r in again.records] == ["session"]
    assert json.loads((tmp_path / "raw.stale.jsonl").read_text()) == made
    assert json.loads(path.read_text())["kind"] == "session"


def test_a_new_run_keeps_the_records_of_the_one_before(tmp_path):
    path = tmp_path / "raw.jsonl"
    begun(path)
    text = path.read_text()
    assert opened(path).start() == tmp_path / "raw.before.jsonl"
    assert (tmp_path / "raw.before.jsonl").read_text() == text
    assert path.read_text() == ""


def test_a_trial_and_a_run_that_counts_are_never_mixed(tmp_path):
    begun(tmp_path / "raw.jsonl", quick=True)
    with pytest.raises(DataError, match="--quick"):
        opened(tmp_path / "raw.jsonl").go_on()


def test_records_without_sessions_are_refused(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    path.write_text('{"kind": "training", "model": "S1"}\n')
    assert train.main(["--continue", "--raw", str(path), "--only", "references"]) == 3
    assert "without --continue" in capsys.readouterr().err
    assert "S1" in path.read_text()


# --- what a record depends on


@pytest.fixture
def copy(tmp_path):
    """The files that digests are made of, to be changed."""
    import shutil

    for name in ("bench", "src/digits"):
        shutil.copytree(train.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "requirements.lock", "dvc.yaml"):
        shutil.copy(train.ROOT / name, tmp_path / name)
    return tmp_path


JOBS = {
    "S1": {"part": "full", "model": "S1", "seed": 1},
    "fast": {"part": "full", "model": "fast", "seed": 1},
    "speedrun": {"part": "full", "model": "speedrun", "seed": 1},
    "sample": {"part": "sample", "model": "fast", "seed": 1},
    "peak": {"part": "peak", "model": "matmul", "seed": 1},
    "canonicalisation": {"part": "canonicalisation", "model": "fast", "seed": 1},
    "compression": {"part": "compression", "model": "fast", "seed": 1},
    "pipeline": {"part": "pipeline"},
}


def changed(root, edit):
    """The jobs whose digest an edit changes."""
    before = {name: digests.digest(root, job) for name, job in JOBS.items()}
    edit()
    return {name for name, job in JOBS.items() if digests.digest(root, job) != before[name]}


@pytest.mark.parametrize(
    "name, stale",
    [
        ("src/digits/loop.py", {"fast", "speedrun", "sample", "compression", "pipeline"}),
        ("src/digits/quantize.py", {"compression", "pipeline"}),
        ("src/digits/corruptions.py", set(JOBS) - {"peak", "canonicalisation", "compression"}),
        ("src/digits/canonicalize.py", set(JOBS) - {"S1"}),
        ("bench/references.py", {"S1", "fast", "speedrun", "sample"}),
        ("bench/latency.py", {"fast", "speedrun", "sample", "compression"}),
        ("src/digits/profiles.py", {"pipeline"}),  # its text; what it resolves to counts, see below
        ("src/digits/cli.py", {"pipeline"}),
        ("bench/model_tables.py", set()),
        ("bench/train.py", set()),
        ("requirements.lock", set(JOBS)),
    ],
)
def test_a_record_is_as_old_as_the_code_that_made_it(copy, name, stale):
    def edit():
        (copy / name).write_text((copy / name).read_text() + "\n# changed\n")

    assert changed(copy, edit) == stale


def test_a_profile_that_changes_makes_its_own_records_old_and_no_others(copy, monkeypatch):
    settings, few = profiles.PROFILES["fast"]

    def edit():
        monkeypatch.setitem(profiles.PROFILES, "fast", (settings | {"steps": 77}, few))

    assert changed(copy, edit) == {"fast", "canonicalisation", "compression"}, (
        "few images have steps of their own"
    )


def test_comments_in_params_make_nothing_old_but_the_split_does(copy):
    params = copy / "params.yaml"
    assert changed(copy, lambda: params.write_text(params.read_text() + "# note\n")) == {"pipeline"}
    text = params.read_text()
    import yaml

    share = yaml.safe_load(text)["preprocess"]["validation_share"]
    split = text.replace(f"validation_share: {share}", "validation_share: 0.2")
    assert changed(copy, lambda: params.write_text(split)) == {
        *("fast", "speedrun", "sample", "compression", "pipeline")
    }


def test_a_profile_is_benched_as_it_stands():
    section = recipes.params_of("fast", 7)
    assert (section.profile, section.seed, section.steps, section.augmentation.shift) == (
        "fast",
        7,
        None,
        None,
    )
