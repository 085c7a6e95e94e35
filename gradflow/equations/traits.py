"""What equations say of themselves: which of their names are gates, which gate keeps a part of the
state, which functions are around recurrent products, and whether a part reaches its own next
value without a recurrent matrix. No cell is known by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradflow.equations.differentiate import operands_of, others_of
from gradflow.equations.graph import Node, in_order
from gradflow.equations.reduce import Reduced, reduce
from gradflow.equations.step import Step
from gradflow.equations.surroundings import Around, Block, Surroundings, is_recurrent

GATES = ("sigmoid", "hard_sigmoid", "keras2_hard_sigmoid")
"""The functions whose value is a gate: they lie between 0 (closed) and 1 (open). tanh is none: half
of what passes it changes its sign, and a share that is kept has no time scale then."""


class Keeper(NamedTuple):
    """What multiplies a part of the state on its way to its own next value.

    `name` is that of a gate, or `1-` before it; `value` lies between 0 and 1, and `decay` is
    -ln of it, a node by itself where the gate is a sigmoid, since f rounds to 1 long before -ln f
    to 0.
    """

    name: str
    part: str
    value: Node
    decay: Node | None


@dataclass(frozen=True, eq=False)
class Traits:
    """What was found.

    Attributes:
        reduced: the step that the nodes are of.
        gates: the named intermediates that are a sigmoid, or 1 minus one, and multiply something,
            in order; behind them what keeps a part without its own name.
        keepers: what keeps a part of the state.
        functions: those around recurrent products.
        blocks: the recurrent weights.
        direct: the parts that reach themselves through no recurrent matrix, be it by way of other
            parts.
    """

    reduced: Reduced
    gates: Mapping[str, Node]
    keepers: tuple[Keeper, ...]
    functions: tuple[Around, ...]
    blocks: tuple[Block, ...]
    direct: tuple[str, ...]


def traits(step: Step, gauges: Iterable[str]) -> Traits:
    """What the equations of a step say of themselves; parts in `gauges` carry no memory."""
    return _Reader(step, set(gauges)).traits()


class _Reader:
    def __init__(self, step: Step, gauges: set[str]) -> None:
        self.step, self.gauges = step, gauges
        self.reduced = reduce(step)
        self.nodes = in_order(self.reduced.new.values())
        self.names = self.reduced.names
        self.order = list(dict.fromkeys(self.names.values()))

    def traits(self) -> Traits:
        keepers = tuple(self._keepers())
        around = Surroundings(self.step, self.reduced, self.nodes)
        functions = around.functions()
        return Traits(
            self.reduced, self._gates(keepers), keepers, functions, around.blocks(), self._direct()
        )

    # Gates, and what keeps the state

    def _gates(self, keepers: Sequence[Keeper]) -> dict[str, Node]:
        factors = {id(factor) for node in self.nodes for factor in _factors(node)}
        found = {
            self.names[id(node)]: node
            for node in self.nodes
            if id(node) in self.names and id(node) in factors and self._gate_within(node)
        }
        found = {name: found[name] for name in self.order if name in found}
        for keeper in keepers:
            if keeper.name.removeprefix("1-") not in found:
                found[keeper.name] = keeper.value
        return found

    def _gate_within(self, node: Node) -> tuple[Node, bool] | None:
        """The sigmoid that a node is, and False; or that it is 1 minus, and True."""
        if node.kind == "function" and node.payload in GATES:
            return node, False
        if node.kind == "rest":
            (z,) = node.args
            return self.reduced.graph.node("function", (z,), "sigmoid", z.shape), True
        if node.kind == "sum" and node.payload == ((-1.0,), 1.0):
            (term,) = node.args
            if term.kind == "function" and term.payload in GATES:
                return term, True
        return None

    def _keepers(self) -> Iterator[Keeper]:
        found = set()
        for part, new in self.reduced.new.items():
            for node in _multiplied(new, part):
                gate = self._gate_within(node)
                if gate is not None and part not in self.gauges:
                    name = self._called(node, *gate)
                    if name not in found:
                        found.add(name)
                        yield Keeper(name, part, node, self._decay(*gate))

    def _called(self, node: Node, gate: Node, is_rest: bool) -> str:
        if id(node) in self.names:
            return self.names[id(node)]
        if id(gate) in self.names:
            name = self.names[id(gate)]
        else:
            name = f"{gate.payload}({self.names.get(id(gate.args[0]), '')})".replace("()", "")
        return f"1-{name}" if is_rest else name

    def _decay(self, gate: Node, is_rest: bool) -> Node | None:
        """-ln σ(z) = softplus(-z), -ln (1 - σ(z)) = softplus(z)."""
        if gate.payload != "sigmoid":
            return None
        graph, (z,) = self.reduced.graph, gate.args
        z = z if is_rest else graph.node("sum", (z,), ((-1.0,), 0.0), z.shape)
        return graph.node("function", (z,), "softplus", z.shape)

    # The direct path

    def _direct(self) -> tuple[str, ...]:
        """The parts on a cycle of what reaches what within one step, no recurrent matrix in
        between."""
        reach = {
            part: self._reached(new)
            for part, new in self.reduced.new.items()
            if part not in self.gauges
        }
        for through in reach:
            for part in reach:
                if through in reach[part]:
                    reach[part] = reach[part] | reach[through]
        return tuple(part for part in reach if part in reach[part])

    def _reached(self, new: Node) -> set[str]:
        found, waiting, seen = set(), [new], set()
        while waiting:
            at = waiting.pop()
            if id(at) in seen:
                continue
            seen.add(id(at))
            if at.kind == "previous":
                found.add(at.payload)
            elif at.kind == "slot":
                pairs = list(zip(at.payload.uses, operands_of(at), strict=True))
                waiting += [o for use, o in pairs if o is not None
                            and not (use.kind == "matrix"
                                     and is_recurrent(use, o, self.step.roles))]  # fmt: skip
                waiting += [term for _, term in others_of(at)]
            elif not any(at is gauge for gauge in self._still):
                waiting += at.args
        return found - self.gauges

    @property
    def _still(self) -> list[Node]:
        """The new values of gauges."""
        return [new for part, new in self.reduced.new.items() if part in self.gauges]


def _factors(node: Node) -> Iterable[Node]:
    """What multiplies something else in a node."""
    if node.kind == "slot":
        pairs = zip(node.payload.uses, operands_of(node), strict=True)
        return [o for use, o in pairs if use.kind == "diagonal" and o is not None]
    if node.kind == "blend":
        return [node.args[0], node.args[3]]
    return node.args if node.kind == "mul" else ()


def _multiplied(new: Node, part: str) -> Iterator[Node]:
    """What multiplies the old value of a part in the sum that is its new one."""
    waiting = [new]
    while waiting:
        node = waiting.pop(0)
        if node.kind == "sum":
            waiting += [t for sign, t in zip(node.payload[0], node.args, strict=True) if sign == 1]
        elif node.kind == "slot":
            waiting += [term for sign, term in others_of(node) if sign == 1]
        elif node.kind == "mul":
            a, b = node.args
            yield from (one for one, other in ((a, b), (b, a)) if _is_old(other, part))
        elif node.kind == "blend":
            u, a, b, rest = node.args
            yield from (gate for gate, old in ((rest, a), (u, b)) if _is_old(old, part))


def _is_old(node: Node, part: str) -> bool:
    return node.kind == "previous" and node.payload == part
