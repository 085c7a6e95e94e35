"""Keras 1, 2 and 3: `kernel` (I,G), `recurrent_kernel` (H,G) and `bias` (G) of each layer.

Keras 3 numbers them `cell/vars/0` to `2`; Keras 1 calls them `W`, `U` and `b`, often one by one for
each gate. Gates: LSTM `i f c o`, GRU `z r h`; a GRU that resets after has a bias (2,3H).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from gradflow.weights.conventions.keras_config import Described, described
from gradflow.weights.layers import Names, Net, Place, RecurrentLayer, Traits, make_layer, tensor
from gradflow.weights.tensors import Array, Tensors, named, refuse

_KERAS_3 = re.compile(
    r"(?P<cell>(?P<layer>.*?)(?:/(?:forward|backward)_layer)?"
    r"(?:/cell(?:/cells/[^/]+)?|/?(?<![^/])(?:lstm|gru|simple_rnn)_cell(?:_\d+)?))/vars/(?P<role>[012])"
)
_KERAS_2 = re.compile(r"(?P<cell>(?:.*[/.])?)(?P<role>kernel|recurrent_kernel|bias)(?::0)?")
_KERAS_1 = re.compile(r"(?P<cell>.+)_(?P<role>[WUb])(?:_(?P<gate>[ifcozrh]))?(?::0)?")

_ROLES = {
    "0": "W_x",
    "1": "W_s",
    "2": "b",
    "kernel": "W_x",
    "recurrent_kernel": "W_s",
    "bias": "b",
    "W": "W_x",
    "U": "W_s",
    "b": "b",
}
_GATES = {1: ("",), 3: tuple("zrh"), 4: tuple("ifco")}
_GRU_ORDER = (1, 0, 2)

_ASSUMED = "the file does not tell the activations: taken as sigmoid for the gates, tanh elsewhere"


@dataclass(frozen=True)
class _Cell:
    """Names of a cell's tensors by role and gate ("" for all gates), and where they were found."""

    path: str
    layer: str
    numbered: bool
    reverse: bool
    parts: dict[str, dict[str, str]] = field(default_factory=dict)


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets: chains of layers where the file has the model's configuration, else one layer."""
    model = described(tensors.attributes.get("config"))
    groups: dict[str, list[_Cell]] = {}
    matches: dict[str, Described] = {}
    for cell in _cells(tensors):
        match = _match(cell, model, tensors.attributes.get("groups", {}))
        key = _key(match) if match else cell.path if "/cells/" in cell.path else cell.layer
        groups.setdefault(key, []).append(cell)
        if match:
            matches[key] = match
    for chain in _chains(list(groups), matches):
        prefix = matches[chain[0]].name if chain[0] in matches else chain[0]
        stack = [(groups[key], matches.get(key)) for key in chain]
        yield Net(prefix, partial(_layers, tensors, prefix, stack))


def _key(layer: Described) -> str:
    return layer.cell_path or layer.name


def _cells(tensors: Tensors) -> list[_Cell]:
    """The cells that the names of tensors tell of."""
    patterns = [_KERAS_3, _KERAS_2] + ([_KERAS_1] if "groups" in tensors.attributes else [])
    cells: dict[str, _Cell] = {}
    for name in tensors:
        match = next((m for p in patterns if (m := p.fullmatch(name))), None)
        if match:
            path = match["cell"].rstrip("/.")
            numbered = match.re is _KERAS_3
            layer = match["layer"] if numbered else _without_direction(path)
            backward = r"/backward_layer(?:/|$)" if numbered else r"(?:^|[/.])backward_"
            reverse = re.search(backward, path) is not None
            gate = (match["gate"] or "") if match.re is _KERAS_1 else ""
            cell = cells.setdefault(path, _Cell(path, layer or path, numbered, reverse))
            cell.parts.setdefault(_ROLES[match["role"]], {})[gate] = name
    return [cell for cell in cells.values() if "W_s" in cell.parts]


def _without_direction(path: str) -> str:
    """The path that both directions of a layer have in common."""
    return re.split(r"(?:^|[/.])(?:forward|backward)_", path)[0] or path


def _match(cell: _Cell, model: list[Described], groups: Mapping[str, str]) -> Described | None:
    """The layer of the configuration that a cell belongs to: by its label, its group, its path."""
    parts = re.split(r"[/.]", cell.path)
    if cell.numbered:
        group = cell.layer.replace("_layer_checkpoint_dependencies/", "layers/")
        label = groups.get(f"{cell.layer}/vars")
        found = [d for d in model if d.name == label] or [d for d in model if d.path == group]
        exact = [d for d in found if d.cell_path == cell.path]
    else:
        names = {d.name for d in model}
        name = next((part for part in reversed(parts) if part in names), None)
        found = [d for d in model if d.name == name]
        exact = [d for d in found if d.config.get("name") in parts]
    return next(iter(exact or found), None)


