"""`digits …` from the command line to its exit code, on a store of tiny versions, without a model server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digits import dataset
from digits.dataset import Split
from digits.pipeline.repro import Run
from digits.runtime.errors import DigitsError, StoreError
from digits_cli import COMMANDS, serve, status
from flows.rollout import canary, outcomes, release, rollout
from flows.rollout.rollout import Acts
from serving.checks import infra_validator, served_scores
from serving.checks.comparison import Duel
from serving.store import edge, promote
from serving.store.store import Store
from tests._loopback import refused_url, serving
from tests.digits_cli._cli import Cli
from tests.serving._exports import DATA_FILE, export, make_formats

IMAGES = np.arange(20 * 784, dtype=np.uint64).astype(np.uint8).reshape(20, 28, 28)
DIGEST = dataset.array_sha256(IMAGES)


class Project(Cli):
    """A project with a store."""

    def __init__(self, *given):
        super().__init__(*given)
        self.store = Store(self.root / "models" / "serving")

    def export(self, weights, **facts):
        return export(self.root / "models" / "exported", weights, **{"test_images": DIGEST, **facts})

    def json(self, *arguments):
        """What a command prints for a script."""
        return json.loads(self.digits(*arguments, "--json").out)

    def publish(self, *weights, **facts):
        for each in weights:
            self.export(each, **facts)
            assert self.digits("publish").code == 0, self.err


TRIED = infra_validator.Report("stand-in", 9, 3.0, ())


@pytest.fixture
def project(tmp_path, capsys, monkeypatch):
    test = Split(IMAGES, np.arange(20) % 10, np.array(["mnist"] * 20))
    dataset.save_split(tmp_path / "data/prepared/test", test)
    monkeypatch.setattr(release, "_load_tensorflow", lambda: None)
    monkeypatch.setattr(infra_validator, "validate", lambda *_: TRIED)
    return Project(tmp_path, capsys, monkeypatch)


@pytest.fixture
def duels(monkeypatch):
    """Set how many of the 20 test images a candidate misreads that the champion reads; who met whom."""
    met = []

    def outcome(misread):
        def duel(_store, candidate, champion, images, labels, written):
            assert len(images) == len(labels) == 20 and not written
            met.append((candidate, champion))
            right = np.ones(20, bool)
            right[:misread] = False
            return Duel(right, np.ones(20, bool), 1.0, 1.0)

        monkeypatch.setattr(served_scores, "duel", duel)
        return met

    return outcome


def test_every_command_has_help_of_its_own_and_without_one_there_is_help_with_every_exit_code(project):
    assert project.digits("--help").code == 0
    assert not [name for name in COMMANDS if name not in project.out]
    for name in COMMANDS:
        assert project.digits(name, "--help").code == 0
        assert "examples:\n  digits " in project.out and "exit codes: 0 " in project.out, name
        assert max(map(len, project.out.partition("examples:")[2].splitlines())) <= 110
    assert project.digits().code == 0 and "examples:" in project.out
    codes = {error.exit_code for error in DigitsError.__subclasses__()}
    listed = " ".join(project.out.partition("exit codes:")[2].split())
    assert not [code for code in codes if f" {code} " not in f" {listed}"]


def test_it_tells_its_version_and_completes_commands_in_a_shell(project):
    assert project.digits("--version").code == 0
    assert project.out.split()[-1].count(".") == 2
    assert project.digits("--print-completion", "bash").code == 0
    script = project.out + "\nCOMP_WORDS=(digits ro); COMP_CWORD=1; _shtab_digits; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["rollback"], done.stderr


HELP = """
import contextlib, digits_cli, digits_model_server.main as server
from digits_client import cli
from digits_client.reading import command
for main, *given in (
    (digits_cli.main, "app"), (digits_cli.main, "serve"), (cli.main,), (command.main,), (server.main,)
):
    with contextlib.suppress(SystemExit):
        main([*given, "--help"])
    print("✓ written")
