"""What a Keras model's configuration tells of its recurrent layers, from Keras 1 to Keras 3."""

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

_KEEP_SEQUENCES = (
    *("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("Masking", "ActivityRegularization", "Identity"),
)
"""Layers that hand a sequence on as it is once training is over."""

_MAX_DEPTH = 16


@dataclass(frozen=True)
class Described:
    """A recurrent layer as the configuration has it.

    `name` is the layer's, `path` what Keras 3 calls its group. `cell_path` is that of one cell of
    a stack of cells, `below` names the recurrent layer whose sequence it reads.
    """

    name: str
    path: str
    cell: str
    config: Mapping[str, Any]
    bidirectional: bool = False
    merge_mode: str = "concat"
    sequences: bool = False
    cell_path: str = ""
    below: str | None = None
    unsupported: tuple[str, ...] = ()


def described(config: Any) -> list[Described]:
    """The recurrent layers of a model and of the models within it, in their order."""
    return list(_model(config, "", _MAX_DEPTH))


def _model(model: Any, path: str, depth: int) -> Iterator[Described]:
    """The recurrent layers of a Sequential or Functional model."""
    previous: str | None = None
    feeds: dict[str, str | None] = {}  # by layer, the recurrent layer whose sequence it hands on
    used: dict[str, int] = {}
    sequential = _get(model, "class_name") == "Sequential"
    for layer in _layers(model):
        kind, config = str(_get(layer, "class_name")), _get(layer, "config")
        name = str(_get(config, "name") or _get(layer, "name"))
        group = f"{path}layers/{_numbered(_snake(kind), used)}"
        source = previous if sequential else _inbound(_get(layer, "inbound_nodes"))
        below = feeds.get(source) if source else None
        found = list(_recurrent(kind, config, name, group, below))
        if found:
            yield from found
            feeds[name] = found[-1].cell_path or name if found[-1].sequences else None
        elif kind in _KEEP_SEQUENCES:
            feeds[name] = below
        elif depth and isinstance(_get(config, "layers"), list):
            yield from _model(layer, f"{group}/", depth - 1)
        previous = name


def _layers(model: Any) -> list[Any]:
    """The layers of a model; Keras 1 and early Keras 2 keep a Sequential's as its config."""
    config = _get(model, "config")
    layers = config if isinstance(config, list) else _get(config, "layers")
    return layers if isinstance(layers, list) else []


def _recurrent(
    kind: str, config: Any, name: str, path: str, below: str | None
) -> Iterator[Described]:
    """The recurrent layer that a layer is or wraps; one for each cell of a stack of cells."""
    if kind == "Bidirectional":
        inner = _get(config, "layer")
        wrapped = str(_get(inner, "class_name"))
        if wrapped == kind:
            return
        for layer in _recurrent(wrapped, _get(inner, "config"), name, path, below):
            mode = str(_get(config, "merge_mode"))
            yield replace(layer, bidirectional=True, merge_mode=mode)
    elif kind == "RNN":
        cell = _get(config, "cell")
        inner = _get(_get(cell, "config"), "cells")
        stack = inner if isinstance(inner, list) else None
        used: dict[str, int] = {}
        for one in stack if stack is not None else [cell]:
            cell_kind, cell_config = str(_get(one, "class_name")), _get(one, "config")
            if cell_kind not in _CELLS:
                return
            group = f"{path}/cell/cells/{_numbered(_snake(cell_kind), used)}" if stack else ""
            merged = {"return_sequences": True, **_dict(cell_config)}
            merged |= {"go_backwards": _get(config, "go_backwards")}
            found = _one(cell_kind, merged, name, path, below)
            sequences = bool(_get(config, "return_sequences")) or one is not (stack or [one])[-1]
            yield replace(found, cell_path=group, sequences=sequences)
            below = group or None
    elif kind in _CELLS:
        yield _one(kind, config, name, path, below)


def _one(kind: str, config: Any, name: str, path: str, below: str | None) -> Described:
    config = _dict(config)
    unsupported = [kind] if kind.startswith("CuDNN") else []
    if _CELLS[kind] != "rnn":
        # Keras 1 has other names for the same; its gates were hard sigmoids by default.
        gate = config.get("recurrent_activation", config.get("inner_activation", "sigmoid"))
        for what, found, usual in (
            ("activation", config.get("activation", "tanh"), "tanh"),
            ("recurrent_activation", gate, "sigmoid"),
        ):
            if found != usual:
                unsupported.append(f"{what} {str(found)[:60]} (gradflow has {usual})")
    return Described(
        name,
        path,
        _CELLS[kind],
        config,
        sequences=bool(config.get("return_sequences")),
        below=below,
        unsupported=tuple(unsupported),
    )


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


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
