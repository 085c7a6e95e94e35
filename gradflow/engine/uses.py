"""Which uses of a cell's weights are measured together, and what their left and right factors are.

`shared`  single uses of parameters as they are: a role (W_x, W_s, b_s, other) has one operand in
          every slot of a stretch of rows. Roles of the same rows share their left factor. Where
          every role has further parameters in a slot, whose terms are multiples of the first's,
          they are measured as one, that many times as large.
`apart`   a parameter whose uses are several, transposed, scaled or of matrices: its uses are one
          sum, their samples side by side.
`vectors` parameters of one role, each used once, entry by entry or scaled: one behind the other.
`joint`   parameters within expressions: the terms of the expressions are formed, brought
          back to the parameters, and added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from gradflow.cells.contract import CURVES, Operand, Params, Use
from gradflow.cells.sized import SizedCell
from gradflow.engine.multiples import counted, is_multiple, rows_counted
from gradflow.engine.outer import Outer, leveled
from gradflow.numerics.arrays import Array, joined
from gradflow.numerics.magnitudes import scale

Factors = tuple[Array, Outer, Array]
"""The left factor (K, R, N, G), the right factors by rows, and the exponents (K, R, N)."""

_FORMED_ELEMENTS = 2**18  # elements of matrices that are formed at once


class Rights(NamedTuple):
    """What the right factors of a block of steps are cut from.

    Attributes:
        x: (K, R, N, I), s: (K, R, N, S_all), local: (K, R, N, local), one: (K, R, N, 1).
        params: the parameters, for expressions of them.
    """

    x: Array
    s: Array
    local: Array
    one: Array
    params: Params

    def of(self, operand: Operand) -> Array:
        """(K, R, N, width): the rows of an operand."""
        whole: Array = getattr(self, operand.of)
        rows = operand.rows
        return whole if rows == slice(0, whole.shape[-1]) else whole[..., rows]

    def at(self, lags: slice) -> Rights:
        """These lags alone."""
        x, s, local, one = (a[lags] for a in (self.x, self.s, self.local, self.one))
        return Rights(x, s, local, one, self.params)


class Shared(NamedTuple):
    """Roles that share the rows `rows` of dz as their left factor; for stretches of these rows, an
    operand for each role. `times`: what each row counts, where that is not once."""

    rows: slice
    blocks: tuple[tuple[slice, Mapping[str, Operand]], ...]
    times: Array | None = None

    @property
    def widths(self) -> dict[str, int]:
        """The width of the right factor of each curve."""
        operands = self.blocks[0][1].items()
        return {curve: o.rows.stop - o.rows.start for curve, o in operands}

    @property
    def height(self) -> int:
        """The width of the left factor."""
        return int(self.rows.stop - self.rows.start)

    def factors(self, dz: Array, exponent: Array, rights: Rights) -> Iterator[Factors]:
        """Of one block of steps."""
        whole = self.rows == slice(0, dz.shape[-1])
        left = dz if whole else dz[..., self.rows]
        if self.times is not None:
            left = (left.mT * self.times.astype(dz.dtype)).mT
        outer = [(rows, {c: rights.of(o) for c, o in own.items()}) for rows, own in self.blocks]
        yield left, outer, exponent


class Apart(NamedTuple):
    """One parameter's uses, as one sum."""

    curve: str
    uses: tuple[Use, ...]
    shape: tuple[int, int]  # of the outer product

    @property
    def widths(self) -> dict[str, int]:
        """The width of the right factor."""
        return {self.curve: self.shape[1]}

    @property
    def height(self) -> int:
        """The width of the left factor."""
        return self.shape[0]

    def factors(self, dz: Array, exponent: Array, rights: Rights) -> Iterator[Factors]:
        """Of one block of steps."""
        left, right, own = _side_by_side(self.uses, dz, exponent, rights)
        yield left, [(slice(None), {self.curve: right})], own


class Vectors(NamedTuple):
    """Parameters of one role that are used once and whose terms are vectors, as one vector."""

    curve: str
    uses: tuple[Use, ...]

    @property
    def widths(self) -> dict[str, int]:
        """The right factor is 1."""
        return {self.curve: 1}

    @property
    def height(self) -> int:
        """The entries of all of these parameters."""
        return sum(use.rows.stop - use.rows.start for use in self.uses)

    def factors(self, dz: Array, exponent: Array, rights: Rights) -> Iterator[Factors]:
        """Of one block of steps."""
        pieces = [_factors(use, dz, rights)[0] for use in self.uses]
        yield joined(pieces, -1), [(slice(None), {self.curve: rights.one})], exponent


