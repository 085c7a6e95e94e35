"""`engine.uses`: the groups of a cell, taken together, are the term of each parameter, once."""

from __future__ import annotations

import numpy as np
import pytest

from equations.driver import both_ways, random_net, terms
from equations.published import CELLS
from gradflow.cells.cell import Cell
from gradflow.cells.contract import CURVES
from gradflow.engine.uses import Apart, Joint, Rights, Shared, Vectors, groups
from gradflow.equations.declaration import declared
from gradflow.equations.mistakes import EquationsError
from nets import LABELS, VARIANTS

PARTS = {"W": ["H", "I"], "U": ["H", "H"]}


def own(step, **parameters):
    made = {"state": {"h": "H"}, "parameters": {**PARTS, **parameters}, "step": step}
    return Cell.of(declared(made))


MORE = {
    "a matrix used twice": own("h[t] = tanh(W @ x[t] + U @ h[t-1] + U @ (h[t-1] * h[t-1]))"),
    "and its transpose": own("h[t] = tanh(W @ x[t] + U @ h[t-1] - 2 * (U.T @ tanh(h[t-1])))"),
    "an expression": own("h[t] = tanh(W @ x[t] + (U * U) @ h[t-1])"),
    "entry by entry": own("h[t] = tanh(W @ x[t] + U @ h[t-1] + 3 * u * h[t-1] + b)", u="H", b="H"),
    "a matrix of states": Cell.of(
        declared(
            {
                "state": {"M": ["H", "2"]},
                "parameters": {**PARTS, "v": "2"},
                "step": "M[t] = tanh(U @ M[t-1] + outer(W @ x[t], v))",
                "output": "M[t] @ v",
            }
        )
    ),
    "two parameters of one term": own(
        "h[t] = tanh(W @ x[t] + U @ h[t-1] + b + 2 * (V @ x[t] + T @ h[t-1] + d)) + X @ x[t]",
        V=["H", "I"],
        T=["H", "H"],
        X=["H", "I"],
        b="H",
        d="H",
    ),
    "two of one role alone": own("h[t] = tanh(W @ x[t] + V @ x[t] + U @ h[t-1])", V=["H", "I"]),
    "exp of a vector": own("h[t] = exp(-exp(u)) * h[t-1] + W @ x[t] + tanh(U @ h[t-1])", u="H"),
}
ALL = [*VARIANTS, *(Cell.of(made) for made, *_ in CELLS.values()), *MORE.values()]
IDS = [*LABELS, *CELLS, *MORE]


def _is_free(cell):
    """Whether H and I may differ: x_t is not next to h."""
    try:
        return bool(cell.compiled)
    except EquationsError:
        return False


@pytest.mark.parametrize("cell", ALL, ids=IDS)
def test_groups_give_the_terms(cell):
    net = random_net(cell, R=2, seed=3, H=3, I=2 if _is_free(cell) else 3)
    done = both_ways(net)
    exponent = np.broadcast_to(np.arange(net.x.shape[-2]), net.x.shape[:-1])  # of each sample
    dz = done.dz * np.exp2(-exponent)[..., None]
    one = np.ones((*net.x.shape[:-1], 1))
    params = {name: net.params[name] for name in net.cell.parameters}
    rights = Rights(net.x, done.states[:-1], done.local, one, params)
    found = dict.fromkeys(CURVES.values(), 0.0)
    for group in groups(net.cell):
        squares = {curve: [] for curve in group.widths}
        for left, outer, unit in group.factors(dz, exponent, rights):
            for curve in squares:
                scaled = left * np.exp2(1.0 * unit)[..., None]
                products = [scaled[..., rows].mT @ right[curve] for rows, right in outer]
                square = sum((p * p).sum((-1, -2)) for p in products)
                squares[curve].append(square)
        for curve, own in squares.items():
            found[curve] = found[curve] + np.concatenate(own)
    expected = dict.fromkeys(CURVES.values(), 0.0)
    for name, term in terms(net, done).items():
        role = net.cell.parameters[name].role
        if role in CURVES:
            square = (term**2).reshape(*term.shape[:2], -1).sum(-1)
            expected[CURVES[role]] = expected[CURVES[role]] + square
    for curve, square in expected.items():
        np.testing.assert_allclose(found[curve], square, rtol=1e-10, atol=1e-20, err_msg=curve)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a matrix used twice", Apart), ("an expression", Joint), ("entry by entry", Vectors)],
)
def test_what_is_no_single_use_has_a_group_of_its_own(name, kind):
    net = random_net(MORE[name])
    assert kind in map(type, groups(net.cell))


def test_the_gates_of_an_lstm_share_one_left_factor():
    net = random_net(next(cell for cell in VARIANTS if cell.name == "lstm"))
    (group,) = groups(net.cell)
    assert isinstance(group, Shared)
    assert set(group.widths) == {"W_x", "W_s", "b_s"}


def test_parameters_whose_terms_are_multiples_are_measured_once():
    """Where all roles of a slot have them: one group has a left factor for all."""
    both = groups(random_net(MORE["two parameters of one term"]).cell)
    assert [type(group) for group in both] == [Shared, Shared]
    for group in both:
        np.testing.assert_allclose(group.times[0], np.sqrt(5))
    assert len(groups(random_net(MORE["two of one role alone"]).cell)) == 2
    (group,) = groups(random_net(next(cell for cell in VARIANTS if cell.name == "cfc")).cell)
    np.testing.assert_allclose(np.unique(group.times), [1, np.sqrt(2)])
