"""What equations become where they would cancel, and initial values that are made of matrices."""

from __future__ import annotations

import numpy as np
import pytest

from equations.checks import agree
from equations.driver import random_net
from gradflow.cells.cell import Cell
from gradflow.equations.declaration import declared
from gradflow.equations.initial import Initial, exponential
from gradflow.equations.mistakes import EquationsError
from nets import variants


def cell_of(step, **more):
    plain = {"name": "mine", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]}, "step": step}
    return Cell.of(declared({**plain, **more}))


def first_state(cell, x):
    """h_1 and dh_1/dW of a net of one unit, W = 1, from h_0 = 1."""
    from equations.driver import Net, both_ways, terms

    sized = cell.sized(1, 1)
    one = np.ones((1, 1, sized.S_all))
    net = Net(sized, {"W": np.ones((1, 1, 1))}, np.full((1, 1, 1, 1), x), one, one[..., : sized.S])
    done = both_ways(net)
    return done.states[1, 0, 0, 0], terms(net, done)["W"].item()


@pytest.mark.parametrize("x", [1e-12, -1e-9, 1e-3, 0.7, -30.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_exponential_less_one_keeps_its_digits(x, sign):
    step = "h[t] = h[t-1] * (exp(W @ x[t]) - 1)" if sign > 0 else (
        "h[t] = h[t-1] * (1 - exp(W @ x[t]))")  # fmt: skip
    value, slope = first_state(cell_of(step), x)
    np.testing.assert_allclose(value, sign * np.expm1(x), rtol=1e-15)
    np.testing.assert_allclose(slope, sign * x * np.exp(x), rtol=1e-14)


@pytest.mark.parametrize("x", [-40.0, -12.0, -1e-3, 0.0, 3.0, 40.0])
def test_one_and_a_tanh_keeps_its_digits(x):
    value, slope = first_state(cell_of("h[t] = h[t-1] * (1 + tanh(W @ x[t]))"), x)
    np.testing.assert_allclose(value, 2 / (1 + np.exp(-2 * x)), rtol=1e-15)
    np.testing.assert_allclose(slope, x / np.cosh(x) ** 2, rtol=1e-13)


def test_the_exponential_of_a_matrix():
    turn, d = np.array([[0.0, -3.0], [3.0, 0.0]]), np.array([-50.0, 0.1, 2.0])
    cos, sin = np.cos(3), np.sin(3)
    np.testing.assert_allclose(exponential(turn), [[cos, -sin], [sin, cos]], atol=1e-14)
    np.testing.assert_allclose(np.diag(exponential(np.diag(d))), np.exp(d), rtol=1e-12)
    nilpotent = np.diag(np.full(3, 5.0), 1)
    powers = [np.linalg.matrix_power(nilpotent, k) for k in range(4)]
    series = sum(p / f for p, f in zip(powers, (1, 1, 2, 6), strict=True))
    np.testing.assert_allclose(exponential(nilpotent), series, atol=1e-13)


def initial(text, shape=(3, 3), **names):
    return Initial(shape, np.random.default_rng(1), names, {}, np.zeros(shape)).of(text)


def test_initial_values_are_drawn_by_the_generator_that_is_given():
    drawn = np.random.default_rng(1).standard_normal((3, 3))
    np.testing.assert_array_equal(initial("normal(2, 0.5)"), 2 + 0.5 * drawn)
    drawn = np.random.default_rng(1).random((3, 3))
    np.testing.assert_array_equal(initial("uniform(-1, 3)"), -1 + 4 * drawn)


def test_initial_values_know_rows_and_matrices():
    np.testing.assert_array_equal(
        initial("10 * row + index"), [[0, 1, 2], [10, 11, 12], [20, 21, 22]]
    )
    M = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 0.0, 4.0]])
    np.testing.assert_allclose(initial("inv(M) @ M", M=M), np.eye(3), atol=1e-15)
    np.testing.assert_allclose(initial("expm(M - M)", M=M), np.eye(3))
    np.testing.assert_array_equal(initial("M.T", M=M), M.T)
    np.testing.assert_array_equal(initial("M[1:]", shape=(2, 3), M=M), M[1:])
    np.testing.assert_array_equal(initial("max(M, 1.5) - min(M, 1.5)", M=M), np.abs(M - 1.5))
    assert (initial("sum(M)", M=M) == 11).all()
    np.testing.assert_array_equal(initial("linear(M)", M=M), M)
    assert np.isnan(initial("inv(M)", M=np.zeros((3, 3)))).all()


