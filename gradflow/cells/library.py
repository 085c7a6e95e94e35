"""The cells that come with gradflow: a folder of equations, each read when it is first used."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from gradflow.cells.cell import Cell
from gradflow.equations.declaration import Equations, Plain, check_keys, declared
from gradflow.equations.mistakes import EquationsError, Mistake, Mistakes, marked, nearest
from gradflow.errors import Fault, InputError

_FOLDER = Path(__file__).parent
_GROUP = "gradflow.cells"
_FIRST = ("rnn", "lstm", "lstmp", "gru")  # as they are shown


@lru_cache(maxsize=8)
def _offers(path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """The cells that packages on this path offer, by name; looked for once."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=_GROUP):
        found.setdefault(entry.name, entry)
    return found


class CellType:
    """A cell whose options are still to be chosen: `LSTM(forget_bias=1.0)`."""

    def __init__(self, name: str, equations: Equations | None = None) -> None:
        self.name = name
        self._given = equations

    def __call__(self, **options: float | int | str) -> Cell:
        """The cell with these options, the others at their defaults."""
        for name, choices in self.equations.choices.items():
            if name in options and options[name] not in choices:
                hint = nearest(str(options[name]), choices)
                message = f"expected one of {', '.join(choices)}, found {options[name]!r}{hint}"
                raise InputError(f"{self.name}: {name}: {message}")
        return Cell.of(self.equations, **options)

    def __repr__(self) -> str:
        return f"<cell {self.name}>"

    @property
    def source(self) -> str:
        """The text of its file."""
        return (_FOLDER / f"{self.name}.yaml").read_text(encoding="utf-8")

    @cached_property
    def equations(self) -> Equations:
        """Its declaration."""
        if self._given is not None:
            return self._given
        import yaml  # where a cell of the folder is used

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return declared(yaml.load(self.source, loader))

    @property
    def state_parts(self) -> tuple[str, ...]:
        """The names of the parts of the state."""
        return tuple(part for part, _ in self.equations.state)


class Library(Mapping[str, CellType]):
    """Cells by name: those of the folder."""

    def __init__(self) -> None:
        there = sorted(path.stem for path in _FOLDER.glob("*.yaml"))
        names = [*_FIRST, *(name for name in there if name not in _FIRST)]
        self._types = {name: CellType(name) for name in names}
        self._own: dict[str, CellType] = {}

    def __repr__(self) -> str:
        """`<cells rnn, lstm, ...>`."""
        return f"<cells {', '.join(self)}>"

    def __getitem__(self, name: str) -> CellType:
        if name not in self._types:
            raise KeyError(f"no cell {name}{nearest(str(name), list(self._types))}")
        return self._types[name]

    def is_own(self, name: str) -> bool:
        """Whether a cell of this name was registered, or is offered by an installed package."""
        return name in self._own or self._offered(name) is not None

    def own(self, name: str) -> CellType:
        """A cell that was registered, or that an installed package offers as an entry point of the
        group `gradflow.cells`: a mapping as YAML would give it, or `Equations`.

        Raises InputError where what a package offers is no cell, KeyError if there is nothing.
        """
        if name in self._own:
            return self._own[name]
        entry = self._offered(name)
        if entry is None:
            raise KeyError(name)
        try:
            self._own[name] = self._made(entry.load())
        except Exception as error:  # a package may fail in any way
            package = f" of the package {entry.dist.name}" if entry.dist else ""
            what = str(error).partition("\n")[0]
            message = f"the cell {name}{package} ({entry.value}) cannot be loaded"
            raise InputError(f"{message}: {type(error).__name__}: {what}") from None
        return self._own[name]

    def offered(self) -> list[str]:
        """The names of the cells that installed packages offer."""
        return sorted(set(_offers(tuple(sys.path))) - set(self._types))

    def _offered(self, name: str) -> EntryPoint | None:
        return _offers(tuple(sys.path)).get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def register(self, equations: Equations | Plain) -> CellType:
        """Let configs name the user's own cell: a declaration, or a mapping as YAML would give it.
        Raises EquationsError where no compiler can make anything of it."""
        cell = self._made(equations)
        self._own[cell.name] = cell
        return cell

    def _made(self, equations: object) -> CellType:
        if not isinstance(equations, Equations | Mapping):
            found = type(equations).__name__
            raise TypeError(f"expected a mapping of equations, found {found}")
        if isinstance(equations, Mapping):
            mistakes = Mistakes()
            check_keys(equations, mistakes)
            mistakes.stop_if_any()
        made = equations if isinstance(equations, Equations) else declared(equations)
        if made.name in self._types:
            raise ValueError(f"{made.name} is a cell of gradflow already: choose another name")
        cell = CellType(made.name, made)
        cell().sized(64, 16)
        return cell


CELLS = Library()


def is_file(name: str) -> bool:
    """Whether the name of a cell is that of a file."""
    return name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name


def register(equations: Equations | Plain) -> CellType:
    """Let configs name a cell whose equations come from code: `cell: my_cell`.

        >>> import gradflow
        >>> gradflow.register({
        ...     "name": "slow",
        ...     "state": {"h": "H"},
        ...     "parameters": {"W": ["H", "I"], "U": ["H", "H"]},
        ...     "options": {"tau": 5.0},
        ...     "step": "h[t] = (1 - 1 / tau) * h[t-1] + tanh(W @ x[t] + U @ h[t-1]) / tau",
        ... })
        <cell slow>
        >>> gradflow.analyze({"cell": {"type": "slow", "tau": [5, 20]}, "hidden_size": 8})
        <Results: 2 runs, 1 vanishing, 1 stable>

    Args:
        equations: a mapping, as a cell's YAML file would give it.

    Returns:
        The cell; called with options, `Cell`, what `unroll` takes.

    Raises:
        InputError: they are no mapping, no compiler can make anything of them (with every mistake
            and its line), or a cell of gradflow has this name.
    """
    try:
        return CELLS.register(equations)
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from None
    except EquationsError as error:
        plain = equations if isinstance(equations, Mapping) else {}
        raise InputError(*(_fault(mistake, plain) for mistake in error.mistakes)) from None


def _fault(mistake: Mistake, plain: Plain) -> Fault:
    """A mistake in a mapping of equations, by the name of the cell, with its line where it is in a
    text."""
    name, text = plain.get("name"), plain.get(mistake.where)
    source = name if isinstance(name, str) and name else "equations"
    if not isinstance(text, str) or mistake.where not in ("step", "output"):
        return Fault(mistake.message, source, key=mistake.where)
    shown = marked(text, mistake.at)
    return Fault(mistake.message, source, *mistake.at[:2], mistake.where, shown)
