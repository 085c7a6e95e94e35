"""Constants that an ONNX graph puts together from stored ones.

Exporters often leave the reordering of gates in the graph: slices of a stored matrix, put behind
each other, cast, or taken out of whole numbers. What computes besides is not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradflow.weights.files.onnx import Node
from gradflow.weights.tensors import Array, Tensors, element_count, named, refuse

_DEEPEST = 64


class Constants:
    """The tensors of a graph, stored or put together.

    Raises InputError where nodes that should only move numbers about are wrong.
    """

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        nodes: tuple[Node, ...] = tensors.attributes.get("nodes", ())
        self.makers = {name: node for node in nodes for name in node.outputs}
        # What is only moved about cannot be more than what is there.
        self.most = sum(element_count(s.shape) or 0 for s in tensors.stored.values())
        self.origins: dict[str, tuple[str, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return bool(self.origin(name))

    def origin(self, name: str, depth: int = 0) -> tuple[str, ...]:
        """The stored tensors that `name` is put together from; none where it is computed."""
        if name in self.tensors:
            return (name,)
        if name not in self.origins:
            self.origins[name] = ()  # found again below: the graph goes in a circle
            maker = self.makers.get(name)
            moved: tuple[str, ...] = ()
            if maker is not None and maker.op in _MOVES and depth < _DEEPEST:
                moved = maker.inputs if maker.op == "Concat" else maker.inputs[:1]
            parts = [self.origin(part, depth + 1) for part in moved]
            if all(parts):
                self.origins[name] = tuple(dict.fromkeys(n for part in parts for n in part))
        return self.origins[name]

    def __getitem__(self, name: str) -> Array:
        return self._made(name, {})

    def _made(self, name: str, known: dict[str, Array]) -> Array:
        if name in self.tensors:
            return self.tensors[name]
        if name not in known:
            node = self.makers[name]
            inputs = [self._made(part, known) if part else None for part in node.inputs]
            if sum(a.size for a in inputs if a is not None) > self.most:
                raise self._refused(node, f"gives more than the {self.most:,} elements of the file")
            try:
                known[name] = _MOVES[node.op](inputs, node.attributes)
            except (ValueError, IndexError, TypeError, KeyError) as error:
                raise self._refused(node, f"cannot be followed: {error}") from None
        return known[name]

    def _refused(self, node: Node, why: str) -> Exception:
        return refuse(self.tensors.source, f"node {named(node.name)}, a {node.op}, {why}"[:300])


Inputs = Sequence[Any]
Attributes = Mapping[str, Any]


def _integers(inputs: Inputs, index: int, attributes: Attributes, name: str) -> list[int] | None:
    """A list that newer opsets give as an input, older ones as an attribute."""
    if len(inputs) > index and inputs[index] is not None:
        return [int(value) for value in np.asarray(inputs[index]).ravel()]
    return [int(value) for value in attributes[name]] if name in attributes else None


def _unsqueeze(inputs: Inputs, attributes: Attributes) -> Array:
    axes = _integers(inputs, 1, attributes, "axes")
    return np.expand_dims(inputs[0], tuple(axes or ()))


def _squeeze(inputs: Inputs, attributes: Attributes) -> Array:
    axes = _integers(inputs, 1, attributes, "axes")
    squeezed: Array = np.squeeze(inputs[0], None if axes is None else tuple(axes))
    return squeezed


def _slice(inputs: Inputs, attributes: Attributes) -> Array:
    starts, ends, axes, steps = (
        _integers(inputs, k, attributes, name)
        for k, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    if starts is None or ends is None:
        raise ValueError("it has no starts or ends")
    axes = axes if axes is not None else list(range(len(starts)))
    steps = steps if steps is not None else [1] * len(starts)
    cut = [slice(None)] * inputs[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = slice(start, end, step)
    part: Array = inputs[0][tuple(cut)]
    return part


def _dequantize(inputs: Inputs, attributes: Attributes) -> Array:
    """(q - zero point) x scale, numbers for all or along an axis."""
    q, scale, *rest = inputs
    zero = rest[0] if rest and rest[0] is not None else np.zeros((), q.dtype)
    axis = int(attributes.get("axis", 1)) if np.size(scale) > 1 else 0
    shape = [-1 if k == axis % max(q.ndim, 1) else 1 for k in range(q.ndim)]
    scale, zero = (a.reshape(shape if a.size > 1 else ()) for a in (scale, zero))
    found: Array = ((q.astype(np.float64) - zero) * scale).astype(np.float32)
    return found


def _cast(inputs: Inputs, attributes: Attributes) -> Array:
    kinds = {1: np.float32, 10: np.float16, 11: np.float64}
    if attributes["to"] not in kinds:
        raise ValueError("it casts to no kind of weights")
    found: Array = inputs[0].astype(kinds[attributes["to"]])
    return found


_MOVES: dict[str, Callable[[Inputs, Attributes], Array]] = {
    "Identity": lambda inputs, attributes: inputs[0],
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Transpose": lambda inputs, attributes: np.transpose(inputs[0], attributes.get("perm")),
    "Concat": lambda inputs, attributes: np.concatenate(inputs, axis=attributes["axis"]),
    "DequantizeLinear": _dequantize,
    "Cast": _cast,
}
