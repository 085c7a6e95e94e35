"""What a Keras model's configuration says of its recurrent layers, from Keras 1 to Keras 3.

Wrappers (`Bidirectional`, `TimeDistributed`, those of others), models within models and subclasses
of Keras's layers are followed; each direction has its own configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

_CELLS = {
    "SimpleRNN": "rnn",
    "SimpleRNNCell": "rnn",
    "LSTM": "lstm",
    "LSTMCell": "lstm",
    "GRU": "gru",
    "GRUCell": "gru",
    "CuDNNLSTM": "lstm",
    "CuDNNGRU": "gru",
}

_OF_RECURRENT = ("recurrent_activation", "inner_activation", "recurrent_initializer", "inner_init")
"""Keys that the configuration of a recurrent layer has, whatever its class is called."""

_KEEP_SEQUENCES = (
    *("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("Masking", "ActivityRegularization", "Identity"),
)
"""Layers that hand a sequence on as it is once training is over."""

_MAX_DEPTH = 16


@dataclass(frozen=True)
class Half:
    """One direction of a recurrent layer as the configuration has it.

    `cell` is None where the class, `kind`, is not one of Keras's own; `name` is the layer's.
    """

    name: str
    kind: str
    cell: str | None
    config: Mapping[str, Any]

    @property
    def backwards(self) -> bool:
        """Whether it reads its sequence from the end."""
        return bool(self.config.get("go_backwards"))


@dataclass(frozen=True)
class Described:
    """A recurrent layer as the configuration has it.

    `trail` has the names of the models and layers around it, the outermost first, and its own;
    `name` is the one that it has in its model, `path` what Keras 3 calls its group. `cell_path` is
    that of one cell of a stack of cells, `below` the key of the recurrent layer whose sequence it
    reads; `halves` are its one or two directions, `apart` says that each is a stack by itself.
    """

    name: str
    trail: tuple[str, ...]
    path: str
    halves: tuple[Half, ...]
    merge_mode: str = "concat"
    sequences: bool = False
    cell_path: str = ""
    below: str | None = None
    notes: tuple[str, ...] = ()
    apart: bool = False

    @property
    def key(self) -> str:
        """How it differs from all others of its file."""
        return self.cell_path or self.path

    @property
    def bidirectional(self) -> bool:
        """Whether it runs in both directions."""
        return len(self.halves) == 2


@dataclass(frozen=True)
class _At:
    """Where in a model a layer is: its group in Keras 3, the names around it, what it reads."""

    path: str
    trail: tuple[str, ...]
    below: str | None = None

    def within(self, name: str) -> _At:
        """Where the layer is that a layer here wraps."""
        return _At(f"{self.path}/layer", (*self.trail, name))


def described(config: Any) -> list[Described]:
    """The recurrent layers of a model and of the models within it, in their order."""
    return list(_model(config, "", (), _MAX_DEPTH))


def _model(model: Any, path: str, trail: tuple[str, ...], depth: int) -> Iterator[Described]:
    """The recurrent layers of a Sequential or Functional model."""
    previous: str | None = None
    feeds: dict[str, str | None] = {}  # by layer, the recurrent layer whose sequence it hands on
    used: dict[str, int] = {}
    sequential = _get(model, "class_name") == "Sequential"
    for layer in _layers(model):
        name = _name(layer)
        group = f"{path}layers/{_numbered(_snake(_kind(layer)), used)}"
        source = previous if sequential else _inbound(_get(layer, "inbound_nodes"))
        below = feeds.get(source) if source else None
        found = list(_recurrent(layer, _At(group, (*trail, name), below), depth))
        yield from found
        if found and found[-1].sequences:
            feeds[name] = found[-1].key
        elif not found and _kind(layer) in _KEEP_SEQUENCES:
            feeds[name] = below
        previous = name


def _recurrent(layer: Any, at: _At, depth: int) -> Iterator[Described]:
    """The recurrent layers that a layer is, wraps or, being a model, holds; each cell of a stack
    of cells is one."""
    kind, config = _kind(layer), _get(layer, "config")
    wrapped = _get(config, "layer")
    if not depth:
        return
    if _is_model(layer):
        for one in _model(layer, f"{at.path}/", at.trail, depth - 1):
            yield replace(one, sequences=False)  # what the model hands on is not followed
    elif kind == "Bidirectional":
        if _kind(wrapped) != kind:
            inner = [_both_ways(one, config) for one in _recurrent(wrapped, at, depth - 1)]
            yield from (replace(one, apart=len(inner) > 1) for one in inner)
    elif kind == "RNN":
        yield from _stack_of_cells(config, at)
    elif isinstance(wrapped, dict):
        note = f"the layer {at.trail[-1][:60]!r} is wrapped in a {kind[:60]}, which is not computed"
        for one in _recurrent(wrapped, at.within(_name(wrapped)), depth - 1):
            name = one.name if _is_model(wrapped) else at.trail[-1]
            notes = one.notes if kind == "TimeDistributed" else (note, *one.notes)
            yield replace(one, name=name, sequences=False, notes=notes)
    elif half := _half(layer):
        sequences = bool(half.config.get("return_sequences"))
        yield _one(half, at, sequences)


def _one(half: Half, at: _At, sequences: bool) -> Described:
    return Described(
        at.trail[-1],
        (*at.trail, half.name),
        at.path,
        (half,),
        sequences=sequences,
        below=at.below,
    )


def _half(layer: Any) -> Half | None:
    """The configuration of a recurrent layer, or of a cell; None where a layer is neither."""
    kind, config = _kind(layer), _get(layer, "config")
    if not isinstance(config, dict):
        config = {}
    custom = "units" in config and any(key in config for key in _OF_RECURRENT)
    if kind in _CELLS or custom:
        return Half(_name(layer), kind, _CELLS.get(kind), config)
    return None


def _both_ways(one: Described, config: Any) -> Described:
    """The layer that a Bidirectional makes of the one it wraps."""
    (forward,) = one.halves[:1]
    own = _half(_get(config, "backward_layer"))
    backward = own or replace(
        forward, config={**forward.config, "go_backwards": not forward.backwards}
    )
    mode = str(_get(config, "merge_mode"))
    return replace(one, halves=(forward, backward), merge_mode=mode)


def _stack_of_cells(config: Any, at: _At) -> Iterator[Described]:
    """The cell of an `RNN` layer, or the several that are stacked in it."""
    cell = _get(config, "cell")
    inner = _get(_get(cell, "config"), "cells")
    stack = inner if isinstance(inner, list) else None
    used: dict[str, int] = {}
    cells = stack if stack is not None else [cell]
    below = at.below
    for one in cells:
        half = _half(one)
        if half is None:
            return
        group = f"{at.path}/cell/cells/{_numbered(_snake(half.kind), used)}" if stack else ""
        half = replace(half, config={**half.config, "go_backwards": _get(config, "go_backwards")})
        sequences = bool(_get(config, "return_sequences")) or one is not cells[-1]
        found = _one(half, replace(at, below=below), sequences)
        yield replace(found, cell_path=group)
        below = group or None


def _layers(model: Any) -> list[Any]:
    """The layers of a model; Keras 1 and early Keras 2 keep a Sequential's as its config."""
    config = _get(model, "config")
    layers = config if isinstance(config, list) else _get(config, "layers")
    return layers if isinstance(layers, list) else []


