"""A cell for an H and an I: what the engine is handed. See `contract`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import DTypeLike

from gradflow.cells.contract import (
    Bound,
    Kind,
    Operand,
    Parameter,
    Params,
    Part,
    Role,
    Use,
    Views,
    Weight,
)
from gradflow.cells.cuts import cuts, views
from gradflow.equations import weights
from gradflow.equations.compile import Compiled
from gradflow.equations.declaration import Declared, Equations
from gradflow.equations.emit import Operand as SymbolicOperand
from gradflow.equations.emit import Standing
from gradflow.equations.graph import Node, in_order
from gradflow.equations.layout import Entry
from gradflow.equations.mistakes import Mistakes
from gradflow.equations.names import shape_of
from gradflow.equations.reduce import Use as SymbolicUse
from gradflow.equations.reduce import is_plain
from gradflow.equations.samples import Samples
from gradflow.equations.sizes import Shape
from gradflow.equations.surroundings import is_other
from gradflow.equations.traits import Traits, traits
from gradflow.numerics.arrays import Array, empty, transposed
from gradflow.numerics.products import product, product_for

_quietly = np.errstate(over="ignore", divide="ignore", invalid="ignore")
"""What weights made of parameters have beyond float range shows in the states, or the gradient."""


class Chosen(Protocol):
    """A `Cell`: equations with their options chosen."""

    @property
    def equations(self) -> Equations:
        """Its declaration."""

    @property
    def options(self) -> dict[str, float | int | str]:
        """The options by name."""

    @property
    def label(self) -> str:
        """The short label."""

    def sized(self, H: int, I: int) -> SizedCell:  # noqa: E741
        """The cell for these sizes."""


class SizedCell:
    """A cell for an H and an I: what the engine is handed. See the module's docstring.

    Attributes:
        cell, H, I: what it was made of.
        parts: the parts of the state by name.
        S, S_all, G, G_x, G_all, P, saved, local: widths.
        outputs: the rows of s that are the output.
        dx: the rows of dz that x_t receives next to W_x^T dz; None if that is all.
        parameters: by name, those that are used, in the order of their declaration.
        gains: the names of those that do nothing but scale what layernorm gives.
        weights: by name.
        uses: every use of a trained weight.
        step: `step(views, w)` is one step, s_{t-1} to s_t.
        pullback: `pullback(views, w)` is one step of the chain rule, dL/ds_t to dL/dz_t and
            dL/ds_{t-1}.
        settles: whether `settle` has anything to do.
        gauge: a part that carries scale to the parts it is the scale of.
    """

    def __init__(self, cell: Chosen, made: Compiled, H: int, I: int) -> None:  # noqa: E741
        code, step = made.code, made.step
        self.cell, self.H, self.I, self._code, self._symbolic = cell, H, I, code, step
        self._rows = {
            "z": self._rows_of(code.z), "saved": self._rows_of(code.saved),
            "local": self._rows_of(code.local), "s": self._rows_of(code.handed),
            "x": [slice(0, I)],
        }  # fmt: skip
        self.G, self.saved, self.local, self.S_all = (
            _end(self._rows[array]) for array in ("z", "saved", "local", "s")
        )
        self.G_x = _end(self._rows["z"][: code.hoisted])
        self.dx = slice(self.G, self.G + I) if code.takes_x else None
        self.G_all = self.G + (I if code.takes_x else 0)
        self._rows["dz"] = [*self._rows["z"], *([self.dx] if self.dx else [])]
        for name in ("s_next", "ds", "ds_prev"):
            self._rows[name] = self._rows["s"]
        self.parts = {
            part: Part(part, self.sizes(shape), rows)
            for (part, shape), rows in zip(step.state.items(), self._rows["s"], strict=False)
        }
        self.S = _end([part.rows for part in self.parts.values()])
        self.outputs = self._output_rows(step.output)
        self.P = self.outputs.stop - self.outputs.start
        self.step, self.pullback = code.step, code.pullback
        self.settles = code.settle is not None
        self.gauge = dict(cell.equations.gauge)
        roles = cast("dict[str, Role]", step.roles)
        self.parameters = {
            p.name: Parameter(
                p.name, self.sizes(step.shapes[p.name]), roles.get(p.name, "other"), p.init,
                p.trained, _blocks(p, cell.options),
            )
            for p in cell.equations.parameters
            if p.name in step.shapes
        }  # fmt: skip
        self.gains = frozenset(step.gains)
        self._nodes: dict[str, Node] = {}
        self.weights: dict[str, Weight] = {}
        self.uses = _once([use for s in code.standings for use in self._use(s)], self.weights)
        self._cuts = cuts(code, self._rows, self.sizes)

    @property
    def label(self) -> str:
        """The short label of the cell."""
        return self.cell.label

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by what it was made of."""
        return _again, (self.cell, self.H, self.I)

    def sizes(self, shape: Shape) -> tuple[int, ...]:
        """A shape as numbers."""
        return tuple(size.at(self.H, self.I) for size in shape)

    # Parameters

    @_quietly
    def bind(self, params: Params, N: int | None = None) -> Bound:
        """The parameters, put together and laid as the code reads them, for a batch of N; of any
        size where that is None."""
        bound = Bound(H=self.H, I=self.I, hoisted=self._hoisted(params), product=product)
        shapes = []
        for matrix in self._code.matrices:
            blocks = [self._summed(uses, params) for uses in matrix.blocks]
            whole = np.concatenate(blocks, axis=-2) if len(blocks) > 1 else blocks[0]
            shapes.append(whole.shape[-2:])
            setattr(bound, matrix.name, np.ascontiguousarray(whole))
            setattr(bound, f"{matrix.name}_T", transposed(whole))
        bound.largest = max((rows * columns for rows, columns in shapes), default=0)
        for name, node, _ in self._code.fixed:
            setattr(bound, name, self._value(node, params)[..., None])
        vectors = all(len(entry.shape) < 2 for entry in (*self._code.z, *self._code.handed))
        if N is not None and vectors:  # a matrix brings its own columns
            bound.product = product_for(shapes, N)
        return bound

    def _hoisted(self, params: Params) -> Array:
        """[W_x, bias] of the slots that the input product fills."""
        lead, dtype = _lead_and_type(params, self.parameters)
        hoisted = np.zeros((*lead, self.G_x, self.I + 1), dtype)
        rows = self._rows["z"]
        for number, (inputs, biases, constant) in enumerate(
            zip(self._code.inputs, self._code.biases, self._code.constants, strict=True)
        ):
            block = hoisted[..., rows[number], :]
            if inputs:
                block[..., :-1] = self._summed(inputs, params)
            if biases:
                bias = self._summed(biases, params)
                block[..., -1] = bias.reshape(*bias.shape[: len(lead)], -1)
            if constant:
                block[..., -1] += constant
        return hoisted

    def _summed(self, uses: Sequence[SymbolicUse], params: Params) -> Array:
        """The sum of weights, each times its factor."""
        total: Array | None = None
        for use in uses:
            value = self._value(use.weight.node, params)
            value = value.mT if use.weight.turned else value
            value = value if use.factor == 1 else use.factor * value
            total = value if total is None else total + value
        assert total is not None
        return total

    def _value(self, node: Node, params: Params) -> Array:
        return weights.evaluate(node, params, self.H, self.I)

    def value_of_weight(self, weight: str, params: Params) -> Array:
        """The value (..., *shape) of a weight."""
        return self._value(self._nodes[weight], params)

    @_quietly
    def pull_weight(self, weight: str, term: Array, params: Params) -> dict[str, Array]:
        """From a term (..., *shape) of the gradient by a weight, those by its parameters."""
        found = weights.pull_back(self._nodes[weight], term, params, self.H, self.I)
        return {name: a for name, a in found.items() if self.parameters[name].trained}

    # The step and its derivatives

    def forward_views(self, z: Array, saved: Array, s: Array, s_next: Array, x: Array) -> Views:
        """The views that `step` works on.

        Args:
            z: (..., N, G), its first G_x rows the input product.
            saved: (..., N, saved), filled with what `linearize` needs.
            s: (..., N, S_all), the state s_{t-1}.
            s_next: (..., N, S_all), filled with s_t.
            x: (..., N, I).
        """
        return self._views("step", z, saved, s, s_next, x)

    def prepare(self, z: Array, saved: Array, x: Array, w: Bound) -> None:
        """Put what the input alone decides into `saved`, for any number of steps; before them."""
        if self._code.prepare is not None:
            self._code.prepare(self._views("prepare", z, saved, x), w)

    def one_step(self, x: Array, s: Array, w: Bound, kind: DTypeLike = np.float64) -> Array:
        """One step forward alone: s_t (..., N, S_all) of x_t (..., N, I) and s_{t-1} of the shape
        of s_t, computed in numbers of this kind, real or complex."""
        before, after = empty(s.shape, kind), empty(s.shape, kind)
        z, saved = (empty((*s.shape[:-1], width), kind) for width in (self.G, self.saved))
        before[...] = s
        z[..., : self.G_x] = x @ w.hoisted[..., :-1].mT + w.hoisted[..., None, :, -1]
        self.prepare(z, saved, x, w)
        self.step(self.forward_views(z, saved, before, after, x), w)
        return after

    def linearize(
        self, z: Array, saved: Array, s: Array, s_next: Array, x: Array, local: Array, w: Bound
    ) -> None:
        """Fill `local` (..., N, local) with the local partials of any number of steps, from what
        `step` left in the other arrays."""
        self._code.linearize(self._views("linearize", z, saved, s, s_next, x, local), w)

    def backward_views(self, local: Array, ds: Array, dz: Array, ds_prev: Array) -> Views:
        """The views that `pullback` works on.

        Args:
            local: what `linearize` filled.
            ds: (..., N, S_all), dL/ds_t.
            dz: (..., N, G_all), filled with the cotangents of the slots, and of x_t.
            ds_prev: (..., N, S_all), filled with dL/ds_{t-1}.
        """
        return self._views("pullback", local, ds, dz, ds_prev)

    def settle(self, local: Array, ds: Array, dz: Array, w: Bound) -> None:
        """Add to dL/ds_t, in place, what comes through the output of the same step; `dz` is room
        that is used on the way."""
        if self._code.settle is not None:
            self._code.settle(self._views("settle", local, ds, dz), w)

    # What the equations say of themselves, and values of what they name

    @cached_property
    def traits(self) -> Traits:
        """Its gates, what keeps its state, the functions around its recurrent products."""
        return traits(self._symbolic, self.gauge)

    def samples(self, s: Array, s_next: Array, x: Array, params: Params) -> Samples:
        """Values of the nodes of `report` for a block of a forward pass.

        Args:
            s, s_next: (..., R, N, S_all), the states before and after each step.
            x: (..., R or 1, N, I).
            params: by name, (R, *shape).
        """

        def leaf(node: Node) -> Array:
            if node.kind == "x":
                return x
            part = self.parts[node.payload]
            rows = (s if node.kind == "previous" else s_next)[..., part.rows]
            return rows.reshape(*rows.shape[:-1], *part.shape)

        return Samples(params, self.H, self.I, leaf)

    def cut(self, w: Bound) -> Bound:
        """`w` with the recurrent matrices taken out of the chain rule: what `pullback` then carries
        back is what goes from a state to the next through none of them. Forward it is as before."""
        kept, roles = Bound(**vars(w)), self._symbolic.roles
        for matrix in self._code.matrices:
            name, at = f"{matrix.name}_T", 0
            turned = getattr(w, name).copy()
            for uses in matrix.blocks:
                node, is_turned = uses[0].weight
                width = self.sizes(node.shape)[-1 if is_turned else 0]
                if matrix.past and not all(is_other(use, roles) for use in uses):
                    turned[..., at : at + width] = 0
                at += width
            setattr(kept, name, turned)
        return kept

    # Rows

    def _rows_of(self, entries: Sequence[Entry]) -> list[slice]:
        widths = [math.prod(self.sizes(entry.shape)) for entry in entries]
        stops = list(itertools.accumulate(widths))
        return [slice(stop - width, stop) for width, stop in zip(widths, stops, strict=True)]

    def _output_rows(self, output: Node | None) -> slice:
        """The rows that are the output: of a part, or behind the state."""
        cuts, node = [], output
        while node is not None and node.kind == "slice":
            cuts.append(node.payload)
            (node,) = node.args
        if node is None or node.kind != "after":
            return slice(self.S, self.S_all)
        start, stop = self.parts[node.payload].rows.start, self.parts[node.payload].rows.stop
        for first, last in reversed(cuts):
            start, stop = (start + size.at(self.H, self.I) for size in (first, last))
        return slice(start, stop)

    def _use(self, standing: Standing) -> Sequence[Use]:
        use, node = standing.use, standing.use.weight.node
        names = list(dict.fromkeys(n.payload for n in in_order([node]) if n.kind == "parameter"))
        if not names:
            return []
        plain = is_plain(use.weight)
        name = names[0] if plain else f"{'·'.join(names)} {len(self._nodes)}"
        known = next((key for key, other in self._nodes.items() if other is node), None)
        name = known or name
        self._nodes[name] = node
        self.weights[name] = Weight(name, self.sizes(node.shape), tuple(names), plain)
        columns = math.prod(self.sizes(standing.operand.shape)[1:]) if use.kind == "matrix" else 1
        rows = self._rows["z"][standing.slot]
        operand = self._operand(standing.operand)
        kind = cast(Kind, use.kind)
        return [Use(name, kind, rows, operand, use.factor, use.weight.turned, columns)]

    def _operand(self, operand: SymbolicOperand) -> Operand:
        if operand.of in ("one", "fixed"):
            return Operand("one", slice(0, 1))
        of = cast(Literal["x", "s", "local"], operand.of)
        return Operand(of, self._rows[of][operand.entry])

    def _views(self, name: str, *arrays: Array) -> Views:
        return views(self._cuts[name], arrays)


