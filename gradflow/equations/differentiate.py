"""The fourth pass: local partial derivatives, and which of them the chain rule is made of.

The backward pass goes through vertices: the parts of the new state, slots, what products multiply,
and the operations that are not entry by entry. All others are eliminated, their partials
multiplied into each other, as long as that takes no more operations than keeping them (A. Griewank
and A. Walther, Evaluating Derivatives, 2008, chapter 9). Partials are nodes of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gradflow.equations.graph import Graph, Node, in_order
from gradflow.equations.operations import lifted
from gradflow.equations.reduce import Reduced, Use
from gradflow.equations.sizes import Shape

STRUCTURED = frozenset(("spread", "slice", "turn", "total", "norm", "outer", "matmul"))
"""Operations that are not entry by entry: the pullback spells out their transposes."""

LEAVES = frozenset(("previous", "x", "after"))


class Partial(NamedTuple):
    """factor x node, or the factor alone."""

    factor: float
    node: Node | None = None


ONE = Partial(1.0)


@dataclass
class Derivatives:
    """The chain rule of a step.

    Attributes:
        sources: the vertices whose cotangents are given: `new` parts, and `out`.
        order: every vertex, each after those whose cotangents it needs.
        into: the id of a vertex to (vertex downstream, partial), entry by entry.
    """

    graph: Graph
    sources: list[Node]
    order: list[Node]
    into: dict[int, list[tuple[Node, Partial]]] = field(default_factory=dict)


def differentiate(reduced: Reduced, gauges: Iterable[str]) -> Derivatives:
    """The derivatives of a step; parts in `gauges` carry none."""
    graph, gauges = reduced.graph, set(gauges)
    still = {id(node) for part, node in reduced.new.items() if part in gauges}
    sources = [
        graph.node("new", (node,), part, node.shape)
        for part, node in reduced.new.items()
        if part not in gauges
    ]
    if reduced.output is not None:
        sources.append(graph.node("out", (reduced.output,), None, reduced.output.shape))
    nodes = [node for node in in_order(sources) if _varies(node, gauges, still)]
    vertices = _vertices(nodes)
    eliminator = _Eliminator(graph)
    for node in nodes:
        if node.kind not in STRUCTURED:
            for arg, partial in partials(graph, node):
                if _varies(arg, gauges, still):
                    eliminator.add(node, arg, partial)
    vertices |= eliminator.eliminate([node for node in nodes if id(node) not in vertices])
    order = [node for node in reversed(nodes) if id(node) in vertices]
    into = {
        id(node): [(eliminator.by_id[source], p) for source, p in eliminator.into(node).items()]
        for node in order
    }
    return Derivatives(graph, sources, order, into)


def _varies(node: Node, gauges: set[str], still: set[int]) -> bool:
    """Whether a node has a derivative by anything; `still` are ids of the gauges' new values."""
    is_gauge = id(node) in still or (node.kind in LEAVES and node.payload in gauges)
    return not node.static and not is_gauge


def _vertices(nodes: Iterable[Node]) -> set[int]:
    """The ids of the nodes whose cotangents are kept."""
    kept = set()
    for node in nodes:
        if node.kind in LEAVES or node.kind in ("slot", "new", "out"):
            kept.add(id(node))
        if node.kind == "slot":
            kept |= {id(operand) for operand in products_of(node)}
        if node.kind in STRUCTURED:
            kept |= {id(node), *map(id, node.args)}
    return kept


def products_of(slot: Node) -> Iterator[Node]:
    """What matrices multiply in a slot."""
    kinds = [use.kind for use in slot.payload.uses if use.kind != "bias"]
    return (arg for kind, arg in zip(kinds, slot.args, strict=False) if kind == "matrix")


def operands_of(slot: Node) -> list[Node | None]:
    """The operand of each use of a slot; None of a bias."""
    args = iter(slot.args)
    return [None if use.kind == "bias" else next(args) for use in slot.payload.uses]


def others_of(slot: Node) -> list[tuple[float, Node]]:
    """The terms of a slot that are no uses, with their signs."""
    of = slot.payload
    terms = slot.args[len(slot.args) - len(of.signs) :]
    return list(zip(of.signs, terms, strict=True))


def partials(graph: Graph, node: Node) -> Iterator[tuple[Node, Partial]]:
    """(argument, partial) of an operation entry by entry. An argument may come twice."""
    args, shape = node.args, node.shape

    def made(kind: str, *of: Node, payload: object = None) -> Node:
        return graph.node(kind, of, payload, shape)

    if node.kind in ("new", "out"):
        yield args[0], ONE
    elif node.kind == "sum":
        for sign, term in zip(node.payload[0], args, strict=True):
            yield term, Partial(sign)
    elif node.kind == "mul":
        yield args[0], Partial(1.0, args[1])
        yield args[1], Partial(1.0, args[0])
    elif node.kind == "div":
        yield args[0], Partial(1.0, made("div", graph.number(1.0), args[1]))
        yield args[1], Partial(-1.0, made("div", node, args[1]))
    elif node.kind == "power":
        (base,), power = args, node.payload
        if power == 2:
            yield base, Partial(2.0, base)
        elif power not in (0, 1):
            yield base, Partial(power, made("power", base, payload=power - 1))
        elif power == 1:
            yield base, ONE
    elif node.kind == "function":
        yield args[0], Partial(1.0, slope(graph, node))
    elif node.kind == "rest":
        yield args[0], Partial(-1.0, made("slope", args[0], payload="sigmoid"))
    elif node.kind in ("max", "min"):
        yield args[0], Partial(1.0, made("mask", *args, payload=node.kind))
        yield args[1], Partial(1.0, made("mask", *args, payload=f"not {node.kind}"))
    elif node.kind == "blend":
        u, a, b, rest = args
        yield u, Partial(1.0, graph.node("sum", (b, a), ((1.0, -1.0), 0.0), shape))
        yield a, Partial(1.0, rest)
        yield b, Partial(1.0, u)
    elif node.kind == "slot":
        for use, operand in zip(node.payload.uses, operands_of(node), strict=True):
            if use.kind == "diagonal" and operand is not None:
                yield operand, Partial(use.factor, diagonal(graph, use, shape))
        for sign, term in others_of(node):
            yield term, Partial(sign)


