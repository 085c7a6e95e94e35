"""What a cell made of equations offers the engine.

Three things of growing knowledge. `Equations` is the declaration, plain data. A `Cell` is a
declaration with its options chosen: it is hashable, picklable, has a label, and is compiled when
it is first used. A `SizedCell` is a cell whose H and I are numbers, which may differ from layer
to layer; it is what the engine is handed, one for each place of a net.

Axis letters: T steps, R runs, N batch, I input, H hidden; leading axes are free. Arrays are
(..., N, width) to the reader with the batch innermost in memory (see `numerics.arrays`). Widths are
the sized cell's, not multiples of H:

    S_all   rows of what a step hands on: the parts of the state, S in all, and behind them what
            the cell gives out, P rows, where `output` is more than a part (`outputs` is then the
            slice of these rows). They are no state: no step reads them, no norm counts them.
    G_x     the first rows of z, which the engine's input product fills: [W_x, bias] [x; 1].
    G       all rows of z: one stretch of rows a slot. A slot is a sum that holds a product with a
            parameter, or a bias; its cotangent is the same stretch of dz.
    G_all   rows of dz: G, and behind them I rows with dL/dx, as far as x_t is used otherwise than
            in the input product (`dx` is then the slice of these rows).
    saved   rows that a step saves for `linearize`.
    local   rows of partial derivatives, and of operands of products that are neither x nor s.

Matrix parts are flattened row by row: component (i, j) of an a x b part is row i b + j.

How the engine uses it. Forward, once a pass: `w = cell.bind(params, N)`, params a mapping from a
parameter's name to (R, *shape). A block of steps: the input product with `w.hoisted` (R, G_x, I+1)
into z[..., :G_x]; `cell.prepare(z, saved, x, w)` for the whole block, what the input alone decides;
`views = cell.forward_views(z, saved, s, s_next, x)` and `cell.step(v, w)` for each v of
zip(*views); `cell.linearize(z, saved, s, s_next, x, local, w)` for the whole block. Forward
code takes complex arrays. Backward: `cell.backward_views(local, ds, dz, ds_prev)` and
`cell.pullback(v, w)` step by step. Where `cell.settles`, a cotangent that the loss or a layer above
puts into the rows `outputs` of ds_t is first brought to the state by `cell.settle(local, ds, dz,
w)`, in place; the pullback then adds what else it reaches, and rows `outputs` of ds_prev are not
written. What x_t receives is
W_x^T dz[..., :G_x] (`w.hoisted[..., :-1]`) plus dz[..., dx].

Terms. `uses` says where each weight is used: dL/dW = sum over its uses of `factor` times the sum
over the batch of left ⊗ right, left the rows `rows` of dz and right the `operand`; of a use that
is `diagonal` the entries of left times right, of a bias left alone; of a use that is
`transposed` the two are exchanged. Several uses of a weight are one sum: their samples side by
side. A weight is a parameter as it is, or an expression of parameters (`W - W.T`, `exp(nu)`);
then its term is pulled back to them by `cell.pull_weight`. The columns of a result are Frobenius
norms over all parameters of a role.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal, NamedTuple

from gradflow.numerics.arrays import Array

Role = Literal["input", "recurrent", "bias", "input_bias", "other"]
Kind = Literal["matrix", "diagonal", "bias"]

CURVES: Mapping[Role, str] = {
    "input": "W_x", "recurrent": "W_s", "bias": "b_s", "other": "other",
}  # fmt: skip
"""Role to the name of its curve. An `input_bias` has none: it goes with an input product that a
gate parts from the recurrent one."""

if TYPE_CHECKING:
    Params = Mapping[str, Array]
else:

    class Params(Mapping):
        """The parameters and constants of a cell by name, as any mapping has them (a dict is one):
        arrays (..., *shape), whose leading axes are free.

        `unroll` takes (R, *shape), R runs: of an rnn `W` (R, H, I), `U` (R, H, H), `b` (R, H).
        `gradflow cells NAME` shows the names and shapes of each cell."""


Views = tuple[Array, ...]
"""Rows of the engine's arrays, cut for one or many steps: (..., ., N)."""


class Parameter(NamedTuple):
    """A declared parameter, its sizes as numbers.

    Attributes:
        name: as the equations have it.
        shape: (n,) or (rows, columns).
        role: declared, or inferred from how it is used.
        init: an initializer's name, an expression, or None: what the config draws.
        trained: False of a constant.
        blocks: how many blocks of H rows it is drawn in: 4 of one declared [4*H, H].
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    init: str | None = None
    trained: bool = True
    blocks: int = 1


class Part(NamedTuple):
    """A part of the state: its shape and its rows in s."""

    name: str
    shape: tuple[int, ...]
    rows: slice


class Operand(NamedTuple):
    """The right factor of a use: the rows `rows` of `x`, of `s` (the state before the step), of
    `local`, or `one`."""

    of: Literal["x", "s", "local", "one"]
    rows: slice


class Use(NamedTuple):
    """Where a weight is used: in the slot at `rows` of z, times `operand`.

    `columns` is 1, or, where a matrix multiplies a matrix, how many columns that has: left is then
    (..., N, rows x columns) and right likewise, each column a sample by itself.
    """

    weight: str
    kind: Kind
    rows: slice
    operand: Operand
    factor: float = 1.0
    transposed: bool = False
    columns: int = 1


class Weight(NamedTuple):
    """What multiplies or is added in a step: a parameter as it is (`plain`), or an expression
    of parameters."""

    name: str
    shape: tuple[int, ...]
    parameters: tuple[str, ...]
    plain: bool


class Bound(SimpleNamespace):
    """The parameters of one pass, as the code reads them: `hoisted` (..., G_x, I+1), [W_x, bias];
    the others by name: matrices (..., rows, columns), their transposes laid for the
    backward pass, vectors (..., rows, 1); H and I; `product(matrix, vectors, out=None)`, the way
    to multiply them; `largest`, the entries of the largest recurrent matrix."""

    hoisted: Array
    largest: int
    product: Callable[..., Array]
