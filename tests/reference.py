"""The cells once more, from their equations alone, and their derivatives by two other machines.

Nothing here is shared with gradflow: only forward equations, written with whatever functions they
are given. `fifty_digits` differentiates them by the complex step in mpmath,
`by_autograd` by HIPS autograd; both give every step its own copy of the parameters, so that the
gradient of a copy is the term that this step adds to dL/dW.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import autograd.numpy as anp
import mpmath
import numpy as np
from autograd import grad

from gradflow.logspace import Magnitudes

exact = np.frompyfunc(lambda value: mpmath.mpf(float(value)), 1, 1)
"""Floats as mpmath numbers, whose squares leave no range."""


class Functions(NamedTuple):
    tanh: Callable
    sigmoid: Callable
    relu: Callable
    linear: Callable = staticmethod(lambda a: a)


def rnn(cell, x, s, W_x, W_s, b_x, b_s, f):
    activation = getattr(f, cell.activation)
    return (1 - cell.leak) * s + cell.leak * activation(x @ W_x.T + b_x + s @ W_s.T + b_s)


def lstm(cell, x, s, W_x, W_s, b_x, b_s, functions):
    tanh, sigmoid, *_ = functions
    H = s.shape[-1] // 2
    h, c = s[:, :H], s[:, H:]
    a = x @ W_x.T + b_x + h @ W_s.T + b_s
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 3 * H :])
    g = tanh(a[:, 2 * H : 3 * H])
    c = f * c + i * g
    return anp.concatenate([o * tanh(c), c], axis=1)


def lstmp(cell, x, s, W_x, W_s, b_x, b_s, W_p, functions):
    tanh, sigmoid, *_ = functions
    H = W_p.shape[1]
    h, c = s[:, :-H], s[:, -H:]
    a = x @ W_x.T + b_x + h @ W_s.T + b_s
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 3 * H :])
    c = f * c + i * tanh(a[:, 2 * H : 3 * H])
    return anp.concatenate([(o * tanh(c)) @ W_p.T, c], axis=1)


def gru(cell, x, h, W_x, W_s, b_x, b_s, functions):
    tanh, sigmoid, *_ = functions
    H = h.shape[-1]
    a, recurrent = x @ W_x.T + b_x, h @ W_s.T + b_s
    r = sigmoid(a[:, :H] + recurrent[:, :H])
    z = sigmoid(a[:, H : 2 * H] + recurrent[:, H : 2 * H])
    if cell.reset == "after":
        n = tanh(a[:, 2 * H :] + r * recurrent[:, 2 * H :])
    else:
        n = tanh(a[:, 2 * H :] + (r * h) @ W_s[2 * H :].T + b_s[2 * H :])
    return (1 - z) * n + z * h


EQUATIONS = {f.__name__: f for f in (rnn, lstm, lstmp, gru)}  # a new cell has to write its own


class Expected(NamedTuple):
    """Gradients as arrays of mpmath numbers, in the order of lags."""

    ds: np.ndarray  # (T+1, N, S), of each sample's own loss
    W_x: np.ndarray  # (T, G, I), terms of the gradient of the batch mean
    W_s: np.ndarray  # (T, G, H)
    b_s: np.ndarray  # (T, G)


def by_autograd(net):
    """`Expected` of the first run of `net`, as good as float64 makes it."""
    cell, T, N = net.cell, len(net.x), net.x.shape[2]
    step = EQUATIONS[cell.name]
    f = Functions(anp.tanh, lambda a: 1 / (1 + anp.exp(-a)), lambda a: anp.maximum(a, 0))

    def loss(pushes, *params):
        s = net.s0[0] + pushes[0]
        for t in range(T):
            s = step(cell, net.x[t, 0], s, *(p[t] for p in params), f) + pushes[t + 1]
        return anp.sum(net.ds_T[0] * s)

    copies = [np.repeat(p[:1], T, axis=0) for p in net.params if p is not None]
    pushes = np.zeros((T + 1, *net.s0[0].shape))
    ds, W_x, W_s, _, b_s = (grad(loss, k)(pushes, *copies)[::-1] for k in range(5))
    return Expected(exact(ds), exact(W_x) / N, exact(W_s) / N, exact(b_s) / N)


STEP = mpmath.mpf(10) ** -40
DIGITS = 50 + 40  # the imaginary parts are of the size of STEP


def fifty_digits(net):
    """`Expected` of the first run of `net`, as mpmath numbers with 50 digits and more."""
    with mpmath.workdps(DIGITS):
        cell, T, (N, S) = net.cell, len(net.x), net.s0[0].shape
        step = EQUATIONS[cell.name]
        f = Functions(
            np.frompyfunc(mpmath.tanh, 1, 1),
            np.frompyfunc(lambda a: 1 / (1 + mpmath.exp(-a)), 1, 1),
            np.frompyfunc(lambda a: a if mpmath.re(a) > 0 else mpmath.mpf(0), 1, 1),
        )
        params = [exact(p[0]) for p in net.params if p is not None]
        x, ds_T = exact(net.x[:, 0]), exact(net.ds_T[0])
        states = [exact(net.s0[0])]
        for t in range(T):
            states.append(step(cell, x[t], states[t], *params, f))

        def slope(t, s, own=params):
            """(N,): the derivative of the samples' losses along what was pushed at step t."""
            for u in range(t, T):
                s = step(cell, x[u], s, *(own if u == t else params), f)
            loss = (ds_T * s).sum(axis=1)
            return np.array([mpmath.im(value) / STEP for value in loss], dtype=object)

        def pushed(values, index):
            values = values.copy()
            values[index] = values[index] + mpmath.mpc(0, STEP)
            return values

        def of_states(t):
            columns = [slope(t, pushed(states[t], np.s_[:, j])) for j in range(S)]
            return np.stack(columns, axis=-1)

        def of_parameter(k, t):
            result = np.empty(params[k].shape, dtype=object)
            for index in np.ndindex(result.shape):
                own = [*params]
                own[k] = pushed(params[k], index)
                result[index] = slope(t, states[t], own).sum() / N
            return result

        lags = range(T - 1, -1, -1)
        ds = np.array([ds_T, *(of_states(t) for t in lags)])
        terms = (np.array([of_parameter(k, t) for t in lags]) for k in (0, 1, 3))
        return Expected(ds, *terms)


