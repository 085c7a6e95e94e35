"""Parameters as files have them, all gates fused, and as a cell declares them.

The k-th block of W_x is the k-th input matrix of the declaration, the k-th of W_s the k-th
recurrent one; b_x and b_s go to the biases of the sums that these are in, added if that is one
bias.
"""

from __future__ import annotations

from typing import NamedTuple

from gradflow.cells.contract import Kind, Role, Use
from gradflow.cells.sized import SizedCell
from gradflow.numerics.arrays import Array


class Fused(NamedTuple):
    """The parameters of a gated cell in one array each; leading axes are free.

    W_x (..., G, I) and W_s (..., G, P), one gate below the other; b_x and b_s (..., G); W_p
    (..., P, H) of a cell that projects its output, else None.
    """

    W_x: Array
    W_s: Array
    b_x: Array
    b_s: Array
    W_p: Array | None = None


def unfused(cell: SizedCell, fused: Fused) -> dict[str, Array]:
    """The parameters by the names that the cell declares."""
    found: dict[str, Array] = {}
    biases = [use for use in cell.uses if use.kind == "bias"]
    sides: tuple[tuple[Role, Array, Array, int], ...] = (
        ("input", fused.W_x, fused.b_x, 0),
        ("recurrent", fused.W_s, fused.b_s, -1),
    )
    for role, matrix, bias, which in sides:
        start = 0
        for use in _matrices(cell, role, "matrix"):
            stop = start + cell.weights[use.weight].shape[0]
            found[use.weight] = matrix[..., start:stop, :]
            own = _declared(cell, [b.weight for b in biases if b.rows == use.rows])[which]
            piece = bias[..., start:stop]
            found[own] = found[own] + piece if own in found else piece
            start = stop
    if fused.W_p is not None:
        (use,) = _matrices(cell, "other", "matrix")
        found[use.weight] = fused.W_p
    return found


def _matrices(cell: SizedCell, role: Role, kind: Kind) -> list[Use]:
    """The uses of the parameters of a role, in the order of the declaration."""
    by_name = {use.weight: use for use in cell.uses if use.kind == kind}
    return [by_name[p.name] for p in cell.parameters.values() if p.role == role]


def _declared(cell: SizedCell, names: list[str]) -> list[str]:
    """Names in the order of the declaration."""
    return [name for name in cell.parameters if name in names]
