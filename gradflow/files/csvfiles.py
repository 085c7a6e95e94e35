"""Tables of numbers from CSV files, or every fault by line and column.

A CSV file is UTF-8 text with one row per line; lines that start with `#` are comments. Columns
are separated by `,` or else `;`, a tab or blanks, whichever the first two rows show; where they
show both `,` and `;` the file is refused. A first row without a number is the header.

What is all numbers goes through `numpy.loadtxt`. What is not is cut into fields here and not by the
`csv` module, though that takes a sixth of the time: it does not say where a field begins, which
every fault has to, joins lines where a quote is not closed, and knows no blanks as a separator.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gradflow.counts import many
from gradflow.errors import Fault, InputError, first_faults, nearest
from gradflow.files.opening import open_regular

Floats = NDArray[np.float64]

MAX_BYTES = 64 << 20
"""The longest CSV file that is read: some 3 million numbers; beyond it `.npy` is the format."""

_MAX_LINE = 1 << 20
_BLOCK = 1 << 18
_ENOUGH_FAULTS = 10
_TEXT_COLUMN = 3  # fields of text from which on it is the column that is meant
_SHOWN_COLUMNS = 8

_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(nan|inf(inity)?)", re.IGNORECASE)
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_csv(
    path: Path, *, source: str | None = None, columns: Sequence[str | int] | None = None
) -> Floats:
    """The numbers in a CSV file, all finite, (rows, columns) of float64.

    `columns` picks some of its columns, by header name or by number from 0; the others may then
    hold anything. `source` is what messages call the file. Raises InputError.
    """
    source = source or str(path)
    layout: _Layout | None = None
    values = bytearray()  # grows in place, where a list of blocks would double the memory
    faults: list[Fault] = []
    fields: list[_BadField] = []
    gap = None  # the first of the blank lines just passed: fine at the end, a fault further up
    with io.BufferedReader(open_regular(path, source)) as file:
        for first, text in _blocks(file, source):
            texts = text.removesuffix("\n").split("\n")
            numbers: Sequence[int] = range(first, first + len(texts))
            if gap or "#" in text or not all(map(str.strip, texts)):
                numbers, texts, gap, gaps = _content(texts, first, gap, bool(values))
                faults += [Fault("expected a row, found an empty line", source, n, 1) for n in gaps]
            if texts and layout is None:
                layout = _layout(texts[:2], numbers[0], source, columns)
                if layout.header is not None:
                    texts, numbers = texts[1:], numbers[1:]
            if texts and layout:
                rows, wrong, bad = _read_rows(texts, numbers, layout, source)
                values += rows.tobytes()
                faults += wrong
                fields += bad
            if len(faults) + len(fields) > _ENOUGH_FAULTS:
                break
        unread = bool(file.peek(1))
    if fields and layout is not None:
        faults += _faults_of(fields, layout)
    if faults:
        faults.sort(key=lambda fault: (fault.line or 0, fault.column or 0))
        raise InputError(*first_faults(faults, at_least=unread))
    if layout is None or not values:
        found = "none" if layout is None else f"only the header on line {layout.line}"
        raise InputError(Fault(f"expected rows of numbers, found {found}", source))
    width = layout.width if layout.picked is None else len(layout.picked)
    return np.frombuffer(values, dtype=np.float64).reshape(-1, width)


@dataclass(frozen=True)
class _BadField:
    """A field that is no number: its column from 0, what is wrong with it, whether it holds
    text."""

    column: int
    fault: Fault
    is_text: bool


@dataclass(frozen=True)
class _Layout:
    """What the first rows of a CSV file show.

    Attributes:
        separator: of columns; None for blanks.
        width: the number of columns.
        header: their names, if there is a header.
        line: the number of the line that shows all this.
        picked: the columns to read, all of them where None.
    """

    separator: str | None
    width: int
    header: list[str] | None
    line: int
    picked: list[int] | None = None


def _blocks(file: IO[bytes], source: str) -> Iterator[tuple[int, str]]:
    """Some quarter of a megabyte of whole lines at a time, after the number of the first."""
    size = os.fstat(file.fileno()).st_size
    if size > MAX_BYTES:
        message = f"expected a .csv of at most {MAX_BYTES:,} bytes, found {size:,}: save as .npy"
        raise InputError(Fault(message, source))
    first = 1
    while block := file.read(_BLOCK):
        rest = file.readline(_MAX_LINE)
        if len(rest) == _MAX_LINE:
            at = first + block.count(b"\n")
            message = f"expected lines of at most {_MAX_LINE:,} bytes, found a longer one"
            raise InputError(Fault(message, source, at, 1))
        text = _decode(block + rest, first, source)
        yield first, text
        first += text.count("\n")


def _content(
    lines: list[str], first: int, gap: int | None, below: bool
) -> tuple[list[int], list[str], int | None, list[int]]:
    """The lines that hold something, behind their numbers; and the blank lines between them.

    Of several in a row the first counts. `gap` is one that is not known yet to be followed by a
    row, on the way in and out; `below` says that there are rows further up.
    """
    numbers: list[int] = []
    texts: list[str] = []
    gaps: list[int] = []
    for number, line in enumerate(lines, first):
        text = line.strip()
        if not text:
            gap = gap or number
        elif text[0] != "#":
            if gap and (below or texts):
                gaps.append(gap)
            gap = None
            numbers.append(number)
            texts.append(line)
    return numbers, texts, gap, gaps


def _decode(block: bytes, first: int, source: str) -> str:
    """The text of a block that starts on line `first`, with LF line ends; no binary data."""
    try:
        text = block.decode("utf-8-sig" if first == 1 else "utf-8")
        junk = _CONTROL.search(text)
        if not junk:
            return text.replace("\r\n", "\n").replace("\r", "\n")
        before, found = text[: junk.start()], f"the character U+{ord(junk[0]):04X}"
    except UnicodeDecodeError as error:
        before = block[: error.start].decode("utf-8-sig", "replace")
        found = f"the byte 0x{block[error.start]:02x}"
    above = re.split("\r\n|\r|\n", before)
    line, column = first + len(above) - 1, len(above[-1]) + 1
    message = f"expected UTF-8 text, found {found}: is this a CSV file, saved as UTF-8?"
    raise InputError(Fault(message, source, line, column)) from None


def _layout(
    lines: list[str], number: int, source: str, columns: Sequence[str | int] | None
) -> _Layout:
    """Separator, header and the columns to read, from the first two rows."""
    rows = [re.sub('"[^"]*"', '""', row) for row in lines]
    present = [sign for sign in ",;" if any(sign in row for row in rows)]
    if len(present) > 1:
        message = "found both ',' and ';': separate columns by ',', write numbers with a '.'"
        raise InputError(Fault(message, source, number, 1))
    separator: str | None = ","
    if present:
        separator = present[0]
    elif any("\t" in row.strip() for row in rows):
        separator = "\t"
    elif all(len(row.split()) > 1 for row in rows):
        separator = None
    fields = [field for _, field in _fields(lines[0], separator, source, number)]
    numbers = [
        field for field in fields if _NUMBER.fullmatch(field) or _NOT_FINITE.fullmatch(field)
    ]
    header = None if numbers or not any(fields) else fields
    layout = _Layout(separator, len(fields), header, number)
    return layout if columns is None else replace(layout, picked=_pick(columns, layout, source))


def _pick(columns: Sequence[str | int], layout: _Layout, source: str) -> list[int]:
    """The numbers of the columns asked for."""
    if not columns:
        raise InputError(Fault("expected at least one column to read, found none", source))
    names = layout.header or []
    count = Counter(names)
    numbers = {name: number for number, name in enumerate(names)}
    picked: list[int] = []
    wrong: list[str | int] = []
    for column in columns:
        if isinstance(column, int) and 0 <= column < layout.width:
            picked.append(column)
        elif isinstance(column, str) and count[column] == 1:
            picked.append(numbers[column])
        else:
            wrong.append(column)
    if wrong:
        messages = (_why_not(one, names, layout.width) for one in wrong[:_ENOUGH_FAULTS])
        faults = [Fault(message, source, layout.line, 1) for message in messages]
        if len(wrong) > len(faults):
            faults.append(Fault(f"… and {len(wrong) - len(faults)} more", source))
        raise InputError(*faults)
    return picked


def _why_not(column: str | int, names: list[str], width: int) -> str:
    """Why a column cannot be picked."""
    if isinstance(column, int):
        return f"expected a column number from 0 to {width - 1}, found {column}"
    shown = repr(column[:60])
    if not names:
        return f"there is no header to find column {shown} in: pick columns by number, from 0"
    if column in names:
        return f"column {shown} is there {names.count(column)} times: pick it by number, from 0"
    known = [name[:60] for name in names[:1000]]
    near = nearest(column[:60], known)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(map(repr, known[:10]))}"
    return f"there is no column {shown}; {hint}"


def _read_rows(
    texts: list[str], numbers: Sequence[int], layout: _Layout, source: str
) -> tuple[Floats, list[Fault], list[_BadField]]:
    """The rows in `texts`: by numpy's fast reader, and where that balks, field by field."""
    # Where numpy is given the columns to read, it does not look at the number of the others.
    if layout.picked is None or all(_width(text, layout) == layout.width for text in texts):
        try:
            rows = np.loadtxt(
                texts,
                delimiter=layout.separator,
                comments=None,
                quotechar=None,  # with one, numpy lets a quote that never closes pass
                usecols=layout.picked,
                ndmin=2,
            )
            width = layout.width if layout.picked is None else len(layout.picked)
            if rows.shape == (len(texts), width) and np.isfinite(rows).all():
                return rows, [], []
        except ValueError:
            pass  # the careful reader finds out what it is, and whether it matters
    return _read_carefully(texts, numbers, layout, source)


