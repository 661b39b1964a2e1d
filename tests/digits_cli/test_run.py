"""`digits run`: what it prints at the end, as text and as JSON, and its exit code. No stage is run."""

import json

import pytest

from digits import STAGES
from digits.pipeline.repro import Run, StageRun
from digits_cli import run
from flows.rollout import outcomes, release
from flows.rollout.outcomes import Outcome
from serving.checks import infra_validator
from serving.checks.comparison import Comparison, Rule
from serving.store import cards
from serving.store.store import Store
from tests.digits_cli._cli import Cli
from tests.serving._exports import export

ALL = Run([StageRun(stage, "cached") for stage in STAGES], 1.0, True)
STOPPED = Run([StageRun("evaluate", "failed", code=5)], 1.0, False)
TRIED = infra_validator.Report("stand-in", 9, 3.0, ())
RULES = (
    Rule("accuracy", 0.99, 0.98, True, "99.00% right, 98.00% wanted"),
    Rule("no_worse", 0.01, 0.0, False, "2 more of 20 test images are misread"),
)


@pytest.fixture
def ends(tmp_path, capsys, monkeypatch):
    """Set how the stages and the publishing end; returns the command line, in a project with version 1."""
    cli = Cli(tmp_path, capsys, monkeypatch)
    monkeypatch.setattr(release, "_load_tensorflow", lambda: None)
    monkeypatch.setattr(infra_validator, "validate", lambda *_: TRIED)
    export(tmp_path / "models" / "exported", "weights")
    for command in ("publish", "promote"):
        assert cli.digits(command).code == 0, cli.err
    cards.write(Store(tmp_path / "models" / "serving"), 1, {cards.REPORT: "<p>"})

    def end(name, **given):
        stages = STOPPED if name == outcomes.REFUSED else ALL
        result = run.Result(stages, Outcome(name, "this is why", stages, **given))
        monkeypatch.setattr(run, "_all", lambda *_: result)
        return cli

    return end


def test_a_refused_model_ends_with_what_failed_what_serves_and_what_to_do(ends):
    cli = ends(outcomes.REFUSED)
    failed = {"rule": "accuracy", "passed": False, "reason": "92.10% right, 98.00% wanted"}
    (cli.root / "reports").mkdir()
    rules = {"rules": [failed, failed | {"rule": "every_digit", "passed": True}]}
    (cli.root / "reports" / "verdict.json").write_text(json.dumps(rules))
    assert cli.digits("run").code == 5
    table = " ".join(cli.out.split())
    assert "rule value wanted accuracy 92.10% right 98.00%" in table and "every_digit" not in table
    assert "serving version 1 goes on serving" in table
    assert "next reports/report.html shows its mistakes" in table
    assert "the whole log: .digits/runs/" in table


def test_a_model_that_is_worse_ends_with_every_rule_of_the_comparison(ends):
    cli = ends(outcomes.NOT_BETTER, version=1, comparison=Comparison(2, 1, False, RULES))
    assert cli.digits("run").code == 5
    assert all(f"{rule.rule} " in cli.out and rule.reason in cli.out for rule in RULES)
    assert cli.digits("run", "--json").code == 5
    said = json.loads(cli.out)
    assert (said["outcome"], said["reason"], said["version"], said["new"]) == (
        outcomes.NOT_BETTER,
        "this is why",
        1,
        False,
    )
    assert [rule["passed"] for rule in said["comparison"]["rules"]] == [True, False]
    assert [stage["stage"] for stage in said["stages"]] == list(STAGES)
    assert (cli.root / said["log"]).is_file() and said["exit_code"] == 5


def test_a_promoted_model_ends_with_its_report_and_the_time_since_the_command_began(ends):
    cli = ends(outcomes.PROMOTED, version=1, new=True)
    assert cli.digits("run").code == 0
    facts = dict(line.split(maxsplit=1) for line in cli.out.splitlines() if "  " in line)
    assert facts["outcome"] == "this is why"
    assert facts["card"].startswith("models/serving/cards/1/report.html")
    assert "`digits app`" in facts["next"] and facts["time"]
