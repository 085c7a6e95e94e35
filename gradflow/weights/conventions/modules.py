"""Modules whose tensors a package names: found by these names, held to their shapes.

Of a file's nets of this kind none is meant where it also has one that runs by itself and nothing
says which: they are parts of blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gradflow.weights.conventions.pytorch import unwrapped
from gradflow.weights.layers import CellLayer, Names, Net, of_another_kind
from gradflow.weights.tensors import Array, Tensors, float64, named, refuse

TRANSPOSED = False
"""A dense layer's kernel is (outputs, inputs)."""


_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Module:
    """A module of a file.

    Attributes:
        tensors: all that the file holds.
        prefix: what the net is called.
        names: the tensors of the module by what they are called in it.
        strangers: those next to them that the kind has not.
    """

    tensors: Tensors
    prefix: str
    names: Mapping[str, str]
    strangers: Sequence[str] = ()

    def __contains__(self, member: str) -> bool:
        return member in self.names

    def name(self, member: str) -> str:
        """The name of a tensor in the file. Raises InputError where it is missing."""
        if member not in self.names:
            there = next(iter(self.names.values()))
            missing = there[: len(there) - len(next(iter(self.names)))] + member
            what = f"the net {named(self.prefix)} has {named(there)}"
            raise self.refused(f"tensor {named(missing)} is missing: {what}")
        return self.names[member]

    def shape(self, member: str, letters: str) -> tuple[int, ...]:
        """The shape of a tensor, with one axis for each of the `letters` that a message has for
        it. Raises InputError: missing, other axes, empty."""
        shape = self.tensors.shape(self.name(member))
        if len(shape) != len(letters.split(",")) or 0 in shape:
            raise self.refused(
                f"tensor {named(self.names[member])}: expected the shape ({letters}), found {shape}"
            )
        return shape

    def array(
        self, member: str, letters: str, shape: Sequence[int], complex_: bool = False
    ) -> Array:
        """The numbers of a tensor, float64 (or complex128), which has to have this shape."""
        name = self.name(member)
        found, wanted = self.tensors.shape(name), tuple(shape)
        if found != wanted:
            message = f"expected the shape ({letters}) = {wanted}, found {found}"
            remedy = ": it is transposed" if found == wanted[::-1] else ""
            raise self.refused(f"tensor {named(name)}: {message}{remedy}")
        array = self.tensors[name]
        if array.dtype.kind not in ("fc" if complex_ else "f"):
            message = f"expected floating-point numbers, found {array.dtype}"
            raise self.refused(f"tensor {named(name)}: {message}")
        return np.asarray(array, np.complex128) if array.dtype.kind == "c" else float64(array)

    def origin(self, **members: str) -> dict[str, Names]:
        """By parameter, the tensors (their names in the module apart by blanks) that it is of."""
        found = {parameter: text.split() for parameter, text in members.items()}
        return {
            parameter: tuple(self.names[one] for one in ones)
            for parameter, ones in found.items()
            if all(one in self.names for one in ones)
        }

    def refused(self, message: str) -> Exception:
        """The error that says what is wrong with the module."""
        return refuse(self.tensors.source, message)


def nets(
    tensors: Tensors,
    members: Sequence[str],
    marks: Sequence[str],
    least: int,
    layers: Callable[[Module], Sequence[CellLayer]],
    aside: Sequence[str] = (),
) -> Iterator[Net]:
    """A net for each module that has at least `least` of the `marks` among the `members`; what is
    `aside` may be next to them, and is no part of the recurrence."""
    for module in found(tensors, members, marks, least, aside):
        yield Net(module.prefix, partial(alone, layers, module), aside=True)


def alone(layers: Callable[[Module], Sequence[CellLayer]], module: Module) -> Sequence[CellLayer]:
    """The layers of a module. What it has besides makes it another kind, and is refused; tensors at
    the top of a file may be anything, and are noted."""
    read = layers(module)
    if not module.strangers:
        return read
    there = next(iter(module.names.values()))
    if module.prefix:
        whose = f"what {read[0].convention} has there"
        first = module.strangers[0]
        raise of_another_kind(module.tensors, module.prefix, first, there, whose)
    listed = ", ".join(map(named, module.strangers[:_SHOWN]))
    more = len(module.strangers) - _SHOWN
    listed += f" and {more} more" if more > 0 else ""
    note = f"next to {named(there)} and not read, as no part of the layer: {listed}"
    return [replace(one, notes=(*one.notes, note)) for one in read]


def _folder(name: str) -> str:
    """The module that a tensor is in."""
    return name[: max(name.rfind("."), name.rfind("/"), 0)]


def _folders(tensors: Tensors) -> Mapping[str, Sequence[str]]:
    """The tensors that are in each module directly."""
    inside: dict[str, list[str]] = {}
    for name in tensors:
        inside.setdefault(_folder(name), []).append(name)
    return inside


def strangers(
    tensors: Tensors, module: str, names: Collection[str], aside: Collection[str] = ()
) -> list[str]:
    """What is in a module directly, or in one that a tensor of it is in, and is neither among these
    `names` nor `aside`."""
    inside = tensors.once("folders", partial(_folders, tensors))
    known = {*names, *aside}
    folders = dict.fromkeys([module, *map(_folder, names)])
    return [one for at in folders for one in inside.get(at, ()) if one not in known]


def _next_to(tensors: Tensors, names: Mapping[str, str], aside: Sequence[str]) -> list[str]:
    """The strangers of a module by what its tensors are called in it and in the file."""
    member, name = next(iter(names.items()))
    own = name[: len(name) - len(member)]
    return strangers(tensors, own[:-1], names.values(), [own + one for one in aside])


def found(
    tensors: Tensors,
    members: Sequence[str],
    marks: Sequence[str],
    least: int,
    aside: Sequence[str] = (),
) -> list[Module]:
    """The modules that have at least `least` of the `marks`, with all the `members` there are.
    Modules that only wrap are left out of a prefix if all names still differ."""
    listed = "|".join(re.escape(one) for one in members)
    pattern = re.compile(rf"(?:(?P<prefix>.*)[./])?(?P<member>{listed})", re.DOTALL)
    whole: dict[str, dict[str, str]] = {}
    for name in tensors:
        if match := pattern.fullmatch(name):
            whole.setdefault(match["prefix"] or "", {})[match["member"]] = name
    whole = {p: names for p, names in whole.items() if len(names.keys() & set(marks)) >= least}
    short = [unwrapped(prefix) for prefix in whole]
    return [
        Module(
            tensors,
            brief if short.count(brief) == 1 else prefix,
            names,
            _next_to(tensors, names, aside),
        )
        for (prefix, names), brief in zip(whole.items(), short, strict=True)
    ]
