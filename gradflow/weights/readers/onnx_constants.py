"""Constants that an ONNX graph puts together from stored ones.

Exporters often leave the reordering of gates in the graph: slices of a stored matrix, put behind
each other, cast, or taken out of whole numbers. What else computes is not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradflow.counts import many
from gradflow.weights.readers.onnx import Node
from gradflow.weights.tensors import Array, Tensors, element_count, named, refuse

_MOST_COPIES = 8
"""What concatenations may make in all, as a multiple of what the file has."""


class Constants:
    """The tensors of a graph, stored or put together.

    Raises InputError where nodes that should only move numbers about are wrong.
    """

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.makers: Mapping[str, Node] = tensors.once("makers", self._find_makers)
        self.known: dict[str, bool] = tensors.once("constant", dict)
        # What is only moved about cannot be more than what is there.
        self.most: int = tensors.once(
            "elements", lambda: sum(element_count(s.shape) or 0 for s in tensors.stored.values())
        )

    def __contains__(self, name: str) -> bool:
        """Whether `name` is stored, or made by nodes that only move what is stored about."""
        if name not in self.known:
            for part in self._in_order(name):
                node = self.makers.get(part)
                moved = node is not None and node.op in _MOVES
                # What is not known yet here leads back to itself: the graph goes in a circle.
                made = moved and all(self.known.get(i) for i in self._inputs(part))
                self.known[part] = part in self.tensors or made
        return self.known[name]

    def origin(self, name: str) -> tuple[str, ...]:
        """The stored tensors that `name` is put together from; none where it is computed."""
        if name not in self:
            return ()
        found: dict[str, None] = {}
        pending, seen = [name], {name}
        while pending:
            part = pending.pop()
            if part in self.tensors:
                found[part] = None
                continue
            node = self.makers[part]
            moved = node.inputs if node.op == "Concat" else node.inputs[:1]
            pending += [i for i in reversed(moved) if i not in seen]
            seen.update(moved)
        return tuple(found)

    def __getitem__(self, name: str) -> Array:
        """Raises InputError where it is computed, or where putting it together goes wrong."""
        if name not in self:
            message = f"{named(name)} is computed in the graph, not stored"
            raise refuse(self.tensors.source, message)
        made: dict[str, Array] = {}
        copied = 0
        for part in self._in_order(name):
            if part in self.tensors:
                made[part] = self.tensors[part]
                continue
            node = self.makers[part]
            inputs = [made[i] if i else None for i in node.inputs]
            size = sum(a.size for a in inputs if a is not None)
            copied += size if node.op == "Concat" else 0
            if size > self.most or copied > _MOST_COPIES * self.most:
                raise self._refused(
                    node, f"gives more than the {many(self.most, 'element')} of the file"
                )
            try:
                made[part] = _MOVES[node.op](inputs, node.attributes)
            except (ValueError, IndexError, TypeError, KeyError, OverflowError) as error:
                raise self._refused(node, f"cannot be followed: {error}") from None
        return made[name]

    def _find_makers(self) -> Mapping[str, Node]:
        nodes: tuple[Node, ...] = self.tensors.attributes.get("nodes", ())
        return {name: node for node in nodes for name in node.outputs}

    def _inputs(self, name: str) -> list[str]:
        """What a name is moved together from."""
        node = self.makers.get(name)
        if name in self.tensors or node is None or node.op not in _MOVES:
            return []
        return [i for i in node.inputs if i]

    def _in_order(self, name: str) -> list[str]:
        """The names that `name` is made from and itself, each behind its inputs."""
        order: list[str] = []
        entered: set[str] = set()
        pending = [(name, False)]
        while pending:
            part, leaving = pending.pop()
            if leaving:
                order.append(part)
            elif part not in entered:
                entered.add(part)
                pending.append((part, True))
                pending += [(i, False) for i in self._inputs(part) if i not in entered]
        return order

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
