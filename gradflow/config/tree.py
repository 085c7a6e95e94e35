"""YAML text to a plain tree, with the position of every key and value.

The scalars follow YAML 1.2's core schema (`1e-3` is a number, `no` is text). The tree is built
from parser events alone, so PyYAML's constructors never run, nothing recurses, and what a config
has no use for (anchors, tags, merge keys) is refused by line and column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import yaml

from gradflow.config.pairs import Shifts, column_before, without_pairs
from gradflow.errors import Fault, InputError, first_faults

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool | None"
Path: TypeAlias = tuple[str | int, ...]

SUFFIXES = (".yaml", ".yml")
"""Those of the files of configs and cells."""

MAX_BYTES = 1 << 20
"""The longest text that is read."""

MAX_DEPTH = 64
"""The deepest nesting; without a limit 10 KB of brackets keep the parser busy for seconds."""

MAX_NODES = 100_000
"""The most keys and values; deeply nested ones cost microseconds and half a kilobyte each."""

_MOST_FAULTS = 100
_LONGEST_NUMBER = 300  # a longer int may not fit into a float, and Python refuses 4,300 digits

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is not in every build

# What YAML does not print, and U+0085, U+2028, U+2029, which end a line in YAML 1.1 but not in 1.2.
# They are compiled where they are used.
_UNREADABLE_ASCII = "[^\t\n\r -~]"
_UNREADABLE = "[^\t\n\r -~\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"  # 4 ms
_SURROGATE = re.compile("[\ud800-\udfff]")

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((s + i for s in ("", "+") for i in (".inf", ".Inf", ".INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_INT = re.compile("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_SOME = re.compile(r"[-+0.]*[1-9]")  # a number that is not 0
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_REMEDIES = {
    "mapping values are not allowed": "put a text that contains ': ' in quotes, check the indent",
    "cannot start any token": "indent with spaces, not tabs; put a text that starts so in quotes",
    "could not find expected ':'": "expected `key: value`",
}


class Mark(NamedTuple):
    """A position in the text; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """A parsed text.

    Attributes:
        source: the file as the user named it.
        data: dicts with string keys, lists, str, int, float, bool, None.
        marks: the position of each value by key path; `()` is the root.
        key_marks: the position of each key by key path.
        faults: what is wrong with single values and keys, the rest being sound.
    """

    source: str
    data: Tree
    marks: Mapping[Path, Mark]
    key_marks: Mapping[Path, Mark]
    faults: tuple[Fault, ...] = ()

    def mark(self, path: Path, key: bool = False) -> Mark:
        """The position of the value (or key) at `path`, or of the nearest ancestor that is
        there."""
        for length in range(len(path), 0, -1):
            at = path[:length]
            if key and at in self.key_marks:
                return self.key_marks[at]
            if at in self.marks:
                return self.marks[at]
        return self.marks[()]


def parse(text: bytes, source: str) -> Document:
    """The tree in `text`; raises InputError with every fault up to the first broken syntax."""
    document = read(text, source)
    if document.faults:
        raise InputError(*first_faults(document.faults, _MOST_FAULTS))
    return document


def read(text: bytes, source: str) -> Document:
    """The tree in `text` with what is wrong in it, so that its reader can find more; raises
    InputError only if there is no tree."""
    characters, shifts = without_pairs(_decode(text, source))
    builder, whole = _built(characters, source, _Loader)
    builder.move(shifts)
    if not builder.faults and () not in builder.marks:
        builder.faults.append(Fault("expected `key: value` lines, found none", source, 1, 1))
        whole = False
    faults = tuple(_in_order(builder.faults))
    if not whole:
        raise InputError(*first_faults(faults, _MOST_FAULTS))
    return Document(source, builder.root, builder.marks, builder.key_marks, faults)


def parse_value(text: str, source: str) -> Tree:
    """One value from the command line, as YAML reads it: `0.5`, `[1, 2]`, `{type: gru}`.

    Nothing is None. Raises InputError.
    """
    if not text.strip():
        return None
    # What was not UTF-8 in an argument is a surrogate now; passed on, `parse` says so.
    return parse(text.encode("utf-8", "surrogatepass"), source).data


