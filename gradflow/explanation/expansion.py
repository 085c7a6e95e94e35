"""The sum over k of the chain rule, written out for a short run, factor by factor:

    ∂L/∂W = Σ_k ∂L/∂O · ∂O/∂s_T · (Π_{j=k+1..T} ∂s_j/∂s_{j-1}) · ∂s_k/∂W

∂s_k/∂W is the immediate derivative, s_{k-1} held fixed. Where the output O is more than a part of
the state, s_T has it next to the state: a step may read it from the state before. Where every
factor is one number they are signed and multiply out by hand; else each is a norm (of Jacobians the
spectral one, of ∂s_k/∂W Frobenius'), root mean square over the batch, and the term is its own norm:
at most their product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gradflow.cells import Params, SizedCell
from gradflow.engine.block import Block
from gradflow.engine.flow import Trajectory, blocks_backward, unroll
from gradflow.engine.outer import formed
from gradflow.engine.uses import Rights, groups
from gradflow.numerics.arrays import Array
from gradflow.runs import sampling
from gradflow.runs.experiment import Run
from gradflow.runs.losses import Objective, objective

MOST_STEPS = 10
_MOST_STATES = 2**9  # samples times components of the state, each a backward pass

_PARAMETERS = ("W_s", "W_x")


@dataclass(frozen=True)
class Row:
    """One k.

    Attributes:
        k: the step at which the parameter is used, T first.
        factors: ∂L/∂O and ∂O/∂s_T, or ∂L/∂s_T alone if there is no output layer; Π ∂s_j/∂s_j-1;
            ∂s_k/∂W.
        term: what this k adds to ∂L/∂W.
    """

    k: int
    factors: tuple[float, ...]
    term: float


@dataclass(frozen=True)
class Expansion:
    """The sum for one parameter.

    Attributes:
        parameter: `W_s` or `W_x`.
        heads: the name of each factor.
        rows: k = T..1.
        total: ∂L/∂W, signed, or its norm.
        signed: whether all are numbers with a sign; else norms.
    """

    parameter: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    total: float
    signed: bool


def can_expand(run: Run) -> bool:
    """Whether a run is so small that its sum is written out: one layer in one direction, at most
    MOST_STEPS steps, a loss at the last one, a state without gauges."""
    return (
        run.sequence_length <= MOST_STEPS
        and len(run.places) == 1
        and run.loss.at == "last"
        and run.loss.truncate is None
        and not run.cells[0, 0].gauge
        and run.batch_size * run.cells[0, 0].S_all <= _MOST_STATES
    )


def expand(run: Run) -> list[Expansion]:
    """The sums of a run that `can_expand`, for W_s and W_x as far as its cell has them; nothing
    where the state leaves float range."""
    net = _Net.of(run)
    if net.trajectory.diverged_at[0]:
        return []
    last = {(0, 0): net.trajectory.last[0]}
    goal = objective(run)
    ds_T = goal.gradient(last, 0)[0, 0].astype(np.float64)
    heads, in_front = _in_front(run, goal, last, ds_T)
    jacobians = net.jacobians()
    found = []
    for curve in _PARAMETERS:
        immediate = [net.immediate(k, curve) for k in range(1, run.sequence_length + 1)]
        if immediate[0] is not None:
            ready = [one for one in immediate if one is not None]
            found.append(_expansion(curve, heads, in_front, ds_T, jacobians, ready))
    return found


@dataclass(frozen=True, eq=False)
class _Net:
    """A run of one place, its forward pass, and copies of it: a run a sample and component."""

    cell: SizedCell
    params: Params
    x: Array  # (T, N, I)
    s0: Array  # (N, S)
    trajectory: Trajectory

    @staticmethod
    def of(run: Run) -> _Net:
        cell = run.cells[0, 0]
        params = {n: p.astype(np.float64) for n, p in sampling.parameters(run)[0, 0].items()}
        x = sampling.inputs(run).astype(np.float64)
        s0 = sampling.initial_state(run)[0, 0].astype(np.float64)
        one = {name: p[None] for name, p in params.items()}
        return _Net(cell, params, x, s0, unroll(cell, one, x[:, None], s0[None]))

    def pulled(self, steps: int, width: int) -> tuple[Trajectory, Iterator[Block]]:
        """The first steps, one run for each sample and each of the first `width` components of s_k
        with its output, and its backward pass from a unit cotangent there."""
        _, N, _ = self.x.shape
        params = {name: np.repeat(p[None], N * width, axis=0) for name, p in self.params.items()}
        x = np.repeat(self.x[:steps], width, axis=1)[:, :, None]  # (steps, N·width, 1, I)
        run = unroll(self.cell, params, x, np.repeat(self.s0, width, axis=0)[:, None])
        units = np.tile(np.eye(width, self.cell.S_all), (N, 1))
        return run, blocks_backward(run, units[:, None])

    def jacobians(self) -> list[Array]:
        """(N, S_all, S) ∂s_T/∂s_k of every sample, for k = 0..T-1, and the identity for T."""
        N, S, S_all = len(self.s0), self.cell.S, self.cell.S_all
        found = [np.broadcast_to(np.eye(S_all), (N, S_all, S_all))]
        for block in self.pulled(len(self.x), S_all)[1]:
            ds = np.ldexp(block.ds.value, block.ds.exponent[..., None].astype(np.int32))
            # The first of a block is the last of the one before.
            found += [d[:, 0, :S].reshape(N, S_all, S) for d in ds[1:]]
        return found[::-1]

    def immediate(self, k: int, curve: str) -> Array | None:
        """∂s_k/∂W of every sample, of all parameters of a role: (N, S, entries), of s_T (N, S_all,
        entries); None of none."""
        N, width = len(self.s0), self.cell.S_all if k == len(self.x) else self.cell.S
        copies, blocks = self.pulled(k, width)
        block = next(blocks)
        dz, exponent = block.dz.value[:1], block.dz.exponent[:1]
        x = np.broadcast_to(block.x[:1], (1, N * width, *block.x.shape[2:]))
        one = np.ones((*dz.shape[:-1], 1))
        rights = Rights(x, block.s[:1], block.local[:1], one, copies.params)
        found = [
            np.ldexp(formed(left, [(rows, {curve: by[curve]}) for rows, by in factors]),
                     its[..., :1, None].astype(np.int32)).reshape(N, width, -1)
            for group in groups(self.cell)
            if curve in group.widths
            for left, factors, its in group.factors(dz, exponent, rights)
        ]  # fmt: skip
        return np.concatenate(found, axis=-1) if found else None


def _in_front(
    run: Run, goal: Objective, last: Mapping[tuple[int, int], Array], ds_T: Array
) -> tuple[tuple[str, ...], tuple[Array, ...]]:
    """The names of what the loss adds in front, and the matrices: (N, O) and (O, S), or (N, S)."""
    if goal.by_output is None:
        return ("∂L/∂s_T",), (ds_T,)
    delta, _ = goal.by_output(last, 0)
    W_o, _ = sampling.output_layer(run)
    onto = np.zeros((len(W_o), ds_T.shape[1]))
    onto[:, run.cells[0, 0].outputs] = W_o
    return ("∂L/∂O", "∂O/∂s_T"), (np.asarray(delta, dtype=np.float64), onto)


def _expansion(
    curve: str, heads: tuple[str, ...], in_front: tuple[Array, ...], ds_T: Array,
    jacobians: list[Array], immediate: list[Array],
) -> Expansion:  # fmt: skip
    """The rows for one role: `jacobians` of k = 0..T, `immediate` of k = 1..T."""
    N, width = ds_T.shape
    T = len(immediate)
    signed = N == width == immediate[0].shape[-1] == 1 and all(a.size == 1 for a in in_front)
    sizes = tuple(_size(a, signed, i) for i, a in enumerate(in_front))
    rows, total = [], np.zeros(immediate[0].shape[-1])
    for k in range(T, 0, -1):
        term = np.einsum("ni,nij,njw->w", ds_T, jacobians[k], immediate[k - 1]) / N
        total = total + term
        middle, last = jacobians[k], immediate[k - 1]
        if signed:
            own = float(middle[0, 0, 0]), float(last[0, 0, 0])
        else:
            own = _rms(np.linalg.norm(middle, 2, axis=(1, 2))), _rms(_frobenius(last))
        rows.append(Row(k, (*sizes, *own), float(term[0]) if signed else _norm(term)))
    whole = float(total[0]) if signed else _norm(total)
    names = (*heads, "Π ∂s_j/∂s_j-1", f"∂s_k/∂{curve}")
    return Expansion(curve, names, tuple(rows), whole, signed)


def _size(a: Array, signed: bool, position: int) -> float:
    """A factor in front: a number with its sign; the rms over samples of a row's norm; or the
    spectral norm of a matrix."""
    if signed:
        return float(a.reshape(-1)[0])
    return _rms(np.linalg.norm(a, axis=-1)) if position == 0 else float(np.linalg.norm(a, 2))


def _frobenius(a: Array) -> Array:
    return np.asarray(np.sqrt((a**2).sum(axis=(1, 2))))


def _norm(a: Array) -> float:
    return float(np.linalg.norm(a))


def _rms(a: Array) -> float:
    return math.sqrt(float(np.mean(np.square(a))))
