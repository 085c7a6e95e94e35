"""Expressions of parameters alone: their values, once a pass, and how a term of dL/d(expression)
is brought back to the parameters. Arrays have their own leading axes before the node's shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradflow.equations.differentiate import partials
from gradflow.equations.functions import FUNCTIONS, rest_from, sigmoid_slope_from
from gradflow.equations.graph import Graph, Node, in_order
from gradflow.numerics.arrays import Array


def evaluate(root: Node, params: Mapping[str, Array], H: int, I: int) -> Array:  # noqa: E741
    """The value of an expression of parameters, each (..., *shape); what leaves float range makes
    the states do so, which is reported of the run."""
    if root.kind == "parameter":
        return params[root.payload]
    with np.errstate(all="ignore"):
        return Values(params, H, I).of(root)


def pull_back(
    root: Node, term: Array, params: Mapping[str, Array], H: int, I: int  # noqa: E741
) -> dict[str, Array]:  # fmt: skip
    """From a term (..., *shape of root) of the gradient by an expression, those by its
    parameters."""
    values = Values(params, H, I)
    cotangent: dict[int, Array] = {id(root): term}
    found: dict[str, Array] = {}
    for node in reversed(in_order([root])):
        dy = cotangent.pop(id(node), None)
        if dy is None:
            continue
        if node.kind == "parameter":
            found[node.payload] = dy
            continue
        for arg, piece in _transposed(node, dy, values):
            there = cotangent.get(id(arg))
            cotangent[id(arg)] = piece if there is None else there + piece
    return found


class Values:
    """Values of nodes made of parameters, each computed once."""

    def __init__(self, params: Mapping[str, Array], H: int, I: int) -> None:  # noqa: E741
        self.params, self.H, self.I = params, H, I
        self.graph = Graph()
        self._found: dict[int, Array] = {}

    def of(self, root: Node) -> Array:
        """The value of a node, after those that it is made of."""
        for node in in_order([root]):
            if id(node) not in self._found:
                self._found[id(node)] = self._value(node)
        return self._found[id(root)]

    def sizes(self, node: Node) -> tuple[int, ...]:
        """The shape of a node in numbers."""
        return tuple(size.at(self.H, self.I) for size in node.shape)

    def _value(self, node: Node) -> Array:
        args, kind = [self._found[id(arg)] for arg in node.args], node.kind
        if kind == "number":
            return np.asarray(node.payload)
        if kind in ("parameter", "constant"):
            return self.params[node.payload]
        if kind == "fixed":
            return args[0]
        if kind == "sum":
            signs, constant = node.payload
            total: Array = sum(sign * arg for sign, arg in zip(signs, args, strict=True))
            return total + constant if constant else total
        if kind == "spread":
            return self._spread(node, args[0])
        made = _ARITHMETIC[kind](args, node) if kind in _ARITHMETIC else self._shaped(node, args)
        return np.asarray(made)

    def _spread(self, node: Node, a: Array) -> Array:
        sizes = self.sizes(node)
        lead = a.shape[: a.ndim - len(node.args[0].shape)]
        return np.broadcast_to(a.reshape(*lead, *(1 for _ in sizes)), (*lead, *sizes))

    def _shaped(self, node: Node, args: list[Array]) -> Array:
        kind, (a, *others) = node.kind, args
        axes = tuple(range(-len(node.args[0].shape), 0))
        if kind == "slice":
            start, stop = (size.at(self.H, self.I) for size in node.payload)
            cut: Array = a[..., start:stop, :] if axes[1:] else a[..., start:stop]
            return cut
        if kind == "total":
            return np.asarray(a.sum(axis=axes))[..., None]
        if kind == "norm":
            centred = a - a.mean(axis=-1, keepdims=True)
            variance = (centred * centred).mean(axis=-1, keepdims=True)
            return np.asarray(centred / np.sqrt(variance + node.payload))
        if kind == "outer":
            return np.asarray(a[..., :, None] * others[0][..., None, :])
        assert kind == "matmul", kind
        if len(node.args[1].shape) == 1:
            return np.asarray(a @ others[0][..., None])[..., 0]
        return np.asarray(a @ others[0])


def _function(args: list[Array], node: Node) -> Array:
    out = np.empty_like(args[0])
    with np.errstate(all="ignore"):
        FUNCTIONS[node.payload].value(args[0], out)
    return out


def _slope(args: list[Array], node: Node) -> Array:
    out = np.empty_like(args[0])
    with np.errstate(all="ignore"):
        if node.payload == "sigmoid":
            sigmoid_slope_from(np.exp(-args[0]), out)
        else:
            FUNCTIONS[node.payload].slope(args[0], args[-1], out)
    return out


def _rest(args: list[Array], node: Node) -> Array:
    out = np.empty_like(args[0])
    with np.errstate(all="ignore"):
        rest_from(np.exp(-args[0]), out)
    return out


def _mask(args: list[Array], node: Node) -> Array:
    compare = {
        "max": np.greater_equal, "not max": np.less, "min": np.less_equal, "not min": np.greater,
    }  # fmt: skip
    found: Array = compare[node.payload](np.real(args[0]), np.real(args[1]))
    return found.astype(np.result_type(*args))


def _extreme(args: list[Array], node: Node) -> Array:
    first = _mask(args, Node("mask", node.args, node.kind, node.shape)).real > 0
    return np.where(first, args[0], args[1])


_ARITHMETIC = {
    "mul": lambda args, node: args[0] * args[1],
    "div": lambda args, node: args[0] / args[1],
    "power": lambda args, node: args[0] ** node.payload,
    "turn": lambda args, node: np.swapaxes(args[0], -1, -2),
    "row": lambda args, node: args[0][..., None, :],
    "function": _function,
    "slope": _slope,
    "rest": _rest,
    "mask": _mask,
    "max": _extreme,
    "min": _extreme,
}


def _transposed(node: Node, dy: Array, values: Values) -> list[tuple[Node, Array]]:
    """What a node's cotangent adds to those of its arguments."""
    kind, axes = node.kind, tuple(range(-len(node.shape), 0))
    if kind in ("number", "constant"):
        return []
    if kind == "turn":
        return [(node.args[0], np.swapaxes(dy, -1, -2))]
    if kind == "row":
        return [(node.args[0], dy[..., 0, :])]
    if kind == "spread":
        total = dy.sum(axis=axes)
        return [(node.args[0], total.reshape(*total.shape, *(1 for _ in node.args[0].shape)))]
    if kind in _STRUCTURED:
        args = [values.of(arg) for arg in node.args]
        return _STRUCTURED[kind](node, dy, args, values)
    return [
        (arg, dy * partial.factor * (1 if partial.node is None else values.of(partial.node)))
        for arg, partial in partials(values.graph, node)
    ]


