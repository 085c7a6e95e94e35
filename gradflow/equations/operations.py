"""What operations do to shapes: the nodes of sums, products, slices and the rest, or a ShapeError
that says what was expected. Numbers are computed at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.graph import Graph, Node
from gradflow.equations.sizes import ONE, ZERO, Shape, Size, spelled


class ShapeError(Exception):
    """Operands that do not fit, in words."""


def size_of(node: Node) -> int | None:
    """1 of a number, or of what has one entry; else None."""
    return 1 if all(size == ONE for size in node.shape) else None


def spread(graph: Graph, node: Node, shape: Shape) -> Node:
    """What has one entry, repeated to a shape; numbers and what fits stay."""
    if node.is_number or node.shape == shape:
        return node
    return graph.node("spread", (node,), None, shape)


def lifted(graph: Graph, node: Node, shape: Shape) -> Node:
    """`spread`, also of a number."""
    return node if node.shape == shape else graph.node("spread", (node,), None, shape)


def alike(graph: Graph, nodes: Sequence[Node], doing: str) -> tuple[list[Node], Shape]:
    """The nodes with one shape: those of one entry are repeated."""
    shapes = [node.shape for node in nodes if size_of(node) is None]
    shapes = shapes or [node.shape for node in nodes if not node.is_number] or [()]
    shape = shapes[0]
    for other in shapes[1:]:
        if other != shape and len(other) != len(shape):
            remedy = "a vector and a matrix do not fit: write outer(v, ones) for a matrix"
            raise ShapeError(f"cannot {doing} {spelled(shape)} and {spelled(other)}: {remedy}")
        if other != shape:
            raise ShapeError(f"cannot {doing} {spelled(shape)} and {spelled(other)}")
    return [spread(graph, node, shape) for node in nodes], shape


def add(graph: Graph, terms: Sequence[Node], signs: Sequence[float]) -> Node:
    """Σ sign x term."""
    terms, shape = alike(graph, terms, "add")
    constant = sum(
        sign * term.payload for sign, term in zip(signs, terms, strict=True) if term.is_number
    )
    if not shape:
        return graph.number(_finite(constant))
    kept = [(s, t) for s, t in zip(signs, terms, strict=True) if not t.is_number]
    if [s for s, _ in kept] == [1.0] and constant == 0:
        return kept[0][1]
    payload = (tuple(s for s, _ in kept), _finite(constant))
    return graph.node("sum", [t for _, t in kept], payload, shape)


def multiply(graph: Graph, a: Node, b: Node) -> Node:
    """a * b, entry by entry."""
    (a, b), shape = alike(graph, (a, b), "multiply")
    if not shape:
        return graph.number(_finite(a.payload * b.payload))
    if a.is_number or b.is_number:
        number, other = (a, b) if a.is_number else (b, a)
        return graph.node("sum", (other,), ((number.payload,), 0.0), shape)
    return graph.node("mul", (a, b), None, shape)


def divide(graph: Graph, a: Node, b: Node) -> Node:
    """a / b, entry by entry."""
    (a, b), shape = alike(graph, (a, b), "divide")
    if b.is_number and b.payload == 0:
        raise ShapeError("cannot divide by 0")
    if not shape:
        return graph.number(_finite(a.payload / b.payload))
    if b.is_number:
        return graph.node("sum", (a,), ((_finite(1 / b.payload),), 0.0), shape)
    return graph.node("div", (a, b), None, shape)


def raised(graph: Graph, base: Node, exponent: Node) -> Node:
    """base ** exponent, entry by entry: of a number, or exp(exponent log base)."""
    if base.is_number and exponent.is_number:
        value = base.payload**exponent.payload
        if isinstance(value, complex):
            raise ShapeError("this has no real value")
        return graph.number(_finite(value))
    if exponent.is_number:
        return graph.node("power", (base,), exponent.payload, base.shape)
    if base.is_number and base.payload <= 0:
        raise ShapeError("a base has to be above 0 where the exponent is no number")
    logarithm = apply(graph, "log", base)
    return apply(graph, "exp", multiply(graph, exponent, logarithm))


def apply(graph: Graph, name: str, z: Node) -> Node:
    """A function, entry by entry."""
    if z.is_number:
        value = np.empty(1)
        with np.errstate(all="ignore"):
            FUNCTIONS[name].value(np.array([z.payload]), value)
        return graph.number(_finite(float(value[0])))
    return z if name == "linear" else graph.node("function", (z,), name, z.shape)


def extreme(name: str) -> Callable[..., Node]:
    """`max` or `min` of two or more, entry by entry."""

    def of(graph: Graph, first: Node, *others: Node) -> Node:
        for other in others:
            (a, b), shape = alike(graph, (first, other), f"take the {name} of")
            if not shape:
                first = graph.number(max(a.payload, b.payload) if name == "max"
                                     else min(a.payload, b.payload))  # fmt: skip
            else:
                first = graph.node(name, (a, b), None, shape)
        return first

    return of


def total(graph: Graph, a: Node) -> Node:
    """The sum of all entries."""
    return a if not a.shape else graph.node("total", (a,), None, (ONE,))


def outer(graph: Graph, a: Node, b: Node) -> Node:
    """a_i b_j of two vectors."""
    for node in (a, b):
        if len(node.shape) != 1:
            raise ShapeError(f"outer takes two vectors, found {spelled(node.shape)}")
    return graph.node("outer", (a, b), None, (*a.shape, *b.shape))


def turn(graph: Graph, a: Node) -> Node:
    """The transpose of a matrix."""
    if len(a.shape) != 2:
        raise ShapeError(f"only a matrix has a transpose, this is {spelled(a.shape)}")
    return a.args[0] if a.kind == "turn" else graph.node("turn", (a,), None, a.shape[::-1])


def cut(graph: Graph, a: Node, start: Size | None, stop: Size | None) -> Node:
    """a[start:stop]: entries of a vector, rows of a matrix."""
    if not a.shape:
        raise ShapeError("a number has no slices")
    rows, *columns = a.shape
    start, stop = start or ZERO, rows if stop is None else stop
    length = stop.minus(start)
    beyond = rows.minus(stop)
    if min(start) < 0 or min(length) < 0 or not any(length) or min(beyond) < 0:
        raise ShapeError(
            f"[{start}:{stop}] is no slice of {rows} {'rows' if columns else 'entries'}"
        )
    if not any(start) and not any(beyond):
        return a
    return graph.node("slice", (a,), (start, stop), (length, *columns))


def layernorm(graph: Graph, args: Sequence[Node], epsilon: float) -> Node:
    """layernorm(v), layernorm(v, gain), layernorm(v, gain, shift)."""
    v, *learned = args
    if len(v.shape) != 1:
        raise ShapeError(f"layernorm takes a vector, found {spelled(v.shape)}")
    normed = graph.node("norm", (v,), epsilon, v.shape)
    if learned:
        normed = multiply(graph, learned[0], normed)
    return add(graph, (normed, learned[1]), (1.0, 1.0)) if learned[1:] else normed


def matmul(graph: Graph, a: Node, b: Node) -> Node:
    """a @ b: matrix and vector, vector and matrix, two vectors, two matrices."""
    if not a.shape or not b.shape:
        raise ShapeError("'@' takes vectors and matrices, not a number: write '*'")
    if a.shape[-1] != b.shape[0]:
        raise ShapeError(f"cannot multiply {_named(a)} @ {_named(b)}: expected a right side of "
                         f"{a.shape[-1]} {'rows' if len(b.shape) == 2 else 'entries'}")  # fmt: skip
    if len(a.shape) == 1 and len(b.shape) == 1:
        if a.static != b.static:  # a row of weights
            static, other = (a, b) if a.static else (b, a)
            row = graph.node("row", (static,), None, (ONE, *static.shape))
            return graph.node("matmul", (row, other), None, (ONE,))
        return total(graph, multiply(graph, a, b))
    if len(a.shape) == 1:
        return matmul(graph, turn(graph, b), a)
    return graph.node("matmul", (a, b), None, (a.shape[0], *b.shape[1:]))


def _named(node: Node) -> str:
    shape = spelled(node.shape)
    return f"{node.payload} {shape}" if node.kind == "parameter" else shape


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise OverflowError
    return float(value)
