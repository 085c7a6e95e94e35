"""The key `cell`: each item as a cell with its options chosen, and one cell for each combination of
options that are lists. A cell is one of gradflow's, or the user's own: `./mgu.yaml`,
`{type: equations, ...}`, or a name that was registered or that a package offers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any, NamedTuple, cast

from gradflow.cells import CELLS, Cell
from gradflow.cells.library import is_file
from gradflow.config.elsewhere import hint_in_cell
from gradflow.config.faults import MOST, Faults
from gradflow.config.messages import CELL_FORM, misspelt, one_of, shown, unknown_key
from gradflow.config.model import Config
from gradflow.config.own_cells import Reader
from gradflow.config.ranges import is_range, numbers_of
from gradflow.config.tree import Document, Path, Tree
from gradflow.equations.bounds import OR, SIGNS, Bound, crossed
from gradflow.equations.declaration import KEYS, Equations
from gradflow.equations.effects import Idle, effects
from gradflow.equations.mistakes import At, EquationsError, Mistake
from gradflow.errors import InputError

LARGEST, LARGEST_SIZE = 1e100, 10**9
"""The largest number that an option may be, and the largest that is a size."""

MOST_CELLS = 100_000
"""The most combinations of options that one cell is taken on with."""

Options = dict[str, float | int | str]


class Choice(NamedTuple):
    """A cell of a config, how plain data says it, and, of one of the user's own, what adds mistakes
    in its equations to the faults, each with its line and column."""

    cell: Cell
    written: Tree
    add: Callable[[EquationsError], None] | None = None


@dataclass
class _Misfits:
    """What is wrong with cells: words take time, and of many thousands only some are shown."""

    paths: list[tuple[Path, bool]] = field(default_factory=list)
    messages: list[Callable[[], str]] = field(default_factory=list)

    def add(self, path: Path, message: Callable[[], str], key: bool = False) -> None:
        self.paths.append((path, key))
        self.messages.append(message)

    def put_into(self, faults: Faults) -> None:
        for index in faults.first(self.paths, MOST):
            path, key = self.paths[index]
            faults.add(path, self.messages[index](), key=key)


def is_own(kind: object) -> bool:
    """Whether what is at `type` means the user's own cell."""
    if not isinstance(kind, str) or kind in CELLS:
        return False
    return kind == "equations" or is_file(kind) or CELLS.is_own(kind)


def cells_of(
    data: Mapping[str, Tree], document: Document, folder: FilePath, text: str, faults: Faults
) -> list[Choice]:
    """The cells that the key `cell` names, in its order; those in which something is wrong are
    left out, and added to the faults."""
    given = data.get("cell")
    items = given if isinstance(given, list) else [given]
    misfits, found = _Misfits(), []
    kinds = [item.get("type") if isinstance(item, dict) else item for item in items]
    named = {kind: CELLS[kind].equations for kind in kinds
             if isinstance(kind, str) and not is_own(kind) and kind in CELLS}  # fmt: skip
    reader = Reader(document, folder, text, faults)
    for number, item in enumerate(items):
        path: Path = ("cell", number) if isinstance(given, list) else ("cell",)
        kind = item.get("type") if isinstance(item, dict) else item
        if is_own(kind):
            found += list(_own(reader, item, path, data, misfits, named))
        elif isinstance(kind, str) and kind in CELLS:
            found += list(_shipped(kind, item, path, misfits))
        else:
            _no_cell(item, path, misfits)
    misfits.put_into(faults)
    return found


def _no_cell(item: Tree, path: Path, misfits: _Misfits) -> None:
    """Say what would be a cell."""
    if isinstance(item, dict) and "type" in item:
        kind = item["type"]
        misfits.add((*path, "type"), lambda: one_of(CELLS, kind))
    elif isinstance(item, dict) and (typo := misspelt(item, ["type"])):
        misfits.add((*path, typo), lambda: "unknown key; did you mean type?", key=True)
    elif isinstance(item, str):
        misfits.add(path, lambda: one_of(CELLS, item))
    else:
        misfits.add(path, lambda: f"expected {CELL_FORM}, found {shown(item)}")


def _shipped(kind: str, item: Tree, path: Path, misfits: _Misfits) -> Iterator[Choice]:
    given = item if isinstance(item, dict) else {}
    chosen = {key: value for key, value in given.items() if key != "type"}
    for options in _combinations(CELLS[kind].equations, chosen, ["type"], path, misfits):
        cell = CELLS[kind](**options)
        yield Choice(cell, {"type": kind, **cell.options})


