"""The user's own equations: read from the config or a file of theirs, their form looked at, and
each mistake in them with its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path as FilePath
from typing import NamedTuple

from gradflow.config import tree
from gradflow.config.faults import Faults
from gradflow.config.messages import shown, unknown_key
from gradflow.config.tree import Document, Path, Tree, key_path
from gradflow.equations.bounds import KINDS, OR, SIGNS
from gradflow.equations.declaration import KEYS, OF_PARAMETER, ROLES, Equations, declared
from gradflow.equations.mistakes import At, EquationsError, Mistake, marked, nearest
from gradflow.errors import Fault, InputError
from gradflow.files.opening import open_regular

_REQUIRED = ("state", "step")
_LARGEST = 1e100
_LONGEST_NAME = 60


class Source(NamedTuple):
    """Where equations are: a document, the path of their mapping in it, its lines."""

    document: Document
    path: Path
    lines: tuple[str, ...]


Found = tuple[Equations, Callable[[EquationsError], None]]
"""A declaration, and what adds mistakes in it to the faults, each with its line and column."""


class Reader:
    """Reads equations of a config; a file that is named twice is read once."""

    def __init__(self, document: Document, folder: FilePath, text: str, faults: Faults) -> None:
        self.document, self.folder, self.faults = document, folder, faults
        self.lines = tuple(text.split("\n"))
        self._files: dict[str, tuple[dict[str, Tree], Source] | None] = {}

    def equations(self, mapping: Mapping[str, Tree], path: Path) -> Found | None:
        """Those of a mapping in the config; None if something is wrong, which is a fault then."""
        plain = {key: value for key, value in mapping.items() if key in KEYS}
        return self._declared(plain, Source(self.document, path, self.lines))

    def file(self, name: str, mapping: Mapping[str, Tree], path: Path) -> Found | None:
        """Those of a file, which are there alone or under `cell`."""
        if name not in self._files:
            self._files[name] = self._read(name, path)
        read = self._files[name]
        return None if read is None else self._declared(*read)

    def _read(self, given: str, path: Path) -> tuple[dict[str, Tree], Source] | None:
        at = self.folder / given
        name = str(at)  # from where the command runs, as the config's own name is
        try:
            with open_regular(at, name, tree.SUFFIXES) as file:
                raw = bytes(file.read_at(0, min(file.size, tree.MAX_BYTES + 1)))
            document = tree.read(raw, name)
        except OSError as error:
            self.faults.add(path, f"{name} cannot be read: {error.strerror}")
            return None
        except InputError as error:
            self.faults.adopt(error.faults, path)
            return None
        self.faults.found += document.faults
        data = document.data if isinstance(document.data, dict) else {}
        inner: Path = ("cell",) if "cell" in data else ()
        plain = data["cell"] if inner else data
        if not isinstance(plain, dict) or not plain:
            message = f"expected a mapping with state, parameters and step in {name}"
            self.faults.add(path, message)
            return None
        neighbour = next((key for key in data if inner and key != "cell"), None)
        if neighbour is not None:
            message = "does nothing in the file of a cell, which is what is under cell"
            mark = document.mark((neighbour,), key=True)
            self.faults.found.append(Fault(message, name, mark.line, mark.column, neighbour))
            return None
        lines = tuple(raw.decode("utf-8", "replace").split("\n"))
        return plain, Source(document, inner, lines)

    def _declared(self, plain: Mapping[str, Tree], source: Source) -> Found | None:
        before = len(self.faults.found)
        _check_form(plain, source, self.faults)
        if len(self.faults.found) > before:
            return None
        equations = declared(plain)
        return equations, partial(self._add, equations, source)

    def _add(self, equations: Equations, source: Source, wrong: EquationsError) -> None:
        self.faults.found += [_placed(mistake, equations, source) for mistake in wrong.mistakes]


def _check_form(plain: Mapping[str, Tree], source: Source, faults: Faults) -> None:
    """Add keys and values that no declaration has to the faults."""

    def add(keys: Path, message: str, key: bool = False) -> None:
        at = (*source.path, *keys)
        name, path = source.document.source, key_path(at) or None
        if not source.document.marks:
            faults.found.append(Fault(message, name, key=path))
            return
        mark = source.document.mark(at, key=key)
        faults.found.append(Fault(message, name, mark.line, mark.column, path))

    for key in plain:
        if key not in KEYS:
            add((key,), unknown_key(key, KEYS), key=True)
    if plain.get("type", "equations") != "equations":
        message = "expected equations, or no type: the cell is what is written here"
        add(("type",), f"{message}, found {shown(plain['type'])}")
    for key in _REQUIRED:
        if key not in plain:
            add((), f"the key {key} is required")
    for key in _EXAMPLES:
        if plain.get(key) is not None and not isinstance(plain[key], dict):
            add((key,), f"expected a mapping, such as {_EXAMPLES[key]}")
    for key in ("step", "output", "name", "cite", "about"):
        if key in plain and not isinstance(plain[key], str):
            add((key,), "expected text")
    name = plain.get("name", "x")
    if isinstance(name, str) and not (name.isprintable() and 0 < len(name) <= _LONGEST_NAME):
        add(("name",), f"expected a name of at most {_LONGEST_NAME} characters, on one line")
    for group in ("state", "parameters", "constants"):
        for name, value in _items(plain, group):
            _check_shape((group, name), value, add)
    _check_options(plain, add)
    for name, value in _items(plain, "gauge"):
        parts = value if isinstance(value, list) else [value]
        if not parts or not all(isinstance(part, str) for part in parts):
            add(("gauge", name), f"expected parts of the state, as in {_EXAMPLES['gauge']}")


_Add = Callable[..., None]


def _check_options(plain: Mapping[str, Tree], add: _Add) -> None:
    """Options, and the help and the bounds of each."""
    options = dict(_items(plain, "options"))
    for name, value in options.items():
        names = isinstance(value, list) and value and all(isinstance(v, str) for v in value)
        if not names and not _is_number(value):
            add(("options", name), "expected a number, or a list of names, the default first")
    for name, value in _items(plain, "help"):
        if name not in options:
            add(("help", name), f"'{name}' is no option{nearest(name, options)}", key=True)
        elif not isinstance(value, str):
            add(("help", name), "expected text")
    for name, value in _items(plain, "bounds"):
        _check_bounds(name, value, options, add)


def _items(plain: Mapping[str, Tree], group: str) -> list[tuple[str, Tree]]:
    """The names and values of a mapping within a declaration, where it is one."""
    value = plain.get(group)
    return list(value.items()) if isinstance(value, dict) else []


def _is_number(value: Tree) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _check_shape(at: tuple[str, str], value: Tree, add: _Add) -> None:
    """The size of a part of the state; size, init and role of a parameter or constant."""
    if isinstance(value, dict) and at[0] != "state":
        init = value.get("init")
        is_cut = isinstance(init, str) and init.count("(") > init.count(")")
        for inner, given in value.items():
            if is_cut and given is None:  # what is behind a comma within {...}
                add((*at, "init"), 'a comma ends it here: quote it, init: "uniform(0, 1)"')
                is_cut = False
            elif inner not in OF_PARAMETER:
                add((*at, inner), unknown_key(inner, OF_PARAMETER), key=True)
            elif inner == "role" and at[0] == "constants":
                add((*at, inner), "a constant has no gradient, and so no role", key=True)
            elif inner == "role" and not isinstance(given, str):
                add((*at, inner), f"expected one of {', '.join(ROLES)}")
            elif inner == "init" and not (isinstance(given, str) or _is_number(given)):
                add((*at, inner), "expected a name of ws_init or an expression")
        if "shape" not in value:
            add(at, "the key shape is required")
        value = value.get("shape", 1)
    sizes = value if isinstance(value, list) else [value]
    fits = 1 <= len(sizes) <= 2 and all(
        isinstance(size, str) or (isinstance(size, int) and not isinstance(size, bool))
        for size in sizes
    )
    if not fits:
        add(at, "expected a size, or two of a matrix: H, 8, [H, I]")


def _check_bounds(name: str, value: Tree, options: Mapping[str, Tree], add: _Add) -> None:
    """What bounds an option: pairs of gt, ge, lt, le and a number, or another option, which the
    default is within; or `or` and one more number."""
    at = ("bounds", name)
    if name not in options:
        add(at, f"'{name}' is no option{nearest(name, options)}", key=True)
    elif not isinstance(default := options[name], float):
        add(at, f"'{name}' is no number with a point, and only such have bounds", key=True)
    elif not isinstance(value, dict):
        add(at, f"expected a mapping, such as {_EXAMPLES['bounds']}")
    else:
        for kind, bound in value.items():
            limit = options.get(bound) if isinstance(bound, str) and bound != name else bound
            if kind not in KINDS:
                add((*at, kind), f"expected one of {', '.join(KINDS)}", key=True)
            elif not _is_number(limit) or (limit is not bound and not isinstance(limit, float)):
                add((*at, kind), "expected a number, or another option that is one with a point")
            elif kind == OR:
                if limit is not bound:
                    add((*at, kind), "expected a number")
            elif default != value.get(OR) and not SIGNS[kind].holds(default, limit):
                what = f"{bound}, which is {limit:g}" if limit is not bound else f"{limit:g}"
                add((*at, kind), f"the default {default:g} is not {SIGNS[kind].words} {what}")


_EXAMPLES = {
    "state": "{h: H}",
    "parameters": "{W: [H, I], U: [H, H], b: H}",
    "constants": "{A: {shape: [H, 2], init: ones}}",
    "options": "{leak: 0.5, activation: [tanh, relu]}",
    "bounds": "{leak: {gt: 0, le: 1}}",
    "gauge": "{m: [c, n]}",
    "help": "{leak: the share of the new state}",
}
"""The keys whose value is a mapping, and such a one."""


def _placed(mistake: Mistake, equations: Equations, source: Source) -> Fault:
    """A mistake in equations as a fault of the file that they are in."""
    keys: Path = tuple(mistake.where.split("."))
    at = (*source.path, *keys)
    document, message = source.document, mistake.message
    if not document.marks:
        text = {"step": equations.step, "output": equations.output or ""}.get(mistake.where)
        shown = marked(text, mistake.at) if text else None
        return Fault(message, document.source, key=key_path(at), shown=shown)
    mark = document.mark(at)
    line, column = mark.line, mark.column
    shown = None
    if mistake.where in ("step", "output") or keys[-1] == "init":
        line, column = _inside(mistake.at, mark, source.lines)
        whole = source.lines[line - 1] if line <= len(source.lines) else ""
        shown = marked(whole, At(1, column, mistake.at.length))
    return Fault(message, document.source, line, column, key_path(at), shown)


def _inside(at: At, mark: tree.Mark, lines: tuple[str, ...]) -> tuple[int, int]:
    """The line and column in the file of a position in a scalar that starts at `mark`."""
    head = lines[mark.line - 1][mark.column - 1 :] if mark.line <= len(lines) else ""
    if head[:1] in ("|", ">"):
        body = lines[mark.line :]
        first = next((number for number, line in enumerate(body) if line.strip()), 0)
        indent = len(body[first]) - len(body[first].lstrip()) if body else 0
        return mark.line + at.line, indent + at.column
    quoted = head[:1] in ("'", '"')
    return mark.line + at.line - 1, mark.column + quoted + at.column - 1
