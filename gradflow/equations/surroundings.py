"""The functions around recurrent products, whose slopes the chain rule multiplies with the
recurrent weights, and these weights by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gradflow.equations.differentiate import operands_of, others_of, slope
from gradflow.equations.graph import Node, in_order
from gradflow.equations.reduce import Reduced, Use
from gradflow.equations.step import Step


class Around(NamedTuple):
    """A function around recurrent products: its slope, and its value. A product under no function
    has a slope of 1, None here, and is its own value."""

    name: str
    slope: Node | None
    value: Node


class Block(NamedTuple):
    """A recurrent weight, named by the function around its product if no other has that name, else
    by its parameters. `kind`: `matrix` or `diagonal`."""

    name: str
    weight: Node
    kind: str


def is_recurrent(use: Use, operand: Node | None, roles: Mapping[str, str]) -> bool:
    """Whether a weight multiplies something made of the state before, and is not declared to be
    none of the recurrent ones, as a projection is."""
    return operand is not None and operand.past and not is_other(use, roles)


def is_other(use: Use, roles: Mapping[str, str]) -> bool:
    """Whether every parameter of a weight is declared to have the role `other`."""
    names = [n.payload for n in in_order([use.weight.node]) if n.kind == "parameter"]
    return bool(names) and all(roles.get(name) == "other" for name in names)


class Surroundings:
    """The functions around the recurrent products of a step, and the weights in these."""

    def __init__(self, step: Step, reduced: Reduced, nodes: Sequence[Node]) -> None:
        self.step, self.reduced, self.nodes = step, reduced, nodes
        self.slots = [node for node in nodes if node.kind == "slot" and self._recurrent(node)]
        self.covers: dict[int, list[str]] = {id(slot): [] for slot in self.slots}
        self._taken: set[str] = set()

    def functions(self) -> tuple[Around, ...]:
        """Each function whose argument holds a recurrent product; where a product is under
        none, those of what it multiplies; if there are none either, the product itself."""
        found = [
            self._cover(node, slots)
            for node in self._applied()
            if (slots := self._held(node.args[0]))
        ]
        for slot in self.slots:
            if not self.covers[id(slot)]:
                inner = list(self._inner(slot))
                found += [self._cover(node, [slot]) for node in inner or [slot]]
        order = list(dict.fromkeys(self.reduced.names.values()))
        known = [f.name in order for f in found]
        ranks = [
            order.index(f.name) if k else len(order) for f, k in zip(found, known, strict=True)
        ]
        return tuple(found[k] for k in sorted(range(len(found)), key=lambda k: ranks[k]))

    def _applied(self) -> list[Node]:
        """Every function of the step; that of 1 - σ(z) is σ."""
        graph = self.reduced.graph
        functions = [
            graph.node("function", node.args, "sigmoid", node.shape)
            if node.kind == "rest"
            else node
            for node in self.nodes
            if node.kind in ("function", "rest")
        ]
        return list(dict.fromkeys(functions))

    def _recurrent(self, slot: Node) -> list[Use]:
        pairs = zip(slot.payload.uses, operands_of(slot), strict=True)
        return [use for use, operand in pairs if is_recurrent(use, operand, self.step.roles)]

    def _held(self, node: Node) -> list[Node]:
        """The slots with recurrent products that a value is made of, no function in between."""
        found, waiting, seen = [], [node], set()
        while waiting:
            at = waiting.pop()
            if id(at) in seen or at.kind in ("function", "rest"):
                continue
            seen.add(id(at))
            if at.kind == "slot":
                found += [at] if self._recurrent(at) else []
                waiting += [term for _, term in others_of(at)]
                waiting += [o for use, o in zip(at.payload.uses, operands_of(at), strict=True)
                            if use.kind == "diagonal" and o is not None]  # fmt: skip
            else:
                waiting += at.args
        return found

    def _inner(self, slot: Node) -> Iterator[Node]:
        """The functions of the old state that recurrent weights of a slot multiply."""
        recurrent = self._recurrent(slot)
        waiting = [o for use, o in zip(slot.payload.uses, operands_of(slot), strict=True)
                   if o is not None and use in recurrent]  # fmt: skip
        while waiting:
            at = waiting.pop()
            if at.kind == "function" and at.past:
                yield at
            elif at.kind != "slot":
                waiting += at.args

    def _cover(self, node: Node, slots: Sequence[Node]) -> Around:
        name, count = self._called(node), 1
        while (numbered := name if count == 1 else f"{name}{count}") in self._taken:
            count += 1
        self._taken.add(numbered)
        for slot in slots:
            self.covers[id(slot)].append(numbered)
        is_function = node.kind == "function"
        return Around(numbered, slope(self.reduced.graph, node) if is_function else None, node)

    def _called(self, node: Node) -> str:
        """What the text calls a function or a slot, else what it is a function of."""
        if (name := self._name(node)) is not None:
            return name
        if node.kind == "slot":
            return "·".join(self._weights(self._recurrent(node)[0]))
        inner = self._name(node.args[0])
        return f"{node.payload}({inner})" if inner else str(node.payload)

    def _name(self, node: Node) -> str | None:
        parts = (part for part, new in self.reduced.new.items() if new is node)
        old = node.payload if node.kind == "previous" else None
        return self.reduced.names.get(id(node), next(parts, old))

    def _weights(self, use: Use) -> list[str]:
        """What the text calls a weight, or the parameters in it."""
        if id(use.weight.node) in self.step.names:
            return [self.step.names[id(use.weight.node)]]
        nodes = in_order([use.weight.node])
        names = (n.payload for n in nodes if n.kind in ("parameter", "constant"))
        return list(dict.fromkeys(names))

    def blocks(self) -> tuple[Block, ...]:
        """The recurrent weights in the order of their parameters: a matrix by the name of its
        slot or of the one function around it, if no other has that, the others by their own."""
        by_node = {id(use.weight.node): (use, slot) for slot in self.slots
                   for use in self._recurrent(slot)}  # fmt: skip
        wanted = {key: self._around(use, slot) for key, (use, slot) in by_node.items()}
        count = Counter(wanted.values())
        found = []
        for key, (use, _) in by_node.items():
            name, own = wanted[key], "·".join(self._weights(use))
            name = own if name is None or count[name] > 1 else name
            found.append(Block(name, use.weight.node, use.kind))
        order = list(self.step.shapes)
        return tuple(sorted(found, key=lambda block: min(
            order.index(n.payload) for n in in_order([block.weight])
            if n.kind in ("parameter", "constant"))))  # fmt: skip

    def _around(self, use: Use, slot: Node) -> str | None:
        if use.kind != "matrix":
            return None
        covers = self.covers[id(slot)]
        return self.reduced.names.get(id(slot), covers[0] if len(covers) == 1 else None)