def _own(
    reader: Reader, item: Tree, path: Path, data: Mapping[str, Tree], misfits: _Misfits,
    named: dict[str, Equations],
) -> Iterator[Choice]:  # fmt: skip
    """One cell for every combination of its options; nothing where something is wrong. `named` are
    the config's cells so far, and those of gradflow that it names."""
    mapping = item if isinstance(item, dict) else {"type": item}
    kind = str(mapping["type"])
    others = ("type", *(KEYS if kind == "equations" else ()))
    chosen = {key: value for key, value in mapping.items() if key not in others}
    if kind == "equations" or is_file(kind):
        read = reader.equations if kind == "equations" else partial(reader.file, kind)
        found = read(mapping, path)
        if found is None:
            return
        equations, add = found
    else:
        try:
            equations = CELLS.own(kind).equations
        except InputError as error:
            message = error.faults[0].message
            misfits.add(path, lambda: message)
            return
        add = partial(_first_mistake, path, reader.faults)
    is_named = kind != "equations" or "name" in mapping
    if is_named and (wrong_name := _taken(equations, named)) is not None:
        add(wrong_name)
    from gradflow.config.names import mistaken  # needs every measure

    misnamed = mistaken(equations)
    for options in _combinations(equations, chosen, others, path, misfits):
        cell = Cell.of(equations, **options)
        mistakes = [*misnamed, *_mistakes(cell, data)]
        if mistakes:
            add(EquationsError(mistakes))
            return
        yield Choice(cell, item, add)


def _mistakes(cell: Cell, data: Mapping[str, Tree]) -> list[Mistake]:
    """What is wrong with its equations."""
    try:
        cell.read_for(*_sizes(data))
    except EquationsError as wrong:
        return list(wrong.mistakes)
    return []


def _taken(equations: Equations, named: dict[str, Equations]) -> EquationsError | None:
    """What is wrong with the name of a cell that is another cell's, and so would look like
    it in what is shown; a copy may have its name."""
    there = named.setdefault(equations.name, equations)
    plain, known = (replace(one, about="", cite="", help=()) for one in (equations, there))
    if plain == known:
        return None
    message = f"another cell of this config has the name {equations.name!r}: choose another name"
    return EquationsError([Mistake("name", At(1, 1), message)])


def _first_mistake(path: Path, faults: Faults, wrong: EquationsError) -> None:
    """Say what is wrong with equations that are in no text of the user's."""
    faults.add(path, wrong.mistakes[0].message)


def _sizes(data: Mapping[str, Tree]) -> tuple[int, int]:
    """An H and an I at which equations are looked at."""
    H, width = (Config.model_fields[key].default for key in ("hidden_size", "input_size"))
    return _first(data.get("hidden_size"), H[0]), _first(data.get("input_size"), width)


def _first(value: Tree, default: int) -> int:
    first = value[0] if isinstance(value, list) and value else value
    is_size = isinstance(first, int) and not isinstance(first, bool) and 0 < first < 10**6
    return first if is_size else default  # type: ignore[return-value]


def _combinations(
    equations: Equations, chosen: Mapping[str, Tree], others: Sequence[str], path: Path,
    misfits: _Misfits,
) -> Iterator[Options]:  # fmt: skip
    """The values of the options, every combination of those that are lists; nothing where
    something is wrong with one. `others` are other keys of the mapping."""
    given, bounds = dict(equations.options), dict(equations.bounds)
    values: dict[str, list[Any]] = {}
    before = len(misfits.paths)
    for name, value in chosen.items():
        at = (*path, name)
        if name not in given:
            misfits.add(at, partial(_unknown, name, [*others, *given]), key=True)
            continue
        limits = dict(bounds.get(name, ()))
        if is_range(value) and not isinstance(given[name], tuple):
            values[name] = _in_range(
                cast("dict[str, Tree]", value), at, given[name], limits, misfits
            )
            continue
        values[name] = value if isinstance(value, list) else [value]
        if not values[name]:
            misfits.add(at, lambda: "expected at least one value, found []")
        for number, one in enumerate(values[name]):
            misfit = misfit_of(one, given[name], limits)
            if misfit is not None:
                misfits.add((*at, number) if isinstance(value, list) else at, misfit)
    count = math.prod(map(len, values.values()))
    if count > MOST_CELLS:
        message = f"expected at most {MOST_CELLS:,} combinations of options, found {count:,}"
        misfits.add(path, lambda: message)
    if len(misfits.paths) > before:
        return
    points: list[Options] = [
        {name: _as_declared(value, given[name]) for name, value in zip(values, point, strict=True)}
        for point in itertools.product(*values.values())
    ]
    _check_crossed(equations, chosen, points, path, misfits)
    _check_idle(equations, values, points, path, misfits)
    if len(misfits.paths) == before:
        yield from points


