"""The terms of a weight against brute force in exact arithmetic, at any exponent."""

from __future__ import annotations

from typing import NamedTuple

import mpmath
import numpy as np
import pytest

import gradflow
from gradflow.engine.terms import Terms
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes
from reference import norms, worst_error

K, R, H = 9, 2, 3
BLOCKS = (slice(0, 4), slice(4, 5), slice(5, 9))  # the lags arrive in blocks

roots = Magnitudes.roots
in_mpmath = np.frompyfunc(lambda v, power: mpmath.ldexp(mpmath.mpf(float(v)), int(power)), 2, 1)


class Given(NamedTuple):
    """left (K, R, N, G) times 2**exponent (K, R, N), and the factors by blocks of rows."""

    left: np.ndarray
    factors: list
    exponent: np.ndarray

    def lags(self, lags):
        factors = [(rows, right[lags]) for rows, right in self.factors]
        return Given(self.left[lags], factors, self.exponent[lags])


def given(N, exponent, *, two_blocks=False, seed=0, width=2):
    rng = np.random.default_rng(seed)
    cuts = [slice(0, 2 * H), slice(2 * H, 3 * H)] if two_blocks else [slice(None)]
    factors = [(rows, rng.standard_normal((K, R, N, width))) for rows in cuts]
    exponent = np.broadcast_to(exponent, (K, R, N)).astype(np.int64)
    return Given(rng.standard_normal((K, R, N, 3 * H)), factors, exponent.copy())


def collected(data, share, dtype=np.float64):
    widths, G = {"W": data.factors[0][1].shape[-1]}, data.left.shape[-1]
    terms = Terms(widths, R, G, np.dtype(dtype), "W" if share else None)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for lags in BLOCKS:
            block = data.lags(lags)
            outer = [(rows, {"W": right.astype(dtype)}) for rows, right in block.factors]
            terms.add(block.left.astype(dtype), outer, block.exponent)
    return terms


def worst_errors(data, *, share=True, dtype=np.float64):
    """Of the norms, of the running sums' norms, of the total's norm; every run on its own."""
    terms = collected(data, share, dtype)
    found = {}
    for r in range(R):
        with mpmath.workdps(60):
            exact = np.zeros((K, data.left.shape[-1], data.factors[0][1].shape[-1]), dtype=object)
            power = np.where(data.exponent[:, r] == ZERO_EXPONENT, 0, data.exponent[:, r])
            left = in_mpmath(data.left[:, r], power[..., None])
            for rows, right in data.factors:
                exact[:, rows] = left[..., rows].mT @ in_mpmath(right[:, r], 0)
            running = norms(np.cumsum(exact, axis=0), (1, 2))
            errors = {"norms": worst_error(roots(terms.norms)[:, r, 0], norms(exact, (1, 2)))}
            errors["total"] = worst_error(terms.total("W")[r], running[-1])
            if share:
                errors["cumulative"] = worst_error(roots(terms.cumulative)[:, r], running)
        found = {name: max(value, found.get(name, 0)) for name, value in errors.items()}
    return found


lag = np.arange(K)[:, None, None]
run = np.arange(R)[None, :, None]
ENDS = np.where(lag % 2 == 0, 600, -600)

EXPONENTS = {
    "level": np.zeros((1, 1, 1)),
    "rising": 199 * lag,
    "rising past float range at one lag": 3000 * (lag > 5),
    "falling": -199 * lag,
    "falling past float range at one lag": -3000 * (lag > 5),
    "up and down": ENDS,
    "different in every run": (2 * run - 1) * 400 * lag,
    "far below one": -(10**6) + 0 * lag,
}


@pytest.mark.parametrize("N", [1, 3, 16, 20])
@pytest.mark.parametrize("two_blocks", [False, True])
@pytest.mark.parametrize("name", EXPONENTS)
def test_terms_are_exact_however_the_exponents_run(N, two_blocks, name):
    data = given(N, EXPONENTS[name], two_blocks=two_blocks)
    assert max(worst_errors(data).values()) < 1e-13
    assert max(worst_errors(data, share=False).values()) < 1e-13


SAMPLES = {
    "one far below": lambda n: np.where(n == 0, 0, -830),
    "all far apart": lambda n: -700 * n,
    "the smallest first": lambda n: 700 * n - 10**5,
}


@pytest.mark.parametrize("N", [3, 16])
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("hidden_by", ["nothing", "zero state", "zero cotangent", "no cotangent"])
def test_no_sample_hides_another(N, name, hidden_by):
    """Also where the sample of the largest exponent adds nothing."""
    data = given(N, SAMPLES[name](np.arange(N)), two_blocks=True)
    largest = data.exponent[0, 0].argmax()
    if hidden_by == "zero state":
        for _, right in data.factors:
            right[2:6, :, largest] = 0
    elif hidden_by != "nothing":
        data.left[2:6, :, largest] = 0
    if hidden_by == "no cotangent":
        data.exponent[2:6, :, largest] = ZERO_EXPONENT
    assert max(worst_errors(data).values()) < 1e-13
    assert max(worst_errors(data, share=False).values()) < 1e-13