def _once(uses: Sequence[Use], weights: Mapping[str, Weight]) -> tuple[Use, ...]:
    """Uses that differ in their factor alone as one, so that of u - u nothing is left, no rounding
    either; the transpose of a 1 x 1 matrix is the same use."""
    found: dict[tuple[Any, ...], Use] = {}
    for use in uses:
        (of, operand), turned = use.operand, use.transposed and weights[use.weight].shape != (1, 1)
        key = use.weight, use.kind, use.rows.start, of, operand.start, operand.stop, turned
        there = found.get(key)
        factor = use.factor if there is None else there.factor + use.factor
        found[key] = use._replace(factor=factor, transposed=turned)
    return tuple(found.values())


def _blocks(declared: Declared, options: Mapping[str, float | int | str]) -> int:
    """How many times H rows a matrix is declared with."""
    shape = shape_of(declared.shape, options, Mistakes(), "") or ()
    return shape[0].h if len(shape) == 2 and shape[0].h > 1 and shape[0][1:] == (0, 0) else 1


def _again(cell: Chosen, H: int, I: int) -> SizedCell:  # noqa: E741
    return cell.sized(H, I)


def _end(rows: Sequence[slice]) -> int:
    return int(rows[-1].stop) if rows else 0


def _lead_and_type(
    params: Params, declared: Mapping[str, Parameter]
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The leading axes of parameters, and the type that all of them fit in."""
    for name, parameter in declared.items():
        array = params[name]
        return array.shape[: array.ndim - len(parameter.shape)], np.result_type(*params.values())
    return (), np.dtype(np.float64)
