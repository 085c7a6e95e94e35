"""Flax: a kernel per gate (linen, nnx.LSTMCell), or all gates in `dense_i` and `dense_h` (nnx).

Kernels are transposed. Gates go by name, or are ordered as gradflow has them; a GRU resets after.
The activation of a SimpleCell is not in a file; neither are those of the gated cells, taken as
usual.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from gradflow.weights.conventions.modules import strangers
from gradflow.weights.layers import (
    Names,
    Net,
    NetPlace,
    RecurrentLayer,
    Traits,
    make_layer,
    of_another_kind,
    tensor,
)
from gradflow.weights.tensors import Array, Tensors, named, refuse

NAME = "Flax"
TRANSPOSED = True
"""What the convention is called, and whether a dense layer's kernel is (inputs, outputs)."""

_GATES = {"gru": "rzn", "lstm": "ifgo"}

_TRAITS = {
    "rnn": Traits(undetermined=("activation",)),
    "lstm": Traits(),
    "gru": Traits({"reset": "after"}),
}

_NAME = re.compile(
    r"(?:(?P<module>.*)(?P<separator>[./]))?"
    r"(?P<part>[ih][ifgorzn]_?|[ih]|dense_[ih])[./](?P<role>kernel|bias)"
)

_BIDIRECTIONAL = re.compile(r"(?P<around>(?:.*[./])?)(?P<way>forward|backward)_rnn(?:[./]cell)?")

_Parts = dict[tuple[str, str], str]
"""Names of tensors by part (`ii`, `hf`, `dense_h`, ...) and role (`kernel`, `bias`)."""


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of the cells that the tensors belong to; the halves of a Bidirectional together."""
    nets: dict[str, dict[str, tuple[str, _Parts]]] = {}
    for module, parts in _modules(tensors).items():
        match = _BIDIRECTIONAL.fullmatch(module)
        prefix = match["around"].rstrip("./") if match else module
        direction = "reverse" if match and match["way"] == "backward" else "forward"
        nets.setdefault(prefix, {})[direction] = (module, parts)
    for prefix, cells in nets.items():
        yield Net(prefix, partial(_layers, tensors, prefix, cells))


def _modules(tensors: Tensors) -> dict[str, _Parts]:
    """The parts of each module that has the recurrent ones."""
    modules: dict[str, _Parts] = {}
    for name in tensors:
        if match := _NAME.fullmatch(name):
            part = match["part"].rstrip("_")
            modules.setdefault(match["module"] or "", {})[part, match["role"]] = name
    return {
        module: parts
        for module, parts in modules.items()
        if ("hi", "kernel") in parts
        or ("hn", "kernel") in parts
        or {("h", "kernel"), ("i", "kernel")} <= parts.keys()
        or {("dense_h", "kernel"), ("dense_i", "kernel")} <= parts.keys()
    }


def _layers(
    tensors: Tensors, prefix: str, cells: Mapping[str, tuple[str, _Parts]]
) -> list[RecurrentLayer]:
    """The forward and, if there is one, the reverse layer of a net."""
    if "forward" not in cells:
        raise refuse(tensors.source, f"the net {named(prefix)} has no forward_rnn")
    found = []
    for direction in sorted(cells):
        module, parts = cells[direction]
        found.append(_layer(tensors, module, NetPlace(prefix, 0, direction), parts))
    return found


def _layer(tensors: Tensors, module: str, place: NetPlace, parts: _Parts) -> RecurrentLayer:
    if module and (others := strangers(tensors, module, parts.values())):
        there = next(iter(parts.values()))
        raise of_another_kind(tensors, module, others[0], there, "what a cell of Flax has there")
    names: dict[str, Names] = {}
    arrays: dict[str, Array] = {}
    for parameter, side, role in (
        *(("W_x", "i", "kernel"), ("W_s", "h", "kernel")),
        *(("b_x", "i", "bias"), ("b_s", "h", "bias")),
    ):
        blocks = _blocks(tensors, module, parts, side, role)
        if any(name for name, _ in blocks):
            names[parameter] = tuple(name for name, _ in blocks if name)
            arrays[parameter] = _fused(tensors, names[parameter], [a for _, a in blocks])
    return make_layer(tensors, NAME, place, names, arrays, _TRAITS)


def _blocks(
    tensors: Tensors, module: str, parts: _Parts, side: str, role: str
) -> list[tuple[str, Array]]:
    """Name and transposed array of each gate's part in gradflow's order, "" and zeros for none."""
    if (f"dense_{side}", "kernel") in parts:
        gates = [f"dense_{side}"]
    elif (side, "kernel") in parts:
        gates = [side]
    else:
        cell = "lstm" if ("hi", "kernel") in parts else "gru"
        gates = [side + gate for gate in _GATES[cell]]
    blocks = []
    for gate in gates:
        if (gate, "kernel") not in parts:
            message = f"expected {', '.join(gates)}; {gate}/kernel is missing"
            raise refuse(tensors.source, f"the cell {named(module)}: {message}")
        name = parts.get((gate, role), "")
        width = tensors.shape(parts[gate, "kernel"])[-1:]
        blocks.append((name, tensors[name].T if name else np.zeros(width)))
    return blocks


def _fused(tensors: Tensors, names: Names, blocks: list[Array]) -> Array:
    if len({block.shape for block in blocks}) > 1:
        shapes = ", ".join(str(block.shape[::-1]) for block in blocks)
        raise refuse(tensors.source, f"{tensor(names)} disagree: their shapes are {shapes}")
    return np.concatenate(blocks)
