"""Arrays of a file by names that a user wrote: a tensor, with rows or a transpose if need be.

rnn.weight_ih            the tensor
rnn.weight_ih[0:128]     its rows 0 to 127
cell.kernel.T            its transpose (Keras keeps kernels as (I, H))
cell.kernel[:, 64:128].T columns of it, transposed
cell.kernel[:, 1::3].T   every third column, from the second on
stack[2]                 the third of the arrays that it holds
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.weights.selection import check_there, first_not_finite, floats
from gradflow.weights.tensors import Array, Tensors, named, refuse

_STEP = re.compile(r"\.T$|\[[0-9: ,]*\]$")
_MOST_STEPS = 8
_AXIS = re.compile(r"(?:([0-9]{1,15})|([0-9]{1,15})?:([0-9]{1,15})?(?::(0*[1-9][0-9]{0,14})?)?)$")

Index = tuple[int | slice, ...]


class TensorPart(NamedTuple):
    """A tensor's name, and what is taken of it: None is a transpose."""

    tensor: str
    steps: tuple[Index | None, ...]


class Reader:
    """Reads arrays by what a text names; a tensor that is named twice is read once."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self._read: dict[str, Array] = {}

    def array(self, text: str) -> Array:
        """The array (float64) that a text names.

        Raises InputError: no such tensor, rows beyond its own, numbers that are not finite floats.
        """
        part = parsed(text, self.tensors)
        check_there(self.tensors, part.tensor)
        if part.tensor not in self._read:
            self._read[part.tensor] = floats(self.tensors, part.tensor)
        array = self._read[part.tensor]
        for step in part.steps:
            array = array.T if step is None else self._cut(array, step, part.tensor)
        if fault := first_not_finite(text, array):
            raise refuse(self.tensors.source, fault)
        return array

    def _cut(self, array: Array, index: Index, name: str) -> Array:
        shape = array.shape
        if len(index) > len(shape):
            message = (
                f"expected at most {many(len(shape), 'index', 'indices')}, its shape is {shape}"
            )
            raise self._refuse(name, message)
        for axis, (one, size) in enumerate(zip(index, shape, strict=False)):
            first, last = _ends(one, size)
            if not first < last <= size:
                given = _spelled(one)
                there = many(size, "entry", "entries")
                message = f"{given} is no part of axis {axis}, which has {there}"
                raise self._refuse(name, message)
        return np.asarray(array[index])

    def _refuse(self, name: str, message: str) -> InputError:
        return refuse(self.tensors.source, f"tensor {named(name)}: {message}")


def parsed(text: str, tensors: Mapping[str, object]) -> TensorPart:
    """What a text names: the longest part of it from the start that is a tensor's name, or,
    where none is, what is before all rows and transposes."""
    found = list(_readings(text.strip()))
    return next((one for one in found if one.tensor in tensors), found[-1])


def _readings(text: str) -> Iterator[TensorPart]:
    steps: tuple[Index | None, ...] = ()
    yield TensorPart(text, steps)
    while len(steps) < _MOST_STEPS and (found := _STEP.search(text)):
        step = None if found[0] == ".T" else _index(found[0][1:-1])
        if found[0] != ".T" and step is None:
            return
        text = text[: found.start()]
        steps = (step, *steps)
        yield TensorPart(text, steps)


def _index(text: str) -> Index | None:
    """What is in brackets: whole numbers and slices; None where it is neither."""
    axes = [_AXIS.match(axis.strip()) for axis in text.split(",")]
    if not all(axes):
        return None
    return tuple(
        int(axis[1]) if axis[1] else slice(*(int(n) if n else None for n in axis.groups()[1:]))
        for axis in axes
        if axis is not None
    )


def _ends(one: int | slice, size: int) -> tuple[int, int]:
    """The first entry of what is taken of an axis, and the one behind the last."""
    if isinstance(one, int):
        return one, one + 1
    return one.start or 0, size if one.stop is None else one.stop


def _spelled(one: int | slice) -> str:
    if isinstance(one, int):
        return str(one)
    step = "" if one.step is None else f":{one.step}"
    return f"{_bound(one.start)}:{_bound(one.stop)}{step}"


def _bound(value: int | None) -> str:
    return "" if value is None else str(value)
