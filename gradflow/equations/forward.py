"""Writes `prepare`, what the input alone decides, and `step`, one step forward."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gradflow.equations.arrange import Arrangement, Product, is_hoisted
from gradflow.equations.differentiate import diagonal, operands_of, others_of
from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.graph import Node, in_order
from gradflow.equations.layout import Names, Rows, Views
from gradflow.equations.reduce import Reduced
from gradflow.equations.sizes import ONE
from gradflow.equations.writing import Writer, bare


@dataclass
class Arrays:
    """The rows of the engine's arrays, and what `w` has: see `cells.contract`."""

    z: Rows = field(default_factory=lambda: Rows("z"))
    saved: Rows = field(default_factory=lambda: Rows("saved"))
    s: Rows = field(default_factory=lambda: Rows("s"))
    s_next: Rows = field(default_factory=lambda: Rows("s_next"))
    x: Rows = field(default_factory=lambda: Rows("x"))
    local: Rows = field(default_factory=lambda: Rows("local"))
    fixed: dict[int, tuple[str, Node]] = field(default_factory=dict)  # by id: its name in w
    products: dict[int, str] = field(default_factory=dict)  # the id of a Product to its matrix
    labels: dict[int, str] = field(default_factory=dict)
    names_of_w: Names = field(default_factory=Names)

    def weight(self, node: Node) -> str:
        """The name in `w` of a fixed node."""
        if id(node) not in self.fixed:
            (of,) = node.args
            label = of.payload if of.kind in ("parameter", "constant") else "k"
            self.fixed[id(node)] = (self.names_of_w.new(label), node)
        return self.fixed[id(node)][0]


DEAR = frozenset(("total", "matmul", "norm", "rest"))
"""What is saved rather than computed again, besides functions that are not cheap."""


def is_dear(node: Node) -> bool:
    """Whether a value is saved rather than computed again."""
    if node.kind == "function":
        return not FUNCTIONS[node.payload].cheap
    return node.kind in DEAR or (node.kind == "power" and node.payload not in (2, 3, -1))


