"""What the commands print, taken apart: Markdown by a parser of GitHub's Markdown, text into words
and numbers that another BLAS may round the other way."""

from __future__ import annotations

import re
from typing import NamedTuple

from markdown_it import MarkdownIt

from gradflow.cli.base import look
from gradflow.config.load import load
from gradflow.formats import FORMATS
from gradflow.runs.runner import execute

NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[+-]\d+)?|(?<![\w.])-?\d+e[+-]\d+")
_BARS = re.compile(r"[\s▁▂▃▄▅▆▇█▏▎▍▌▋▊▉─]+")


class Table(NamedTuple):
    """A table of Markdown as a reader sees it."""

    head: list[str]
    rows: list[list[str]]


def printed(path, *formats):
    """By its name, each format's text of the results of a config in a file."""
    experiment = load(path)
    results = list(execute(experiment))
    shown = look(experiment, tables=True)
    return results, {
        name: "".join(FORMATS[name].show("results", results, shown)) for name in formats
    }


def tables(markdown):
    """The tables in a Markdown text. Whatever looks like a row is in one of them."""
    found, cells, row = [], None, 0
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "table_open":
            found.append(cells := [])
        elif token.type == "tr_open":
            cells.append([])
            row += 1
        elif token.type == "inline" and cells is not None:
            cells[-1].append(plain_text(token))
        elif token.type == "table_close":
            cells = None
    rows_of_rules = len(found)
    assert sum(line.startswith("|") for line in markdown.splitlines()) == row + rows_of_rules
    for head, *rows in found:
        assert {len(row) for row in rows} <= {len(head)}
    return [Table(head, rows) for head, *rows in found]


def plain_text(token):
    """The text of an inline token, without its marks."""
    return "".join(child.content if child.type != "softbreak" else "\n" for child in token.children)


def assert_alike(now, before):
    """The same words, and numbers that differ by no more than one in the last digit shown."""
    assert _words(now) == _words(before)
    for a, b in zip(NUMBER.findall(now), NUMBER.findall(before), strict=True):
        unit = max(_last_digit(a), _last_digit(b))
        assert abs(float(a) - float(b)) <= max(1.01 * unit, 1e-9 * abs(float(b)), 1e-12), (a, b)


def _words(text):
    lines = [_BARS.sub(" ", NUMBER.sub(" # ", line)).strip() for line in text.splitlines()]
    return [line for line in lines if line]


def _last_digit(number):
    """What one in the last digit is worth."""
    digits, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
