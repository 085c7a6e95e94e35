"""Writes `linearize`, the local partials of any number of steps, from what `step` left."""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.equations.forward import Step
from gradflow.equations.graph import Node
from gradflow.equations.layout import Names, Rows, Views
from gradflow.equations.writing import Writer


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
        self._ready: dict[int, str] = {}  # slopes that are in their array, by id

    def write(self) -> None:
        """The whole function."""
        self.count(node for _, node in self.entries)
        self.shorten(node for key, node in self.entries if not isinstance(key, tuple))
        self._slopes_together()
        for key, node in self.entries:
            name = self.arrays.local.entries[self.arrays.local.at[key]].name
            target = self.views.of(self.arrays.local, [key], name)
            if isinstance(key, tuple):  # what `normalise` left next to its value
                found = self.views.of(self.arrays.saved, [key], f"{name}_saved")
                self.line(f"{target}[...] = {found}")
                continue
            if self.is_stored(node):
                self.value(node)
            self.into(node, target)
            self.held[id(node)] = target

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
        """The slopes of sigmoids of neighbouring slots in one go, where partials side by side
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
        """The slope of a group's sigmoid that the rows of this entry are first filled with."""
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
        target = self.views.of(rows, keys, "_".join(names), "rows")
        self.line(f"sigmoid_slope_from({e}, out={target})")
        for key, name, slope in zip(keys, names, slopes, strict=True):
            self._ready[id(slope)] = self.views.of(rows, [key], name)

    def _from_rest(self, slope: Node) -> tuple[Node, Node] | None:
        """σ(z) and 1 - σ(z) where `step` has saved both: their product is the slope."""
        graph, (z,) = self.step.reduced.graph, slope.args
        rest = graph.node("rest", (z,), None, z.shape)
        sigmoid = graph.node("function", (z,), "sigmoid", z.shape)
        saved = self.is_stored(rest) and self.is_stored(sigmoid)
        return (sigmoid, rest) if saved else None

    def _slope_into(self, node: Node, target: str) -> None:
        if self._ready.get(id(node)) == target:
            return
        if node.payload == "sigmoid" and (saved := self._from_rest(node)):
            u, rest_of_u = (self.value(one) for one in saved)
            self.line(f"np.multiply({u}, {rest_of_u}, out={target})")
            return
        super()._slope_into(node, target)

    def exponential(  # noqa: D102 (see Writer)
        self, z: Node
    ) -> str:
        sigmoid = self.step.reduced.graph.node("function", (z,), "sigmoid", z.shape)
        label = self.labels.get(id(sigmoid), "sigmoid")
        if (id(sigmoid), "e") in self.arrays.saved.at:
            return self.views.of(self.arrays.saved, [(id(sigmoid), "e")], f"e_{label}")
        return self.views.of(self.arrays.z, [id(z)], f"e_{label}")
