"""Values of a step's nodes for a whole block of a forward pass: they need no recurrence, since the
states are known. Arrays are (..., R, N, *shape), those of parameters (R, *shape)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradflow.equations.differentiate import operands_of, others_of
from gradflow.equations.graph import Node
from gradflow.equations.weights import Values
from gradflow.numerics.arrays import Array


class Samples(Values):
    """Values of nodes of samples, each computed once.

    Args:
        params: parameters by name, (R, *shape).
        H, I: sizes.
        leaf: the value (..., R, N, *shape) of a `previous`, `after` or `x`.
    """

    def __init__(
        self, params: Mapping[str, Array], H: int, I: int, leaf: Callable[[Node], Array]  # noqa: E741
    ) -> None:  # fmt: skip
        super().__init__(params, H, I)
        self._leaf, self._weights = leaf, Values(params, H, I)

    def _value(self, node: Node) -> Array:
        if node.kind in ("previous", "after", "x"):
            return self._leaf(node)
        with np.errstate(all="ignore"):
            if node.kind == "slot":
                return self._slot(node)
            if node.kind == "fixed":
                return _for_samples(self._weights.of(node), node)
            if node.kind == "blend":
                u, a, b, rest = (self._found[id(arg)] for arg in node.args)
                return np.asarray(u * b + rest * a)
            return super()._value(node)

    def _slot(self, slot: Node) -> Array:
        """The sum of products with weights, biases and other terms."""
        total: Any = slot.payload.constant  # a number of Python, which widens no float32
        for use, operand in zip(slot.payload.uses, operands_of(slot), strict=True):
            weight = self._weights.of(use.weight.node)
            weight = weight.mT if use.weight.turned else weight
            if operand is None:
                term = _for_samples(weight, slot)
            elif use.kind == "diagonal":
                term = _for_samples(weight, slot) * self._found[id(operand)]
            elif len(operand.shape) == 1:
                term = self._found[id(operand)] @ weight.mT
            else:
                term = weight[..., None, :, :] @ self._found[id(operand)]
            total = total + (term if use.factor == 1 else use.factor * term)
        for sign, term_node in others_of(slot):
            total = total + sign * self._found[id(term_node)]
        return np.asarray(total)


def _for_samples(weight: Array, like: Node) -> Array:
    """A value (R, *shape) of parameters as (R, 1, *shape)."""
    return weight if weight.ndim == 0 else np.expand_dims(weight, -1 - len(like.shape))