class Forward(Writer):
    """What `prepare` and `step` have in common. Values are computed when they are first asked
    for."""

    def __init__(self, reduced: Reduced, arranged: Arrangement, arrays: Arrays) -> None:
        super().__init__(Names(), labels=arrays.labels, weight=arrays.weight)
        self.reduced, self.arranged, self.arrays = reduced, arranged, arrays
        self.views = Views(self.names)
        self.group_of = {id(slot): group for group in arranged.groups for slot in group}
        self.home: dict[int, str] = {}  # new values that are computed where they belong
        self.kept: set[int] = set()  # the ids of values that are saved, though not dear
        self._multiplied: set[int] = set()
        self._written: set[int] = set()

    def begin(self, nodes: Iterable[Node], roots: list[Node]) -> None:
        """Reserve and count what these nodes need, on the way to the roots."""
        for node in nodes:
            if (node.kind == "function" and node.payload == "sigmoid") or node.kind == "rest":
                self._reserve_exponential(node)
        self.count(roots)
        self.shorten(roots)

    # Values that are kept in arrays

    def is_stored(  # noqa: D102 (see Writer)
        self, node: Node
    ) -> bool:
        leaf = node.kind in ("previous", "x", "after", "slot")
        return leaf or is_dear(node) or id(node) in self.home or id(node) in self.kept

    def store(  # noqa: D102 (see Writer)
        self, node: Node
    ) -> str:
        if node.kind in ("previous", "x", "after"):
            return self._leaf(node)
        if node.kind == "slot":
            return self._slot(node)
        group = self.group_of.get(id(node.args[0])) if node.kind == "function" else None
        if group is not None and id(node) not in self.home:
            return self._function_of(group, node)
        if node.kind == "rest" and len(rests := self._other_rests(node)) > 1:
            return self._rests(rests, node)
        target = self._target(node)
        self.held_soon(node, target)
        return target

    def _other_rests(self, node: Node) -> list[Node]:
        """1 - sigmoid of neighbouring slots, of those that pass through the function together."""
        graph, found = self.reduced.graph, list[Node]()
        for slot in self.group_of.get(id(node.args[0]), ()):
            rest = graph.node("rest", (slot,), None, slot.shape)
            if self.uses[id(rest)] and id(rest) not in self.home:
                found.append(rest)
            elif node in found:
                break
            else:
                found.clear()
        return found

    def _rests(self, rests: list[Node], wanted: Node) -> str:
        """All of these in one go."""
        self.exponential(wanted.args[0])
        targets = [self._target(rest) for rest in rests]
        keys = [id(rest) for rest in rests]
        e = self._z(tuple(rest.args[0] for rest in rests))
        target = self.views.of(self.arrays.saved, keys, "_".join(targets), "rows")
        self.line(f"rest_from({e}, out={target})")
        for rest, own in zip(rests, targets, strict=True):
            self.held[id(rest)] = own
        return self.held[id(wanted)]

    def held_soon(self, node: Node, target: str) -> None:
        """Compute a value into its array, from when on it is held."""
        if node.kind == "norm":
            inverse = self.views.of(self.arrays.saved, [(id(node), "inverse")], f"{target}_inverse")
            self.line(
                f"normalise({self.value(node.args[0])}, {node.payload!r}, {target}, {inverse})"
            )
        else:
            self.into(node, target)
        self.held[id(node)] = target

    def _leaf(self, node: Node) -> str:
        rows = {"previous": self.arrays.s, "x": self.arrays.x, "after": self.arrays.s_next}
        key = "x" if node.kind == "x" else node.payload
        wanted = f"{key}_next" if node.kind == "after" else key
        name = self.views.of(rows[node.kind], [key], wanted)
        self.held[id(node)] = name
        return name

    def _target(self, node: Node) -> str:
        label = self.labels.get(id(node), node.kind if node.kind != "function" else node.payload)
        if node.kind == "norm":
            self.arrays.saved.add((id(node), "inverse"), f"{label}_inverse", (ONE,))
        part = self.home.get(id(node))
        if part is not None:
            return self.views.of(self.arrays.s_next, [part], f"{part}_next")
        self.arrays.saved.add(id(node), label, node.shape)
        return self.views.of(self.arrays.saved, [id(node)], label)

    def exponential(  # noqa: D102 (see Writer)
        self, z: Node
    ) -> str:
        sigmoid = self.reduced.graph.node("function", (z,), "sigmoid", z.shape)
        self.value(sigmoid)
        return self.exponentials[id(sigmoid)]

    def _reserve_exponential(self, node: Node) -> None:
        """Where e^-z of a sigmoid goes: to z itself, if z is used for nothing else."""
        (z,) = node.args
        sigmoid = self.reduced.graph.node("function", (z,), "sigmoid", z.shape)
        if id(z) not in self.group_of and id(sigmoid) not in self.exponentials:
            label = f"e_{self.labels.get(id(sigmoid), 'sigmoid')}"
            self.arrays.saved.add((id(sigmoid), "e"), label, z.shape)
            name = self.views.of(self.arrays.saved, [(id(sigmoid), "e")], label)
            self.exponentials[id(sigmoid)] = name

    # Slots

    def _z(self, slots: tuple[Node, ...], form: str | None = None) -> str:
        labels = [self.labels[id(slot)] for slot in slots]
        whole = len(slots) == len(self.arranged.slots) > 1
        wanted = "z" if whole and "z" not in self.names.given else "z_" + "_".join(labels)
        keys = [id(slot) for slot in slots]
        form = form or ("rows" if len(slots) > 1 else None)
        return self.views.of(self.arrays.z, keys, wanted, form)

    def _slot(self, slot: Node) -> str:
        """Complete a slot: products, what is multiplied entry by entry, other terms."""
        target, of = self._z((slot,)), slot.payload
        pairs = list(zip(of.uses, operands_of(slot), strict=True))
        for use, operand in pairs:
            if use.kind == "matrix" and operand is not None and operand.kind != "x":
                self._multiply(operand)
        if is_hoisted(slot):
            self._written.add(id(slot))
        for use, operand in pairs:
            if use.kind == "diagonal" and operand is not None:
                weight = self.value(diagonal(self.reduced.graph, use, slot.shape))
                self._add_product(slot, target, use.factor, weight, operand)
        for sign, term in others_of(slot):
            if id(slot) in self._written:
                self.add(term, target, sign)
            else:
                self._put(self._signed(sign, term), target)
                self._written.add(id(slot))
        if of.constant and not is_hoisted(slot):
            self.line(f"{target} += {of.constant!r}")
        self.held[id(slot)] = target
        return target

    def _signed(self, sign: float, term: Node) -> Node:
        if sign == 1:
            return term
        return self.reduced.graph.node("sum", (term,), ((sign,), 0.0), term.shape)

    def _add_product(
        self, slot: Node, target: str, factor: float, weight: str, operand: Node
    ) -> None:
        value = self.value(operand)
        scaled = weight if abs(factor) == 1 else f"{abs(factor)!r} * {weight}"
        if id(slot) in self._written:
            self.line(f"{target} {'+' if factor > 0 else '-'}= {scaled} * {value}")
            return
        scaled = scaled if factor > 0 else f"-{scaled}"
        self.line(f"np.multiply({scaled}, {value}, out={target})")
        self._written.add(id(slot))

    def _multiply(self, operand: Node) -> None:
        """Add to every slot its product with an operand."""
        if id(operand) in self._multiplied:
            return
        value = self.value(operand)
        self._multiplied.add(id(operand))
        for product in self.arranged.products[id(operand)]:
            self._multiply_one(product, value)

    def _multiply_one(self, product: Product, value: str) -> None:
        matrix = len(product.operand.shape) == 2
        target = self._z(product.slots, "merged" if matrix else None)
        value = f"merged({value})" if matrix else bare(value)
        name = self.arrays.products[id(product)]
        for slot in product.slots:
            if is_hoisted(slot):
                self._written.add(id(slot))
        ready = [id(slot) in self._written for slot in product.slots]
        if not any(ready):
            self.line(f"w.product(w.{name}, {value}, out={target})")
        else:
            for slot, is_ready in zip(product.slots, ready, strict=True):
                if not is_ready:
                    self.line(f"{self._z((slot,))}[...] = 0")
            self.line(f"{target} += w.product(w.{name}, {value})")
        self._written |= {id(slot) for slot in product.slots}

    def _function_of(self, group: tuple[Node, ...], wanted: Node) -> str:
        """One function of neighbouring slots in one go."""
        for slot in group:
            self.value(slot)
        graph, name = self.reduced.graph, wanted.payload
        functions = [graph.node("function", (slot,), name, slot.shape) for slot in group]
        labels = [self.labels.get(id(f), name) for f in functions]
        for function, label in zip(functions, labels, strict=True):
            self.arrays.saved.add(id(function), label, function.shape)
        keys = [id(f) for f in functions]
        form = "rows" if len(group) > 1 else None
        target = self.views.of(self.arrays.saved, keys, "_".join(labels), form)
        z = self._z(group)
        if name == "sigmoid":
            self.line(f"sigmoid({z}, e={z}, out={target})")
        elif FUNCTIONS[name].ufunc:
            self.line(f"np.{FUNCTIONS[name].ufunc}({z}, out={target})")
        else:
            self.line(f"{name}({z}, out={target})")
        for slot, function, label in zip(group, functions, labels, strict=True):
            self.held[id(function)] = self.views.of(self.arrays.saved, [id(function)], label)
            if name == "sigmoid":
                self.exponentials[id(function)] = self._z((slot,))
                self.held.pop(id(slot))
        return self.held[id(wanted)]