def norms(a, axes):
    """Euclidean norms over `axes` of arrays of mpmath numbers."""
    roots = np.frompyfunc(mpmath.sqrt, 1, 1)((a * a).sum(axis=axes))
    return np.asarray(roots, dtype=object)


def worst_error(curve: Magnitudes, expected) -> float:
    """The largest relative error of `curve` against mpmath numbers, at any exponent."""
    curve = Magnitudes(np.atleast_1d(curve.mantissa), np.atleast_1d(curve.exponent))
    worst = 0.0
    with mpmath.workdps(DIGITS):
        triples = zip(curve.mantissa, curve.exponent, np.atleast_1d(expected), strict=True)
        for mantissa, exponent, true in triples:
            value = mpmath.ldexp(mpmath.mpf(float(mantissa)), int(exponent)) if mantissa else 0
            worst = max(worst, float(abs(value - true) / true if true else abs(value)))
    return worst


def errors(flow, expected, cell):
    """The worst relative error of every curve of `flow`, by name."""
    with mpmath.workdps(DIGITS):
        N = expected.ds.shape[1]
        found = {"state": worst_error(flow.state, norms(expected.ds, (1, 2)) / mpmath.sqrt(N))}
        for part, ds in cell.parts(expected.ds).items():
            found[part] = worst_error(flow.parts[part], norms(ds, (1, 2)) / mpmath.sqrt(N))
        for name in ("W_x", "W_s", "b_s"):
            terms = getattr(expected, name)
            axes = tuple(range(1, terms.ndim))
            found[name] = worst_error(flow.terms[name], norms(terms, axes))
            running = norms(np.cumsum(terms, axis=0), axes)
            found[f"total {name}"] = worst_error(flow.totals[name], running[-1])
            if name == "W_s" and running[-1]:
                share = Magnitudes.of(flow.share_W_s)
                found["share_W_s"] = worst_error(share, running / running[-1])
            elif name == "W_s":
                assert np.isnan(flow.share_W_s).all()
        return found
