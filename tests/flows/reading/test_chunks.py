from flows.reading.chunks import cut
from flows.reading.sources import Input

FILES = [Input(f"{place:05}.png", 1000, "1") for place in range(5000)]


def digests(found, how="", **limits):
    return [chunk.digest for chunk in cut(found, how, **limits)]


def test_every_file_is_in_one_chunk_in_order_and_chunks_are_within_their_bounds():
    made = list(cut(FILES, "", 100))
    assert [name for chunk in made for name in chunk.names] == [each.name for each in FILES]
    sizes = [len(chunk.names) for chunk in made]
    assert min(sizes[:-1]) >= 50 and max(sizes) <= 200 and 70 <= 5000 / len(sizes) <= 130
    by_bytes = list(cut([*FILES[:100], Input("large.pdf", 10**9, ""), *FILES[100:200]], "", 1000, 20_000))
    assert max(len(chunk.names) for chunk in by_bytes) == 20 and ("large.pdf",) in [c.names for c in by_bytes]


def test_a_file_that_comes_goes_or_changes_leaves_nearly_all_chunks_as_they_are():
    before = digests(FILES, files=100)
    changed = [*FILES[:2500], Input(FILES[2500].name, 1000, "2"), *FILES[2501:]]
    for after in (FILES[1:], [Input("00000a.png", 1, ""), *FILES], changed, [*FILES, Input("z", 1, "")]):
        assert 1 <= len(set(before) ^ set(digests(after, files=100))) <= 6


def test_another_way_of_reading_makes_other_chunks():
    assert not set(digests(FILES, "amount")) & set(digests(FILES, "score"))