def _chains(keys: list[str], matches: Mapping[str, Described]) -> Iterator[list[str]]:
    """The layers of each net, the lowest first."""
    above: dict[str, list[str]] = {}
    for key in keys:
        below = matches[key].below if key in matches else None
        if below is not None and below in matches:
            lower = matches[below]
            plain = not lower.bidirectional or lower.merge_mode == "concat"
            if lower.cell == matches[key].cell and plain:
                above.setdefault(below, []).append(key)
    stacked = {uppers[0] for uppers in above.values() if len(uppers) == 1}
    for key in keys:
        if key not in stacked:
            chain = [key]
            while len(above.get(chain[-1], [])) == 1:
                chain += above[chain[-1]]
            yield chain


def _layers(
    tensors: Tensors, prefix: str, stack: list[tuple[list[_Cell], Described | None]]
) -> list[RecurrentLayer]:
    """The layers of a net, the forward direction of each first."""
    found = []
    for index, (cells, match) in enumerate(stack):
        for cell in sorted(cells, key=lambda c: c.reverse):
            backwards = match is not None and bool(match.config.get("go_backwards"))
            two = match is None or match.bidirectional
            reverse = cell.reverse if two else backwards
            place = Place(prefix, index, "reverse" if reverse else "forward")
            found.append(_layer(tensors, place, cell, match))
    directions = [(layer.layer, layer.direction) for layer in found]
    if len(set(directions)) < len(directions):
        raise refuse(tensors.source, f"the net {named(prefix)} has two layers in one place")
    if any(match and match.bidirectional and len(cells) != 2 for cells, match in stack):
        raise refuse(tensors.source, f"a direction of the net {named(prefix)} is missing")
    return found


def _layer(tensors: Tensors, place: Place, cell: _Cell, match: Described | None) -> RecurrentLayer:
    names: dict[str, Names] = {}
    arrays: dict[str, Array] = {}
    gates = _gates(tensors, cell)
    for role, parts in cell.parts.items():
        if missing := [gate for gate in gates if gate not in parts]:
            message = f"gate {missing[0]!r} of {role} is missing"
            raise refuse(tensors.source, f"the layer {named(cell.path)}: {message}")
        names[role] = tuple(parts[gate] for gate in gates)
        arrays[role] = _joined(tensors, names[role], [tensors[parts[gate]] for gate in gates])
    if "W_x" not in arrays:
        raise refuse(tensors.source, f"the layer {named(cell.path)} has no kernel for its input")
    reset = _reset(arrays.get("b"), match)
    _split_bias(names, arrays)
    arrays = {role: array.T for role, array in arrays.items()}
    traits = _traits(match, reset)
    expected = match.cell if match else None
    return make_layer(tensors, "Keras", place, names, arrays, traits, expected)


def _gates(tensors: Tensors, cell: _Cell) -> tuple[str, ...]:
    """The gates that Keras 1 keeps apart, in Keras's order; otherwise only ""."""
    gates = _GATES.get(len(cell.parts["W_s"]))
    if gates is None or not all(len(p) == len(gates) for p in cell.parts.values()):
        raise refuse(tensors.source, f"gates of the layer {named(cell.path)} are missing")
    return gates


def _joined(tensors: Tensors, names: Names, blocks: list[Array]) -> Array:
    """The gates side by side."""
    if len({block.shape for block in blocks}) > 1 or not blocks[0].ndim:
        shapes = ", ".join(str(block.shape) for block in blocks)
        raise refuse(tensors.source, f"{tensor(names)} disagree: their shapes are {shapes}")
    return np.concatenate(blocks, axis=-1)


def _reset(bias: Array | None, match: Described | None) -> str | None:
    """Whether a GRU resets before or after its recurrent product: its bias tells, or the config."""
    if bias is not None:
        return "after" if bias.ndim == 2 else "before"
    if match is not None:
        return "after" if match.config.get("reset_after") else "before"
    return None


def _split_bias(names: dict[str, Names], arrays: dict[str, Array]) -> None:
    """Puts Keras's bias where gradflow has it: its only row, or both."""
    if "b" in arrays:
        bias, name = arrays.pop("b"), names.pop("b")
        rows = list(bias) if bias.ndim == 2 and len(bias) == 2 else [bias]
        for parameter, row in zip(("b_x", "b_s"), rows, strict=False):
            arrays[parameter], names[parameter] = row, name


def _traits(match: Described | None, reset: str | None) -> dict[str, Traits]:
    """What the configuration, or its absence, says of each cell the layer may be."""
    unsupported = list(match.unsupported) if match else []
    notes = () if match else (_ASSUMED,)
    activation = str(match.config.get("activation", "tanh")) if match else None
    supported = activation in (None, "tanh", "linear", "relu", "sigmoid")
    return {
        "rnn": Traits(
            {"activation": activation} if activation and supported else {},
            () if match else ("activation",),
            tuple(unsupported) if supported else (f"activation {str(activation)[:60]}",),
        ),
        "lstm": Traits({}, (), tuple(unsupported), notes),
        "gru": Traits(
            {"reset": reset} if reset else {},
            () if reset else ("reset",),
            tuple(unsupported),
            notes,
            _GRU_ORDER,
        ),
    }
