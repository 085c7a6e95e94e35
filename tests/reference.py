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
from autograd.tracer import getval

from equations.interpreter import EXACT, Functions, Interpreter
from gradflow.cells.contract import CURVES
from gradflow.numerics.magnitudes import Magnitudes

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

    def softplus(self, z):
        return anp.logaddexp(0, z)

    def abs(self, z):
        return anp.abs(z)

    def _max(self, a, b):
        return anp.where(a >= b, a, b)

    def sum(self, v):
        return anp.reshape(anp.sum(v), (1,))

    def outer(self, a, b):
        return anp.outer(a, b)

    def layernorm(self, v, gain=1, shift=0, eps=1e-5):
        centred = v - anp.mean(v)
        return gain * (centred / anp.sqrt(anp.mean(centred * centred) + eps)) + shift


class Expected(NamedTuple):
    """Gradients as arrays of mpmath numbers, in the order of lags."""

    ds: np.ndarray  # (T+1, N, S), of each sample's own loss
    terms: dict  # curve to (T, entries), terms of the gradient of the batch mean


class Step:
    """The step of a cell, `(params, s, x) -> s` of one sample, states (S,) flat; and, by `read`,
    what the loss sees of the state that the last call gave, or of one next to it."""

    def __init__(self, cell, functions, plain):
        self.cell, self.functions, self.plain = cell, functions, plain
        self.run = Interpreter(cell.cell.equations, cell.cell.options, functions)
        self.run.sizes = {"H": cell.H, "I": cell.I}

    def __call__(self, params, s, x):
        new, _ = self.run(params, self.apart(s), x)
        return self.flat(new)

    def apart(self, s):
        return {p.name: s[p.rows].reshape(p.shape) for p in self.cell.parts.values()}

    def flat(self, parts):
        return self.functions.flat([parts[name].reshape(-1) for name in self.cell.parts])

    def read(self, s):
        """The state and, where it has its own rows, the output (S_all,). What a gauge scales
        moves with the gauge: it means e^m times as much. `plain` takes derivatives off."""
        parts = self.apart(s)
        seen = dict(parts)
        for scale, scaled in self.cell.gauge.items():
            by = self.functions.exp(parts[scale] - self.plain(parts[scale]))
            seen |= {part: parts[part] * by for part in scaled}
        if self.cell.outputs.start < self.cell.S:
            return self.flat(seen)
        self.run.new = parts
        output = self.run.evaluate(self.run.output) + np.zeros(self.cell.P)
        return self.functions.flat([self.flat(seen), output])


def true_values(cell, ds, states, exp):
    """Cotangents (..., S) of the true values of what a gauge scales, from those of what is kept;
    zero of the gauge."""
    ds = ds.copy()
    for scale, scaled in cell.gauge.items():
        m = states[..., cell.parts[scale].rows]
        for part in scaled:
            rows = cell.parts[part].rows
            ds[..., rows] = ds[..., rows] * exp(-m)
        ds[..., cell.parts[scale].rows] *= 0
    return ds


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
    step = Step(cell, functions, getval)
    states = np.zeros((T + 1, N, cell.S))

    def loss(pushes, copies):
        total = 0
        for n in range(N):
            s = net.s0[0, n, : cell.S] + pushes[0, n]
            states[0, n] = getval(s)
            for t in range(T):
                s = step({name: p[t] for name, p in copies.items()}, s, net.x[t, 0, n])
                s = s + pushes[t + 1, n]
                states[t + 1, n] = getval(s)
            total = total + anp.sum(net.ds_T[0, n] * step.read(s))
        return total

    copies = {name: np.repeat(p[:1], T, axis=0) for name, p in net.params.items()}
    ds, own = grad(loss, 0)(0 * states, copies), grad(loss, 1)(0 * states, copies)
    ds = true_values(cell, ds, states, np.exp)
    terms = by_curve(cell, {name: a[::-1] / N for name, a in own.items()})
    return Expected(exact(ds[::-1]), {curve: exact(a) for curve, a in terms.items()})


STEP = mpmath.mpf(10) ** -40
EPS = 2.0**-52
DIGITS = 50 + 40  # the imaginary parts are of the size of STEP


