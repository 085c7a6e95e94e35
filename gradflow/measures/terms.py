"""The terms that each step adds to ∂L/∂W, by role of the parameters, and their totals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gradflow.cells.contract import CURVES
from gradflow.cells.sized import SizedCell
from gradflow.engine.block import Block
from gradflow.engine.flow import Trajectory
from gradflow.engine.terms import Terms
from gradflow.engine.uses import Group, Rights, groups
from gradflow.measures.contract import Curve, Measure
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes, root_sum_of_squares
from gradflow.results import GradientFlow


def _term(name: str) -> Callable[[GradientFlow], Magnitudes | None]:
    return lambda flow: flow.terms.get(name)


MEASURE = Measure(
    "terms",
    "what each step adds to the gradient by the parameters, and what it comes to",
    scope="both",
    curves=(
        Curve(
            "grad_W_x",
            "Frobenius norm of the term that step T-k adds to ∂L/∂W_x, L the batch mean; empty at "
            "lag T",
            any_size=True,
            of=_term("W_x"),
        ),
        Curve("grad_W_s", "likewise of ∂L/∂W_s", any_size=True, of=_term("W_s")),
        Curve("grad_b", "likewise of ∂L/∂b", any_size=True, of=_term("b_s")),
        Curve(
            "grad_other",
            "likewise of the parameters that are neither input nor recurrent weights nor biases; "
            "empty if there are none",
            any_size=True,
            later=True,
            of=_term("other"),
        ),
    ),
)

TOTALS = (*CURVES.values(), "W_o")
"""The parameters whose whole gradient is reported."""

COLUMNS = {"grad_W_x": "W_x", "grad_W_s": "W_s", "grad_b": "b_s", "grad_other": "other"}
"""The parameters that a column is of."""


def parameters_of(cell: SizedCell) -> list[str]:
    """Those of a cell that have a column, in order."""
    there = {name for group in groups(cell) for name in group.widths}
    return [name for name in COLUMNS.values() if name in there]


class ParameterTerms:
    """Watches the terms of one place's parameters, of R runs.

    `share`: also measure the running sum of the W_s terms at every lag, which costs about as much
    as another recurrent product.
    """

    def __init__(self, trajectory: Trajectory, ds_T: Array, share: bool) -> None:
        self.R, self.N, _ = ds_T.shape
        self._params = trajectory.params
        self._groups: list[tuple[Group, Terms]] = [
            (group, Terms(group.widths, self.R, group.height, ds_T.dtype, "W_s" if share else None))
            for group in groups(trajectory.cell)
        ]

    def add(self, block: Block) -> None:
        """Measure one block; the first one must be the last in time."""
        dz, exponent = block.dz.value, block.dz.exponent
        x = np.broadcast_to(block.x, (len(dz), self.R, *block.x.shape[2:]))
        one = np.ones((*dz.shape[:-1], 1), dz.dtype)  # the input of a bias
        rights = Rights(x, block.s, block.local, one, self._params)
        # Operands may be large, which is found where products are squared.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for group, terms in self._groups:
                for left, outer, its in group.factors(dz, exponent, rights):
                    terms.add(left, outer, its)

    def norms(self) -> dict[str, Magnitudes]:
        """(T, R) by curve; L is the batch mean, so they are over N."""
        found: dict[str, list[Magnitudes]] = {}
        for _, terms in self._groups:
            roots = Magnitudes.roots(terms.norms)
            for which, name in enumerate(terms.names):
                found.setdefault(name, []).append(roots[..., which])
        return {name: _joined(own).over(self.N) for name, own in _in_order(found).items()}

    def totals(self) -> dict[str, Magnitudes]:
        """(R,) by curve, of the sum over all lags and samples: N times those of L."""
        found: dict[str, list[Magnitudes]] = {}
        for _, terms in self._groups:
            for name in terms.names:
                found.setdefault(name, []).append(terms.total(name))
        return {name: _joined(own) for name, own in _in_order(found).items()}

    def running(self) -> Magnitudes | None:
        """(T, R): the norm of the sum of the W_s terms up to each lag, times N; None where there
        are no such terms or nobody has asked."""
        found = [Magnitudes.roots(terms.cumulative) for _, terms in self._groups if terms.share]
        return _joined(found) if found else None


def together(curves: Sequence[Mapping[str, Magnitudes]]) -> dict[str, Magnitudes]:
    """The terms, or totals, of several places as those of one set of parameters."""
    return {name: root_sum_of_squares([c[name] for c in curves]) for name in curves[0]}


def _joined(found: Sequence[Magnitudes]) -> Magnitudes:
    """The norm of several matrices as one."""
    return found[0] if len(found) == 1 else root_sum_of_squares(found)


def _in_order(found: Mapping[str, list[Magnitudes]]) -> dict[str, list[Magnitudes]]:
    return {name: found[name] for name in CURVES.values() if name in found}
