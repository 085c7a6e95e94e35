"""`docs/measures.md` says of every measure what it declares."""

from __future__ import annotations

from pathlib import Path

from gradflow.measures.documented import reference

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"


def test_the_page_has_every_measure():
    between = PAGE.read_text(encoding="utf-8").split("<!-- measures, from what they declare -->\n")
    assert between[1].split("<!-- end -->")[0] == reference(), (
        "put what gradflow.measures.documented.reference() gives into docs/measures.md"
    )