@pytest.mark.parametrize("N", [1, 3, 16])
@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-290])
@pytest.mark.parametrize("where", ["every lag", "some lags", "one sample"])
def test_states_near_the_ends_of_float_range_neither_overflow_nor_vanish(N, size, where):
    data = given(N, np.zeros((1, 1, 1)), two_blocks=True)
    chosen = {
        "every lag": np.s_[:],
        "some lags": np.s_[2:6],
        "one sample": np.s_[:, :, 0],
    }[where]
    for _, right in data.factors:
        right[chosen] *= size
    if where == "one sample":  # the other samples add nothing, or nothing but this is seen
        data.left[4:, :, 1:] = 0
    assert max(worst_errors(data).values()) < 1e-13
    assert max(worst_errors(data, share=False).values()) < 1e-13


@pytest.mark.parametrize("N", [3, 16])
def test_cotangents_of_saturated_units_are_not_squared_away(N):
    data = given(N, -50 * lag)
    data.left[3:7] *= 1e-261
    assert max(worst_errors(data).values()) < 1e-13


@pytest.mark.parametrize("N", [1, 3, 16])
def test_lags_without_a_term_leave_room_for_those_that_follow(N):
    data = given(N, -3000 * lag)
    data.factors[0][1][:3] = 0
    data.factors[0][1][4] = 0
    terms = collected(data, share=True)
    assert (roots(terms.norms).log10()[[0, 1, 2, 4]] == -np.inf).all()
    assert (roots(terms.cumulative).log10()[:3] == -np.inf).all()
    assert max(worst_errors(data).values()) < 1e-13


@pytest.mark.parametrize("N", [3, 16])
@pytest.mark.parametrize("name", ["level", "rising", "falling"])
def test_float32_terms_hold_seven_digits(N, name):
    data = given(N, EXPONENTS[name])
    assert max(worst_errors(data, dtype=np.float32).values()) < 1e-5


def test_a_sum_of_nothing_is_zero():
    terms = Terms({"W": 2}, R, 3, np.dtype(float))
    assert (terms.total("W").log10() == -np.inf).all()


@pytest.mark.parametrize("size", [1e-300, 1e-150, 1.0, 1e150])
@pytest.mark.parametrize("N", [1, 16])
def test_the_norm_of_a_sum_is_taken_at_its_own_size(N, size):
    terms = Terms({"W": 2}, R, 3, np.dtype(float))
    left, right = np.full((1, R, N, 3), size), np.ones((1, R, N, 2))
    with np.errstate(under="ignore"):
        terms.add(left, [(slice(None), {"W": right})], np.full((1, R, N), 5))
    expected = np.log10(size) + np.log10(32 * N * np.sqrt(6))
    np.testing.assert_allclose(terms.total("W").log10(), expected, rtol=1e-14)


@pytest.mark.parametrize("N", [1, 3, 16])
@pytest.mark.parametrize("exponents", ["level", "up and down", "falling"])
def test_parameters_of_one_left_factor_do_not_disturb_each_other(N, exponents):
    """One far below and one that is zero at some lags, next to an ordinary one."""
    data = given(N, EXPONENTS[exponents])
    rights = {
        "plain": data.factors[0][1],
        "tiny": 1e-300 * np.random.default_rng(1).standard_normal((K, R, N, 3)),
        "rare": np.where(lag[..., None] % 3 == 1, data.factors[0][1], 0),
    }
    together = Terms({n: a.shape[-1] for n, a in rights.items()}, R, 3 * H, np.dtype(float), "rare")
    with np.errstate(under="ignore"):
        for lags in BLOCKS:
            outer = [(slice(None), {name: a[lags] for name, a in rights.items()})]
            together.add(data.left[lags], outer, data.exponent[lags])
        for which, (name, right) in enumerate(rights.items()):
            alone = collected(data._replace(factors=[(slice(None), right)]), share=True)
            np.testing.assert_allclose(
                roots(together.norms)[..., which].log10(), roots(alone.norms)[..., 0].log10(),
                rtol=1e-13, atol=1e-13,
            )  # fmt: skip
            np.testing.assert_allclose(
                together.total(name).log10(), alone.total("W").log10(), rtol=1e-13, atol=1e-13
            )
    running = (
        roots(together.cumulative).log10(),
        roots(alone.cumulative).log10(),
    )
    np.testing.assert_allclose(*running, rtol=1e-13, atol=1e-13)


def test_a_cotangent_of_zero_is_no_underflow(monkeypatch):
    """What only the output uses has one at the last step alone: it is measured once."""
    again = []
    monkeypatch.setattr(Terms, "_add_uneven", lambda self, *given: again.append(self.names))
    (result,) = gradflow.analyze({"cell": "sru", "hidden_size": 4, "sequence_length": 30})
    assert not again
    assert np.isfinite(result.flow.terms["other"].log10()[:1]).all()
    assert (result.flow.terms["other"].log10()[1:] == -np.inf).all()


@pytest.mark.parametrize("last", [1, 3])
def test_a_running_sum_that_cancels_keeps_its_digits(last):
    """At one lag of a block, before others or behind them, all that came before is taken away but
    for a billionth."""
    data = given(1, EXPONENTS["level"])
    ((_, right),) = data.factors
    data.left[:last] = data.left[0]
    data.left[last] = -data.left[0]
    right[last] = right[:last].sum(axis=0) * (1 - 1e-9)
    assert max(worst_errors(data).values()) < 1e-7  # of a difference that has lost nine digits
