"""Conventions by which frameworks name and lay out recurrent parameters: one file for each."""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.errors import Fault, InputError, first_faults
from gradflow.weights.conventions import (
    flax,
    keras,
    lru,
    mamba,
    mingru,
    mlstm,
    onnx,
    pytorch,
    s5,
    slstm,
)
from gradflow.weights.layers import Net, RecurrentLayer
from gradflow.weights.tensors import Tensors

_BY_NAMES = (pytorch, keras, flax, mingru, lru, mamba, slstm, mlstm, s5)
_ALL = (*_BY_NAMES, onnx)

TRANSPOSED = frozenset(one.NAME for one in _ALL if one.TRANSPOSED)
"""The conventions whose dense layers keep the transpose, (inputs, outputs)."""


def find_nets(tensors: Tensors) -> list[Net]:
    """The recurrent nets that a file's names and attributes show, none of them read yet."""
    return tensors.once("nets", lambda: list(_nets(tensors)))


def _nets(tensors: Tensors) -> Iterator[Net]:
    sources = (onnx,) if "nodes" in tensors.attributes else _BY_NAMES
    for source in sources:
        yield from source.find(tensors)


def find_layers(tensors: Tensors, prefix: str | None = None) -> list[RecurrentLayer]:
    """The layers of all recurrent nets in a file, or of those called `prefix` or within it.

    Raises InputError with one fault for each net whose tensors are missing or contradict each
    other. Whether the numbers are finite is not looked at.
    """
    found: list[RecurrentLayer] = []
    faults: list[Fault] = []
    for net in find_nets(tensors):
        if prefix is None or within(net.prefix, prefix):
            try:
                found.extend(net.layers())
            except InputError as error:
                faults.extend(error.faults)
    if faults:
        raise InputError(*first_faults(faults))
    return found


def within(net: str, prefix: str) -> bool:
    """Whether a net is called `prefix`, or is part of a module that is."""
    return net == prefix or net.startswith((f"{prefix}.", f"{prefix}/"))
