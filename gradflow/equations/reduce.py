"""The third pass: from what is written to what is computed.

Sums that hold a product with a parameter, or a bias, become slots: their products and biases are
side by side as uses of weights, whatever brackets, signs and names were between them.
(1 - u) a + u b becomes a blend, and 1 - σ(z) a node by itself, which do not cancel; 1 ± tanh z is
made of these, and e^z - 1 a function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gradflow.equations.graph import Graph, Node, in_order
from gradflow.equations.sizes import Shape
from gradflow.equations.step import Step


class Weight(NamedTuple):
    """A parameter, or an expression of parameters, as something is multiplied with it.

    `node` is the expression; `turned` says that its transpose is meant.
    """

    node: Node
    turned: bool = False


class Use(NamedTuple):
    """A weight in a slot: `matrix` times, `diagonal` times (entry by entry), or a `bias` alone.
    `factor` multiplies it."""

    kind: str
    weight: Weight
    factor: float


class Product(NamedTuple):
    """A term of a sum that holds a weight: `matrix`, `diagonal` or `bias`."""

    kind: str
    factor: float
    weight: Node
    operand: Node | None


class SlotOf(NamedTuple):
    """What a slot is the sum of. Its node's arguments are the operands of the uses that have one,
    in order, then the other terms, which have `signs`."""

    uses: tuple[Use, ...]
    signs: tuple[float, ...]
    constant: float


@dataclass
class Reduced:
    """What a step computes, reduced.

    Attributes:
        graph: where its nodes are made.
        new: part to the node of its new value.
        output: the node of the output; None where it is rows of the state.
        names: the id of a node to what the text calls it.
    """

    graph: Graph
    new: dict[str, Node]
    output: Node | None
    names: dict[int, str]


def reduce(step: Step) -> Reduced:
    """The step in terms of slots, blends and entry by entry operations."""
    output = step.output if not _is_view(step.output) else None
    roots = [*step.new.values(), *([output] if output is not None else [])]
    reducer = _Reducer(step.graph, roots)
    for node in in_order(roots):
        reducer.reduced[id(node)] = reducer.reduce(node)
    new = {part: reducer.dynamic(node) for part, node in step.new.items()}
    names = {
        id(reducer.reduced[key]): name
        for key, name in step.names.items()
        if reducer.reduced.get(key) is not None
    }
    return Reduced(step.graph, new, reducer.dynamic(output) if output is not None else None, names)


def _is_view(output: Node | None) -> bool:
    """Whether the output is a part, or rows of one."""
    while output is not None and output.kind == "slice":
        (output,) = output.args
    return output is None or output.kind == "after"


class _Reducer:
    """Reduces nodes whose arguments are reduced already."""

    def __init__(self, graph: Graph, roots: list[Node]) -> None:
        self.graph = graph
        self.reduced: dict[int, Node | None] = {}  # None of what is static
        self.consumers = Counter(id(arg) for node in in_order(roots) for arg in node.args)
        self.consumers.update(id(root) for root in roots)

    def reduce(self, node: Node) -> Node | None:
        if node.static:
            return None
        if node.kind in ("sum", "matmul", "mul") and (made := self._sum(node)) is not None:
            return made
        if node.kind == "div" and node.args[1].static and not node.args[1].is_number:
            inverse = self.graph.node("div", (self.graph.number(1), node.args[1]), None, node.shape)
            return self._sum(self.graph.node("mul", (node.args[0], inverse), None, node.shape))
        if node.kind == "div" and node.args[0].static and not node.args[0].is_number:
            one_over = (self.graph.number(1), self.dynamic(node.args[1]))
            other = self.graph.node("div", one_over, None, node.shape)
            return self._slot(node.shape, [Product("diagonal", 1.0, node.args[0], other)], [], 0.0)
        args = [self.dynamic(arg) for arg in node.args]
        return self.graph.node(node.kind, args, node.payload, node.shape)

    def dynamic(self, node: Node) -> Node:
        """A node as one of samples: what is made of parameters alone is a slot with a bias."""
        if not node.static:
            made = self.reduced[id(node)]
            assert made is not None
            return made
        if node.is_number:
            return node
        if any(n.kind == "parameter" for n in in_order([node])):
            return self._slot(node.shape, [Product("bias", 1.0, node, None)], [], 0.0)
        return self.graph.node("fixed", (node,), None, node.shape)

    def _sum(self, node: Node) -> Node | None:
        """A sum, or a product with a weight, as a slot or a plain sum; None of other products."""
        products: list[Product] = []
        others: list[tuple[float, Node]] = []  # sign, term as it is written
        constant = self._collect(node, 1.0, products, others, first=True)
        if not products and node.kind != "sum":
            return self._product(node)
        terms = self._blended(others)
        if not products:
            return self._plain_sum(terms, constant, node.shape)
        return self._slot(node.shape, products, terms, constant)

    def _product(self, node: Node) -> Node | None:
        """A matrix of samples with a matrix of weights is taken from the other side."""
        a, b = node.args
        if node.kind == "matmul" and b.static and len(a.shape) == 2 and len(b.shape) == 2:
            shape = node.shape[::-1]
            turned = self.graph.node("turn", (self.dynamic(a),), None, a.shape[::-1])
            static = self.graph.node("turn", (b,), None, b.shape[::-1])
            made = self._slot(shape, [Product("matrix", 1.0, static, turned)], [], 0.0)
            return self.graph.node("turn", (made,), None, node.shape)
        return None

    def _collect(
        self,
        node: Node,
        factor: float,
        products: list[Product],
        others: list[tuple[float, Node]],
        first: bool = False,
    ) -> float:
        """Sort the terms of a sum into products with weights, and others; the sum of numbers. What
        is used twice, be it in one sum, is computed once and not gone into."""
        if node.static:
            products.append(Product("bias", factor, node, None))
            return 0.0
        alone = first or self.consumers[id(node)] == 1
        if node.kind == "sum" and alone:
            signs, constant = node.payload
            constant *= factor
            for sign, term in zip(signs, node.args, strict=True):
                constant += self._collect(term, factor * sign, products, others)
            return float(constant)
        if node.kind in ("matmul", "mul") and alone:
            a, b = node.args
            if node.kind == "mul" and b.static:
                a, b = b, a
            if a.static:
                kind = "matrix" if node.kind == "matmul" else "diagonal"
                products.append(Product(kind, factor, a, self.dynamic(b)))
                return 0.0
        others.append((factor, node))
        return 0.0

    def _blended(self, terms: list[tuple[float, Node]]) -> list[tuple[float, Node]]:
        """The terms, reduced, with each pair (1 - u) a and u b made one blend."""
        left = list(terms)
        found: list[tuple[float, Node]] = []
        while left:
            sign, node = left.pop(0)
            pair = self._pair(sign, node, left)
            if pair is None:
                found.append((sign, self.dynamic(node)))
                continue
            at, u, a, b, rest = pair
            left.pop(at)
            args = [self.dynamic(n) for n in (u, a, b, rest)]
            found.append((sign, self.graph.node("blend", args, None, node.shape)))
        return found

    def _pair(
        self, sign: float, node: Node, others: list[tuple[float, Node]]
    ) -> tuple[int, Node, Node, Node, Node] | None:
        """The number of the term that makes a blend with this one, its u, a, b, and 1 - u."""
        for at, (its_sign, other) in enumerate(others):
            if its_sign != sign or node.kind != "mul" or other.kind != "mul":
                continue
            for one, two in ((node, other), (other, node)):
                for (rest, a), (u, b) in _both(one, two):
                    if _is_rest(rest) and rest.args[0] is u:
                        return at, u, a, b, rest
        return None

    def _plain_sum(self, terms: list[tuple[float, Node]], constant: float, shape: Shape) -> Node:
        if len(terms) == 1 and abs(terms[0][0]) == abs(constant) > 0:
            ((sign, term),) = terms
            made = self._from_one(sign / constant, term)
            if made is not None:
                factor, half = made
                return self._plain_sum([(constant * factor, half)], 0.0, shape)
        if len(terms) == 1 and terms[0][0] == 1 and constant == 0:
            return terms[0][1]
        payload = (tuple(sign for sign, _ in terms), constant)
        return self.graph.node("sum", [term for _, term in terms], payload, shape)

    def _from_one(self, sign: float, term: Node) -> tuple[float, Node] | None:
        """1 - σ(z), 1 - e^z, and 1 ± tanh z = 2 σ(± 2z), which as differences would lose their
        digits: a factor and a node."""
        if term.kind != "function":
            return None
        if term.payload == "sigmoid" and sign == -1:
            return 1.0, self.graph.node("rest", term.args, None, term.shape)
        if term.payload == "exp" and sign == -1:
            return -1.0, self.graph.node("function", term.args, "expm1", term.shape)
        if term.payload == "tanh":
            twice = self.graph.node("sum", term.args, ((2.0,), 0.0), term.shape)
            kind, function = ("rest", None) if sign == -1 else ("function", "sigmoid")
            return 2.0, self.graph.node(kind, (twice,), function, term.shape)
        return None

    def _slot(
        self,
        shape: Shape,
        products: list[Product],
        terms: list[tuple[float, Node]],
        constant: float,
    ) -> Node:
        uses: list[Use] = []
        operands: list[Node] = []
        terms = list(terms)
        for kind, factor, static, operand in products:
            for scale, weight in self._weights(static, factor, kind):
                if weight is not None:
                    uses.append(Use(kind, weight, scale))
                    operands += [operand] if operand is not None else []
                elif operand is None:
                    constant += scale
                else:
                    terms.append((scale, operand))
        of = SlotOf(tuple(uses), tuple(sign for sign, _ in terms), constant)
        return self.graph.node("slot", [*operands, *(term for _, term in terms)], of, shape)

    def _weights(
        self, static: Node, factor: float, kind: str, turned: bool = False, first: bool = True
    ) -> Iterator[tuple[float, Weight | None]]:
        """(factor, weight) of each term of a weight that is a sum of parameters; a number that is
        added to an entry by entry weight has no weight. A sum within it that is used twice stays
        one weight."""
        alone = first or self.consumers[id(static)] <= 1
        if static.kind == "sum" and alone and (kind != "matrix" or static.payload[1] == 0):
            signs, constant = static.payload
            for sign, term in zip(signs, static.args, strict=True):
                yield from self._weights(term, factor * sign, kind, turned, first=False)
            if constant:
                yield factor * constant, None
        elif static.kind == "turn" and alone:
            yield from self._weights(static.args[0], factor, kind, not turned, first=first)
        elif static.kind == "turn":
            yield factor, Weight(static.args[0], not turned)
        else:
            yield factor, Weight(static, turned)


def _both(one: Node, two: Node) -> Iterator[tuple[tuple[Node, Node], tuple[Node, Node]]]:
    """Two products with their factors either way round."""
    for first in (one.args, one.args[::-1]):
        for second in (two.args, two.args[::-1]):
            yield (first[0], first[1]), (second[0], second[1])


def _is_rest(node: Node) -> bool:
    return node.kind == "sum" and node.payload == ((-1.0,), 1.0)


def is_plain(weight: Weight) -> bool:
    """Whether a weight is a parameter as it is, at most as a row."""
    node = weight.node.args[0] if weight.node.kind == "row" else weight.node
    return node.kind in ("parameter", "constant")
