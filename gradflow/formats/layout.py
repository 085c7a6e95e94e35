"""Columns of text side by side: aligned, cut into blocks that fit a width, coloured last.

rich measures characters and knows the styles. Its `Table` is not used: it wraps or cuts what is
wide, where these are blocks with the keys at the left of each, and aligns no decimal points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

GAP = 2
"""Blanks between columns."""

Line = list["Span"]

VERDICT_STYLES = {
    "vanishing": "bright_blue",
    "exploding": "red",
    "stable": "green",
    "unknown": "bold red",
    "diverged": "bold red",
}


class Span(NamedTuple):
    """Some text in one style, in rich's words; `""` is the terminal's own."""

    text: str
    style: str = ""


class Entry(NamedTuple):
    """One entry of a column. A mark is right of the number, aligned by itself."""

    text: str
    style: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A column: the lines of its head, its entries from top to bottom, and how they align."""

    heads: Sequence[str]
    entries: Sequence[Entry]
    align: Literal["left", "right", "decimal"] = "decimal"

    @cached_property
    def texts(self) -> list[str]:
        """The entries' texts, all of one width; marks, if any, in the last place."""
        texts = [entry.text for entry in self.entries]
        if self.align == "decimal":
            texts = _aligned(texts)
        width = max(map(cell_len, texts), default=0)
        texts = [_padded(text, width, self.align == "right") for text in texts]
        if any(entry.mark for entry in self.entries):
            pairs = zip(texts, self.entries, strict=True)
            texts = [text + (entry.mark or " ") for text, entry in pairs]
        return texts

    @cached_property
    def width(self) -> int:
        """What the widest of heads and entries takes."""
        return max(map(cell_len, (*self.heads, *self.texts[:1])))

    def head(self, line: int, lines: int) -> Span:
        """The head's `line` of `lines`; a head with fewer lines is at the bottom."""
        at = line - (lines - len(self.heads))
        text = self.heads[at] if at >= 0 else ""
        return Span(_padded(text, self.width, self.align == "right"), "bold")

    def row(self, row: int) -> Span:
        """A cell, as wide as the column."""
        text = self.texts[row]
        return Span(_padded(text, self.width, self.align == "right"), self.entries[row].style)


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def _aligned(texts: Sequence[str]) -> list[str]:
    """Numbers with their decimal points one below the other."""
    whole = [re.match(r"[^.]*", text).end() for text in texts]  # type: ignore[union-attr]
    left = max(whole, default=0)
    return [" " * (left - n) + text for n, text in zip(whole, texts, strict=True)]


def blocks(columns: Sequence[Column], keys: Sequence[Column], width: int) -> Iterable[list[Column]]:
    """The columns in groups that fit the width, each with the key columns at its left.

    A column too wide for any group still gets one: what is wide sticks out, nothing is cut.
    """
    block = [*keys]
    for column in columns:
        if len(block) > len(keys) and _width([*block, column]) > width:
            yield block
            block = [*keys]
        block.append(column)
    yield block


def room_left(columns: Sequence[Column], width: int) -> int:
    """What these columns and a gap leave of the width."""
    return width - _width(columns) - GAP


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width + GAP for column in columns) - GAP


def grid(columns: Sequence[Column]) -> Iterable[Line]:
    """The lines of a table: heads, a rule, and the rows."""
    lines = max(len(column.heads) for column in columns)
    for line in range(lines):
        yield _spaced(column.head(line, lines) for column in columns)
    yield [Span("─" * _width(columns), "dim")]
    for row in range(len(columns[0].entries)):
        yield _spaced(column.row(row) for column in columns)


def _spaced(spans: Iterable[Span]) -> Line:
    line = [span for each in spans for span in (each, Span(" " * GAP))]
    return line[:-1]


def fold(pieces: Iterable[str], separator: str, width: int, style: str = "") -> Iterable[Line]:
    """Pieces in lines no longer than `width`, broken only between pieces."""
    line = ""
    for piece in pieces:
        longer = line + separator + piece if line else piece
        if line and cell_len(longer) > width:
            yield [Span(line, style)]
            longer = piece
        line = longer
    if line:
        yield [Span(line, style)]


def heading(title: str, width: int) -> Iterable[Line]:
    """A title over tables; nothing where it is empty."""
    return fold(title.split(" "), " ", width, "bold")


def render(line: Line, colour: bool) -> str:
    """The line as text, ended. Colours are the terminal's sixteen, so that they fit its theme."""
    *spans, last = line or [Span("")]
    spans.append(Span(last.text.rstrip(), last.style))
    if not colour:
        return "".join(span.text for span in spans).rstrip() + "\n"
    return "".join(map(_coloured, spans)).rstrip() + "\n"


def _coloured(span: Span) -> str:
    """Only what is not blank takes the style."""
    text = span.text.strip(" ")
    if not (span.style and text):
        return span.text
    before, _, after = span.text.partition(text)
    style = Style.parse(span.style)
    return before + style.render(text, color_system=ColorSystem.STANDARD) + after