def key_path(path: Path) -> str:
    """A key path as messages spell it: `cell[2].type`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _name(key: str) -> str:
    """A key within a key path: quoted where it could be misread or upset a terminal."""
    return key if re.fullmatch(r"[\w-]{1,60}", key) else json.dumps(_clip(key))


def _clip(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


@dataclass
class _Open:
    """A list or mapping whose end has not come yet; `key`: the one whose value comes next."""

    value: dict[str, Tree] | list[Tree]
    path: Path
    key: str | None = None


@dataclass
class _Builder:
    """The tree so far, and all that is wrong with it."""

    source: str
    root: Tree = None
    nodes: int = 0
    marks: dict[Path, Mark] = field(default_factory=dict)
    key_marks: dict[Path, Mark] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    open: list[_Open] = field(default_factory=list)

    def move(self, shifts: Shifts) -> None:
        """Positions as in the text that was given; see `without_pairs`."""
        for marks in (self.marks, self.key_marks) if shifts else ():
            for path, mark in marks.items():
                marks[path] = Mark(mark.line, column_before(shifts, mark.line, mark.column))
        for at, fault in enumerate(self.faults if shifts else ()):
            if fault.line is not None and fault.column is not None:
                column = column_before(shifts, fault.line, fault.column)
                self.faults[at] = replace(fault, column=column)

    def fault(self, mark: Mark, message: str, path: Path | None = None) -> None:
        """Notes something wrong at `mark`; `path` is that of the next node unless given."""
        key = key_path(self.next_path() if path is None else path)
        self.faults.append(Fault(message, self.source, mark.line, mark.column, key or None))

    def next_path(self) -> Path:
        """The key path of the node that comes next; that of the mapping where it is a key."""
        if not self.open:
            return ()
        parent = self.open[-1]
        if isinstance(parent.value, list):
            return (*parent.path, len(parent.value))
        return parent.path if parent.key is None else (*parent.path, parent.key)

    def add(self, value: Tree, mark: Mark, text: str | None) -> None:
        """Puts the next node where it belongs: root, list item, key or value.

        `text` is a scalar as written, None for a list, a mapping or an alias.
        """
        self.nodes += 1
        parent = self.open[-1] if self.open else None
        if parent and isinstance(parent.value, dict) and parent.key is None:
            path = self.add_key(parent, value, mark, text)
        else:
            path = self.add_value(parent, value, mark)
        if isinstance(value, dict | list):
            self.open.append(_Open(value, path))

    def add_value(self, parent: _Open | None, value: Tree, mark: Mark) -> Path:
        """Puts the next node under `parent`; its key path."""
        path = self.next_path()
        self.marks[path] = mark
        if parent is None:
            self.root = value
        elif isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is not None:
            parent.value[parent.key] = value
            parent.key = None
        return path

    def add_key(self, parent: _Open, value: Tree, mark: Mark, text: str | None) -> Path:
        """Makes the next node the key of the value after it."""
        parent.key = value if isinstance(value, str) else text or "?"
        path = (*parent.path, parent.key)
        if not isinstance(value, str):
            found = "a list, a mapping or an alias" if text is None else text or "nothing"
            self.fault(mark, f"expected a name as the key, found {_clip(found)}", path)
            self.key_marks.setdefault(path, mark)
        elif parent.key not in parent.value:
            self.key_marks[path] = mark  # also where the mapping itself is there twice
        else:
            first = self.key_marks[path]
            at, again = f"line {first.line}", f"line {mark.line}"
            if first.line == mark.line:
                at, again = f"{at}, column {first.column},", f"column {mark.column}"
            self.fault(mark, f"the key is given twice: on {at} and on {again}")
        return path


def _built(characters: str, source: str, loader: Any) -> tuple[_Builder, bool]:
    """The tree of what could be read, and whether that was all."""
    builder = _Builder(source)
    try:
        return builder, _build(builder, characters, loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: the Python parser, on "\U00110000"
        if "nesting depth" in str(error):  # libyaml looks ahead to its own limit, beyond ours
            return _built(characters, source, yaml.SafeLoader)
        builder.faults.append(_syntax_fault(error, characters, source))
        return builder, False


def _build(builder: _Builder, characters: str, loader: Any) -> bool:
    """Feeds the parser's events to `builder`; False where it stopped, since going on made no
    sense."""
    documents = 0
    for event in yaml.parse(characters, Loader=loader):
        mark = _mark(event.start_mark)
        stop = None
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                stop = "expected one document, a second one begins here"
        elif isinstance(event, yaml.NodeEvent):
            _add_node(builder, event, mark)
            if len(builder.open) > MAX_DEPTH:
                stop = f"nested too deeply: expected at most {MAX_DEPTH}"
            elif builder.nodes > MAX_NODES:
                stop = f"expected at most {MAX_NODES:,} keys and values"
        elif isinstance(event, yaml.CollectionEndEvent):
            builder.open.pop()
        if stop:
            builder.fault(mark, stop, ())
            return False
    return True


def _add_node(builder: _Builder, event: yaml.NodeEvent, mark: Mark) -> None:
    """Adds one scalar, list or mapping; notes what a config has no use for."""
    if event.anchor is not None:
        sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
        message = f"anchors and aliases are not read, found {sign}{_clip(event.anchor)}"
        builder.fault(mark, f"{message}: write the value itself")
    tag = getattr(event, "tag", None)  # an alias has none
    if tag:
        builder.fault(mark, f"tags are not read, found {_clip(tag)}: write the plain value")
    if isinstance(event, yaml.ScalarEvent):
        if builder.open or event.value or not event.implicit[0]:  # else: an empty document
            builder.add(_scalar(builder, event, mark), mark, event.value)
    elif isinstance(event, yaml.MappingStartEvent):
        builder.add({}, mark, None)
    else:
        builder.add([] if isinstance(event, yaml.SequenceStartEvent) else None, mark, None)


def _scalar(builder: _Builder, event: yaml.ScalarEvent, mark: Mark) -> Tree:
    """The value of a scalar: its type from the core schema where plain, text where quoted."""
    text: str = event.value
    if _SURROGATE.search(text):  # the Python parser lets "\ud800" pass
        builder.fault(mark, "expected Unicode text, found half of a surrogate pair")
    if not event.implicit[0]:
        return text
    if text == "<<":
        builder.fault(mark, "merge keys are not read: write out the keys themselves")
    if text in _WORDS:
        return _WORDS[text]
    is_int = _INT.fullmatch(text)
    if not is_int and not _FLOAT.fullmatch(text):
        return text
    if len(text) > _LONGEST_NUMBER:
        message = f"expected a number of at most {_LONGEST_NUMBER} digits, found {len(text)}"
        builder.fault(mark, message)
        return None
    if is_int:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    number = float(text)
    if number in (float("inf"), float("-inf")):
        message = f"{_clip(text)} is beyond float range: write .inf or -.inf for an infinity"
        builder.fault(mark, message)
    if number == 0 and _SOME.match(text):
        message = f"{_clip(text)} is beyond float range: write 0, or of a bound its log10"
        builder.fault(mark, f"{message}, as in log10_relative")
    return number


def _decode(text: bytes, source: str) -> str:
    """The characters of `text`, UTF-8 with or without a byte order mark."""
    if len(text) > MAX_BYTES:
        message = f"expected at most {MAX_BYTES:,} bytes, found more"
        raise InputError(Fault(message, source))
    if text.startswith((b"\xff\xfe", b"\xfe\xff")) or 0 in text[:4]:
        message = "expected UTF-8 text, found UTF-16 or binary data: save it as UTF-8"
        raise InputError(Fault(message, source, 1, 1))
    try:
        characters = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = _position(text[: error.start].decode("utf-8-sig", "replace"))
        message = f"expected UTF-8 text, found the byte 0x{text[error.start]:02x}: save it as UTF-8"
        raise InputError(Fault(message, source, mark.line, mark.column)) from None
    faults = []
    unreadable = _UNREADABLE_ASCII if characters.isascii() else _UNREADABLE
    for match in islice(re.finditer(unreadable, characters), 10):
        mark = _position(characters[: match.start()])
        message = f"expected text, found the character U+{ord(match[0]):04X}: remove it"
        faults.append(Fault(message, source, mark.line, mark.column))
    if faults:
        raise InputError(*faults)
    return characters


def _mark(mark: Any) -> Mark:
    """PyYAML's mark, counted from 1."""
    return Mark(mark.line + 1, mark.column + 1)


def _position(before: str) -> Mark:
    """The position that follows the text `before`."""
    lines = re.split("\r\n|\r|\n", before)
    return Mark(len(lines), len(lines[-1]) + 1)


def _syntax_fault(error: Exception, characters: str, source: str) -> Fault:
    """The parser's complaint in our form, and never beyond the last line that holds something."""
    at = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    end = _position(characters.rstrip())
    mark = min(_mark(at), end, key=_order) if at else end
    problem = getattr(error, "problem", None) or "the text is not YAML"
    context, began = getattr(error, "context", None), getattr(error, "context_mark", None)
    if context and "next token" not in context:
        problem += f" {context}"
        problem += f" that began on line {began.line + 1}" if began else ""
    remedy = next((advice for sign, advice in _REMEDIES.items() if sign in problem), None)
    return Fault(f"{problem}: {remedy}" if remedy else problem, source, mark.line, mark.column)


def _order(mark: Mark) -> tuple[int, int]:
    return mark.line, mark.column


def _in_order(faults: list[Fault]) -> list[Fault]:
    """The faults in the order of the text."""
    return sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))
