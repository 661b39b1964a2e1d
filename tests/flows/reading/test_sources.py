import pytest

from digits.runtime.errors import DataError, ParamsError
from flows.reading import sources
from tests.flows.reading._scans import write


def names(given, base):
    return [each.name for each in sources.inputs(given, base)]


def test_a_folder_stands_for_the_scans_in_it_and_below_in_an_order_that_does_not_change(tmp_path):
    write(tmp_path / "in", {"b.png": "1", "A.JPG": "2", "deep/c.tif": "3"})
    (tmp_path / "in" / "a.pdf").write_bytes(b"%PDF-")
    (tmp_path / "in" / "notes.txt").write_text("")
    (tmp_path / "in" / "deep" / "round").symlink_to(tmp_path / "in")
    assert names(["in"], tmp_path) == ["in/A.JPG", "in/a.pdf", "in/b.png", "in/deep/c.tif"]
    assert names([str(tmp_path / "in" / "deep")], tmp_path) == [str(tmp_path / "in" / "deep" / "c.tif")]


def test_globs_and_lists_name_files_and_a_list_may_name_what_is_missing(tmp_path):
    write(tmp_path, {"x/1.png": "1", "x/y/2.png": "2", "[odd].png": "3"})
    (tmp_path / "list").write_text("\ufeffx\n\n  gone.png \nx/*/2.*\ns3://bucket/a.png\n", encoding="utf-8")
    assert names(["**/2.png", "[odd].png"], tmp_path) == ["x/y/2.png", "[odd].png"]
    listed = ["x/1.png", "x/y/2.png", "gone.png", "x/y/2.png", "s3://bucket/a.png"]
    assert names(["@list"], tmp_path) == listed
    with pytest.raises(sources.UnreadableError, match=r"No such file"):
        sources.content("gone.png", tmp_path)


def test_a_file_that_changes_has_another_stamp(tmp_path):
    write(tmp_path, {"a.png": "1"})
    before = list(sources.inputs(["a.png"], tmp_path))
    assert before == list(sources.inputs(["a.png"], tmp_path))
    write(tmp_path, {"a.png": "1234"})
    assert before != list(sources.inputs(["a.png"], tmp_path))


@pytest.mark.parametrize("source", ["gone", "@gone", "nowhere://x", "gs://bucket/x"])
def test_a_source_that_cant_be_is_refused_before_anything_is_read(tmp_path, source, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)  # as without the extra
    with pytest.raises(ParamsError) as told:
        sources.check([source], tmp_path)
    assert source in str(told.value)
    assert ("make setup EXTRAS=gs" in str(told.value)) == source.startswith("gs:")


def test_addresses_are_listed_and_fetched_and_errors_of_their_library_are_a_line(tmp_path):
    import fsspec

    store = fsspec.filesystem("memory")
    for name in ("p/b.png", "p/a.pdf", "p/deep/c.jpg", "p/notes.txt"):
        store.pipe(f"/{name}", name.encode())
    found = list(sources.inputs(["memory://p"], tmp_path))
    assert [each.name for each in found] == [
        f"memory:///p/{name}" for name in ("a.pdf", "b.png", "deep/c.jpg")
    ]
    assert [each.size for each in found] == [7, 7, 12] and all(each.stamp for each in found)
    assert sources.content(found[2].name, tmp_path) == b"p/deep/c.jpg"
    assert names(["memory://p/*.png"], tmp_path) == ["memory:///p/b.png"]
    with pytest.raises(DataError, match="can't be listed"):
        names(["memory://q"], tmp_path)
    with pytest.raises(sources.UnreadableError):
        sources.content("memory://q/1.png", tmp_path)


def test_a_file_beyond_the_limit_is_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 1 << 20)
    (tmp_path / "a.tif").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(sources.UnreadableError, match="more than 1 MiB"):
        sources.content("a.tif", tmp_path)
