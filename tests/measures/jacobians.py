"""Jacobians of nets by other means, for the tests of what is made of them."""

from __future__ import annotations

import mpmath
import numpy as np

from equations.interpreter import EXACT
from gradflow.cells import RNN
from measures.whole_states import moving_rows, scale_of
from nets import Net
from reference import Step, exact

DIGITS = 200
STEP = mpmath.mpf(10) ** -180


def exact_jacobians(net, n=0):
    """∂s_t/∂s_{t-1} of steps 1..T of a sample of the first run, by true values and without gauges,
    as matrices of mpmath numbers with 200 digits, from the cell's equations and complex steps
    alone."""
    moving = moving_rows(net.cell)
    with mpmath.workdps(DIGITS):
        EXACT.flat = np.concatenate
        step = Step(net.cell, EXACT, np.frompyfunc(mpmath.re, 1, 1))
        params = {name: exact(p[0]) for name, p in net.params.items()}
        x, s = exact(net.x[:, 0, n]), exact(net.s0[0, n, : net.cell.S])
        found = []
        with mpmath.workdps(2 * DIGITS):
            for t in range(len(x)):
                after = step(params, s, x[t])
                unit, unit_after = (scale_of(net.cell, of, EXACT.exp) for of in (s, after))
                pushed = []
                for j in moving:
                    moved = s.copy()
                    moved[j] = moved[j] + mpmath.mpc(0, STEP) / unit[j]
                    new = step.read(step(params, moved, x[t]))[moving] * unit_after[moving]
                    pushed.append([mpmath.im(v) / STEP for v in new])
                found.append(mpmath.matrix(pushed).T)
                s = after
        return found


def log10_singular_values(M):
    """Largest first, -inf of a zero."""
    with mpmath.workdps(max(DIGITS, mpmath.mp.dps)):
        try:
            values = mpmath.svd_r(M, compute_uv=False)
        except RuntimeError:  # its iteration may not end where two are equal
            with mpmath.workdps(3 * mpmath.mp.dps):
                squares = mpmath.eigsy(M.T * M, eigvals_only=True)
                values = sorted((mpmath.sqrt(abs(v)) for v in squares), reverse=True)
        return np.array([float(mpmath.log10(v)) if v else -np.inf for v in values])


def linear_net(W, *, T, R=1, N=1):
    """h' = W h, whose Jacobian is W at every step."""
    W = np.broadcast_to(np.asarray(W, dtype=float), (R, *np.shape(W))).copy()
    H = W.shape[-1]
    params = {"W": np.zeros((R, H, 1)), "U": W, "b": np.zeros((R, H))}
    shape = R, N, H
    return Net(RNN(activation="linear").sized(H, 1), params, np.zeros((T, R, N, 1)),
               np.zeros(shape), np.ones(shape))  # fmt: skip
