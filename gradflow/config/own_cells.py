"""Cells of the user's own: `cell: ./mgu.yaml`, `{type: equations, ...}`; and options that are
lists, one cell for each of their values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from gradflow.cells import CELLS, Cell
from gradflow.config import tree
from gradflow.config.faults import Faults
from gradflow.config.tree import Document, Path, Tree, key_path
from gradflow.equations.declaration import Equations, declared
from gradflow.equations.mistakes import At, EquationsError, Mistake, marked, nearest
from gradflow.errors import Fault, InputError
from gradflow.files.opening import open_regular

_KEYS = (
    "type", "name", "state", "parameters", "constants", "options", "step", "output", "gauge",
    "cite", "about", "help", "bounds",
)  # fmt: skip
_REQUIRED = ("state", "step")
_OF_PARAMETER = ("shape", "init", "role")
_LARGEST = 1e100


@dataclass(frozen=True)
class Source:
    """Where equations stand: a document, the path of their mapping in it, its lines."""

    document: Document
    path: Path
    lines: tuple[str, ...]


def own_cells(
    data: Mapping[str, Tree], document: Document, folder: FilePath, text: str, faults: Faults
) -> tuple[dict[str, Tree], list[Cell | None] | None]:
    """The config with an ordinary cell in the place of each of the user's own, and of lists of
    options; and what each item of `cell` then stands for, None for an ordinary one. Where there
    is nothing of the kind, the config as it is, and None."""
    given = data.get("cell")
    items = given if isinstance(given, list) else [given]
    found: list[tuple[Tree, Cell | None]] = []
    special = False
    for number, item in enumerate(items):
        path: Path = ("cell", number) if isinstance(given, list) else ("cell",)
        if _is_own(item):
            special = True
            own = list(_own(item, path, data, document, folder, text, faults))
            found += [("rnn", cell) for cell in own] or [("rnn", None)]
        elif (choices := _listed(item)) is not None:
            special = True
            found += [(choice, None) for choice in choices]
        else:
            found.append((item, None))
    if not special:
        return dict(data), None
    return {**data, "cell": [item for item, _ in found]}, [cell for _, cell in found]


def _is_own(item: Tree) -> bool:
    kind = item.get("type") if isinstance(item, dict) else item
    if not isinstance(kind, str) or kind in CELLS:
        return False
    return kind == "equations" or _is_file(kind) or CELLS.own(kind) is not None


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name


def _listed(item: Tree) -> list[Tree] | None:
    """A known cell of which an option is a list: one item for each value."""
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        return None
    options = CELLS[str(item["type"])].equations.defaults if item["type"] in CELLS else {}
    lists = {name: v for name, v in item.items() if name in options and isinstance(v, list) and v}
    if not lists:
        return None
    points = itertools.product(*lists.values())
    return [{**item, **dict(zip(lists, point, strict=True))} for point in points]


def _own(
    item: Tree, path: Path, data: Mapping[str, Tree], document: Document, folder: FilePath,
    text: str, faults: Faults,
) -> Iterator[Cell]:  # fmt: skip
    """One cell for every combination of its options; nothing where something is wrong, which is
    told."""
    mapping = item if isinstance(item, dict) else {"type": item}
    kind = str(mapping["type"])
    registered = None if kind == "equations" or _is_file(kind) else CELLS.own(kind)
    if registered is not None:
        chosen = {key: value for key, value in mapping.items() if key != "type"}
        for values in _combinations(registered.equations, chosen, path, faults):
            yield Cell.of(registered.equations, **values)
        return
    if kind == "equations":
        source = Source(document, path, tuple(text.split("\n")))
        plain = {key: value for key, value in mapping.items() if key in _KEYS}
        chosen = {key: value for key, value in mapping.items() if key not in _KEYS}
    else:
        try:
            with open_regular(folder / kind, kind) as file:
                raw = bytes(file.read_at(0, min(file.size, tree.MAX_BYTES + 1)))
            other = tree.read(raw, kind)
        except OSError as error:
            faults.add(path, f"{kind} cannot be read: {error.strerror}")
            return
        except InputError as error:
            faults.adopt(error.faults, path)
            return
        faults.found += other.faults
        whole = other.data.get("cell", other.data) if isinstance(other.data, dict) else None
        inner: Path = ("cell",) if isinstance(other.data, dict) and "cell" in other.data else ()
        source = Source(other, inner, tuple(raw.decode("utf-8", "replace").split("\n")))
        if not isinstance(whole, dict):
            faults.add(path, f"expected a mapping with state, parameters and step in {kind}")
            return
        plain, chosen = whole, {k: v for k, v in mapping.items() if k != "type"}
    told = len(faults.found)
    _check_form(plain, source, faults)
    if len(faults.found) > told:
        return
    equations = declared(plain)
    options = list(_combinations(equations, chosen, path, faults))
    sizes = [_first(data.get(key), size) for key, size in (("hidden_size", 64), ("input_size", 16))]
    for values in options:
        cell = Cell.of(equations, **values)
        try:
            cell.sized(*sizes)
        except EquationsError as wrong:
            faults.found += [_placed(mistake, equations, source) for mistake in wrong.mistakes]
            return
        yield cell


def _first(value: Tree, default: int) -> int:
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, int) and 0 < first < 10**6 else default


def _check_form(plain: Mapping[str, Tree], source: Source, faults: Faults) -> None:
    """Tell of keys and values that no declaration has."""

    def tell(keys: Path, message: str, key: bool = False) -> None:
        at = (*source.path, *keys)
        name, path = source.document.source, key_path(at) or None
        if not source.document.marks:
            faults.found.append(Fault(message, name, key=path))
            return
        mark = source.document.mark(at, key=key)
        faults.found.append(Fault(message, name, mark.line, mark.column, path))

    for key in plain:
        if key not in _KEYS:
            tell((key,), f"unknown key{nearest(key, _KEYS)}", key=True)
    for key in _REQUIRED:
        if key not in plain:
            tell((), f"the key {key} is required")
    for key in ("state", "parameters", "constants", "options", "gauge", "help"):
        if plain.get(key) is not None and not isinstance(plain[key], dict):
            tell((key,), f"expected a mapping, such as {_EXAMPLES[key]}")
    for key in ("step", "output", "name", "cite", "about"):
        if key in plain and not isinstance(plain[key], str):
            tell((key,), "expected text")
    for key in ("state", "parameters", "constants"):
        group = plain.get(key)
        for name, value in group.items() if isinstance(group, dict) else ():
            if isinstance(value, dict) and key != "state":
                for inner in value:
                    if inner not in _OF_PARAMETER:
                        message = f"unknown key{nearest(inner, _OF_PARAMETER)}"
                        tell((key, name, inner), message, key=True)
                if "shape" not in value:
                    tell((key, name), "the key shape is required")
                value = value.get("shape", 1)
            if not _is_shape(value):
                tell((key, name), "expected a size, or two of a matrix: H, 8, [H, I]")
    group = plain.get("options")
    for name, value in group.items() if isinstance(group, dict) else ():
        names = isinstance(value, list) and value and all(isinstance(v, str) for v in value)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not names and not (number and abs(value) <= _LARGEST):  # type: ignore[arg-type]
            tell(("options", name), "expected a number, or a list of names, the default first")


_EXAMPLES = {
    "state": "{h: H}",
    "parameters": "{W: [H, I], U: [H, H], b: H}",
    "constants": "{A: {shape: [H, 2], init: ones}}",
    "options": "{leak: 0.5, activation: [tanh, relu]}",
    "gauge": "{m: [c, n]}",
    "help": "{leak: the share of the new state}",
}


def _is_shape(value: Tree) -> bool:
    sizes = value if isinstance(value, list) else [value]
    return 1 <= len(sizes) <= 2 and all(
        isinstance(size, str) or (isinstance(size, int) and not isinstance(size, bool))
        for size in sizes
    )


def _combinations(
    equations: Equations, chosen: Mapping[str, Tree], path: Path, faults: Faults
) -> Iterator[dict[str, float | int | str]]:
    """The values of the options, every combination of those that are lists."""
    defaults, choices = equations.defaults, equations.choices
    values: dict[str, list[Any]] = {}
    told = len(faults.found)
    for name, value in chosen.items():
        if name not in defaults:
            message = f"unknown key{nearest(name, [*defaults, *_KEYS])}"
            faults.add((*path, name), message, key=True)
            continue
        values[name] = value if isinstance(value, list) else [value]
        if not values[name]:
            faults.add((*path, name), "expected at least one value, found []")
        for one in values[name]:
            misfit = _misfit(one, defaults[name], choices.get(name))
            if misfit:
                faults.add((*path, name), misfit)
    if len(faults.found) > told:
        return
    for point in itertools.product(*values.values()):
        yield {
            name: float(value) if isinstance(defaults[name], float) else value
            for name, value in zip(values, point, strict=True)
        }


def _misfit(value: Tree, default: float | int | str, choices: tuple[str, ...] | None) -> str | None:
    """What is wrong with the value of an option, if anything."""
    if choices is not None:
        if isinstance(value, str) and value in choices:
            return None
        return f"expected one of {', '.join(choices)}, found {value}{nearest(str(value), choices)}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        return f"expected a number, found {value}"
    if isinstance(default, int) and not (isinstance(value, int) and 1 <= value <= 10**9):
        return f"expected a whole number of at least 1, found {value}"
    return None


def _placed(mistake: Mistake, equations: Equations, source: Source) -> Fault:
    """A mistake in equations as a fault of the file that they stand in."""
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
    """The line and column in the file of a place in a scalar that starts at `mark`."""
    head = lines[mark.line - 1][mark.column - 1 :] if mark.line <= len(lines) else ""
    if head[:1] in ("|", ">"):
        body = lines[mark.line :]
        first = next((number for number, line in enumerate(body) if line.strip()), 0)
        indent = len(body[first]) - len(body[first].lstrip()) if body else 0
        return mark.line + at.line, indent + at.column
    quoted = head[:1] in ("'", '"')
    return mark.line + at.line - 1, mark.column + quoted + at.column - 1