def _width(line: str, layout: _Layout) -> int:
    """The number of fields in a line; 0 if quotes make that hard."""
    if '"' in line:
        return 0
    return line.count(layout.separator) + 1 if layout.separator else len(line.split())


def _read_carefully(
    texts: list[str], numbers: Sequence[int], layout: _Layout, source: str
) -> tuple[Floats, list[Fault], list[_BadField]]:
    """The rows in `texts` and all that is wrong with them; if anything is, no row counts."""
    rows: list[float] = []
    faults: list[Fault] = []
    bad: list[_BadField] = []
    for number, line in zip(numbers, texts, strict=True):
        try:
            fields = _fields(line, layout.separator, source, number)
        except InputError as error:
            faults.extend(error.faults)
            continue
        if len(fields) != layout.width:
            message = f"expected {many(layout.width, 'field')} as on line {layout.line}"
            message += f", found {len(fields)}"
            faults.append(Fault(message, source, number, 1))
            continue
        for column in range(layout.width) if layout.picked is None else layout.picked:
            at, field = fields[column]
            wrong = _what_is_wrong(field)
            if wrong:
                is_text = bool(field) and not _NOT_FINITE.fullmatch(field)
                bad.append(_BadField(column, Fault(wrong, source, number, at), is_text))
            else:
                rows.append(float(field))
    width = layout.width if layout.picked is None else len(layout.picked)
    return np.reshape([] if faults or bad else rows, (-1, width)), faults, bad


