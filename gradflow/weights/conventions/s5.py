"""s5-pytorch, and S5's own code: `Lambda`, `log_step`, `B`, `C` and `D`, recognised to be refused.

The state is complex and diagonal, as that of `lru`, but a step is exp(Δ Λ) with Δ = exp(log_step),
and what the file keeps is Λ and Δ; nor does it say how B is discretised, or whether the layer is
liquid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradflow.weights.conventions.modules import TRANSPOSED, Module, nets
from gradflow.weights.layers import CellLayer, Net
from gradflow.weights.tensors import Tensors

__all__ = ["NAME", "TRANSPOSED", "find"]

NAME = "s5-pytorch"

_EIGENVALUES = ("Lambda", "Lambda_re")


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of S5's state spaces."""
    for eigenvalues in _EIGENVALUES:
        yield from nets(tensors, (eigenvalues, "log_step"), (eigenvalues, "log_step"), 2, _refused)


def _refused(module: Module) -> Sequence[CellLayer]:
    raise module.refused(
        "it is an S5 layer, and gradflow has no such cell: the file has Λ and log_step, and does"
        " not say how B is discretised (zero-order hold or bilinear); write its step as a cell of"
        " your own (docs/cells.md), and save the real and imaginary parts of Λ, B and C apart"
    )
