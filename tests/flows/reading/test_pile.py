"""The driver on a real scheduler in this process, with a stand-in for the model."""

import contextlib
import json

import distributed
import pyarrow.dataset
import pytest

from digits.runtime.errors import DigitsError, ParamsError
from digits_client import Unavailable
from flows.reading import models, pile
from flows.reading.chunks import Chunk
from flows.reading.models import Asking
from flows.reading.pile import Order
from flows.reading.worker import How, Part, Row
from flows.search import workers
from tests.flows.reading._scans import pdf, rows, tiff, write
from tests.serving.client.reading._sheet import ask

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def client():
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(**options) as made:
        yield made


@pytest.fixture
def read(tmp_path, monkeypatch, client):
    """Read sources below tmp_path into tmp_path/out; how many lines the model was asked about."""
    monkeypatch.setattr(workers, "pool", lambda *_: contextlib.nullcontext(client))
    monkeypatch.setattr(models, "check", lambda _: [])

    def run(*sources, ask=ask, **options):
        asked = []
        monkeypatch.setattr(models, "ask", lambda _: lambda lines: asked.append(len(lines)) or ask(lines))
        how = How(tmp_path, Asking(), form=options.pop("form", None))
        order = Order(tuple(sources), tmp_path / "out", how, tmp_path / "out.csv", chunk=4)
        run.summary = pile.read_pile(Order(**(vars(order) | options)))
        return sum(asked)

    return run


def files(tmp_path):
    return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "table").glob("*/*")}


def test_every_page_is_a_row_a_field_or_a_reason_in_parquet_and_csv(tmp_path, read):
    scans = write(tmp_path / "in", {"a.png": "12", "b.png": "345"})
    tiff(scans / "c.tif", "6", "78")
    pdf(scans / "d.pdf", "90")
    (scans / "e.png").write_bytes(b"no picture")
    read("in", "gone*", "in/a.png")
    table = pyarrow.dataset.dataset(tmp_path / "out" / "table", partitioning="hive").to_table().to_pylist()
    found = sorted((row["file"], row["page"], row["text"]) for row in table)
    assert found == [
        *[("in/a.png", 1, "12")] * 2,
        *[("in/b.png", 1, "345"), ("in/c.tif", 1, "6"), ("in/c.tif", 2, "78"), ("in/d.pdf", 1, "90")],
    ]
    assert all(row["accepted"] and row["confidence"] > 0.5 and row["w"] > 5 for row in table)
    csv = rows(tmp_path / "out.csv")
    assert [row["text"] for row in csv] == ["12", "345", "6", "78", "90", "12"]
    assert ",".join(csv[0]) == "file,page,line,field,text,confidence,accepted,x,y,w,h,version"
    (failed,) = rows(tmp_path / "out" / "failed.csv")
    assert failed["file"] == "in/e.png" and "no picture" in failed["reason"]
    assert vars(read.summary) == {"files": 6, "read": 5, "failed": 1, "pages": 6, "fields": 6, "accepted": 6}


def test_what_is_there_is_not_read_again_and_what_came_changed_or_went_is_followed(tmp_path, read):
    scans = write(tmp_path / "in", {f"{place}.png": "12" for place in range(10, 30)})
    assert read("in") >= 20
    before = files(tmp_path)
    assert read("in") == 0 and files(tmp_path) == before
    write(scans, {"9.png": "345", "15.png": "345"})
    (scans / "20.png").unlink()
    assert 2 <= read("in") <= 14
    assert len(before.items() & files(tmp_path).items()) >= 3
    said = {row["file"]: row["text"] for row in rows(tmp_path / "out.csv")}
    wanted = {f"in/{place}.png": "12" for place in range(10, 30) if place != 20}
    assert said == wanted | {"in/9.png": "345", "in/15.png": "345"} and len(rows(tmp_path / "out.csv")) == 20


def test_failed_ones_are_tried_again_when_asked_for(tmp_path, read):
    write(tmp_path / "in", {"a.png": "12"})

    def odd(lines):
        raise MemoryError("for a moment")

    read("in", ask=odd)
    assert read("in") == 0 and read.summary.failed == 1
    assert read("in", retry=True) >= 1 and read.summary.failed == 0


