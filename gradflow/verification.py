"""The gradients of a user's own net, checked from outside: forward equations and complex steps.

f(a + iεb) has the imaginary part ε f'(a)·b up to ε², without any subtraction (Squire and Trapp,
SIAM Review 40, 1998). Only the forward code of the cell is used, so that a mistake in a pullback
cannot hide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gradflow import sampling
from gradflow.cells import Cell, Params
from gradflow.experiment import Run
from gradflow.flow import blocks_backward, unroll
from gradflow.logspace import Array
from gradflow.losses import objective
from gradflow.measure import Block

_STEP = 1e-100  # ε; its square is below all else
_MOST_LAGS = 12
_REACH = 150  # log10: outside 1e±150 a complex step of 1e-100 leaves float range

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""The largest relative error that counts as agreement."""


@dataclass(frozen=True)
class Comparison:
    """One quantity, by backpropagation and by complex step.

    Attributes:
        quantity: what was compared: `s`, `W_x`, `W_s`, `b`.
        lag: at which lag.
        backpropagated, complex_step: its derivative along one random direction, rms over batch.
        error: their largest difference, relative to the size that such a derivative has.
    """

    quantity: str
    lag: int
    backpropagated: float
    complex_step: float
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the two agree."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Verification:
    """All comparisons of one run; `skipped` says why lags were left out."""

    run: Run
    comparisons: tuple[Comparison, ...]
    skipped: str | None = None


def verify(run: Run) -> Verification:
    """Compare the gradients of one run with complex-step derivatives, at about a dozen lags.

    At each lag: dL_n/ds_{T-k} of every sample, and the terms that step T-k adds to dL/dW_x,
    dL/dW_s and dL/db, each along one random direction.
    """
    cell, p = run.cell, sampling.parameters(run)
    x, s0 = sampling.inputs(run), sampling.initial_state(run)
    goal = objective(run)
    trajectory = unroll(cell, Params(*(a[None] for a in p)), x[:, None], s0[None])
    if trajectory.diverged_at[0]:
        at = int(trajectory.diverged_at[0])
        return Verification(run, (), f"the forward state left float range at step {at}")
    ds_T = goal.gradient(trajectory.last[0])[None]
    wanted = set(np.geomspace(1, len(x), _MOST_LAGS).round().astype(int) - 1)

    exact = Params(*(a.astype(np.float64) for a in p))
    forward = _Forward(cell, exact, x.astype(np.float64), goal.value)
    rng = np.random.default_rng(run.seed)
    found: list[Comparison] = []
    beyond = 0
    for block in blocks_backward(trajectory, ds_T):
        for k in range(len(block.dz.value)):
            lag = len(x) - block.last_step + k
            if lag not in wanted:
                continue
            if not _within_reach(block, k):
                beyond += 1
                continue
            for quantity, ours, theirs in _derivatives(cell, block, k, forward, rng):
                found.append(_compare(quantity, lag, ours, theirs, TOLERANCE[run.dtype]))
    skipped = f"{beyond} lags lie beyond 1e±{_REACH}, where a complex step cannot reach"
    return Verification(run, tuple(found), skipped if beyond else None)


@dataclass(frozen=True)
class _Forward:
    """The loss of each sample as a function of the state before a step and of that step's
    parameters, by the cell's forward code alone."""

    cell: Cell
    p: Params
    x: Array  # (T, N, I)
    loss: Callable[[Array], Array]

    def __call__(self, s: Array, t: int, p: Params) -> Array:
        """L_n (N,), complex, from the state s_{t-1}, with the parameters `p` at step t only."""
        for step in range(t, len(self.x) + 1):
            s = self._step(s, self.x[step - 1], p if step == t else self.p)
        return self.loss(s)

    def _step(self, s: Array, x: Array, p: Params) -> Array:
        z = (x @ p.W_x.T + self.cell.input_bias(p)).astype(complex)
        s_next = np.empty(s.shape, complex)
        H = s.shape[-1] // len(self.cell.state_parts)
        saved = np.empty((len(s), self.cell.saved * H), complex)
        with np.errstate(over="ignore"):  # an exponential that saturates a gate
            self.cell.step(z, s.astype(complex), p, s_next, saved)
        return s_next


def _within_reach(block: Block, k: int) -> bool:
    size = np.abs(block.ds.value[k]).max(axis=-1)
    with np.errstate(divide="ignore"):
        log10 = np.log10(size) + block.ds.exponent[k] * np.log10(2.0)
    return bool((np.abs(log10[size > 0]) < _REACH).all())


def _derivatives(
    cell: Cell, block: Block, k: int, forward: _Forward, rng: np.random.Generator
) -> Iterator[tuple[str, Array, Array]]:
    """(quantity, backpropagated, complex step), per sample (N,), at the lag of block index k."""
    t = block.last_step - k
    s = block.s[k, 0].astype(np.float64)
    unit = np.ldexp(1.0, block.dz.exponent[k, 0].clip(-1100, 1000).astype(np.int32))
    dz = block.dz.value[k, 0].astype(np.float64)
    local = tuple(a[k] for a in block.local)
    left, factors = cell.recurrent_factors(local, block.dz.value[k], block.s[k])

    # W at step t along a random V: the derivative is Σ_g left_g (V right)_g for every sample.
    V = Params(*(rng.standard_normal(a.shape) for a in forward.p))
    by_W_s = sum((left[0, :, rows] * (right[0] @ V.W_s[rows].T)).sum(-1) for rows, right in factors)
    ours = {
        "W_x": (dz * (block.x[k, 0] @ V.W_x.T)).sum(-1),
        "W_s": by_W_s,
        "b_x": dz @ V.b_x,
        "b_s": left[0] @ V.b_s,
    }
    for name, value in ours.items():
        moved = getattr(forward.p, name) + 1j * _STEP * getattr(V, name)
        loss = forward(s, t, forward.p._replace(**{name: moved}))
        yield name, value * unit, loss.imag / _STEP

    v = rng.standard_normal(s.shape)
    loss = forward(s + 1j * _STEP * v, t, forward.p)
    before = np.ldexp(1.0, block.ds.exponent[k + 1, 0].clip(-1100, 1000).astype(np.int32))
    yield "s", (block.ds.value[k + 1, 0] * v).sum(-1) * before, loss.imag / _STEP


def _compare(name: str, lag: int, ours: Array, theirs: Array, tolerance: float) -> Comparison:
    """Per sample (N,); a sample whose derivative is far below the batch's counts by the batch."""
    rms_ours, rms_theirs = (float(np.sqrt(np.mean(a**2))) for a in (ours, theirs))
    size = max(rms_ours, rms_theirs)
    error = float(np.abs(ours - theirs).max()) / size if size else 0.0
    # A parameter's term belongs to the step it is used in, the state before it to one lag more.
    at = lag + 1 if name == "s" else lag
    return Comparison(name, at, rms_ours, rms_theirs, error, tolerance)