def test_a_constant_may_be_there_for_others_alone():
    step = "h[t] = B * h[t-1] + W @ x[t]"
    constants = {"A": {"shape": "H", "init": "index + 1"}, "B": {"shape": "H", "init": "1 / A"}}
    assert [*cell_of(step, constants=constants).sized(2, 1).parameters] == ["W", "A", "B"]
    constants["C"] = {"shape": "H", "init": "A + B"}
    with pytest.raises(EquationsError, match="'C' is used nowhere in the step"):
        cell_of(step, constants=constants).sized(2, 1)


@pytest.mark.parametrize(
    ("init", "told"),
    [("expn(W)", "unknown function 'expn'"), ("inv(W, 2)", "inv takes 1 argument"),
     ("rwo + 1", "unknown name 'rwo'"), ("W[t]", "initial values know no time")],
)  # fmt: skip
def test_a_wrong_initial_value_is_told(init, told):
    parameters = {"W": ["H", "I"], "u": {"shape": "H", "init": init}}
    with pytest.raises(EquationsError, match=told):
        cell_of("h[t] = u * h[t-1] + W @ x[t]", parameters=parameters).sized(2, 2)


def test_a_size_in_the_step_is_told_what_to_do():
    with pytest.raises(EquationsError, match=r"make a constant of it, \{shape: 1, init: H\}"):
        cell_of("h[t] = h[t-1] / H + W @ x[t]").sized(2, 2)


@pytest.mark.parametrize("factor", ["2 *", "-2 *", "0.5 *", "-", ""])
@pytest.mark.parametrize(
    "step",
    [
        "h[t] = tanh({} (U @ h[t-1]) + W @ x[t])",
        "h[t] = tanh({} u * h[t-1] + W @ x[t])",
        "a = tanh(W @ x[t])\nh[t] = tanh({} u * a + 2 * h[t-1]) {}a",
        "h[t] = {} tanh(U @ h[t-1] + W @ x[t])",
    ],
)
def test_numbers_before_a_product_are_factors_of_its_derivatives(step, factor):
    parameters = {"W": ["H", "I"], "U": ["H", "H"], "u": "H"}
    used = {name: shape for name, shape in parameters.items() if name in step}
    cell = cell_of(step.format(factor, "- 3 * " if factor else "+ "), parameters=used)
    assert agree(cell, random_net(cell, seed=1, H=3, I=2))


@pytest.mark.parametrize(
    "more", ["2 ** a", "max(1, 3, 2) * a", "min(1, 3, 2) * a", "a[0:H]", "U.T.T @ a", "a ** b"]
)
def test_numbers_are_calculated_beforehand(more):
    step = f"a = sigmoid(W @ x[t] + U @ h[t-1])\nb = sigmoid(U @ h[t-1])\nh[t] = {more} - b"
    cell = cell_of(step, parameters={"W": ["H", "I"], "U": ["H", "H"]})
    assert agree(cell, random_net(cell, seed=1, H=3, I=2))


@pytest.mark.fuzz
@pytest.mark.parametrize("cell", variants(all_functions=True), ids=lambda cell: cell.label)
def test_every_choice_of_every_cell_agrees_with_complex_steps(cell):
    judged = [agree(cell, random_net(cell, seed=seed, H=4, I=3)) for seed in range(20)]
    assert any(judged)
