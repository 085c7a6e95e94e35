"""What README, CONTRIBUTING and the pages of docs/ show is what happens, and their links lead
somewhere."""

from __future__ import annotations

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from gradflow.formats import FORMATS
from page_runner import Session
from pages import PAGES, ROOT, anchors, images, links, snippets
from pictures import figure_differences

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", NAMES)
def test_a_page_shows_what_happens(page, tmp_path):
    session = Session(tmp_path / "page")
    text = (ROOT / page).read_text(encoding="utf-8")
    with patch.dict(FORMATS):  # a page may add to them
        faults = [*session.faults(snippets(text)), *figure_faults(text, session.figures())]
    assert not faults, "\n\n".join(f"{page}, {fault}" for fault in faults)
    if session.missing:
        pytest.skip(f"all but what needs {', '.join(sorted(session.missing))}")


def figure_faults(text, made):
    """Which figures of a page none of its commands makes, or makes otherwise."""
    for name in {Path(image).name for image in images(text)}:
        if name not in made:
            yield f"no command makes {name}"
            continue
        shown = (ROOT / "docs" / "figures" / name).read_bytes()
        for fault in figure_differences(shown, made[name].read_bytes()):
            yield f"{name}: {fault}"


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
        inside = ROOT / "docs" if page.startswith("docs/") else ROOT  # the site has docs/ alone
        assert inside in target.parents, link
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


def test_the_site_has_every_page():
    """mkdocs itself is asked by .ci/run."""
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.name for page in PAGES if page.parent.name == "docs"}
    pages |= {f"{notebook.stem}.md" for notebook in ROOT.glob("docs/*.ipynb")}
    assert sorted(re.findall(r": ([\w-]+\.md)$", site, re.MULTILINE)) == sorted(pages)


@pytest.fixture(scope="module")
def site():
    """What mkdocs is helped with."""
    spec = spec_from_file_location("site_of_the_docs", ROOT / "docs" / "site.py")
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_what_github_reads_otherwise_is_right_on_the_site(site):
    page = SimpleNamespace(file=SimpleNamespace(generated_by=None))
    found = site.on_page_markdown("| `a\\|b` | [x](notebook.ipynb) |\n`a\\|b`", page)
    assert found == "| `a|b` | [x](notebook.md) |\n`a\\|b`"


def test_what_scrolls_on_the_site_is_reached_by_the_keyboard(site):
    """Code and tables, and figures as wide as a page, which are not shrunk on a phone."""
    narrow, wide = ("three-steps", "quickstart")
    html = "<head></head>" + "".join(
        f'<p><img alt="" src="../figures/{name}.svg" /></p>' for name in (narrow, wide)
    )
    html += "<pre><span></span><code>x</code></pre><pre><code>y</code></pre><table></table>"
    found = site.on_post_page(html)
    assert found.count('tabindex="0"') == 4
    assert f'<p><img alt="" src="../figures/{narrow}.svg" />' in found
    assert f'<p class="wide" tabindex="0"><img alt="" src="../figures/{wide}.svg" />' in found


def test_the_notebook_is_a_page_of_the_site(site):
    """All of it, cell by cell, with what it shows."""
    path = ROOT / "docs" / "notebook.ipynb"
    text = site.page(path)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert all("".join(cell["source"]) in text for cell in cells)
    fences = [token.content for token in MarkdownIt().parse(text) if token.type == "fence"]
    assert [c for c in fences if "import" in c] == ["".join(cells[1]["source"]) + "\n"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    kinds = [set(output.get("data", {"text": ""})) for output in outputs]
    assert text.count("data:image/png;base64,") == sum("image/png" in kind for kind in kinds)
    assert text.count("<table") == sum("text/html" in kind for kind in kinds)