def _is_model(layer: Any) -> bool:
    return isinstance(_get(_get(layer, "config"), "layers"), list) or (
        _kind(layer) == "Sequential" and bool(_layers(layer))
    )


def _kind(layer: Any) -> str:
    """The class of a layer, without the package that Keras puts before a user's own."""
    return str(_get(layer, "class_name")).rpartition(">")[2]


def _name(layer: Any) -> str:
    return str(_get(_get(layer, "config"), "name") or _get(layer, "name"))


def _inbound(nodes: Any) -> str | None:
    """The layer that a layer's first input comes from: the first `[name, node, tensor]` there."""
    pending = [nodes]
    for _ in range(1000):
        if not pending:
            return None
        match pending.pop():
            case [str(name), int(), int(), *_]:
                return name
            case list(items):
                pending.extend(reversed(items))
            case dict(items):
                pending.extend(reversed(items.values()))
    return None


def _numbered(name: str, used: dict[str, int]) -> str:
    """The name of a group: the second `lstm` is `lstm_1`."""
    count = used.get(name, 0)
    used[name] = count + 1
    return f"{name}_{count}" if count else name


def _snake(name: str) -> str:
    """`SimpleRNN` as Keras spells it in paths: `simple_rnn`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _get(mapping: Any, key: str) -> Any:
    return mapping.get(key) if isinstance(mapping, dict) else None
