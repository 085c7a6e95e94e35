"""The cells once more, from their equations alone, and their derivatives by two other machines.

Nothing here is shared with gradflow but the text of the equations: an interpreter evaluates it with
whatever functions it is given. `fifty_digits` differentiates it by the complex step in mpmath,
`by_autograd` by HIPS autograd; both give every step its own copy of the parameters, so that the
gradient of a copy is the term that this step adds to dL/dW.
"""

from __future__ import annotations

from typing import NamedTuple

import autograd.numpy as anp
import mpmath
import numpy as np
from autograd import grad

from equations.interpreter import EXACT, Functions, Interpreter
from gradflow.cells.contract import CURVES
from gradflow.logspace import Magnitudes

exact = np.frompyfunc(lambda value: mpmath.mpf(float(value)), 1, 1)
"""Floats as mpmath numbers, whose squares leave no range."""


class ByAutograd(Functions):
    """The functions as HIPS autograd can follow them."""

    def __init__(self):
        super().__init__(anp.exp, anp.log, anp.sin, anp.cos, anp.sqrt)

    def tanh(self, z):
        return anp.tanh(z)

    def sigmoid(self, z):
        return 1 / (1 + anp.exp(-z))

    def relu(self, z):
        return anp.where(z > 0, z, 0)

    def _hard(self, v):
        return anp.where(v > 0, anp.where(v < 1, v, 1), 0)


class Expected(NamedTuple):
    """Gradients as arrays of mpmath numbers, in the order of lags."""

    ds: np.ndarray  # (T+1, N, S), of each sample's own loss
    terms: dict  # curve to (T, entries), terms of the gradient of the batch mean


def step_of(cell, functions):
    """`(params, s, x) -> s` of one sample, states flat."""
    run = Interpreter(cell.cell.equations, cell.cell.options, functions)
    run.sizes = {"H": cell.H, "I": cell.I}

    def step(params, s, x):
        state = {p.name: s[p.rows].reshape(p.shape) for p in cell.parts.values()}
        new, _ = run(params, state, x)
        return functions.flat([new[name].reshape(-1) for name in cell.parts])

    return step


def by_curve(cell, gradients):
    """Curve to (T, entries), from parameter to (T, *shape)."""
    found = {}
    for role, curve in CURVES.items():
        own = [p.name for p in cell.parameters.values() if p.role == role and p.trained]
        if own:
            flat = [np.reshape(gradients[name], (len(gradients[name]), -1)) for name in own]
            found[curve] = np.concatenate(flat, axis=1)
    return found


def by_autograd(net):
    """`Expected` of the first run of `net`, as good as float64 makes it."""
    cell, T, N = net.cell, len(net.x), net.x.shape[2]
    functions = ByAutograd()
    functions.flat = anp.concatenate
    step = step_of(cell, functions)

    def loss(pushes, copies):
        total = 0
        for n in range(N):
            s = net.s0[0, n] + pushes[0, n]
            for t in range(T):
                s = step({name: p[t] for name, p in copies.items()}, s, net.x[t, 0, n])
                s = s + pushes[t + 1, n]
            total = total + anp.sum(net.ds_T[0, n] * s)
        return total

    copies = {name: np.repeat(p[:1], T, axis=0) for name, p in net.params.items()}
    pushes = np.zeros((T + 1, *net.s0[0].shape))
    ds, own = grad(loss, 0)(pushes, copies), grad(loss, 1)(pushes, copies)
    terms = by_curve(cell, {name: a[::-1] / N for name, a in own.items()})
    return Expected(exact(ds[::-1]), {curve: exact(a) for curve, a in terms.items()})


STEP = mpmath.mpf(10) ** -40
DIGITS = 50 + 40  # the imaginary parts are of the size of STEP


def fifty_digits(net):
    """`Expected` of the first run of `net`, as mpmath numbers with 50 digits and more."""
    with mpmath.workdps(DIGITS):
        cell, T, (N, S) = net.cell, len(net.x), net.s0[0].shape
        EXACT.flat = np.concatenate
        step = step_of(cell, EXACT)
        params = {name: exact(p[0]) for name, p in net.params.items()}
        x, ds_T = exact(net.x[:, 0]), exact(net.ds_T[0])
        states = [exact(net.s0[0])]
        for t in range(T):
            states.append(np.array([step(params, s, x[t, n]) for n, s in enumerate(states[-1])]))

        def slope(t, n, s, own=params):
            """The derivative of a sample's loss along what was pushed at step t."""
            for u in range(t, T):
                s = step(own if u == t else params, s, x[u, n])
            return mpmath.im((ds_T[n] * s).sum()) / STEP

        def pushed(values, index):
            values = values.copy()
            values[index] = values[index] + mpmath.mpc(0, STEP)
            return values

        def of_states(t):
            return np.array(
                [[slope(t, n, pushed(states[t][n], j)) for j in range(S)] for n in range(N)],
                dtype=object,
            )

        def of_parameter(name, t):
            result = np.empty(params[name].shape, dtype=object)
            for index in np.ndindex(result.shape):
                own = {**params, name: pushed(params[name], index)}
                result[index] = sum(slope(t, n, states[t][n], own) for n in range(N)) / N
            return result

        lags = range(T - 1, -1, -1)
        ds = np.array([ds_T, *(of_states(t) for t in lags)])
        gradients = {
            name: np.array([of_parameter(name, t) for t in lags])
            for name in params
            if cell.parameters[name].role in CURVES
        }
        return Expected(ds, by_curve(cell, gradients))


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
        for part in cell.parts.values():
            of_part = norms(expected.ds[..., part.rows], (1, 2)) / mpmath.sqrt(N)
            found[part.name] = worst_error(flow.parts[part.name], of_part)
        assert set(flow.terms) == set(expected.terms)
        for name, terms in expected.terms.items():
            found[name] = worst_error(flow.terms[name], norms(terms, 1))
            running = norms(np.cumsum(terms, axis=0), 1)
            found[f"total {name}"] = worst_error(flow.totals[name], running[-1])
            if name == "W_s" and running[-1]:
                share = Magnitudes.of(flow.share_W_s)
                found["share_W_s"] = worst_error(share, running / running[-1])
            elif name == "W_s":
                assert np.isnan(flow.share_W_s).all()
        return found
