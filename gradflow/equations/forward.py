"""Writes `step`, one step forward, and `linearize`, the local partials of any number of steps."""

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
"""What is saved rather than computed again, beside functions that are not cheap."""


def is_dear(node: Node) -> bool:
    """Whether a value is saved rather than computed again."""
    if node.kind == "function":
        return not FUNCTIONS[node.payload].cheap
    return node.kind in DEAR or (node.kind == "power" and node.payload not in (2, 3, -1))


class Step(Writer):
    """Writes `step`. Values are computed when they are first asked for."""

    def __init__(self, reduced: Reduced, arranged: Arrangement, arrays: Arrays) -> None:
        super().__init__(Names(), labels=arrays.labels, weight=arrays.weight)
        self.reduced, self.arranged, self.arrays = reduced, arranged, arrays
        self.views = Views(self.names)
        self.group_of = {id(slot): group for group in arranged.groups for slot in group}
        self.roots = [(part, node) for part, node in reduced.new.items()]
        self.home: dict[int, str] = {}  # new values that are computed where they belong
        for part, node in self.roots:
            if node.kind not in ("slot", "previous", "x", "after", "fixed", "number"):
                self.home.setdefault(id(node), part)
        self._multiplied: set[int] = set()
        self._written: set[int] = set()

    def write(self) -> None:
        """The whole function."""
        nodes = in_order([node for _, node in self.roots] + self._late())
        for node in nodes:
            if (node.kind == "function" and node.payload == "sigmoid") or node.kind == "rest":
                self._reserve_exponential(node)
        roots = [node for _, node in self.roots]
        self.count(roots + self._late())
        self.shorten(roots)
        for part, node in self.roots:
            place = self.views.of(self.arrays.s_next, [part], f"{part}_next")
            if self.home.get(id(node)) == part:
                self.value(node)
            else:
                self._put(node, place)
        for node in self._late():
            self._put(node, self.views.of(self.arrays.s_next, ["out"], "out"))

    def _late(self) -> list[Node]:
        return [self.reduced.output] if self.reduced.output is not None else []

    # Values that have a place

    def is_stored(  # noqa: D102 (see Writer)
        self, node: Node
    ) -> bool:
        leaf = node.kind in ("previous", "x", "after", "slot")
        return leaf or is_dear(node) or id(node) in self.home

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
        place = self._place(node)
        self.held_soon(node, place)
        return place

    def held_soon(self, node: Node, place: str) -> None:
        """Compute a value into its place, from when on it is held."""
        if node.kind == "norm":
            inverse = self.views.of(self.arrays.saved, [(id(node), "inverse")], f"{place}_inverse")
            self.line(
                f"normalise({self.value(node.args[0])}, {node.payload!r}, {place}, {inverse})"
            )
        else:
            self.into(node, place)
        self.held[id(node)] = place

    def _leaf(self, node: Node) -> str:
        rows = {"previous": self.arrays.s, "x": self.arrays.x, "after": self.arrays.s_next}
        key = "x" if node.kind == "x" else node.payload
        wanted = f"{key}_next" if node.kind == "after" else key
        name = self.views.of(rows[node.kind], [key], wanted)
        self.held[id(node)] = name
        return name

    def _place(self, node: Node) -> str:
        part = self.home.get(id(node))
        if part is not None:
            return self.views.of(self.arrays.s_next, [part], f"{part}_next")
        label = self.labels.get(id(node), node.kind if node.kind != "function" else node.payload)
        self.arrays.saved.add(id(node), label, node.shape)
        if node.kind == "norm":
            self.arrays.saved.add((id(node), "inverse"), f"{label}_inverse", (ONE,))
        return self.views.of(self.arrays.saved, [id(node)], label)

    def exponential(  # noqa: D102 (see Writer)
        self, z: Node
    ) -> str:
        sigmoid = self.reduced.graph.node("function", (z,), "sigmoid", z.shape)
        self.value(sigmoid)
        return self.exponentials[id(sigmoid)]

    def _reserve_exponential(self, node: Node) -> None:
        """A place for e^-z of a sigmoid: that of z, where z is used for nothing else."""
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
        place, of = self._z((slot,)), slot.payload
        pairs = list(zip(of.uses, operands_of(slot), strict=True))
        for use, operand in pairs:
            if use.kind == "matrix" and operand is not None and operand.kind != "x":
                self._multiply(operand)
        if is_hoisted(slot):
            self._written.add(id(slot))
        for use, operand in pairs:
            if use.kind == "diagonal" and operand is not None:
                weight = self.value(diagonal(self.reduced.graph, use, slot.shape))
                self._add_product(slot, place, use.factor, weight, operand)
        for sign, term in others_of(slot):
            if id(slot) in self._written:
                self.add(term, place, sign)
            else:
                self._put(self._signed(sign, term), place)
                self._written.add(id(slot))
        if of.constant and not is_hoisted(slot):
            self.line(f"{place} += {of.constant!r}")
        self.held[id(slot)] = place
        return place

    def _signed(self, sign: float, term: Node) -> Node:
        if sign == 1:
            return term
        return self.reduced.graph.node("sum", (term,), ((sign,), 0.0), term.shape)

    def _add_product(
        self, slot: Node, place: str, factor: float, weight: str, operand: Node
    ) -> None:
        value = self.value(operand)
        scaled = weight if abs(factor) == 1 else f"{abs(factor)!r} * {weight}"
        if id(slot) in self._written:
            self.line(f"{place} {'+' if factor > 0 else '-'}= {scaled} * {value}")
            return
        scaled = scaled if factor > 0 else f"-{scaled}"
        self.line(f"np.multiply({scaled}, {value}, out={place})")
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
        place = self._z(product.slots, "merged" if matrix else None)
        value = f"merged({value})" if matrix else bare(value)
        name = self.arrays.products[id(product)]
        for slot in product.slots:
            if is_hoisted(slot):
                self._written.add(id(slot))
        ready = [id(slot) in self._written for slot in product.slots]
        if not any(ready):
            self.line(f"w.product(w.{name}, {value}, out={place})")
        else:
            for slot, is_ready in zip(product.slots, ready, strict=True):
                if not is_ready:
                    self.line(f"{self._z((slot,))}[...] = 0")
            self.line(f"{place} += w.product(w.{name}, {value})")
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
        place = self.views.of(self.arrays.saved, keys, "_".join(labels), form)
        z = self._z(group)
        if name == "sigmoid":
            self.line(f"sigmoid({z}, e={z}, out={place})")
        elif FUNCTIONS[name].ufunc:
            self.line(f"np.{FUNCTIONS[name].ufunc}({z}, out={place})")
        else:
            self.line(f"{name}({z}, out={place})")
        for slot, function, label in zip(group, functions, labels, strict=True):
            self.held[id(function)] = self.views.of(self.arrays.saved, [id(function)], label)
            if name == "sigmoid":
                self.exponentials[id(function)] = self._z((slot,))
                self.held.pop(id(slot))
        return self.held[id(wanted)]