class Joint(NamedTuple):
    """Parameters of one role within expressions: `weights` are all uses of each expression
    by name, `sizes` the entries of each parameter."""

    curve: str
    cell: SizedCell
    weights: Mapping[str, tuple[Use, ...]]
    sizes: Mapping[str, int]

    @property
    def widths(self) -> dict[str, int]:
        """The parameters' terms are whole in the left factor."""
        return {self.curve: 1}

    @property
    def height(self) -> int:
        """The entries of all of these parameters."""
        return sum(self.sizes.values())

    def factors(self, dz: Array, exponent: Array, rights: Rights) -> Iterator[Factors]:
        """Of one block of steps, a few at a time: what is formed has a matrix for each."""
        _, R, _ = exponent.shape
        largest = max(int(np.prod(self.cell.weights[name].shape)) for name in self.weights)
        step = max(1, _FORMED_ELEMENTS // (R * largest))
        for start in range(0, len(dz), step):
            lags = slice(start, start + step)
            yield self._formed(dz[lags], exponent[lags], rights.at(lags))

    def _formed(self, dz: Array, exponent: Array, rights: Rights) -> Factors:
        terms, units = {}, {}
        for name, uses in self.weights.items():
            left, right, own = _side_by_side(uses, dz, exponent, rights)
            even, ((_, right),), units[name] = leveled(left, [(slice(None), right)], own)
            term = even.mT @ right
            terms[name] = term.reshape(*term.shape[:2], *self.cell.weights[name].shape)
        unit = np.maximum.reduce([*units.values()])  # (K, R)
        found = {name: np.zeros((*unit.shape, size), dz.dtype) for name, size in self.sizes.items()}
        for name, term in terms.items():
            axes = tuple(range(2, term.ndim))
            even = scale(term, np.expand_dims(units[name] - unit, axes))
            for parameter, piece in self._pulled(name, even, rights.params).items():
                if parameter in found:
                    found[parameter] += piece.reshape(*unit.shape, -1)
        left = np.concatenate([*found.values()], axis=-1)[..., None, :]
        one = np.ones((*unit.shape, 1, 1), dz.dtype)
        return left, [(slice(None), {self.curve: one})], unit[..., None]

    def _pulled(self, weight: str, term: Array, params: Params) -> dict[str, Array]:
        if self.cell.weights[weight].plain:
            return {self.cell.weights[weight].parameters[0]: term}
        return self.cell.pull_weight(weight, term, params)


Group = Shared | Apart | Vectors | Joint


@lru_cache(maxsize=256)
def groups(cell: SizedCell) -> tuple[Group, ...]:
    """All groups of a cell."""
    by_weight: dict[str, list[Use]] = {}
    for use in cell.uses:
        by_weight.setdefault(use.weight, []).append(use)
    in_expressions = {
        parameter
        for weight in cell.weights.values()
        for parameter in weight.parameters
        if not weight.plain
    }
    alone: list[tuple[str, Use]] = []
    vectors: dict[str, list[Use]] = {}
    found: list[Group] = []
    for name, uses in by_weight.items():
        weight = cell.weights[name]
        role = cell.parameters[weight.parameters[0]].role
        if not weight.plain or weight.parameters[0] in in_expressions or role not in CURVES:
            continue
        (first, *others) = uses
        if not others and (is_multiple(first)):
            alone.append((CURVES[role], first))
        elif not others and first.kind != "matrix":
            vectors.setdefault(CURVES[role], []).append(first)
        else:
            found.append(Apart(CURVES[role], tuple(uses), _shape(first)))
    alone, scaled, times = counted(alone)
    for curve, use in scaled:
        if use.kind == "matrix":
            found.append(Apart(curve, (use,), _shape(use)))
        else:
            vectors.setdefault(curve, []).append(use)
    found += [Vectors(curve, tuple(uses)) for curve, uses in vectors.items()]
    return (*_shared(alone, times), *found, *_joint(cell, by_weight, in_expressions))


def _shape(use: Use) -> tuple[int, int]:
    """(left, right) widths of the outer products of a weight's uses."""
    height, width = (rows.stop - rows.start for rows in (use.rows, use.operand.rows))
    if use.kind != "matrix":
        return height, 1
    shape = height // use.columns, width // use.columns
    return shape[::-1] if use.transposed else shape


def _shared(alone: Sequence[tuple[str, Use]], times: Mapping[int, float]) -> Iterator[Shared]:
    """Uses by themselves, by stretches of rows over which a curve has one operand each."""
    layers: list[dict[tuple[str, int], Use]] = []
    for curve, use in alone:
        key = curve, use.rows.start
        layer = next((layer for layer in layers if key not in layer), None)
        if layer is None:
            layers.append(layer := {})
        layer[key] = use
    for layer in layers:
        stretches: dict[tuple[int, int], dict[str, list[Use]]] = {}
        for curve in CURVES.values():
            own = sorted((u for (c, _), u in layer.items() if c == curve), key=_start)
            for stretch in _stretches(own):
                place = (stretch[0].rows.start, stretch[-1].rows.stop)
                stretches.setdefault(place, {})[curve] = stretch
        for (start, stop), by_curve in stretches.items():
            blocks = tuple(_blocks(start, by_curve))
            yield Shared(slice(start, stop), blocks, rows_counted(by_curve, times))


def _start(use: Use) -> int:
    return int(use.rows.start)


def _stretches(uses: Sequence[Use]) -> Iterator[list[Use]]:
    """Uses in neighbouring rows, with operands of one width."""
    stretch: list[Use] = []
    for use in uses:
        if stretch and (
            use.rows.start != stretch[-1].rows.stop or _shape(use)[1] != _shape(stretch[-1])[1]
        ):
            yield stretch
            stretch = []
        stretch.append(use)
    if stretch:
        yield stretch


def _blocks(
    start: int, by_curve: Mapping[str, Sequence[Use]]
) -> Iterator[tuple[slice, dict[str, Operand]]]:
    """Rows, counted from `start`, and the operand of each curve; the rows of every slot, or of
    several that have the same operands."""
    slots: list[tuple[slice, dict[str, Operand]]] = []
    for uses in zip(*by_curve.values(), strict=True):
        rows = slice(uses[0].rows.start - start, uses[0].rows.stop - start)
        operands = dict(zip(by_curve, (use.operand for use in uses), strict=True))
        if slots and slots[-1][1] == operands:
            slots[-1] = (slice(slots[-1][0].start, rows.stop), operands)
        else:
            slots.append((rows, operands))
    yield from ((slice(None), slots[0][1]),) if len(slots) == 1 else slots


def _joint(
    cell: SizedCell, by_weight: Mapping[str, Sequence[Use]], within: set[str]
) -> Iterator[Joint]:
    """The parameters within expressions, a group for each role."""
    for role, curve in CURVES.items():
        own = [
            p for p in cell.parameters.values() if p.name in within and p.role == role and p.trained
        ]
        if own:
            names = {p.name for p in own}
            uses = {
                name: tuple(uses)
                for name, uses in by_weight.items()
                if names & set(cell.weights[name].parameters)
            }
            sizes = {p.name: int(np.prod(p.shape)) for p in own}
            yield Joint(curve, cell, uses, sizes)


def _side_by_side(
    uses: Sequence[Use], dz: Array, exponent: Array, rights: Rights
) -> tuple[Array, Array, Array]:
    """The left and right factors of several uses, samples side by side, and their exponents."""
    pieces = [_factors(use, dz, rights) for use in uses]
    left, right = (joined(side, -2) for side in zip(*pieces, strict=True))
    own = [np.repeat(exponent, use.columns, axis=-1) for use in uses]
    return left, right, np.concatenate(own, axis=-1)


def _factors(use: Use, dz: Array, rights: Rights) -> tuple[Array, Array]:
    """The left and right factor of one use, (K, R, N x columns, .)."""
    left, right = dz[..., use.rows], rights.of(use.operand)
    if use.factor != 1:
        left = use.factor * left
    if use.kind != "matrix":
        return (left if use.kind == "bias" else left * right), rights.one
    if use.columns > 1:
        left, right = (_by_column(a, use.columns) for a in (left, right))
    return (right, left) if use.transposed else (left, right)


def _by_column(a: Array, columns: int) -> Array:
    """(K, R, N, rows x columns) with each column a sample: (K, R, N x columns, rows)."""
    apart = a.reshape(*a.shape[:-1], -1, columns)
    return np.moveaxis(apart, -1, -2).reshape(*a.shape[:-2], -1, apart.shape[-2])
