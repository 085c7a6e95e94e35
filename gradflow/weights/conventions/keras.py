"""Keras 1, 2 and 3: `kernel` (I,G), `recurrent_kernel` (H,G) and `bias` (G) of each layer.

Keras 3 numbers them `cell/vars/0` to `2`; Keras 1 calls them `W`, `U` and `b`, often one by one for
each gate. Gates: LSTM `i f c o`, GRU `z r h`; a GRU that resets after has a bias (2,3H). The layers
for cuDNN have both biases in one, (2G), and each gate's kernel as cuDNN has it, (H,I) and (H,H),
in the memory of a (I,H) and a (H,H).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from gradflow.weights.conventions.chains import chains
from gradflow.weights.conventions.keras_config import Described, Half, described
from gradflow.weights.conventions.keras_traits import traits
from gradflow.weights.layers import (
    Names,
    Net,
    NetPlace,
    RecurrentLayer,
    make_layer,
    reads,
    tensor,
)
from gradflow.weights.tensors import Array, Tensors, named, refuse

NAME = "Keras"
TRANSPOSED = True
"""What the convention is called, and whether a dense layer's kernel is (inputs, outputs)."""

_KERAS_3 = re.compile(
    r"(?P<cell>(?P<layer>.*?)(?:/(?:forward|backward)_layer)?"
    r"(?:/cell(?:/cells/[^/]+)?|/?(?<![^/])(?:lstm|gru|simple_rnn)_cell(?:_\d+)?))/vars/(?P<role>[012])"
)
_KERAS_2 = re.compile(
    r"(?P<cell>(?:.*[/.])?)(?P<role>kernel|recurrent_kernel|bias)"
    r"(?::0|/\.ATTRIBUTES/VARIABLE_VALUE)?"  # as variables of HDF5, or of a TensorFlow checkpoint
)
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

_MERGES = ("concat", "sum", "ave", "mul")
_MOST_ALIKE = 20


@dataclass(frozen=True)
class _Cell:
    """Names of a cell's tensors by role and gate ("" for all gates), and where they were found.

    `others` are the tensors next to them that no cell of Keras's own has.
    """

    path: str
    layer: str
    numbered: bool
    reverse: bool
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


_Layer = tuple[list[_Cell], Described | None]
"""The cells of a layer, and what the configuration says of it."""


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets: chains of layers where the file has the model's configuration, else one layer."""
    layers: dict[str, _Layer] = {}
    for cell, match in _matched(tensors):
        key = match.key if match else cell.path if "/cells/" in cell.path else cell.layer
        layers.setdefault(key, ([], match))[0].append(cell)
    below = {key: (match.below or None) if match else None for key, (_, match) in layers.items()}

    def fits(chain: Sequence[str], upper: str) -> bool:
        return _fits([layers[one][1] for one in chain], layers[upper][1])

    nets = chains(below, fits)
    names = [_prefix(key, layers[key][1]) for key, *_ in nets]
    count = Counter(names)
    for (key, *above), name in zip(nets, names, strict=True):
        match = layers[key][1]
        prefix = name if count[name] == 1 or match is None else "/".join(match.trail)
        stack = [layers[one] for one in (key, *above)]
        yield Net(prefix, partial(_layers, tensors, prefix, stack, _below(layers, key)))


def _prefix(key: str, match: Described | None) -> str:
    return match.name if match else key


def _below(layers: Mapping[str, _Layer], key: str) -> str | None:
    """The name of the recurrent layer that the lowest of a net reads in its model, if any."""
    match = layers[key][1]
    below = layers.get(match.below) if match and match.below else None
    return below[1].name if below and below[1] else None


def _matched(tensors: Tensors) -> list[tuple[_Cell, Described | None]]:
    """The cells with what the configuration says of their layers, in the model's order."""
    model = described(tensors.attributes.get("config"))
    by_name: dict[str, list[Described]] = {}
    for one in model:
        for name in dict.fromkeys((*one.trail, *(half.name for half in one.halves))):
            by_name.setdefault(name, []).append(one)
    by_path = {one.path: one for one in reversed(model)}
    order = {one.key: number for number, one in enumerate(model)}
    groups = tensors.attributes.get("groups", {})
    found = [
        (cell, _numbered_match(cell, by_name, by_path, groups))
        if cell.numbered
        else (cell, _named_match(cell, by_name))
        for cell in _cells(tensors)
    ]
    rank = {name: number for number, name in enumerate(tensors.attributes.get("layers", ()))}

    def order_of(pair: tuple[_Cell, Described | None]) -> tuple[int, int, list[str]]:
        cell, match = pair
        if match is not None:
            return order[match.key], 0, []
        if "groups" not in tensors.attributes:  # a file that has its own order
            return len(order), 0, []
        ranks = [rank[part] for part in re.split(r"[/.]", cell.path) if part in rank]
        return len(order), min(ranks, default=len(rank)), _natural(cell.path)

    return sorted(found, key=order_of)


