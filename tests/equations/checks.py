"""What holds of every compiled cell: its values are those of the interpreter, its derivatives those
of complex steps through its own forward code and through the interpreter."""

from __future__ import annotations

import itertools

import numpy as np

from equations.driver import both_ways, forward, random_net, terms
from equations.interpreter import FLOATS, Interpreter
from gradflow.cells.cell import Cell

STEP = 1e-100


def variants(equations):
    """Every combination of the options that are choices."""
    choices = equations.choices
    for values in itertools.product(*choices.values()):
        yield Cell.of(equations, **dict(zip(choices, values, strict=True)))


def interpreted(net, equations, options, functions=FLOATS):
    """(states (T+1, R, N, S_all)) by the interpreter, in whatever numbers the net has."""
    cell, (T, R, N, _) = net.cell, net.x.shape
    kind = np.result_type(net.x, net.s0, *net.params.values())
    states = np.zeros((T + 1, R, N, cell.S_all), kind)
    states[0] = net.s0
    run = Interpreter(equations, options, functions)
    run.sizes = {"H": cell.H, "I": cell.I}
    with np.errstate(all="ignore"):
        for r in range(R):
            params = {name: a[r] for name, a in net.params.items()}
            for n in range(N):
                state = {
                    p.name: states[0, r, n, p.rows].reshape(p.shape) for p in cell.parts.values()
                }
                for t in range(T):
                    state, output = run(params, state, net.x[t, r, n])
                    row = states[t + 1, r, n]
                    for p in cell.parts.values():
                        row[p.rows] = state[p.name].reshape(-1)
                    if cell.outputs.start >= cell.S:
                        row[cell.outputs] = output
    return states


def as_read(cell, states):
    """States as whoever reads them does: what a gauge scales moves with the gauge."""
    states = states.copy()
    for scale, scaled in cell.gauge.items():
        m = states[..., cell.parts[scale].rows]
        for part in scaled:
            states[..., cell.parts[part].rows] *= np.exp(m - m.real)
    return states


def agree(cell, net, tolerance=1e-11):
    """Assert all that holds; returns whether the net could be judged (its numbers are finite)."""
    equations, options = cell.equations, cell.options
    with np.errstate(all="ignore"):
        states = interpreted(net, equations, options)
        if not np.isfinite(states).all() or np.abs(states).max() > 1e4:
            return False
        done = both_ways(net)
    scale = 1 + np.abs(states)
    assert (np.abs(done.states - states) / scale).max() < tolerance, "the states"

    rng = np.random.default_rng(1)
    moves = {name: rng.standard_normal(a.shape) for name, a in net.params.items()
             if name in net.cell.parameters and net.cell.parameters[name].trained}  # fmt: skip
    v_x, v_s = rng.standard_normal(net.x.shape), rng.standard_normal(net.s0.shape)
    v_s[..., net.cell.S :] = 0
    for scale in net.cell.gauge:
        v_s[..., net.cell.parts[scale].rows] = 0
    moved = net._replace(
        params={
            k: a + 1j * STEP * moves[k] if k in moves else a + 0j for k, a in net.params.items()
        },
        x=net.x + 1j * STEP * v_x,
        s0=net.s0 + 1j * STEP * v_s,
    )

    def slope(path):
        """(R, N): the derivative of each sample's loss."""
        last = as_read(net.cell, path[-1]).imag / STEP
        found = (last[..., : net.cell.S] * net.ds_T).sum(-1)
        return found + (
            (last[..., net.cell.outputs] * net.dy_T).sum(-1) if net.dy_T is not None else 0
        )

    with np.errstate(all="ignore"):
        own, other = (
            slope(forward(moved, complex)[0]),
            slope(interpreted(moved, equations, options)),
        )
        found = terms(net, done)
    whole = [other.sum(), *(term.sum() for term in found.values())]
    if "**" in equations.step and not np.isfinite(whole).all():
        return False  # 0 to the power of anything below 1 has no derivative
    assert (np.abs(own - other) / (1 + np.abs(other))).max() < tolerance, "complex forward code"

    # By backpropagation, summed over the samples of a run.
    cell = net.cell
    pieces = [(done.ds[0] * v_s)[..., : cell.S].sum((1, 2))]
    dx = done.dz[..., : cell.G_x] @ cell.bind(net.params).hoisted[..., :-1]
    if cell.dx is not None:
        dx = dx + done.dz[..., cell.dx]
    pieces.append((dx * v_x).sum((0, 2, 3)))
    for name, term in found.items():
        whole = term.sum(axis=0) * moves[name]
        pieces.append(whole.reshape(len(whole), -1).sum(-1))
    size = 1 + sum(np.abs(piece) for piece in pieces)
    assert (np.abs(sum(pieces) - other.sum(-1)) / size).max() < tolerance, "backpropagation"
    return True


def holds(equations, seed, **sizes):
    """Whether some variant could be judged; all that could hold."""
    judged = [agree(cell, random_net(cell, seed=seed, **sizes)) for cell in variants(equations)]
    return any(judged)