def _faults_of(fields: Sequence[_BadField], layout: _Layout) -> list[Fault]:
    """What is wrong with fields; where a column holds text throughout, once and with the others,
    if any."""
    counts = Counter(field.column for field in fields if field.is_text)
    text = {column for column, count in counts.items() if count >= _TEXT_COLUMN}
    if len(text) == len(layout.picked or range(layout.width)) and not _fill(fields):
        return [field.fault for field in fields]  # numbers with texts among them
    faults = [field.fault for field in fields if field.column not in text]
    names = layout.header or range(layout.width)
    left = [names[at] for at in layout.picked or range(layout.width) if at not in text]
    some = ", ".join(_flow_text(name) for name in left[:_SHOWN_COLUMNS])
    more = ", ..." if len(left) > _SHOWN_COLUMNS else ""
    remedy = f"read the others, columns: [{some}{more}]" if left else "expected numbers"
    for column in sorted(text):
        first = next(field for field in fields if field.column == column)
        _, _, found = first.fault.message.partition("found ")
        what = f"column {names[column]!r} holds text, such as {found}"
        faults.append(replace(first.fault, message=f"{what}: {remedy}"))
    return faults


def _fill(fields: Sequence[_BadField]) -> bool:
    """Whether at least half of the lines from the first to the last have such fields."""
    lines = {field.fault.line or 0 for field in fields}
    return 2 * len(lines) > max(lines) - min(lines)


def _flow_text(name: str | int) -> str:
    """A column as a list of YAML has it."""
    plain = isinstance(name, int) or re.fullmatch(r"[^\W\d][\w ]*", name)
    return str(name) if plain else json.dumps(name, ensure_ascii=False)


def _what_is_wrong(field: str) -> str | None:
    """Why a field cannot be read, None if it can."""
    if not field:
        return "expected a number, found an empty field"
    if _NOT_FINITE.fullmatch(field):
        return f"expected a finite number, found {field!r}"
    if not _NUMBER.fullmatch(field):
        shown = field if len(field) <= 40 else field[:40] + "…"
        return f"expected a number, found {shown!r}"
    return None if math.isfinite(float(field)) else "expected a number in float range"


def _fields(line: str, separator: str | None, source: str, number: int) -> list[tuple[int, str]]:
    """The fields of a line with their columns, from 1; of quoted ones what is inside."""
    if separator is None:
        matches = list(re.finditer(r'"([^"]*)"(?!\S)|\S+', line))
    else:
        matches = list(_separated(line, re.escape(separator)))
    fields = []
    for match in matches:
        raw = match[0].lstrip(" ")
        at = match.end() - len(raw) + 1
        if match[1] is None and raw.startswith('"'):
            raise InputError(Fault('expected a closing ", found none', source, number, at))
        text = raw if match[1] is None else match[1].replace('""', '"')
        fields.append((at, text.strip()))
    return fields


def _separated(line: str, end: str) -> Iterator[re.Match[str]]:
    """One match per field; its first group is what is in quotes."""
    pattern = re.compile(rf' *"([^"]*(?:""[^"]*)*)" *(?={end}|$)|[^{end}]*')
    at = 0
    while at <= len(line) and (match := pattern.match(line, at)):
        yield match
        at = match.end() + 1
