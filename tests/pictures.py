"""Two figures next to each other: the same words in the same places, lines of the same extent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from xml.etree import ElementTree

from page_runner import differences

_SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
MADE_WITH = "3.11."
"""The matplotlib that has made the figures of the pages."""
IS_THAT = version("matplotlib").startswith(MADE_WITH)
NEAR = 1.0 if IS_THAT else 6.0
"""How far apart, in points, the same edge of two figures may be: another BLAS rounds the other way,
and another matplotlib has other widths of letters, and so other axes, at times with other marks."""


def figure_differences(ours: bytes, theirs: bytes, shapes_too: bool = IS_THAT) -> Iterator[str]:
    """What of one SVG file of gradflow's is not so in another."""
    if ours == theirs:
        return
    mine, other = ElementTree.fromstring(ours), ElementTree.fromstring(theirs)
    yield from differences("\n".join(_words(mine)), "\n".join(_words(other)))
    if _themes(mine) != _themes(other):
        yield f"a dark page with {_themes(mine)} in place of {_themes(other)}"
    shapes, others = [*_shapes(mine)], [*_shapes(other)]
    if [kind for kind, *_ in shapes] != [kind for kind, *_ in others]:
        if shapes_too:
            yield f"{len(shapes)} shapes in place of {len(others)}, or other ones"
        return
    for (kind, *edges), (_, *their_edges) in zip(shapes, others, strict=True):
        if any(abs(a - b) > NEAR for a, b in zip(edges, their_edges, strict=True)):
            yield f"a {kind} within {edges} in place of {their_edges}"


def _themes(figure: ElementTree.Element) -> list[str]:
    """The rules that recolour it on a dark page."""
    sheets = [sheet.text or "" for sheet in figure.iter(f"{_SVG}style")]
    return [rule for sheet in sheets for rule in re.findall(r"\.gradflow [^}]*}", sheet)]


def _words(figure: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in figure.iter(f"{_SVG}text")]


def _shapes(figure: ElementTree.Element) -> Iterator[tuple[str | float, ...]]:
    """What is drawn, with its style, and the edges of it: left, top, right, bottom."""
    for element in figure.iter():
        kind = f"{element.tag.removeprefix(_SVG)} {_style(element)}"
        if element.tag == f"{_SVG}path":
            numbers = [float(text) for text in _NUMBER.findall(element.get("d", ""))]
            x, y = numbers[::2], numbers[1::2]
            yield kind, *((min(x), min(y), max(x), max(y)) if x else ())
        elif element.tag in (f"{_SVG}use", f"{_SVG}text", f"{_SVG}image"):
            yield kind, float(element.get("x", 0)), float(element.get("y", 0))


def _style(element: ElementTree.Element) -> str:
    """Its declarations in order; without the font, which each matplotlib writes in its own way."""
    declared = sorted(one.strip() for one in element.get("style", "").split(";"))
    return "; ".join(one for one in declared if not one.startswith("font"))
