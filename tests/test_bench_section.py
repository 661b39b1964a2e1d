"""Parts of a page that several benches write: each keeps the others'."""

from bench import section


def test_a_part_is_added_once_and_then_replaced_in_its_place():
    page = section.replaced("# Results\n", "gateway", "one")
    page = section.replaced(page, "edge", "two")
    assert page.index("two") < page.index("one"), "in the order of NAMES"
    page = section.replaced(page, "gateway", "three")
    assert "one" not in page and page.count("three") == 1 and "two" in page


def test_a_page_that_is_written_anew_carries_the_parts_over():
    old = section.replaced("# Results\n", "strips", "figures")
    new = section.carried(old, "# Results\n\nanew\n")
    assert "anew" in new and "figures" in new
    assert section.carried("", "# Results\n") == "# Results\n"
    assert section.carried(new, new) == new


def test_two_parts_side_by_side_are_told_apart():
    page = section.replaced(section.replaced("x\n", "edge", "a"), "gateway", "b")
    assert set(section.parts(page)) == {"edge", "gateway"}
    assert "b" not in section.parts(page)["edge"].split("-->")[1]
