"""What equations become: a graph of few kinds of node. Equal nodes are one.

kind          payload            arguments
number        its value
parameter     its name
constant      its name
x             -
previous      the part
after         the part           its new value, as the output reads it
sum           (signs, constant)  terms of one shape
mul, div      -                  two of one shape, or one a number
power         the exponent       base
function      its name           one
max, min      -                  two
spread        -                  one of size 1, repeated to the node's shape
slice         (from, to)         vector, or matrix by its rows
turn          -                  matrix, transposed
total         -                  the sum of all entries, of size 1
norm          ε                  (v - mean) / √(variance + ε), over all entries of a vector
outer         -                  two vectors
matmul        -                  matrix and vector or matrix
row           -                  a vector as a matrix of one row

and, made by `reduce`:

fixed         the expression     what is made of constants alone
slot          its uses           a sum that holds products with weights or biases: its arguments
                                 are the operands of the products, then the other terms
blend         -                  u, a, b, 1 - u: (1 - u) a + u b
rest          -                  1 - σ(z), from z
slope         function           the slope of a function, from its argument
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gradflow.equations.sizes import Shape


class Node:
    """One node. `static`: made of parameters, constants and numbers alone; `past`: made of the
    state before the step, or of what the step made of it; `now`: made of x_t."""

    __slots__ = ("args", "kind", "now", "past", "payload", "shape", "static")

    def __init__(self, kind: str, args: tuple[Node, ...], payload: Any, shape: Shape) -> None:
        self.kind, self.args, self.payload, self.shape = kind, args, payload, shape
        self.past: bool = kind in ("previous", "after") or any(arg.past for arg in args)
        self.now: bool = kind == "x" or any(arg.now for arg in args)
        varies = kind in ("previous", "after", "x", "slot")
        self.static: bool = not varies and all(arg.static for arg in args)

    @property
    def is_number(self) -> bool:
        """Whether it is a number of the text."""
        return self.kind == "number"

    def __repr__(self) -> str:
        payload = [] if self.payload is None else [repr(self.payload)]
        return f"{self.kind}({', '.join([*payload, *map(repr, self.args)])})"


class Graph:
    """Makes nodes, each only once."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Node] = {}

    def node(self, kind: str, args: Iterable[Node], payload: Any, shape: Shape) -> Node:
        """The node of this kind, arguments, payload and shape."""
        args = tuple(args)
        key = (kind, *map(id, args), payload, shape)
        if key not in self._made:
            self._made[key] = Node(kind, args, payload, shape)
        return self._made[key]

    def number(self, value: float) -> Node:
        """A constant of the text."""
        return self.node("number", (), float(value), ())


def in_order(roots: Iterable[Node]) -> list[Node]:
    """Every node that the roots are made of, each after its arguments."""
    order: list[Node] = []
    seen: set[int] = set()
    waiting = [(node, False) for node in reversed(list(roots))]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting.extend((arg, False) for arg in reversed(node.args))
    return order