def _check_crossed(
    equations: Equations, chosen: Mapping[str, Tree], points: Sequence[Options], path: Path,
    misfits: _Misfits,
) -> None:  # fmt: skip
    """Add options that another bounds, at the first value that is beyond it."""
    found: set[Path] = set()
    names = [by for _, bounds in equations.bounds for _, by in bounds if isinstance(by, str)]
    for point in points if names else ():
        whole = {**equations.defaults, **point}
        for option, sign, by in crossed(equations, whole):
            name, other = (option, by) if option in point else (by, option)
            turned = sign if name == option else SIGNS[sign].turned
            listed, value = chosen[name], whole[name]
            at = (*path, name, listed.index(value)) if isinstance(listed, list) else (*path, name)
            if at not in found:
                found.add(at)
                misfits.add(at, partial(_beyond, Bound(turned, float(whole[other]), other), value))


def _beyond(bound: Bound, value: object) -> str:
    return f"expected {bound}, found {shown(value)}"


def _check_idle(
    equations: Equations, values: Mapping[str, list[Any]], points: Sequence[Options], path: Path,
    misfits: _Misfits,
) -> None:  # fmt: skip
    """Add options without an effect: those that are given and have none in any combination, and
    lists that have none in some. Elsewhere the combination has such an option at its default."""
    defaults, reads = equations.defaults, effects(equations)
    found: dict[str, list[tuple[Idle, Options]]] = {}
    for point in points:
        whole = {**defaults, **point}
        for one in reads.idle(whole):
            if one.option in point:
                found.setdefault(one.option, []).append((one, whole))
                point[one.option] = defaults[one.option]
    for name, idle in found.items():
        is_list = len(values[name]) > 1
        if is_list or (len(idle) == len(points) and values[name][0] != defaults[name]):
            remedy = "give that a cell of its own" if len(idle) < len(points) else "leave it out"
            misfits.add((*path, name), partial(_idle, *idle[0], remedy), key=True)


def _idle(one: Idle, whole: Options, remedy: str) -> str:
    return f"{one.of(whole)}: {remedy}"


def _unknown(name: str, known: Sequence[str]) -> str:
    return hint_in_cell(name, known) or unknown_key(name, known)


def _in_range(
    value: Mapping[str, Tree],
    at: Path,
    given: object,
    limits: Mapping[str, float | str],
    misfits: _Misfits,
) -> list[Any]:
    """The values of an option that is a range; it is enough that both ends fit, unless a number
    next to those within its bounds is allowed."""

    def add(path: Path, message: str, key: bool = False) -> None:
        misfits.add(path, lambda: message, key=key)

    numbers = numbers_of(value, at, isinstance(given, int), add) or []
    for end in ("from", "to") if numbers else ():
        misfit = misfit_of(value[end], given, limits)
        if misfit is not None:
            misfits.add((*at, end), misfit)
    between = next((m for n in numbers if (m := misfit_of(n, given, limits))), None)
    if between is not None and OR in limits:
        misfits.add(at, between)
    return list(numbers)


def _as_declared(value: Any, given: object) -> float | int | str:
    """A value as the type of the option: 1 of a number is 1.0, 3.0 of a size is 3."""
    if isinstance(given, tuple):
        return str(value)
    return float(value) if isinstance(given, float) else int(value)


def misfit_of(
    value: Any, given: object, bounds: Mapping[str, float | str]
) -> Callable[[], str] | None:
    """What is wrong with a value of an option that is declared as `given`, in words to be asked
    for; None where it fits."""
    if isinstance(given, tuple):
        fits = isinstance(value, str) and value in given
        return None if fits else lambda: one_of(given, value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    expected = None
    if isinstance(given, float):
        if not is_number:
            expected = "a number"
        elif value - value != 0:
            expected = "a finite number"
        else:
            own = [Bound(kind, by) for kind, by in bounds.items()
                   if kind != OR and not isinstance(by, str)]  # fmt: skip
            limits = [*own, Bound("ge", -LARGEST), Bound("le", LARGEST)]
            broken = next((limit for limit in limits if not limit.holds(value)), None)
            besides = f"{bounds[OR]:g} or " if OR in bounds else ""
            if broken is not None and value != bounds.get(OR):
                expected = f"{besides}{broken}"
    elif not is_number or value % 1 != 0:
        expected = "a whole number"
    elif not 1 <= value <= LARGEST_SIZE:
        expected = "at least 1" if value < 1 else f"at most {LARGEST_SIZE}"
    return None if expected is None else lambda: f"expected {expected}, found {shown(value)}"