class Linearize(Writer):
    """Writes `linearize`: every entry of `local`, from what `step` left."""

    def __init__(self, step: Step, entries: Iterable[tuple[object, Node]]) -> None:
        super().__init__(Names(), labels=step.labels, weight=step.weight)
        self.step, self.arrays = step, step.arrays
        self.views = Views(self.names)
        self.entries = list(entries)
        self._overwritten = {
            id(slot)
            for group in step.arranged.groups
            for slot in group
            if id(step.reduced.graph.node("function", (slot,), "sigmoid", slot.shape))
            in self.arrays.saved.at
        }
        self._ready: dict[int, str] = {}  # slopes that are in their place, by id

    def write(self) -> None:
        """The whole function."""
        self.count(node for _, node in self.entries)
        self.shorten(node for key, node in self.entries if not isinstance(key, tuple))
        self._slopes_together()
        for key, node in self.entries:
            name = self.arrays.local.entries[self.arrays.local.at[key]].name
            place = self.views.of(self.arrays.local, [key], name)
            if isinstance(key, tuple):  # what `normalise` left beside its value
                found = self.views.of(self.arrays.saved, [key], f"{name}_saved")
                self.line(f"{place}[...] = {found}")
                continue
            if self.is_stored(node):
                self.value(node)
            self.into(node, place)
            self.held[id(node)] = place

    def is_stored(  # noqa: D102 (see Writer)
        self, node: Node
    ) -> bool:
        return self._kept(node) is not None

    def store(  # noqa: D102 (see Writer)
        self, node: Node
    ) -> str:
        found = self._kept(node)
        assert found is not None
        rows, key, wanted = found
        self.held[id(node)] = self.views.of(rows, [key], wanted)
        return self.held[id(node)]

    def _kept(self, node: Node) -> tuple[Rows, object, str] | None:
        """Where `step` left a value, and what it is called here."""
        label = self.labels.get(id(node), "v")
        if node.kind == "previous":
            return self.arrays.s, node.payload, node.payload
        if node.kind == "x":
            return self.arrays.x, "x", "x"
        if node.kind == "after":
            return self.arrays.s_next, node.payload, f"{node.payload}_next"
        if id(node) in self.step.home:
            part = self.step.home[id(node)]
            return self.arrays.s_next, part, f"{part}_next"
        if id(node) in self.arrays.saved.at:
            return self.arrays.saved, id(node), label
        if node.kind == "slot":
            assert id(node) not in self._overwritten
            return self.arrays.z, id(node), f"z_{label}"
        return None

    def _slopes_together(self) -> None:
        """The slopes of sigmoids of neighbouring slots in one go, where partials beside each other
        begin with them."""
        stretch: list[tuple[object, Node]] = []
        for key, node in [*self.entries, (None, None)]:
            slope = self._first_slope(key, node) if node is not None else None
            at = self.arrays.z.at
            last = at[id(stretch[-1][1].args[0])] if stretch else None
            if slope is None or at[id(slope.args[0])] - 1 != last:
                self._write_together(stretch)
                stretch = []
            if slope is not None:
                stretch.append((key, slope))

    def _first_slope(self, key: object, node: Node) -> Node | None:
        """The slope of a group's sigmoid that the place of this entry is first filled with."""
        if isinstance(key, tuple) or node.kind not in ("slope", "mul") or self.is_stored(node):
            return None
        slopes = [factor for factor in self._factors(node) if factor.kind == "slope"]
        if len(slopes) != 1 or slopes[0].payload != "sigmoid" or self.uses[id(slopes[0])] > 1:
            return None
        (slope,) = slopes
        (z,) = slope.args
        alike = id(z) in self._overwritten and node.shape == z.shape
        return None if self._from_rest(slope) or not alike else slope

    def _write_together(self, stretch: list[tuple[object, Node]]) -> None:
        if len(stretch) < 2:
            return
        rows, labels = self.arrays.local, self.labels
        keys, slopes = zip(*stretch, strict=True)
        slots = [slope.args[0] for slope in slopes]
        names = [rows.entries[rows.at[key]].name for key in keys]
        e = "e_" + "_".join(labels[id(slot)] for slot in slots)
        e = self.views.of(self.arrays.z, [id(slot) for slot in slots], e, "rows")
        place = self.views.of(rows, keys, "_".join(names), "rows")
        self.line(f"sigmoid_slope_from({e}, out={place})")
        for key, name, slope in zip(keys, names, slopes, strict=True):
            self._ready[id(slope)] = self.views.of(rows, [key], name)

    def _from_rest(self, slope: Node) -> tuple[Node, Node] | None:
        """σ(z) and 1 - σ(z) where `step` has saved both: their product is the slope."""
        graph, (z,) = self.step.reduced.graph, slope.args
        rest = graph.node("rest", (z,), None, z.shape)
        sigmoid = graph.node("function", (z,), "sigmoid", z.shape)
        saved = self.is_stored(rest) and self.is_stored(sigmoid)
        return (sigmoid, rest) if saved else None

    def _slope_into(self, node: Node, place: str) -> None:
        if self._ready.get(id(node)) == place:
            return
        if node.payload == "sigmoid" and (saved := self._from_rest(node)):
            u, rest_of_u = (self.value(one) for one in saved)
            self.line(f"np.multiply({u}, {rest_of_u}, out={place})")
            return
        super()._slope_into(node, place)

    def exponential(  # noqa: D102 (see Writer)
        self, z: Node
    ) -> str:
        sigmoid = self.step.reduced.graph.node("function", (z,), "sigmoid", z.shape)
        label = self.labels.get(id(sigmoid), "sigmoid")
        if (id(sigmoid), "e") in self.arrays.saved.at:
            return self.views.of(self.arrays.saved, [(id(sigmoid), "e")], f"e_{label}")
        return self.views.of(self.arrays.z, [id(z)], f"e_{label}")
