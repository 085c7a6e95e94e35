"""At what rate the state's perturbations grow or die in a wide random net of any cell whose units
meet in matrices alone, from averages of the cell's own partials.

A unit's parts y (c and h of an LSTM) obey y_t = B y_{t-1} + Σ_s A_s η_s, η_s = W_s y_o: B are the
partials entry by entry, A_s those by the sum z_s that W_s is a part of, and η is Gaussian with the
covariance g_s² of the operand's own (s runs over the recurrent matrices). B and A are a mean, which
stays, and what is new at each step. With a growth E a step the spectrum of y is

    c(ω) = G(Σ_s g_s² Ā_s Ā_s' c_o(ω) + Ĉ) G*,   G = (E e^{iω} - B̄)^{-1},

Ĉ what the fluctuations of B and A make of the equal-time covariance ∫c, and E is where a solution
exists. Means alone give the edge of the Jacobian's spectrum (T. Can, K. Krishnamurthy and D. J.
Schwab, arXiv:2007.15243), fluctuations alone the product of independent steps (M. Chen,
J. Pennington and S. Schoenholz, arXiv:1806.05394; D. Gilboa et al., arXiv:1901.08987). Operands
that are made within a step (r ∘ h) count as parts without delay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradflow.cells.sized import SizedCell
from gradflow.engine.flow import Trajectory
from gradflow.equations.differentiate import STRUCTURED, Derivatives, differentiate, operands_of
from gradflow.equations.graph import Node
from gradflow.equations.reduce import Use
from gradflow.equations.samples import Samples
from gradflow.equations.weights import evaluate
from gradflow.measures.steps import blocks_of_values
from gradflow.numerics.arrays import Array

_FREQUENCIES = 64
_CLOSE = 1e-10
_LEAST = 1e-12  # a growth that is taken for more than 0


@dataclass(frozen=True, eq=False)
class Averages:
    """Averages over steps, units and samples; m parts and operands, the parts first.

    Attributes:
        parts: how many of the m are parts of the state.
        B: (m, m) mean of the partials entry by entry.
        BB: (m, m, m, m) covariances of B_ij and B_kl.
        A: (s, m) mean of the partials by each recurrent sum.
        AA: (s, m, m) their covariances.
        operand: (s,) which of the m each recurrent matrix multiplies.
        square: (s,) g², the squared Frobenius norm of the matrix over its rows.
    """

    parts: int
    B: Array
    BB: Array
    A: Array
    AA: Array
    operand: Array
    square: Array

    @property
    def are_finite(self) -> bool:
        """Whether all of them are numbers."""
        arrays = (self.B, self.BB, self.A, self.AA, self.square)
        return all(bool(np.isfinite(array).all()) for array in arrays)


def is_simple(cell: SizedCell) -> bool:
    """Whether units meet in recurrent matrices alone, square ones, and no weight treats one unit
    from another."""
    shapes = {part.shape for part in cell.parts.values()}
    symbolic = differentiate(cell.traits.reduced, cell.gauge)
    weights = cell.traits.blocks
    return (
        shapes == {(cell.H,)}
        and not cell.gauge
        and bool(weights)
        and all(cell.sizes(block.weight.shape) == (cell.H, cell.H) for block in weights)
        and not any(node.kind in STRUCTURED for node in symbolic.order)
        and all(cell.sizes(n.shape) == (cell.H,) for n in symbolic.order if n.kind == "slot")
    )


def averages(trajectory: Trajectory, run: int) -> Averages:
    """Those of the last three quarters of a run's steps."""
    cell = trajectory.cell
    chain = _Chain(cell)
    size = len(chain.rows)
    first, second, count = np.zeros(size), np.zeros((size, size)), 0
    for values in blocks_of_values(trajectory, run, since=len(trajectory.x) // 4):
        found = chain.values(values)
        count += found.shape[1]
        first += found.sum(axis=1)
        second += found @ found.T
    first /= count
    covariance = second / count - np.outer(first, first)
    m, S = len(chain.targets), len(chain.sums)
    B, BB = np.zeros((m, m)), np.zeros((m, m, m, m))
    A, AA = np.zeros((S, m)), np.zeros((S, m, m))
    for k, (kind, i, j) in enumerate(chain.rows):
        (B if kind == "B" else A)[(i, j) if kind == "B" else (j, i)] = first[k]
        for other, (its_kind, p, q) in enumerate(chain.rows):
            if kind == its_kind == "B":
                BB[i, j, p, q] = covariance[k, other]
            elif kind == its_kind == "A" and j == q:
                AA[j, i, p] = covariance[k, other]
    square = []
    for node, factor in chain.weights:
        weight = evaluate(node, trajectory.params, cell.H, cell.I)[run].astype(np.float64)
        square.append(factor**2 * float((weight**2).sum()) / len(weight))
    parts = len(chain.cell.traits.reduced.new)
    return Averages(parts, B, BB, A, AA, np.array(chain.operand), np.array(square))


class _Chain:
    """The partials of every target (a part's new value, or an operand) by every part's old value
    (`B`) and every recurrent sum (`A`), entry by entry.

    Attributes:
        rows: (kind, target, which) of each partial that is not 0.
        sums: (id of slot, use) of every recurrent matrix; `operand` and `weights` of each.
    """

    def __init__(self, cell: SizedCell) -> None:
        self.cell = cell
        self.derivatives: Derivatives = differentiate(cell.traits.reduced, cell.gauge)
        parts = list(cell.traits.reduced.new)
        self.targets: list[object] = list(parts)
        self.sums, self.operand, self.weights = [], [], []
        for slot in self.derivatives.order:
            for use, operand in self._recurrent(slot):
                key = operand.payload if operand.kind == "previous" else id(operand)
                if key not in self.targets:
                    self.targets.append(key)
                self.sums.append(id(slot))
                self.operand.append(self.targets.index(key))
                self.weights.append((use.weight.node, use.factor))
        self.parts = parts
        self.rows = [row for row, _ in self._each(None)]

    def _recurrent(self, slot: Node) -> Iterator[tuple[Use, Node]]:
        if slot.kind == "slot":
            for use, operand in zip(slot.payload.uses, operands_of(slot), strict=True):
                if operand is not None and use.kind == "matrix" and operand.past:
                    yield use, operand

    def values(self, samples: Samples) -> Array:
        """(rows, entries): the partials at every step, unit and sample."""
        found = [np.ravel(value) for _, value in self._each(samples)]
        length = max(value.size for value in found)
        return np.stack([np.broadcast_to(value, (length,)) for value in found])

    def _each(self, samples: Samples | None) -> Iterator[tuple[tuple[str, int, int], Array]]:
        """Each partial that is not 0, by the chain rule from the targets on."""
        reached: dict[int, dict[int, Array]] = {}
        like = None
        for vertex in self.derivatives.order:
            own: dict[int, Array] = {}
            key = vertex.payload if vertex.kind == "new" else id(vertex)
            if vertex.kind == "new" or (key in self.targets and vertex.kind != "previous"):
                own[self.targets.index(key)] = np.ones(())
            for down, partial in self.derivatives.into[id(vertex)]:
                value = np.asarray(partial.factor, dtype=np.float64)
                if partial.node is not None and samples is not None:
                    value = partial.factor * samples.of(partial.node).astype(np.float64)
                for target, so_far in reached[id(down)].items():
                    own[target] = own[target] + value * so_far if target in own else value * so_far
            reached[id(vertex)] = own
            if like is None and samples is not None and vertex.kind == "slot":
                like = samples.of(vertex)
            if vertex.kind == "previous":
                at = self.parts.index(vertex.payload)
                for target, value in own.items():
                    yield ("B", target, at), _spread(value, like)
            for which, slot in enumerate(self.sums):
                if slot == id(vertex):
                    for target, value in own.items():
                        yield ("A", target, which), _spread(value, like)


def _spread(value: Array, like: Array | None) -> Array:
    return value if like is None else np.broadcast_to(value, like.shape)


def growth(of: Averages) -> float:
    """E, the factor per step."""
    low = max(_frozen(of), _LEAST)
    if not (of.BB.any() or of.AA.any()):
        return low
    high = 2 * max(low, 1e-3)
    while _feedback(of, high) >= 1:
        high *= 2
    low *= 1 + _CLOSE
    while high > low * (1 + _CLOSE):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if _feedback(of, middle) >= 1 else (low, middle)
    return high


def _frozen(of: Averages) -> float:
    """E with the means alone: the edge of the spectrum, at least the largest eigenvalue of B̄."""
    decay = float(np.abs(np.linalg.eigvals(of.B[: of.parts, : of.parts])).max())
    low = high = decay * (1 + _CLOSE) + _LEAST

    def beyond(E: float) -> bool:
        echo = _echo(of, _resolvent(of, E))
        return not np.isfinite(echo).all() or np.abs(np.linalg.eigvals(echo)).max() >= 1

    if not beyond(low):
        return decay
    high = 2 * max(low, 1e-3)
    while beyond(high):
        high *= 2
    while high > low * (1 + _CLOSE):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return high


def _resolvent(of: Averages, E: float) -> Array:
    """(frequencies, m, m): G."""
    omega = np.exp(2j * np.pi * np.arange(_FREQUENCIES) / _FREQUENCIES)
    delay = np.ones((_FREQUENCIES, len(of.B)), dtype=complex)
    delay[:, : of.parts] = E * omega[:, None]
    G: Array = np.linalg.inv(delay[:, :, None] * np.eye(len(of.B)) - of.B)
    return G


def _echo(of: Averages, G: Array) -> Array:
    """(frequencies, m, m): what c_o(ω) adds to c_j(ω) by way of the means."""
    reached = np.abs(np.einsum("wij,sj->wsi", G, of.A)) ** 2 * of.square[:, None]
    echo = np.zeros(G.shape)
    for s, operand in enumerate(of.operand):
        echo[:, :, operand] += reached[:, s]
    return echo


def _feedback(of: Averages, E: float) -> float:
    """The spectral radius of what equal-time covariances make of themselves: 1 at the solution."""
    G, m = _resolvent(of, E), len(of.B)
    echo = _echo(of, G)
    through = np.linalg.inv(np.eye(m) - echo)
    image = np.zeros((m * m, m * m))
    for column, (k, n) in enumerate(np.ndindex(m, m)):
        source = of.BB[:, k, :, n].copy()
        for s, operand in enumerate(of.operand):
            if k == n == operand:
                source += of.square[s] * of.AA[s]
        plain = G @ source @ G.conj().mT
        own = np.einsum("wij,wj->wi", through, np.einsum("wii->wi", plain).real)
        for s, operand in enumerate(of.operand):
            source_s = of.square[s] * np.outer(of.A[s], of.A[s])
            plain = plain + own[:, operand, None, None] * (G @ source_s @ G.conj().mT)
        image[:, column] = plain.real.mean(axis=0).ravel()
    return float(np.abs(np.linalg.eigvals(image)).max())
