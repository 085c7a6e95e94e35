"""A cell as it is declared: plain data, before anything is read into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradflow.equations.mistakes import At, Mistakes, nearest

Option = float | int | tuple[str, ...]
"""The default of an option: a number, a whole number (a size), or names, the default first."""

Plain = Mapping[str, Any]
"""A declaration as YAML gives it."""

KEYS = (
    "type", "name", "state", "parameters", "constants", "options", "step", "output", "gauge",
    "cite", "about", "help", "bounds",
)  # fmt: skip
"""The keys of a declaration; `type`, if it is there, is `equations`."""

OF_PARAMETER = ("shape", "init", "role")
"""Those of a parameter or constant."""

ROLES = ("input", "recurrent", "bias", "input_bias", "other")


class Declared(NamedTuple):
    """A parameter or a constant.

    Attributes:
        name: as the equations use it.
        shape: its sizes as text (`H`, `I`, `8`, the name of a whole-number option).
        init: an initializer's name or an expression; None: what the config draws.
        role: one of ROLES where it is not to be inferred.
        trained: False of a constant.
    """

    name: str
    shape: tuple[str, ...]
    init: str | None = None
    role: str | None = None
    trained: bool = True


@dataclass(frozen=True)
class Equations:
    """A cell's equations and all that is declared with them.

    Attributes:
        name: of the cell.
        state: (part, sizes as text), in the order in which they lie.
        parameters: parameters and constants, in the order in which they are drawn.
        step: the equations of one step, a line each.
        options: name to default.
        output: the expression that the loss and the layer above see; None: `h`, else the first
            part.
        gauge: a part that carries scale and no memory, to the parts that are kept as e^-part times
            the true ones.
        cite: where the cell was published.
        about: what it is, in a line.
        help: option to what it does.
        bounds: option to what bounds it: pairs of `gt`, `ge`, `lt` or `le` and a number or the name
            of another option; `or` and one more number that is allowed.
    """

    name: str
    state: tuple[tuple[str, tuple[str, ...]], ...]
    parameters: tuple[Declared, ...]
    step: str
    options: tuple[tuple[str, Option], ...] = ()
    output: str | None = None
    gauge: tuple[tuple[str, tuple[str, ...]], ...] = ()
    cite: str = ""
    about: str = ""
    help: tuple[tuple[str, str], ...] = ()
    bounds: tuple[tuple[str, tuple[tuple[str, float | str], ...]], ...] = ()

    @property
    def defaults(self) -> dict[str, float | int | str]:
        """The value of every option that is not chosen."""
        return {
            name: value[0] if isinstance(value, tuple) else value for name, value in self.options
        }

    @property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The options that are a choice of names."""
        return {name: value for name, value in self.options if isinstance(value, tuple)}


Chosen = Mapping[str, float | int | str]
"""The value of every option."""


def check_keys(plain: Plain, mistakes: Mistakes) -> None:
    """Report keys of a mapping from code that do nothing."""
    kind = plain.get("type", "equations")
    if kind != "equations":
        message = (
            f"expected equations, or no type: the cell is what is written here, found {kind!r}"
        )
        mistakes.add("type", At(1, 1), message)
    mappings: list[tuple[str, Plain, Sequence[str]]] = [("", plain, KEYS)]
    for group in ("parameters", "constants"):
        given = plain.get(group)
        for name, own in given.items() if isinstance(given, Mapping) else ():
            if isinstance(own, Mapping):
                keys = [key for key in OF_PARAMETER if group == "parameters" or key != "role"]
                mappings.append((f"{group}.{name}.", own, keys))
    for where, mapping, known in mappings:
        for key in mapping:
            if key not in known:
                message = f"unknown key{nearest(str(key), known)}"
                mistakes.add(f"{where}{key}", At(1, 1), message)


def declared(plain: Plain) -> Equations:
    """The declaration that a mapping of the right form gives; what is in it is looked at later."""
    parameters = [
        _parameter(name, given, trained)
        for key, trained in (("parameters", True), ("constants", False))
        for name, given in (plain.get(key) or {}).items()
    ]
    options = {
        name: tuple(map(str, given)) if isinstance(given, list) else given
        for name, given in (plain.get("options") or {}).items()
    }
    gauge = {
        scale: tuple(scaled) if isinstance(scaled, list) else (scaled,)
        for scale, scaled in (plain.get("gauge") or {}).items()
    }
    return Equations(
        name=str(plain.get("name", "equations")),
        state=tuple((part, _sizes(given)) for part, given in (plain.get("state") or {}).items()),
        parameters=tuple(parameters),
        step=str(plain.get("step", "")),
        options=tuple(options.items()),
        output=plain.get("output"),
        gauge=tuple(gauge.items()),
        cite=" ".join(str(plain.get("cite", "")).split()),
        about=str(plain.get("about", "")),
        help=tuple((plain.get("help") or {}).items()),
        bounds=tuple(
            (name, tuple(own.items())) for name, own in (plain.get("bounds") or {}).items()
        ),
    )


def _parameter(name: str, given: Any, trained: bool) -> Declared:
    if not isinstance(given, Mapping):
        return Declared(name, _sizes(given), trained=trained)
    init = given.get("init")
    return Declared(
        name,
        _sizes(given["shape"]),
        None if init is None else str(init),
        given.get("role"),
        trained,
    )


def _sizes(given: Any) -> tuple[str, ...]:
    return tuple(str(size) for size in (given if isinstance(given, list) else [given]))
