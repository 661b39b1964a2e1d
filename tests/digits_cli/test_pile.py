"""`digits read` for piles, from the command line to its exit code."""

import pytest

from digits_cli import pile
from flows.reading import pile as engine
from flows.reading.table import Summary
from tests._ports import free_port
from tests.digits_cli._cli import Cli
from tests.flows.reading._scans import write


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    write(tmp_path / "scans", {"a.png": "12"})
    return Cli(tmp_path, capsys, monkeypatch)


def test_an_option_or_a_source_of_piles_makes_it_one_and_photos_stay_with_the_client():
    for given in ("scans --table out", "x --workers=2", "form.PDF", "@list", "s3://b/x", "x --local"):
        assert pile.is_pile(given.split()), given
    for given in ("photo.jpg", "photos --csv read.csv --out marked", "a.tif --server b:8500 --json"):
        assert not pile.is_pile(given.split()), given


def test_help_shows_both(cli):
    assert cli.digits("read", "--help").code == 0
    assert "digits read photo.jpg" in cli.out and "digits read scans --table read --local" in cli.out
    assert cli.digits("read", "--table", "--help").code == 2


def test_wrong_usage_is_a_line(cli):
    assert "--table" in cli.refused("read", "form.pdf", code=2)
    assert "not both" in cli.refused("read", "scans", "--table", "out", "--local", "--server", "a", code=2)
    assert "from 0 to 1" in cli.refused("read", "scans", "--table", "out", "--least", "2", code=2)
    assert "expected amount" in cli.refused("read", "scans", "--table", "out", "--format", "(", code=2)
    assert "at least 1" in cli.refused("read", "scans", "--table", "out", "--workers", "0", code=2)
    assert "no such folder" in cli.refused("read", "scans", "--table", "out", "--csv", "no/x.csv", code=2)
    assert "gone: no such file" in cli.refused("read", "gone", "--table", "out", code=2)
    assert "no version is promoted" in cli.refused("read", "scans", "--table", "out", "--local", code=6)
    assert not (cli.root / "out").exists()


def test_without_a_server_it_says_so_in_a_line_and_has_no_table(cli):
    port = f"127.0.0.1:{free_port()}"
    assert port in cli.refused("read", "scans", "--table", "out", "--server", port, "--timeout", "1", code=7)
    assert not (cli.root / "out" / "table").exists()


def test_the_summary_is_for_people_or_json_and_failures_make_the_exit_code(cli, monkeypatch):
    made = Summary(files=20000, read=19998, failed=2, pages=20010, fields=100, accepted=80)
    orders = []
    monkeypatch.setattr(engine, "read_pile", lambda *given: orders.append(given) or made)
    given = ["read", "scans", "@list", "--table", "out", "--server", "a", "--server", "b:1", "--workers", "3"]
    assert cli.digits(*given).code == 1
    assert "19,998 of 20,000 files read" in cli.out and "80.0%" in cli.out and "out/failed.csv" in cli.out
    order, *how_many = orders[0]
    assert (order.sources, order.how.asking.servers) == (("scans", "@list"), ("a", "b:1"))
    assert how_many == [3, None]
    made.failed = 0
    assert cli.digits(*given, "--json").code == 0 and '"pages": 20010' in cli.out
