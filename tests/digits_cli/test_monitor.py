"""`digits monitor` from its command line to its exit code, and what `digits status` says of it."""

import shutil
import time

import numpy as np
import pytest

from serving.monitoring import logs
from tests._digits import digits
from tests._project import ROOT
from tests.digits_cli._cli import Cli
from tests.serving.monitoring._watched import HOUR, fog, rows, serve

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.fixture
def project(tmp_path, capsys, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.delenv("DIGITS_FEEDBACK", raising=False)
    return Cli(tmp_path, capsys, monkeypatch)


def test_it_ends_with_8_while_an_alarm_stands_and_6_where_nothing_is_in_service(project, monkeypatch):
    assert "nothing is in service" in project.refused("monitor", code=6)
    assert "nobody has looked yet" in project.digits("status").out
    images, labels = digits(400, seed=1)
    serve(project.root, images, labels, np.full(400, "mnist"))
    images, labels = digits(200, seed=2)
    log = [rows(images, labels, since=time.time() - HOUR)]
    monkeypatch.setattr(logs, "read", lambda _, since, __: log[-1][log[-1]["at"] >= since])
    assert project.digits("monitor").code == 0, project.err
    for part in ("version 1: 200 rows", "clear: no alarm stands", "event", "index.html"):
        assert part in project.out
    assert "clear" in project.digits("status").out
    log.append(rows(fog(images), labels, since=time.time() + 2))
    later = time.time() + 2 * HOUR
    monkeypatch.setattr(time, "time", lambda: later)
    assert project.digits("monitor", "--json").code == 8
    found = project.out
    assert '"alarms": [\n' in found and '"picture"' not in found
    assert project.digits("monitor").code == 8, "it stands, though nothing was asked since"
    assert "alarm since" in project.out and "have them labelled and retrain" in project.out
    assert "alarm: " in project.digits("status").out


def test_forgetting_takes_a_whole_digest_and_says_what_else_may_hold_the_image(project):
    assert "64 hexadecimal digits" in project.refused("monitor", "forget", "9f86", code=2)
    assert project.digits("monitor", "forget", DIGEST).code == 0, project.err
    assert "deleted 0 rows of request logs, 0 corrections" in project.out
    assert "backup" in project.out and "--request-log" in project.out