class Prepare(Forward):
    """Writes `prepare`: vectors that x_t decides alone, for any number of steps at once. What it
    leaves is saved; `found` are the ids of all that it computes."""

    def write(self) -> None:
        """The whole function; no line if nothing is to be done."""
        reduced = self.reduced
        late = [reduced.output] if reduced.output is not None else []
        roots = [*reduced.new.values(), *late]
        nodes = in_order(roots)
        of_states = {id(root) for root in roots}  # a new state is `step`'s, and what is made of it
        for node in nodes:
            if any(id(arg) in of_states for arg in node.args):
                of_states.add(id(node))
        self.found = {id(node) for node in nodes if _is_early(node)} - of_states
        wanted = {
            id(arg): arg
            for node in nodes
            if id(node) not in self.found
            for arg in node.args
            if id(arg) in self.found
        }
        self.kept = {key for key, node in wanted.items() if node.kind != "slot"}
        self.begin((node for node in nodes if id(node) in self.found), list(wanted.values()))
        for node in wanted.values():
            self.value(node)


def _is_early(node: Node) -> bool:
    is_vector = len(node.shape) < 2
    return node.now and not node.past and is_vector and node.kind not in _AT_HAND


_AT_HAND = frozenset(("x", "spread", "slice", "turn"))


class Step(Forward):
    """Writes `step`, after what `before` has prepared."""

    def __init__(self, before: Prepare) -> None:
        super().__init__(before.reduced, before.arranged, before.arrays)
        self.prepared = before.found
        self.roots = list(self.reduced.new.items())
        for part, node in self.roots:
            if node.kind not in ("slot", "previous", "x", "after", "fixed", "number"):
                self.home.setdefault(id(node), part)
        self._multiplied, self._written = before._multiplied, before._written

    def write(self) -> None:
        """The whole function."""
        late = [self.reduced.output] if self.reduced.output is not None else []
        roots = [node for _, node in self.roots]
        nodes = in_order([*roots, *late])
        self.begin((node for node in nodes if id(node) not in self.prepared), [*roots, *late])
        for part, node in self.roots:
            target = self.views.of(self.arrays.s_next, [part], f"{part}_next")
            if self.home.get(id(node)) == part:
                self.value(node)
            else:
                self._put(node, target)
        for node in late:
            self._put(node, self.views.of(self.arrays.s_next, ["out"], "out"))

    def is_stored(  # noqa: D102 (see Writer)
        self, node: Node
    ) -> bool:
        return id(node) in self.prepared or super().is_stored(node)

    def store(  # noqa: D102 (see Writer)
        self, node: Node
    ) -> str:
        if id(node) not in self.prepared:
            return super().store(node)
        if node.kind == "slot":
            self.held[id(node)] = self._z((node,))
        else:
            label = self.labels.get(id(node), "v")
            self.held[id(node)] = self.views.of(self.arrays.saved, [id(node)], label)
        return self.held[id(node)]
