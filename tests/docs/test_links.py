"""Links between the documents lead to files and headings that exist."""

import re

import pytest

from tests._project import ROOT, source_files

PAGES = [name for name in source_files() if name.endswith(".md")]


def headings(text):
    """The anchors that GitHub gives the headings of a page."""
    seen, found = {}, set()
    for title in re.findall(r"^#+ +(.+?) *$", without_code(text), re.M):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = seen[slug] = seen.get(slug, -1) + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page):
    text = without_code((ROOT / page).read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in headings(file.read_text()), target