def _natural(path: str) -> list[str]:
    """What sorts lstm_2 before lstm_10."""
    return [part.zfill(12) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def _cells(tensors: Tensors) -> list[_Cell]:
    """The cells that the names of tensors show."""
    patterns = [_KERAS_3, _KERAS_2] + ([_KERAS_1] if "groups" in tensors.attributes else [])
    cells: dict[str, _Cell] = {}
    loose: dict[str, list[str]] = {}
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
        elif tensors.stored[name].dtype.removeprefix("b").startswith("float"):
            group = re.split(r"[/.][^/.]*$", name)[0].removesuffix("/vars")
            loose.setdefault(group, []).append(name)
    for path, cell in cells.items():
        cell.others.extend(loose.get(path, []) if path else [])
    return [cell for cell in cells.values() if "W_s" in cell.parts]


def _without_direction(path: str) -> str:
    """The path that both directions of a layer have in common."""
    return re.split(r"(?:^|[/.])(?:forward|backward)_", path)[0] or path


def _numbered_match(
    cell: _Cell,
    by_name: Mapping[str, list[Described]],
    by_path: Mapping[str, Described],
    groups: Mapping[str, str],
) -> Described | None:
    """The layer of the configuration that a cell of Keras 3 belongs to: by its label and group."""
    group = cell.layer.replace("_layer_checkpoint_dependencies/", "layers/")
    alike = by_name.get(groups.get(f"{cell.layer}/vars", ""), [])[:_MOST_ALIKE]
    alike = alike or [by_path[group]] if group in by_path else alike
    exact = [one for one in alike if cell.path == one.cell_path]
    exact = exact or [one for one in alike if one.path == group]
    return next(iter(exact or alike), None)


def _named_match(cell: _Cell, by_name: Mapping[str, list[Described]]) -> Described | None:
    """The same before Keras 3: the layer most of whose names are in the path, the deepest first;
    the path begins with the layer of the whole model."""
    parts = re.split(r"[/.]", cell.path.removeprefix("model_weights/"))
    known = next((part for part in reversed(parts) if part in by_name), None)
    alike = by_name[known][:_MOST_ALIKE] if known else []

    def fit(one: Described) -> int:
        names = {*one.trail, *(half.name for half in one.halves)}
        own = sum(half.name in parts for half in one.halves)
        top = 10 if one.trail[0] == parts[0] else 0
        return top + 2 * own + len(names.intersection(parts)) - len(names.difference(parts))

    return max(alike, key=fit, default=None)


def _fits(chain: Sequence[Described | None], upper: Described | None) -> bool:
    """Whether a layer that reads the sequence of a chain's last one can be computed with it."""
    layers = [one for one in (*chain, upper) if one is not None]
    halves = [half for one in layers[-2:] for half in one.halves]
    if len({len(one.halves) for one in layers}) > 1 or len(set(map(_kind, halves))) > 1:
        return False
    merges = {one.merge_mode for one in layers[:-1]}
    if layers[0].bidirectional:
        return len(merges) == 1 and merges.issubset(_MERGES)
    return not any(half.backwards for half in halves)


def _kind(half: Half) -> tuple[object, ...]:
    """What has to be the same of all cells in a net."""
    config = half.config
    inner = config.get("inner_activation")
    gates = config.get("recurrent_activation", inner)
    reset = bool(config.get("reset_after")) if half.cell == "gru" else None
    return half.cell, half.kind, str(config.get("activation")), str(gates), reset


def _layers(
    tensors: Tensors, prefix: str, stack: Sequence[_Layer], below: str | None
) -> list[RecurrentLayer]:
    """The layers of a net, the forward direction of each first."""
    if any(match and match.apart for _, match in stack):
        message = "has a stack of cells in each direction by itself, which is not computed"
        way_out = "name the tensors of one cell as W_x, W_s (and b_x)"
        raise refuse(tensors.source, f"the net {named(prefix)} {message}: {way_out}")
    found = []
    for index, (cells, match) in enumerate(stack):
        two = match is None or match.bidirectional
        here = []
        for cell in cells:
            half = _half(cell, match)
            backwards = bool(half and half.backwards)
            reverse = _reverse(cell, match) if two else backwards
            place = NetPlace(prefix, index, "reverse" if reverse else "forward")
            here.append(_layer(tensors, place, cell, match, half))
        found += sorted(here, key=lambda layer: layer.direction)
    directions = [(layer.layer, layer.direction) for layer in found]
    if len(set(directions)) < len(directions):
        raise refuse(tensors.source, f"the net {named(prefix)} has two layers in one place")
    if any(match and match.bidirectional and len(cells) != 2 for cells, match in stack):
        raise refuse(tensors.source, f"a direction of the net {named(prefix)} is missing")
    if below is not None:
        note = reads(prefix, below)
        found = [replace(layer, notes=(*layer.notes, note)) for layer in found]
    return found


def _reverse(cell: _Cell, match: Described | None) -> bool:
    """Whether a cell is the backward half of its layer."""
    if match is None or not match.bidirectional or cell.numbered:
        return cell.reverse
    forward, backward = (half.name for half in match.halves)
    return cell.reverse or (backward != forward and backward in re.split(r"[/.]", cell.path))


def _half(cell: _Cell, match: Described | None) -> Half | None:
    """The configuration of a cell's own direction."""
    return match.halves[-1 if _reverse(cell, match) else 0] if match else None


def _layer(
    tensors: Tensors, place: NetPlace, cell: _Cell, match: Described | None, half: Half | None
) -> RecurrentLayer:
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
    cudnn = _from_cudnn(arrays)
    reset = "after" if cudnn else _reset(arrays.get("b"), half)
    _split_bias(names, arrays)
    arrays = {role: array.T for role, array in arrays.items()}
    unsupported = []
    if cell.others:
        unsupported.append(f"tensors that no cell of gradflow's has: {named(cell.others[0])}")
    if match and match.bidirectional and match.halves[0].backwards:
        unsupported.append("a forward direction that goes backwards")
    version = (tensors.attributes.get("keras_version") or "")[:30] or None
    notes = match.notes if match else ()
    known = traits(half, version, reset, cudnn, notes, tuple(unsupported))
    expected = half.cell if half else None
    layer = make_layer(tensors, NAME, place, names, arrays, known, expected)
    merge = match.merge_mode if match and match.merge_mode in _MERGES else "concat"
    return replace(layer, merge=merge)


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


def _from_cudnn(arrays: dict[str, Array]) -> bool:
    """Whether the arrays have cuDNN's layout, which a bias of 2G shows; if so, they are put into
    that of the other layers, as Keras does when it loads such weights."""
    W_x, W_s, bias = arrays["W_x"], arrays["W_s"], arrays.get("b")
    if bias is None or bias.ndim != 1 or W_x.ndim != 2 or W_s.ndim != 2:
        return False
    H, G = W_s.shape
    if not H or G not in (3 * H, 4 * H) or W_x.shape[1] != G or len(bias) != 2 * G:
        return False
    arrays["W_x"] = np.hstack([k.reshape(H, -1).T for k in np.split(W_x, G // H, axis=1)])
    arrays["W_s"] = np.hstack([k.T for k in np.split(W_s, G // H, axis=1)])
    arrays["b"] = bias.reshape(2, G)
    return True


def _reset(bias: Array | None, half: Half | None) -> str | None:
    """Whether a GRU resets before or after its recurrent product: its bias shows it, or the
    config."""
    if bias is not None:
        return "after" if bias.ndim == 2 else "before"
    if half is not None:
        return "after" if half.config.get("reset_after") else "before"
    return None


def _split_bias(names: dict[str, Names], arrays: dict[str, Array]) -> None:
    """Puts Keras's bias where gradflow has it: its only row, or both."""
    if "b" in arrays:
        bias, name = arrays.pop("b"), names.pop("b")
        rows = list(bias) if bias.ndim == 2 and len(bias) == 2 else [bias]
        for parameter, row in zip(("b_x", "b_s"), rows, strict=False):
            arrays[parameter], names[parameter] = row, name
