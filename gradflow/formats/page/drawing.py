"""Figures within a page: the SVG of `plots`, made to live among other elements.

A figure brings a style sheet, its own identifiers and declarations, which in a page would be
everyone's. Style becomes attributes, which the page's policy lets pass and its style sheet
recolours for light and dark; identifiers are numbered by figure.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from gradflow.errors import InputError
from gradflow.formats import FORMATS, Report
from gradflow.formats.look import Look
from gradflow.formats.page.common import sentence
from gradflow.formats.page.content import Drawing, Part, Prose

WITHOUT = "The figures of this page need matplotlib: pip install matplotlib"
"""What is shown instead of figures where it is not installed."""

_PIXELS = 4 / 3  # a point
_LARGER = 1.3  # on a page than in a paper's column
_LARGE = 500  # points: a figure that is scrolled rather than shrunk
_TURNED = re.compile(r'\[style\*="[a-z]+: (#\w+)"\]\{[a-z]+:(#\w+)')
_REFERENCE = re.compile(r'(?:url\(|href=")#([^")]+)')
_URL = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r"(?:(italic|oblique)\s+)?(?:(\d+|bold)\s+)?([\d.]+px)\s+(.+)")


def drawings(
    report: Report, content: Any, look: Look, says: str, caption: str, number: int = 1
) -> list[Part]:
    """The figure of a report, as far as `plots` draws it.

    Args:
        report, content, look: what is drawn, as `Format.show` takes it.
        says: the figure in a sentence, for those who cannot see it.
        caption: what is below.
        number: of the figure on its page, from 1.
    """
    drawn = FORMATS["svg"]
    if report not in drawn.shows:
        return []
    if drawn.missing() is not None:
        return [Prose([WITHOUT])]
    try:
        shown = drawn.show(report, content, replace(look, title=None, theme="auto"))
        svg = b"".join(shown)  # type: ignore[arg-type]
    except InputError as error:
        return [Prose([sentence(error.faults[0].message)])]
    return [inline(svg, number, says, caption)]


def inline(svg: bytes, number: int, says: str, caption: str) -> Drawing:
    """An SVG file as an element of a page."""
    root = ElementTree.fromstring(svg)
    text = svg.decode("utf-8")
    used = set(_REFERENCE.findall(text))
    names = {name: f"f{number}-{name}" for name in used}
    for element in list(root.iter()):
        for child in [child for child in element if _name(child.tag) in ("style", "metadata")]:
            element.remove(child)
    for element in root.iter():
        element.tag = _name(element.tag)
        element.attrib = dict(_attributes(element.attrib, names))
        element.tail = None
        if element.tag not in ("text", "tspan"):
            element.text = None
    box = root.attrib["viewBox"]
    _, _, width, height = map(float, box.split())
    size = {"width": round(width * _PIXELS * _LARGER), "height": round(height * _PIXELS * _LARGER)}
    root.attrib = {"viewBox": box, **{name: str(value) for name, value in size.items()}}
    root.attrib |= {"aria-hidden": "true", "focusable": "false"}
    markup = Markup(ElementTree.tostring(root, encoding="unicode"))
    dark = {light: dark for light, dark in _TURNED.findall(text) if f'="{light}"' in markup}
    return Drawing(markup, says, caption, max(width, height) >= _LARGE, dark)


def _name(qualified: Any) -> str:
    """A name without its namespace: in a page, SVG needs none."""
    return str(qualified).rpartition("}")[2]


def _attributes(attributes: dict[str, str], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Those of an element: style taken apart, identifiers by their new names where any is used."""
    for qualified, value in attributes.items():
        name = _name(qualified)
        if name == "style":
            yield from _declarations(value)
        elif name == "id":
            if value in names:
                yield name, names[value]
        elif name == "href" and value.startswith("#"):
            yield name, f"#{names[value[1:]]}"
        elif name == "d":
            yield name, " ".join(value.split())
        else:
            yield name, _URL.sub(lambda found: f"url(#{names[found[1]]})", value)


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for declaration in style.split(";"):
        name, _, value = (piece.strip() for piece in declaration.partition(":"))
        if name == "font" and (found := _FONT.fullmatch(value)):
            names: Sequence[str] = ("font-style", "font-weight", "font-size", "font-family")
            yield from ((n, v) for n, v in zip(names, found.groups(), strict=True) if v)
        elif name:
            yield name, value
