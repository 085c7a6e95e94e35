"""What README, CONTRIBUTING and the pages of docs/ show is what happens, and their links lead
somewhere."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from page_runner import Session
from pages import PAGES, ROOT, anchors, links, snippets

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", NAMES)
def test_a_page_shows_what_happens(page, tmp_path):
    session = Session(tmp_path / "page")
    faults = list(session.faults(snippets((ROOT / page).read_text(encoding="utf-8"))))
    assert not faults, "\n\n".join(f"{page}, {fault}" for fault in faults)
    if session.missing:
        pytest.skip(f"all but what needs {', '.join(sorted(session.missing))}")


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in links(text):
        path, _, anchor = unquote(link).partition("#")
        if ":" in path:
            assert path.startswith(("https:", "mailto:")), link
            continue
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), link
        assert ROOT in target.parents, link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        targets = {(page.parent / unquote(link).partition("#")[0]).resolve()
                   for link in links(page.read_text(encoding="utf-8"))}  # fmt: skip
        left.extend(targets & set(PAGES) - reached)
    assert {page for page in PAGES if "docs" in page.relative_to(ROOT).parts} <= reached
