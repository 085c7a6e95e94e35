"""The pages of the documentation, read as a list of snippets that can be run.

A snippet is a fenced block with the comments right above it; CONTRIBUTING.md has the convention.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

TAGS = ("output of", "output of the above", "exit", "needs", "file", "not run", "recipe")
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)


@dataclass
class Snippet:
    """A fenced block of a page."""

    line: int
    """Where it begins, from 1."""
    language: str
    text: str
    tags: dict[str, str] = field(default_factory=dict)
    """What the comments right above it say, such as {"output of": "gradflow cells"}."""


class MalformedError(Exception):
    """A comment above a snippet that the convention does not know."""


def snippets(text: str) -> list[Snippet]:
    """The fenced blocks of a Markdown text, in order.

    Raises:
        MalformedError: a comment right above a block is no tag (a typo would leave it unchecked).
    """
    found, above = [], ""
    for token in MarkdownIt().parse(text):
        if token.type == "fence" and token.map is not None:
            language = (token.info.split() or [""])[0]
            line = token.map[0] + 1
            found.append(Snippet(line, language, token.content, _tags(above, line)))
        if token.type == "html_block":
            above += token.content
        elif token.nesting != 1 or token.type == "heading_open":
            above = ""  # a comment may be before the list item that its block is in
    return found


def _tags(html: str, line: int) -> dict[str, str]:
    tags = {}
    for comment in _COMMENT.findall(html):
        name, _, value = comment.partition(":")
        if name not in TAGS or bool(value.strip()) == (name == "output of the above"):
            raise MalformedError(f"line {line}: `{comment}` is none of {', '.join(TAGS)}")
        tags[name] = value.strip()
    return tags


def links(text: str) -> list[str]:
    """What the links and images of a Markdown text point to."""
    targets = [child.attrGet("href") or child.attrGet("src") for child in _inline(text)]
    return [str(target) for target in targets if target is not None]


def images(text: str) -> list[str]:
    """What the images of a Markdown text point to."""
    return [str(child.attrGet("src")) for child in _inline(text) if child.type == "image"]


def _inline(text: str) -> list[Token]:
    return [child for token in MarkdownIt().parse(text) for child in token.children or ()]


def anchors(text: str) -> set[str]:
    """The anchors of a Markdown text's headings, as GitHub makes them."""
    tokens = MarkdownIt().parse(text)
    found: set[str] = set()
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(next(s for s in (slug, *(f"{slug}-{n}" for n in range(1, 99)))
                           if s not in found))  # fmt: skip
    return found
