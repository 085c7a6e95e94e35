"""Terms of wide nets, taken a stretch of rows at a time."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.engine import terms as terms_room
from gradflow.engine.stretches import Stretches
from gradflow.engine.terms import Terms
from gradflow.machine import threads

K, R, N, G = 3, 2, 9, 40
WIDTHS = {"W_x": 5, "W_s": 300, "b_s": 1}


def blocks(rng, exponents, size=1.0):
    left = size * rng.standard_normal((K, R, G, N)).mT
    rights = {name: rng.standard_normal((K, R, width, N)).mT for name, width in WIDTHS.items()}
    halves = slice(0, 30), slice(30, G)
    other = {name: a + 1 for name, a in rights.items()}
    exponent = np.broadcast_to(exponents[:, None, None], (K, R, N))
    return left, [(halves[0], rights), (halves[1], other)], exponent


def found(monkeypatch, wide, count, exponents, size=1.0):
    """Norms, running sums and totals, as logs to base 2; the exponents differ from lag to lag."""
    monkeypatch.setattr(terms_room, "_WIDE", 0 if wide else 2**60)
    monkeypatch.setattr(threads, "_PENANCE", 0)
    monkeypatch.setattr(threads, "idle_cores", lambda: 64)
    rng = np.random.default_rng(0)
    terms = Terms(WIDTHS, R, G, np.dtype(np.float64), "W_s")
    with threads.sharing(count):
        for shift in (0, -40, -80):
            terms.add(*blocks(rng, exponents + shift, size))
    logs = [
        0.5 * np.log2(squares) + unit for own in (terms.norms, terms.cumulative)
        for squares, unit in own
    ]  # fmt: skip
    logs += [terms.total(name).log10() for name in WIDTHS]
    return np.concatenate([np.ravel(own) for own in logs])


@pytest.mark.parametrize("exponents", [[0, 0, 0], [0, -3, 5], [0, -2000, 7]], ids=str)
def test_they_are_what_whole_matrices_give(monkeypatch, exponents):
    exponents = np.array(exponents)
    whole = found(monkeypatch, False, 1, exponents)
    np.testing.assert_allclose(found(monkeypatch, True, 1, exponents), whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [2.0**70, 2.0**100])
def test_what_was_recorded_stays_where_a_total_is_brought_near_one(monkeypatch, size):
    exponents = np.array([0, -3, 5])
    whole = found(monkeypatch, False, 1, exponents, size)
    wide = found(monkeypatch, True, 1, exponents, size)
    np.testing.assert_allclose(wide, whole, rtol=0, atol=1e-10)


def test_blocks_that_are_wide_and_blocks_that_are_not_add_up(monkeypatch):
    """A block is wide by its own size: what is added has one sign."""
    totals = []
    for wide in (False, True):
        rng = np.random.default_rng(0)
        terms = Terms(WIDTHS, R, G, np.dtype(np.float64), "W_s")
        for number in range(3):
            monkeypatch.setattr(terms_room, "_WIDE", 0 if wide and number % 2 else 2**60)
            terms.add(*blocks(rng, np.zeros(K, int)))
        totals.append(np.concatenate([terms.total(name).log10() for name in WIDTHS]))
    np.testing.assert_allclose(totals[1], totals[0], atol=1e-12)


@pytest.mark.parametrize("count", [2, 3])
def test_threads_give_the_same_bytes(monkeypatch, count):
    exponents = np.array([0, -3, 5])
    alone = found(monkeypatch, True, 1, exponents)
    np.testing.assert_array_equal(found(monkeypatch, True, count, exponents), alone)


def test_every_row_is_in_one_stretch_of_its_parameter():
    rows = [slice(0, 5), slice(5, 305), slice(305, 306)]
    stretches = Stretches(rows)._stretches
    assert [at for _, own in stretches for at in range(306)[own]] == list(range(306))
    assert all(rows[which].start <= own.start < own.stop <= rows[which].stop
               for which, own in stretches)  # fmt: skip


def test_threads_take_long_stretches_first_and_the_short_ones_together():
    stretches = Stretches([slice(0, 5), slice(5, 305), slice(305, 306)])
    lengths = [own.stop - own.start for _, own in stretches._stretches]
    pieces = [[lengths[at] for at in piece] for piece in stretches._pieces]
    assert pieces == [[75], [75], [75], [75], [5, 1]]
    assert Stretches([slice(0, 5), slice(5, 8)])._pieces == [[0], [1]]


@pytest.mark.parametrize("size", [1e-60, 1e-100, 1e100])
def test_squares_that_leave_float_range_have_an_exponent(size):
    left = np.full((1, 1, 2, 3), size).mT
    outer = [(slice(None), {"W_s": np.full((1, 1, 4, 3), size).mT})]
    stretches, total = Stretches([slice(0, 4)]), np.zeros((1, 4, 2))
    squares, unit = stretches.measured(left, outer)
    expected = np.log2(8 * 3.0**2) + 4 * np.log2(size)
    np.testing.assert_allclose(np.log2(squares) + 2 * unit, expected, rtol=1e-14)
    one = np.ones((1, 1))
    found = stretches.at_once(left, outer, total, one, np.empty_like(total), one, 0)
    assert found is None or not found[0].any()  # which its caller asks about
    squares, unit = stretches.added(left, outer, total, one, 0)
    np.testing.assert_allclose(np.log2(squares) + 2 * unit, expected, rtol=1e-14)
    np.testing.assert_allclose(total, 3 * size**2, rtol=1e-14)


def test_a_pass_at_once_is_what_two_give(monkeypatch):
    """Bit for bit: which way it goes may depend on the company of a run."""
    exponents = np.array([0, -3, 5])
    usual = found(monkeypatch, True, 1, exponents)
    monkeypatch.setattr(Stretches, "at_once", lambda *arguments: None)
    np.testing.assert_array_equal(found(monkeypatch, True, 1, exponents), usual)


def test_most_lags_are_added_at_once(monkeypatch):
    monkeypatch.setattr(Stretches, "measured", None)
    monkeypatch.setattr(Stretches, "added", None)
    found(monkeypatch, True, 1, np.array([0, 0, 0]))
    found(monkeypatch, True, 1, np.array([0, -3, 5]))