"""


def test_commands_write_to_a_terminal_or_pipe_of_any_encoding():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode("ascii").count("\\u2713 written") == 5


# --- publish


def test_publishing_records_commit_changes_time_and_trial_and_the_same_export_is_tried_once(
    project, monkeypatch
):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.root.parent))
    project.publish("a")
    assert "published version 1: `digits promote 1`" in project.out
    assert project.store.version(1).provenance["published"]["commit"] is None, "outside of Git"
    with monkeypatch.context() as patch:
        patch.setattr(infra_validator, "validate", lambda *_: pytest.fail("tried again"))
        assert "version 1 has this content already" in project.digits("publish").out
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in ("init -q", "add dvc.yaml", "commit -qm start"):
        subprocess.run([*git, *command.split()], cwd=project.root, check=True)
    assert "published version 2" in project.digits("publish", "--force").out
    facts = project.store.version(2).provenance["published"]
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project.root, text=True)
    assert facts["commit"] == head.strip() and facts["dirty"] is True
    assert facts["at"].endswith("Z") and facts["infra"]["requests"] == 9


def test_formats_for_phones_and_browsers_go_beside_their_version_at_once_or_later_and_are_told(project):
    project.publish("a")
    assert edge.find(project.store, 1) is None and "formats" not in project.out
    make_formats(project.root / "models" / "edge", project.root / "models" / "exported")
    assert "version 1 has this content already" in project.digits("publish").out
    assert (edge.find(project.store, 1) / "int8.tflite").read_text() == "one"
    assert json.loads(project.digits("versions", "--json").out)[0]["formats"] == ["int8", "tfjs"]
    assert "int8, tfjs in " in project.digits("explain", "1").out

    project.publish("b")
    assert "without formats for phones and browsers" in project.out + project.err
    assert "made from another export: run `dvc repro convert`" in project.out + project.err
    assert edge.find(project.store, 2) is None
    assert "none for phones" in project.digits("explain", "2").out

    make_formats(project.root / "models" / "edge", project.export("c"))
    assert project.digits("publish").code == 0 and edge.find(project.store, 3) is not None


# --- promote


def test_the_first_promotion_takes_the_newest_of_what_is_published_and_says_that_nothing_served(project):
    assert "make run" in project.refused("publish", code=6)
    assert "digits publish" in project.refused("promote", code=6)
    assert "version 7 is not in" in project.refused("promote", "7", code=6)
    project.publish("a", "b")
    assert project.digits("promote").code == 0
    assert "nothing is in service yet" in project.out and "version 2 serves" in project.out
    assert project.store.current().stable == 2
    assert "serves already" in project.digits("promote", "2").out
    project.digits("promote", "--base-path", "/models/digits")
    assert project.store.current().base_path == "/models/digits"


def test_a_candidate_that_is_no_worse_takes_the_place_of_the_champion_until_a_rollback(project, duels):
    met = duels(misread=0)
    project.publish("a", "b")
    project.digits("promote", "1")
    assert project.digits("promote", "2").code == 0, project.err
    assert met == [(2, 1)]
    assert "on the same 20 images" in project.out
    assert project.store.current().stable == 2
    assert "version 1 serves again" in project.digits("rollback").out
    assert "version 1 serves already" in project.digits("rollback", "1").out and project.code == 0
    assert "no version served before" in project.refused("rollback", code=6)


def test_a_worse_candidate_is_refused_with_every_reason_which_explain_tells_too(project, duels):
    duels(misread=6)
    project.publish("a", "b")
    project.digits("promote", "1")
    said = project.refused("promote", "2", code=5)
    for part in ("version 1 keeps serving", "70.00% right", "p = 0.016", "best ever promoted"):
        assert part in said
    assert project.store.current().stable == 1
    assert project.store.history().last_refusal(2, 1).reasons
    out = project.digits("explain", "1").out
    for part in ("(stable)", "promote", "data", DIGEST[:16], "99.00%", "passed", "whole"):
        assert part in out
    assert "against version 1" in project.digits("explain", "2").out
    plain = json.loads(project.digits("explain", "1", "--json").out)
    assert plain["provenance"]["metrics"]["accuracy"] == 0.99 and plain["role"] == "stable"
    assert "the published versions are 1, 2" in project.refused("explain", "3", code=6)
    assert project.digits("explain", "0").code == 2


def test_a_canary_is_tried_and_taken_off_again_by_itself_or_by_another_promotion(project, duels):
    duels(misread=0)
    project.publish("a", "b", "c")
    project.digits("promote", "1")
    assert "on trial as digits_canary" in project.digits("promote", "2", "--canary").out
    assert project.store.current().canary == 2
    assert "the trial has ended; version 1 serves" in project.digits("rollback", "--canary").out
    assert project.store.current().canary is None
    assert "takes no version" in project.refused("rollback", "2", "--canary", code=2)
    project.digits("promote", "2", "--canary")
    project.export("d")
    assert "waits: version 2 is on trial" in into_service(project).reason, "no run ends it"
    assert project.store.current().canary == 2
    assert "the trial of version 2 has ended" in project.digits("promote", "3").out
    assert project.store.current().versions == {3}


def test_a_version_that_cant_be_compared_can_be_put_in_service_without(project):
    project.publish("a")
    project.publish("b", test_images="others")
    project.digits("promote", "1")
    assert "digits rollback 2" in project.refused("promote", "2", code=6)
    project.publish("c")
    damaged = project.store.folder / "1" / DATA_FILE
    damaged.parent.chmod(0o755)
    damaged.unlink()
    assert "digits rollback 3" in project.refused("promote", "3", code=6)
    assert "version 3 serves again" in project.digits("rollback", "3").out


def test_a_script_reads_the_same_as_json(project, duels):
    duels(misread=0)
    project.export("a")
    assert project.json("publish") == {"version": 1, "new": True}
    assert project.json("publish") == {"version": 1, "new": False}
    assert project.json("promote")["comparison"]["champion"] is None
    project.publish("b")
    rules = project.json("promote", "2")["comparison"]["rules"]
    assert len(rules) > 5 and all(rule["passed"] for rule in rules)
    assert project.json("promote", "2")["comparison"] is None
    assert project.json("rollback") == {"version": 1, "before": 2}
    assert project.json("rollback", "1") == {"version": 1, "before": 1}


# --- rollback, versions, prune


def test_the_versions_are_listed_and_pruned_for_people_and_for_programs(project, duels):
    duels(misread=0)
    assert "nothing is published" in project.digits("versions").out
    project.publish(*"abcde")
    for number in ("1", "2"):
        project.digits("promote", number)
    listed = project.digits("versions").out.splitlines()
    assert [line.split()[0] for line in listed] == ["version", *"54321"]
    assert "stable" in listed[4] and "previous" in listed[5] and "99.00%" in listed[1]
    roles = [(row["version"], row["role"], row["problems"]) for row in project.json("versions")]
    assert roles == [*((n, "", []) for n in (5, 4, 3)), (2, "stable", []), (1, "previous", [])]
    pruned = project.digits("prune", "--keep", "2").out
    assert "deleted version 3; the published versions are 1, 2, 4, 5" in pruned
    assert "nothing to delete" in project.digits("prune").out
    assert project.json("prune") == {"deleted": [], "versions": [1, 2, 4, 5]}
    assert "at least 1" in project.refused("prune", "--keep", "0", code=6)


# --- status, explain


def port_of(url):
    return url.rstrip("/").rpartition(":")[2]


def test_the_status_of_nothing_says_what_to_do_and_tells_other_web_servers_apart(project):
    port = port_of(refused_url())
    project.digits("status", "--port", port, "--rest-port", port)
    assert project.code == 0
    for part in ("none: `make run` makes it", "nothing listens", "no model server"):
        assert part in project.out
    with serving(lambda _: (200, b"<html>")) as server:
        out = project.digits("status", "--rest-port", port_of(server.url)).out
    assert "what answers there is not a model server" in out


def test_the_status_names_what_serves_what_waits_what_a_server_has_loaded_and_a_moved_project(
    project, monkeypatch
):
    project.publish("a")
    project.digits("promote")
    project.export("b")
    with serving(lambda _: (200, b"")) as server:
        asked = ["status", "--port", port_of(server.url), "--rest-port", port_of(server.url)]
        assert project.digits(*asked).out.count("no server of this project listens, but") == 1
        assert not project.json(*asked)["grpc"]["server"]["ours"]
    monkeypatch.setattr(status, "_server", lambda *_: None)  # as for a container's: nobody can tell
    for version, said in ((1, "serves digits 1"), (9, "not version 1")):
        states = [{"version": str(version), "state": "AVAILABLE"}, {"version": "4", "state": "END"}]
        answer = json.dumps({"model_version_status": states}).encode()
        with serving(lambda path: (200, answer) if path == "v1/models/digits" else (404, b"")) as server:  # noqa: B023
            asked = ["status", "--port", port_of(server.url), "--rest-port", port_of(server.url)]
            out = project.digits(*asked).out
            plain = project.json(*asked)
        assert said in out and "not published: `digits publish`" in out and "a server listens" in out
        assert plain["stable"] == 1 and plain["rest"]["serves"] == {"digits": [version]}
    text = project.store.pointer.read_text().replace(str(project.store.folder), "/old/place")
    project.store.pointer.write_text(text)
    assert "/old/place" in project.digits("status").out
    assert project.digits("promote", "1").code == 0
    assert "/old/place" not in project.digits("status").out


# --- what a retraining does after the export


def into_service(project):
    acts = Acts(lambda root, store, at: release.publish(root, store, at=at), release.compare, canary.go_live)
    run = Run([], 0.0, True)
    return rollout.bring_into_service(project.root, project.store, run, acts, lambda: "2030-01-31T12:00:00Z")


def test_a_run_promotes_what_is_no_worse_then_leaves_it_and_does_not_undo_a_rollback(project, duels):
    met = duels(misread=0)
    project.export("a")
    first = into_service(project)
    assert first.reason.startswith("published version 1, promoted: `digits serve`")
    assert (first.name, first.version, first.new) == (outcomes.PROMOTED, 1, True)
    again = into_service(project)
    assert (again.name, again.reason) == (outcomes.SERVES, "version 1 is in service")
    project.export("b")
    assert "published version 2, promoted" in into_service(project).reason
    assert met == [(2, 1)]
    promote.rollback(project.store)
    assert "`digits promote 2` puts it in service again" in into_service(project).reason
    assert project.store.current().stable == 1


def test_a_run_whose_model_is_not_better_says_so_and_does_not_try_it_twice(project, duels):
    met = duels(misread=6)
    for weights in "ab":
        project.export(weights)
        said = into_service(project)
    assert said.name == outcomes.NOT_BETTER and "version 1 keeps serving" in said.reason
    assert into_service(project).name == outcomes.NOT_BETTER
    assert met == [(2, 1)]


def test_an_export_that_a_server_does_not_serve_is_an_outcome_not_a_crash(project, monkeypatch):
    def unfit(*_):
        raise StoreError("the server answers otherwise")

    monkeypatch.setattr(infra_validator, "validate", unfit)
    project.export("a")
    assert "the server answers otherwise" in project.refused("publish", code=6)
    ended = into_service(project)
    assert (ended.name, ended.reason) == (outcomes.NOT_FIT, "the server answers otherwise")
    assert project.store.versions() == []


def test_serve_turns_reloading_by_api_off_and_logs_facts_where_the_server_has_a_flag_for_it():
    off = "--enable_reload_config_request=false"
    given = Path("models.config"), Path("requests/server"), {"--port": 8600, "--rest_api_port": 8601}
    found = set(serve.flags(*given, [], embedded=True))
    assert {off, "--port=8600", "--rest_api_port=8601", "--facts_log_prefix=requests/server"} < found
    only = found - set(serve.flags(*given, [], embedded=False))
    assert off in only and {flag[:12] for flag in only - {off}} == {"--facts_log_", "--facts_func"}
    on = "--enable_reload_config_request=true"
    assert [on] == [flag for flag in serve.flags(*given, [on], embedded=True) if "reload" in flag]


def test_serve_refuses_what_it_does_not_know_in_one_line_and_passes_on_what_follows_two_dashes(project):
    assert project.digits("serve", "--rest_api_port", "1").code == 2
    assert "unrecognized arguments: --rest_api_port" in project.err.splitlines()[-1]
    assert "no version is promoted" in project.refused("serve", "--", "--monitoring_config_file=x", code=6)
    assert "is not a flag of the server" in project.refused("serve", "--", "x", code=2)
    assert "99999 is not a port" in project.refused("serve", "--port", "99999", code=2)
