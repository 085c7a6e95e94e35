"""What is on a page, before it is HTML: sections of sentences, facts, tables and drawings.

All texts are plain; the templates escape them. What is markup already is `Markup`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

MOST_ROWS = 5_000
"""Rows of a table; how many more there are is said below it."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        head: what is above it.
        texts: a text a row.
        name: what a filter may call it besides its head: the key of a config, a figure's name.
        marks: a class a row, `vanishing` or `missed`, which is drawn as a coloured sign; empty:
            none has one.
        is_number: whether it holds numbers, which are at the right and sort by size.
        curves: a sparkline a row, in the place of texts.
    """

    head: str
    texts: Sequence[str]
    name: str = ""
    marks: Sequence[str] = ()
    is_number: bool = True
    curves: Sequence[Markup] = ()


@dataclass(frozen=True)
class Table:
    """A table that can be sorted and, from a few rows on, filtered.

    Attributes:
        id: of its section in the page.
        caption: what it shows.
        columns: the first is the head of each row.
        notes: what is to be known to read it, a sentence each.
    """

    kind = "table"

    id: str
    caption: str
    columns: Sequence[Column]
    notes: Sequence[str] = ()

    @property
    def rows(self) -> Iterator[list[tuple[Column, str, str, Markup]]]:
        """By row its fields: their column, text, mark and curve."""
        columns = [(c, c.texts or [""] * len(c.curves), c.marks, c.curves) for c in self.columns]
        for at in range(min(self.length, MOST_ROWS)):
            yield [
                (column, texts[at], marks[at] if marks else "", curves[at] if curves else Markup())
                for column, texts, marks, curves in columns
            ]

    @property
    def length(self) -> int:
        """How many rows there are."""
        return max((len(column.texts) or len(column.curves) for column in self.columns), default=0)

    @property
    def left_out(self) -> int:
        """How many of them are not shown."""
        return max(0, self.length - MOST_ROWS)


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        svg: the figure.
        says: what it shows in a sentence, for those who cannot see it.
        caption: what is below.
        is_large: whether it is scrolled rather than shrunk.
        dark: what its colours become on a dark page.
    """

    kind = "drawing"

    svg: Markup
    says: str
    caption: str
    is_large: bool = False
    dark: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """Names, each with what is to be said of it; without a name, more of the one before. As a list
    each has its own line, else they are side by side."""

    kind = "facts"

    facts: Sequence[tuple[str, str]]
    is_list: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Prose:
    """Sentences, a paragraph each."""

    kind = "prose"

    sentences: Sequence[str]


@dataclass(frozen=True)
class Folded:
    """A long text as it is, folded away until it is asked for."""

    kind = "folded"

    summary: str
    text: str


Part = Table | Drawing | Facts | Prose | Folded


@dataclass(frozen=True)
class Section:
    """A section of the page, with an anchor that the list at the top leads to."""

    id: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Tile:
    """A figure of the short answer: its name, its value, and what there is to add."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """The short answer, first on the page.

    Attributes:
        sentence: the answer.
        mark: the verdict or outcome that it is drawn as.
        shares: if there are several, how many came to which: drawn as one bar.
        tiles: the figures next to it.
        more: sentences below.
    """

    sentence: str
    mark: str = ""
    shares: Mapping[str, int] = field(default_factory=dict)
    tiles: Sequence[Tile] = ()
    more: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        what: the kind of report, above the title.
        title: the user's own, or what the page is of.
        ran: what was run, a phrase each.
        answer: the short answer.
        sections: what is behind it.
    """

    what: str
    title: str
    ran: Sequence[str]
    answer: Answer
    sections: Sequence[Section]

    @property
    def dark(self) -> dict[str, str]:
        """What the colours of its figures become on a dark page."""
        parts = (part for section in self.sections for part in section.parts)
        drawn = (part.dark for part in parts if isinstance(part, Drawing))
        return {light: dark for one in drawn for light, dark in one.items()}
