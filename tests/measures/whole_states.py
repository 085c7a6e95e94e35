"""Nets for the tests of measures of the whole state."""

from __future__ import annotations

import numpy as np

from equations.checks import as_read
from equations.published import equations
from gradflow.cells import Cell
from nets import Net, random_params

_STEP = 1e-30


def complex_step(cell, params, x, s):
    """s_t (N, S_all) of one run from s_{t-1} and x_t, real or complex."""
    w = cell.bind(params)
    with np.errstate(all="ignore"):
        return cell.one_step(x, s, w, np.result_type(x, s, *params.values()))


def moving_rows(cell):
    """The rows of the state that have a derivative: all but gauges."""
    gauges = [row for name in cell.gauge for row in range(cell.S)[cell.parts[name].rows]]
    return np.setdiff1d(np.arange(cell.S), gauges)


def scale_of(cell, s, exp=np.exp):
    """What true values are, in units of those that a state (..., S) has: e^m."""
    unit = s * 0 + 1
    for name, scaled in cell.gauge.items():
        for part in scaled:
            unit[..., cell.parts[part].rows] *= exp(s[..., cell.parts[name].rows])
    return unit


def one_way(net, n):
    """(T, n, S, S): ∂s_t/∂s_{t-1} of the whole state of a one-way stack, first run, by complex
    steps through every layer; by true values, and without gauges."""
    places = [*net.cells]
    widths = [net.cells[at].S for at in places]
    cuts = np.cumsum(widths)[:-1]

    def step(x, whole):
        new = []
        for at, s in zip(places, np.split(whole, cuts, axis=-1), strict=True):
            cell = net.cells[at]
            params = {name: a[0] for name, a in net.params[at].items()}
            room = np.zeros((len(s), cell.S_all), s.dtype)
            room[:, : cell.S] = s
            after = complex_step(cell, params, x, room)
            x = after[:, cell.outputs]
            new.append(after[:, : cell.S])
        return np.concatenate(new, axis=-1)

    def by_layer(function, s):
        parts = np.split(s, cuts, axis=-1)
        found = [function(net.cells[at], own) for at, own in zip(places, parts, strict=True)]
        return np.concatenate(found, axis=-1)

    starts = [0, *cuts]
    moving = np.concatenate(
        [start + moving_rows(net.cells[at]) for start, at in zip(starts, places, strict=True)]
    )
    s = np.concatenate([net.s0[at][0, :n, : net.cells[at].S] for at in places], axis=-1)
    found = []
    for x in net.x[:, 0, :n]:
        after = step(x, s)
        unit, unit_after = (by_layer(scale_of, of) for of in (s, after))
        pushed = []
        for e in np.eye(s.shape[-1])[moving]:
            new = by_layer(as_read, step(x + 0j, s + 1j * _STEP * e / unit))
            pushed.append((new.imag / _STEP * unit_after)[..., moving])
        found.append(np.stack(pushed, axis=-1))
        s = after
    return np.array(found)


def with_gauge(T, R=1, N=2, H=3):
    """The same net twice: as it is, and with c and n kept as e^-m times their values."""
    shapes = {"W_i": "H I", "U_i": "H H", "W_z": "H I", "U_z": "H H"}
    state = {"h": "H", "c": "H", "n": "H"}
    plain = equations("plain", state, shapes, """i = exp(W_i @ x[t] + U_i @ h[t-1])
c[t] = 0.9 * c[t-1] + i * tanh(W_z @ x[t] + U_z @ h[t-1])
n[t] = 0.9 * n[t-1] + i
h[t] = c[t] / n[t] + 0.3 * h[t-1]""")  # fmt: skip
    scaled = equations("scaled", {**state, "m": "H"}, shapes, """i = W_i @ x[t] + U_i @ h[t-1]
m[t] = max(log(0.9) + m[t-1], i)
f = exp(log(0.9) + m[t-1] - m[t])
c[t] = f * c[t-1] + exp(i - m[t]) * tanh(W_z @ x[t] + U_z @ h[t-1])
n[t] = f * n[t-1] + exp(i - m[t])
h[t] = c[t] / n[t] + 0.3 * h[t-1]""", gauge=(("m", ("c", "n")),))  # fmt: skip
    rng = np.random.default_rng(5)
    one, other = (Cell.of(own).sized(H, 2) for own in (plain, scaled))
    params = random_params(one, rng, R)
    x = 2 * rng.standard_normal((T, R, N, 2))
    s0 = np.abs(rng.standard_normal((R, N, one.S)))
    m = np.zeros((R, N, H))
    ds = rng.standard_normal((R, N, one.S_all))
    ds[..., one.S :] = 0
    return (
        Net(one, params, x, s0, ds),
        Net(other, params, x, np.concatenate([s0, m], axis=-1),
            np.concatenate([ds[..., : one.S], m], axis=-1)),
    )  # fmt: skip