def _slice_back(
    node: Node, dy: Array, args: list[Array], values: Values
) -> list[tuple[Node, Array]]:
    lead = dy.shape[: dy.ndim - len(node.shape)]
    whole = np.zeros((*lead, *values.sizes(node.args[0])), dy.dtype)
    start, stop = (size.at(values.H, values.I) for size in node.payload)
    if len(node.shape) == 2:
        whole[..., start:stop, :] = dy
    else:
        whole[..., start:stop] = dy
    return [(node.args[0], whole)]


def _total_back(
    node: Node, dy: Array, args: list[Array], values: Values
) -> list[tuple[Node, Array]]:
    sizes = values.sizes(node.args[0])
    lead = dy.shape[:-1]
    return [
        (node.args[0], np.broadcast_to(dy.reshape(*lead, *(1 for _ in sizes)), (*lead, *sizes)))
    ]


def _norm_back(
    node: Node, dy: Array, args: list[Array], values: Values
) -> list[tuple[Node, Array]]:
    (v,), y = args, values.of(node)
    spread = np.sqrt(v.var(axis=-1, keepdims=True) + node.payload)
    left = dy - dy.mean(axis=-1, keepdims=True) - y * (dy * y).mean(axis=-1, keepdims=True)
    return [(node.args[0], left / spread)]


def _outer_back(
    node: Node, dy: Array, args: list[Array], values: Values
) -> list[tuple[Node, Array]]:
    a, b = args
    return [(node.args[0], (dy @ b[..., None])[..., 0]),
            (node.args[1], (np.swapaxes(dy, -1, -2) @ a[..., None])[..., 0])]  # fmt: skip


def _matmul_back(
    node: Node, dy: Array, args: list[Array], values: Values
) -> list[tuple[Node, Array]]:
    a, b = args
    if len(node.args[1].shape) == 1:
        back = (np.swapaxes(a, -1, -2) @ dy[..., None])[..., 0]
        return [(node.args[0], dy[..., :, None] * b[..., None, :]), (node.args[1], back)]
    return [(node.args[0], dy @ np.swapaxes(b, -1, -2)),
            (node.args[1], np.swapaxes(a, -1, -2) @ dy)]  # fmt: skip


_STRUCTURED = {
    "slice": _slice_back,
    "total": _total_back,
    "norm": _norm_back,
    "outer": _outer_back,
    "matmul": _matmul_back,
}