def fifty_digits(net, ulps=None):
    """`Expected` of the first run of `net`, as mpmath numbers with 50 digits and more; every state
    moved by an ulp up or down, as the generator `ulps` has it."""
    with mpmath.workdps(DIGITS):
        cell, T, N, S = net.cell, len(net.x), net.s0.shape[1], net.cell.S
        EXACT.flat = np.concatenate
        exact_step = Step(cell, EXACT, np.frompyfunc(mpmath.re, 1, 1))
        moved = np.zeros((T, N, S)) if ulps is None else ulps.choice([-EPS, EPS], (T, N, S))
        moved = exact(moved)

        def kept(part, value):  # what is added is a number: it has no derivative
            return value + exact_step.plain(value) * exact_step.apart(exact_step.ulps)[part]

        exact_step.run.kept = kept
        params = {name: exact(p[0]) for name, p in net.params.items()}

        def step(own, s, t, n):
            exact_step.ulps = moved[t, n]
            return exact_step(own, s, x[t, n])

        x, ds_T = exact(net.x[:, 0]), exact(net.ds_T[0])
        states = [exact(net.s0[0, :, :S])]
        for t in range(T):
            states.append(np.array([step(params, s, t, n) for n, s in enumerate(states[-1])]))

        def slope(t, n, s, own=params):
            """The derivative of a sample's loss along what was pushed at step t."""
            if t == T:
                step(params, states[T - 1][n], T - 1, n)
            for u in range(t, T):
                s = step(own if u == t else params, s, u, n)
            return mpmath.im((ds_T[n] * exact_step.read(s)).sum()) / STEP

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
        ds = np.array([of_states(t) for t in (T, *lags)])
        ds = true_values(cell, ds, np.array(states[::-1]), EXACT.exp)
        gradients = {
            name: np.array([of_parameter(name, t) for t in lags])
            for name in params
            if cell.parameters[name].role in CURVES and cell.parameters[name].trained
        }
        return Expected(ds, by_curve(cell, gradients))


def norms(a, axes):
    """Euclidean norms over `axes` of arrays of mpmath numbers."""
    roots = np.frompyfunc(mpmath.sqrt, 1, 1)((a * a).sum(axis=axes))
    return np.asarray(roots, dtype=object)


def worst_error(curve: Magnitudes, expected, of_largest=False) -> float:
    """The largest error of `curve` against mpmath numbers, at any exponent: relative to each of
    them, or to the largest up to it."""
    curve = Magnitudes(np.atleast_1d(curve.mantissa), np.atleast_1d(curve.exponent))
    worst, size = 0.0, 0
    with mpmath.workdps(DIGITS):
        triples = zip(curve.mantissa, curve.exponent, np.atleast_1d(expected), strict=True)
        for mantissa, exponent, true in triples:
            value = mpmath.ldexp(mpmath.mpf(float(mantissa)), int(exponent)) if mantissa else 0
            size = max(size, true) if of_largest else true
            worst = max(worst, float(abs(value - true) / size if size else abs(value)))
    return worst


def moved_by_ulps(net, expected):
    """How far an ulp in every state moves each curve of `Expected`, by name: what is made of
    differences of states has their rounding, whatever the backward pass."""
    found = [_moved(net, expected, seed) for seed in range(1, 9)]  # an ulp may go either way
    return {name: max(one[name] for one in found) for name in found[0]}


def _moved(net, expected, seed):
    other = fifty_digits(net, ulps=np.random.default_rng(seed))
    with mpmath.workdps(DIGITS):
        pairs = {"state": (other.ds, expected.ds)}
        pairs |= {
            part.name: (other.ds[..., part.rows], expected.ds[..., part.rows])
            for part in net.cell.parts.values()
        }
        pairs |= {name: (a, expected.terms[name]) for name, a in other.terms.items()}
        found = {}
        for name, (a, b) in pairs.items():
            axes = tuple(range(1, np.ndim(a)))
            sizes = zip(norms(a, axes), norms(b, axes), strict=True)
            found[name] = max(float(abs(p - q) / q) if q else float(p) for p, q in sizes)
    return found


def errors(flow, expected, cell, of_largest=False):
    """The worst relative error of every curve of `flow`, by name; see `worst_error`."""
    with mpmath.workdps(DIGITS):
        N = expected.ds.shape[1]
        of_state = norms(expected.ds, (1, 2)) / mpmath.sqrt(N)
        found = {"state": worst_error(flow.state, of_state, of_largest)}
        for part in cell.parts.values():
            if part.name in cell.gauge:
                continue
            of_part = norms(expected.ds[..., part.rows], (1, 2)) / mpmath.sqrt(N)
            found[part.name] = worst_error(flow.parts[part.name], of_part, of_largest)
        assert set(flow.terms) == set(expected.terms)
        for name, terms in expected.terms.items():
            found[name] = worst_error(flow.terms[name], norms(terms, 1), of_largest)
            running = norms(np.cumsum(terms, axis=0), 1)
            found[f"total {name}"] = worst_error(flow.totals[name], running[-1])
            if name == "W_s" and running[-1]:
                share = Magnitudes.of(flow.share_W_s)
                found["share_W_s"] = worst_error(share, running / running[-1])
            elif name == "W_s":  # where terms cancel wholly, rounding may be left
                assert np.isnan(flow.share_W_s).all() or flow.totals[name].log10() < -15
        return found
