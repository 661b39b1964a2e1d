import gzip
import re
import time

import pytest

from digits.ingest import sources
from digits.runtime.errors import DataError
from tests._digits import digits
from tests._loopback import PAGE, folder, refused_url, serving
from tests.ingest._idx import NAMES, ingest_params, write_idx_dataset

IMAGES = f"{NAMES['train-images']}.gz"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.delenv("DIGITS_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(sources, "BACK_OFF", 0.01)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """A directory with the four files, and what params.yaml says of them."""
    directory = tmp_path_factory.mktemp("mirror")
    return directory, write_idx_dataset(directory, digits(40, 1), digits(20, 2))


def test_digits_mirror_goes_first_and_is_passed_over_when_it_does_not_answer(mirror, monkeypatch):
    directory, files = mirror
    monkeypatch.setenv("DIGITS_MIRROR", directory.as_uri())
    with serving(lambda _: (200, PAGE)) as other:
        contents, passed_over = sources.fetch(ingest_params(files, [other.url]))
        assert contents is not None and not passed_over and not other.asked
    monkeypatch.setenv("DIGITS_MIRROR", refused_url())
    contents, passed_over = sources.fetch(ingest_params(files, [str(directory)]))
    assert contents is not None and "refuses the connection" in passed_over[0]


@pytest.mark.parametrize(
    ("status", "spoil", "says"),
    [
        (200, lambda _: PAGE, "is a web page, not data"),
        (200, lambda data: data[: len(data) // 2], "is a truncated or damaged gzip file"),
        (200, lambda _: b"\x1f\x8b" + bytes(100), "is a truncated or damaged gzip file"),
        (200, lambda _: b"\0\0\x08\x03" + bytes(100), "has the sha256 .*…, expected"),
        (200, lambda _: b"", "has the sha256 .*…, expected"),
        (404, lambda data: data, "it has neither .*gz nor"),
        (403, lambda data: data, "it has neither .*gz nor"),
        (401, lambda data: data, "it answers 401"),
        (503, lambda data: data, r"it answers 503 .* \(3 times\)"),
        (0, lambda data: data, r"the transfer is cut off \(3 times\)"),
    ],
)
def test_a_source_with_a_fault_is_named_and_the_next_one_taken(mirror, status, spoil, says, capsys):
    directory, files = mirror
    good = folder(directory)

    def bad(path):
        found, body = good(path)
        return (status, spoil(body)) if path == IMAGES else (found, body)

    with serving(bad) as first, serving(good) as second:
        contents, passed_over = sources.fetch(ingest_params(files, [first.url, second.url]))
    assert contents is not None
    assert len(passed_over) == 1 and passed_over[0].startswith(first.url)
    assert re.search(says, passed_over[0]), passed_over
    assert passed_over[0] in capsys.readouterr().out


def test_a_transient_fault_is_tried_again_when_the_server_says(mirror):
    directory, files = mirror
    good = folder(directory)
    faults = iter([503, 0])  # then it works

    def flaky(path):
        status, body = good(path)
        return (next(faults, status), body) if path == IMAGES else (status, body)

    started = time.monotonic()
    with serving(flaky, {"Retry-After": "1"}) as server:
        contents, passed_over = sources.fetch(ingest_params(files, [server.url]))
        assert contents is not None and not passed_over
        assert server.asked.count(IMAGES) == 3
    assert 1 <= time.monotonic() - started < 6


def test_a_silent_server_is_left_after_the_read_time_out(mirror, monkeypatch):
    monkeypatch.setattr(sources, "PROBE", 0.1)
    directory, files = mirror

    def silent(_):
        time.sleep(0.5)
        return 200, b""

    with serving(silent) as server:
        chosen = ingest_params(files, [server.url, str(directory)], read_timeout=0.1, retries=1)
        contents, passed_over = sources.fetch(chosen)
        assert sources.available(chosen) == str(directory)
    assert contents is not None and "it stops answering (2 times)" in passed_over[0]


def test_without_a_network_it_gives_up_at_once(mirror):
    started = time.monotonic()
    chosen = ingest_params(mirror[1], [refused_url(), "http://no-such-host.invalid/"], retries=5)
    contents, passed_over = sources.fetch(chosen)
    assert contents is None
    assert "refuses the connection" in passed_over[0] and "does not resolve" in passed_over[1]
    assert time.monotonic() - started < 10
    assert sources.available(chosen) is None


def test_a_mirror_that_is_wrong_is_refused_rather_than_replaced(mirror, tmp_path, monkeypatch):
    directory, files = mirror
    chosen = ingest_params(files, [str(directory)])
    cases = {"there is no such directory": tmp_path / "none", "it has neither": tmp_path / "empty"}
    (tmp_path / "empty").mkdir()
    cases["has the sha256"] = tmp_path / "other"
    write_idx_dataset(tmp_path / "other", digits(40, 3), digits(20, 4))
    for says, place in cases.items():
        monkeypatch.setenv("DIGITS_MIRROR", str(place))
        with pytest.raises(DataError, match=f"DIGITS_MIRROR={place}: .*{says}"):
            sources.fetch(chosen)
    with serving(lambda _: (200, PAGE)) as portal:
        monkeypatch.setenv("DIGITS_MIRROR", portal.url)
        with pytest.raises(DataError, match="is a web page"):
            sources.fetch(chosen)
    monkeypatch.setenv("DIGITS_MIRROR", "s3://bucket/mnist")
    with pytest.raises(DataError, match="expected a directory or an address"):
        sources.fetch(chosen)


@pytest.mark.parametrize(
    "mistyped",
    ["ftp://user:secret@host/mnist", "http://user:secret@host:notaport/mnist", "user:secret@host/mnist"],
)
def test_a_password_in_a_mistyped_mirror_is_not_shown(mirror, monkeypatch, mistyped):
    monkeypatch.setenv("DIGITS_MIRROR", mistyped)
    said = r"is no source|DIGITS_MIRROR=.* there is no such directory"
    with pytest.raises(DataError, match=said) as refused:
        sources.fetch(ingest_params(mirror[1], []))
    assert "secret" not in str(refused.value)


def test_a_password_or_a_token_is_used_and_not_shown(mirror, capsys):
    with_password = refused_url().replace("//", "//user:secret@")
    with serving(folder(mirror[0])) as server:
        tried = [with_password, f"{server.url}none?token=secret"]
        contents, passed_over = sources.fetch(ingest_params(mirror[1], tried))
        assert contents is None and len(passed_over) == 2
        assert server.asked[0] == f"none/{IMAGES}?token=secret"
    assert "secret" not in "".join(passed_over) + capsys.readouterr().out


OTHER_NAMES = {
    "unpacked": str,
    "dotted": lambda name: name.replace("-idx", ".idx"),
    "a folder per file": lambda name: f"{name}/{name}",
    "a folder per file, dotted within": lambda name: f"{name}/{name.replace('-idx', '.idx')}",
    "packed": lambda name: f"{name.replace('-idx', '.idx')}.gz",
}


@pytest.mark.parametrize("names", OTHER_NAMES)
def test_files_are_found_packed_or_not_under_the_names_of_common_downloads(mirror, tmp_path, names):
    for name in NAMES.values():
        path = tmp_path / OTHER_NAMES[names](name)
        path.parent.mkdir(exist_ok=True)
        packed = (mirror[0] / f"{name}.gz").read_bytes()
        path.write_bytes(packed if path.suffix == ".gz" else gzip.decompress(packed))
    with serving(folder(tmp_path)) as server:
        for place in (server.url, str(tmp_path), tmp_path.as_uri()):
            chosen = ingest_params(mirror[1], [place])
            contents, passed_over = sources.fetch(chosen)
            assert contents is not None and set(contents) == set(NAMES) and not passed_over, place
            assert len(contents["train-images"]) == 16 + 40 * 28 * 28
            assert place == server.url or sources.available(chosen) == str(tmp_path)


def test_a_directory_may_call_the_files_anything(mirror, tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    for number, name in enumerate(NAMES.values()):
        (tmp_path / "inside" / f"{number}.bin").write_bytes((mirror[0] / f"{name}.gz").read_bytes())
    (tmp_path / "a-damaged.gz").write_bytes(b"\x1f\x8b rubbish")
    chosen = ingest_params(mirror[1], [str(tmp_path)])
    assert sources.available(chosen) == str(tmp_path)
    contents, _ = sources.fetch(chosen)
    assert contents is not None and len(contents["train-images"]) == 16 + 40 * 28 * 28
    monkeypatch.setattr(sources, "LARGEST", 1000)  # bytes; the images are larger
    assert sources.fetch(chosen)[0] is None


def test_available_names_the_first_source_that_holds_data(mirror, monkeypatch, capsys):
    directory, files = mirror

    def available(*places):
        return sources.available(ingest_params(files, [*places]))

    with serving(lambda _: (200, PAGE)) as portal, serving(folder(directory)) as good:
        assert available(portal.url) is None, "a log-in page is no data"
        assert available(refused_url(), portal.url, good.url) == good.url
    assert available(str(directory / "none"), str(directory)) == str(directory)
    monkeypatch.setenv("DIGITS_MIRROR", "/no/such/directory")
    assert available() == "/no/such/directory", "for ingest to complain of"
    assert capsys.readouterr().out == ""