def diagonal(graph: Graph, use: Use, shape: Shape) -> Node:
    """What an entry by entry use multiplies with, as a node."""
    weight, turned = use.weight
    of = graph.node("turn", (weight,), None, shape) if turned else weight
    return graph.node("fixed", (of,), None, shape)


def slope(graph: Graph, node: Node) -> Node:
    """The slope of a function, as a node: from its argument and its value."""
    (z,), name = node.args, node.payload
    if name in ("exp", "expm1"):
        return graph.node("function", (z,), "exp", node.shape)
    of = (z,) if name == "sigmoid" else (z, node)
    return graph.node("slope", of, name, node.shape)


class _Eliminator:
    """Edges (downstream, upstream) with partials, and the elimination of what lies between."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.by_id: dict[int, Node] = {}
        self._into: dict[int, dict[int, Partial]] = {}  # upstream to downstream
        self._out: dict[int, set[int]] = {}  # downstream to upstream
        self._open: set[int] = set()  # sums made here that go on, if more comes to their edge

    def into(self, node: Node) -> dict[int, Partial]:
        """The edges that bring a node its cotangent."""
        return self._into.get(id(node), {})

    def add(self, down: Node, up: Node, partial: Partial) -> None:
        """An edge, added to one that may be there."""
        self.by_id[id(down)], self.by_id[id(up)] = down, up
        edges = self._into.setdefault(id(up), {})
        there = edges.get(id(down))
        edges[id(down)] = partial if there is None else self._sum(there, partial, up)
        self._out.setdefault(id(down), set()).add(id(up))

    def eliminate(self, candidates: list[Node]) -> set[int]:
        """Take out candidates, first where it saves operations, then where it costs none; the ids
        of those that stay, since they would cost some."""
        left = {id(node): node for node in candidates}
        for most in (-1, 0):
            waiting = list(left)
            while waiting:
                key = waiting.pop(0)
                if key in left and self._cost(key) <= most:
                    neighbours = [*self._into.get(key, {}), *self._out.get(key, set())]
                    self._eliminate(left.pop(key))
                    waiting += [other for other in neighbours if other in left]
        return set(left)

    def _cost(self, key: int) -> int:
        """How many operations more it takes without this vertex."""
        into, out = self._into.get(key, {}), self._out.get(key, set())
        new = sum(down not in self._into.get(up, {}) for up in out for down in into)
        return new - len(into) - len(out)

    def _eliminate(self, node: Node) -> None:
        key = id(node)
        for up in self._out.pop(key, set()):
            inner = self._into[up].pop(key)
            for down, upper in self._into.get(key, {}).items():
                shape_of = self.by_id[up]
                self.add(self.by_id[down], shape_of, self._product(upper, inner, shape_of))
        for down in self._into.pop(key, {}):
            self._out[down].discard(key)

    def _product(self, a: Partial, b: Partial, of: Node) -> Partial:
        factor = a.factor * b.factor
        if a.node is None or b.node is None:
            return Partial(factor, a.node or b.node)
        return Partial(factor, self.graph.node("mul", (a.node, b.node), None, of.shape))

    def _sum(self, a: Partial, b: Partial, of: Node) -> Partial:
        if a.node is None and b.node is None:
            return Partial(a.factor + b.factor)
        if a.node is b.node:
            return Partial(a.factor + b.factor, a.node)
        factors, nodes, constant = self._terms(a, of)
        for p in (a, b) if not nodes else (b,):
            if p.node is None:
                constant += p.factor
            else:
                factors, nodes = (
                    (*factors, p.factor),
                    (*nodes, lifted(self.graph, p.node, of.shape)),
                )
        found = self.graph.node("sum", nodes, (factors, constant), of.shape)
        if constant == 0:
            self._open.add(id(found))
        return Partial(1.0, found)

    def _terms(self, a: Partial, of: Node) -> tuple[tuple[float, ...], tuple[Node, ...], float]:
        """The factors and terms of a sum that was begun here, and goes on: so that one of many
        terms is one sum, and no deep nest of sums of two."""
        if a.node is None or a.factor != 1 or id(a.node) not in self._open:
            return (), (), 0.0
        return (a.node.payload[0], a.node.args, 0.0) if a.node.shape == of.shape else ((), (), 0.0)