def test_a_page_without_digits_is_a_row_and_an_error_nobody_thought_of_is_a_reason(tmp_path, read):
    write(tmp_path / "in", {"a.png": " ", "b.png": "12", "c.png": "345"})

    def odd(lines):
        if lines[0].shape[1] > 60:
            raise ZeroDivisionError("odd")
        return ask(lines)

    read("in", ask=odd)
    first = rows(tmp_path / "out.csv")[0]
    assert (first["file"], first["text"]) == ("in/a.png", "")
    assert "ZeroDivisionError: odd" in rows(tmp_path / "out" / "failed.csv")[-1]["reason"]
    assert read.summary.files == 3


def test_without_servers_it_ends_with_their_error_and_goes_on_later(tmp_path, read):
    write(tmp_path / "in", {f"{place}.png": "12" for place in range(10, 20)})
    left = [4]

    def dying(lines):
        left[0] -= 1
        if left[0] < 0:
            raise Unavailable("nothing answers")
        return ask(lines)

    with pytest.raises(DigitsError, match="nothing answers: run the same command again") as told:
        read("in", ask=dying)
    assert told.value.exit_code == 7
    kept = files(tmp_path)
    assert kept and not (tmp_path / "out" / "failed.csv").exists()
    read("in")
    assert kept.items() <= files(tmp_path).items()
    assert [row["file"] for row in rows(tmp_path / "out.csv")] == [f"in/{n}.png" for n in range(10, 20)]


def test_a_folder_holds_one_pile_and_nothing_else(tmp_path, read):
    write(tmp_path, {"in/a.png": "12", "other/b.png": "3"})
    read("in")
    with pytest.raises(ParamsError, match="other sources"):
        read("other")
    with pytest.raises(ParamsError, match="other format"):
        read("in", form="amount")
    with pytest.raises(ParamsError, match="holds other files"):
        read("in", folder=tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParamsError, match="no picture"):
        read("empty", folder=tmp_path / "new")


def test_what_a_killed_writer_left_goes(tmp_path, read):
    write(tmp_path / "in", {"a.png": "12"})
    read("in")
    (whole,) = (tmp_path / "out" / "table").glob("*/*")
    (whole.parent / ".x.parquet.new-999999").touch()
    (whole.parent / "x.parquet").touch()
    read("in")
    assert list((tmp_path / "out" / "table").glob("*/*")) == [whole]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["files"] == 1


def test_durations_are_said_as_people_do():
    assert [pile.duration(s) for s in (5, 600, 7200, 864000)] == ["5 s", "10 min", "2.0 h", "10.0 days"]


class Dying:
    """A Dask client whose workers end while one of them has a deadly file: then every call is suspected."""

    def __init__(self):
        self.calls = []

    def nthreads(self):
        return {"one": 1, "two": 1}

    def submit(self, _, names, *__, **___):
        self.calls.append(Call(names))
        return self.calls[-1]

    def wait(self, calls, **_):
        deadly = any("deadly" in name for call in calls for name in call.names)
        for call in calls:
            late = "0" in call.names and call.status == "pending"  # its worker ended after it was read
            call.status = "lost" if late else "error" if deadly else "finished"


class Call:
    def __init__(self, names):
        self.names, self.status = names, "pending"

    def result(self):
        if self.status == "error":
            raise distributed.KilledWorker("read", None, 1)
        return Part([Row(name, 1) for name in self.names], files=len(self.names), pages=len(self.names))


def test_only_the_file_that_ends_workers_is_blamed_and_all_others_are_read_once(monkeypatch, tmp_path):
    dask = Dying()
    monkeypatch.setattr(distributed, "wait", dask.wait)
    names = [f"{place}{'-deadly' * (place in (3, 12))}" for place in range(20)]
    made = [Chunk(str(place), tuple(names[place : place + 5])) for place in range(0, 20, 5)]
    parts = {}
    pile._drive(dask, iter(made), How(tmp_path, Asking()), lambda c, part: parts.update({c.digest: part}))
    assert {failure.file for part in parts.values() for failure in part.failures} == {"3-deadly", "12-deadly"}
    read = sorted(row.file for part in parts.values() for row in part.rows)
    assert read == sorted(name for name in names if "deadly" not in name)
    assert [row.file for row in parts["5"].rows] == names[5:10]
    assert {call.status for call in dask.calls} == {"error", "finished"}
