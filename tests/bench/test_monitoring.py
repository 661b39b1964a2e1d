"""The figures of monitoring: on traffic whose changes are known."""

from bench import monitoring
from bench.report import report
from tests.bench.test_report import ABOUT
from tests.serving.monitoring._traffic import columns, reference


def test_alarms_and_waits_are_counted_from_the_change_on_and_shown(monkeypatch):
    monkeypatch.setattr(monitoring, "DAYS", 1)
    monkeypatch.setattr(monitoring, "LOOK", 300)
    monkeypatch.setattr(monitoring, "AFTER", 400)
    known, clean = reference(), columns(2000, 1)
    quiet = monitoring.false_alarms([monitoring.alarms_of(clean, known, replay) for replay in range(2)])
    assert (quiet["mean"], quiet["most"], quiet["names"]) == (0, 0, []) and 1.4 < quiet["upper"] < 1.6
    foggy = monitoring.detection("fog", clean, columns(500, 2, contrast=120.0), known, 4)
    assert foggy["within"] == 4 and 10 < foggy["median"] <= foggy["p95"] < 200
    assert foggy["first"].startswith("contrast below 24")
    unseen = monitoring.detection("nothing", clean, columns(500, 3), known, 2)
    assert (unseen["within"], unseen["median"], unseen["first"]) == (0, 400, "")
    assert monitoring.missing(clean, known, 2)["first"] in ("digit 0 missing", "digit 1 missing")
    room = monitoring.nearest("all", clean, known)
    assert 0 < room["room"] <= 0.02 + 0.01 and room["n"] == 2000
    text = report([ABOUT | each for each in (quiet, foggy, room, monitoring.cost(clean, known))])
    assert "2 replays of 1 days of clean digits: 0.000 alarms on average" in text
    assert "| fog | 4 |" in text and "| all | 2,000 |" in text and "A look at 300 rows" in text
