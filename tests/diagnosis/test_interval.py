"""Windows and intervals of curves whose cosine sums are chosen: every number is known."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from gradflow.diagnosis.rate import is_u_shaped, rate_of, t95

M, N = 100, 16
SIGNS = np.where(np.arange(N) % 2, 1.0, -1.0)
FAST = (
    0.04  # of cos 70: what makes neighbours differ, so that there are many independent increments
)


def student(df):
    """The 97.5th percentile of Student's t, from the incomplete beta function."""
    with mpmath.workdps(30):

        def upper_tail(t):
            return mpmath.betainc(df / mpmath.mpf(2), 0.5, 0, df / (df + t * t), regularized=True)

        return float(mpmath.findroot(lambda t: upper_tail(t) / 2 - mpmath.mpf("0.025"), 2.3))


def cosines(m=M, **sums):
    """Increments (m,) whose cosine sums C_j are these, `C1=...`, and 0 else."""
    i = (np.arange(m) + 0.5) / m
    return sum(
        value * math.sqrt(2 / m) * np.cos(math.pi * int(name[1:]) * i)
        for name, value in sums.items()
    )


def curve(increments):
    """The curves (T+1, N) with these increments (T,) or (T, N)."""
    increments = np.asarray(increments, dtype=float).reshape(len(increments), -1)
    return np.concatenate([np.zeros((1, increments.shape[1])), np.cumsum(increments, axis=0)])


def length(m=M):
    """The norm of the weights by which increments make the least-squares slope x·y / x·x: each
    lies under all lags behind it."""
    x = np.arange(m + 1) - m / 2
    weights = [(x[t:] @ np.ones(len(x) - t)) / (x @ x) for t in range(1, m + 1)]
    return float(np.linalg.norm(weights))


def least_squares(y):
    return np.polyfit(np.arange(len(y)), y, 1)[0]


@pytest.mark.parametrize("df", [7, 8, 9, 12, 15, 31, 63, 200])
def test_students_t_is_out_by_what_its_expansion_leaves_off(df):
    """The next term, about 0.73 / df^5; one that were wrong would show as a lower power."""
    assert 0.73 < (student(df) - t95(df)) * df**5 < 0.83


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ({"C1": 1, "C2": 1, "C3": 1, "C4": 1, "C5": 1, "C6": 1}, student(2)),
        ({"C3": 1, "C4": 1}, student(4) * math.sqrt(1 / 2)),
        ({"C1": 0.5, "C3": 1, "C4": 2}, student(4) * math.sqrt(5.25 / 4)),
    ],
    ids=str,
)
def test_one_sample_has_its_interval_from_two_and_four_cosine_sums(sums, expected):
    y = curve(-0.2 + cosines(**sums))
    found = rate_of(y)
    assert found.slope == pytest.approx(least_squares(y)[0], rel=1e-12)
    assert found.half_width == pytest.approx(expected * length(), rel=1e-9)
    assert found.centre == M / 2
    assert found.level == pytest.approx(y.mean(), rel=1e-12)


def scattered(sums, *, of_slopes=0.0, of_first=0.0):
    """Samples that share these cosine sums; their slopes and their C_1 differ by turns."""
    shared = -0.2 + cosines(C70=FAST * 25, **sums)
    own = of_slopes * np.ones(M) + of_first * cosines(C1=1.0, C2=0.25)
    return curve(shared[:, None] + SIGNS * own[:, None])


FLAT = {"C1": 0.02, "C2": 0.02, "C3": 0.1, "C4": 0.1, "C5": 0.1, "C6": 0.1}


def test_samples_that_share_a_bend_have_the_larger_of_two_and_six():
    """Their slopes scatter a little, their cosine sums not at all: none is straight by scatter."""
    y = scattered(FLAT, of_slopes=1e-5)
    found = rate_of(y)
    expected = student(6) * math.sqrt((2 * 0.02**2 + 4 * 0.1**2) / 6)
    assert expected > student(2) * 0.02
    assert found.half_width == pytest.approx(expected * length(), rel=1e-8)
    assert found.slope == pytest.approx(least_squares(y).mean(), rel=1e-12)
    two = {**FLAT, "C1": 0.1, "C2": 0.1}
    found = rate_of(scattered(two, of_slopes=1e-5))
    assert found.half_width == pytest.approx(student(2) * 0.1 * length(), rel=1e-8)


def test_slopes_that_scatter_widen_the_interval():
    found = rate_of(scattered(FLAT, of_slopes=0.3))
    deviation = 0.3 * math.sqrt(N / (N - 1))
    assert found.half_width == pytest.approx(t95(N - 1) * deviation / math.sqrt(N), rel=1e-9)


def test_straight_lines_of_several_slopes_are_as_uncertain_as_these():
    y = curve(np.full((M, 1), -0.5) + 0.25 * SIGNS)
    found = rate_of(y)
    deviation = 0.25 * math.sqrt(N / (N - 1))
    assert found.slope == pytest.approx(-0.5, rel=1e-14)
    assert found.half_width == pytest.approx(t95(N - 1) * deviation / math.sqrt(N), rel=1e-12)


def test_where_scatter_explains_the_bend_six_cosine_sums_are_one_size():
    """C_1 of 0.15 within twice its standard error of 0.4 sqrt(16/15) / 4."""
    sums = {**FLAT, "C1": 0.15, "C2": 0.0}
    found = rate_of(scattered(sums, of_first=0.4))
    expected = student(6) * math.sqrt((0.15**2 + 4 * 0.1**2) / 6)
    assert found.half_width == pytest.approx(expected * length(), rel=1e-8)
    assert found.centre == M / 2
    # Scatter less, and the same bend is one that two cosine sums have to say.
    found = rate_of(scattered(sums, of_first=0.2))
    expected = student(2) * math.sqrt(0.15**2 / 2)
    assert found.half_width == pytest.approx(expected * length(), rel=1e-8)


@pytest.mark.parametrize(("first", "straight"), [(2.9, True), (-2.9, True), (3.1, False)])
def test_a_bend_stands_out_at_three_times_what_follows(first, straight):
    found = rate_of(curve(-0.2 + cosines(C1=first, C3=1, C4=1, C5=1, C6=1)))
    assert (found is not None and found.centre == M / 2) == straight


def test_windows_begin_and_end_at_twentieths():
    def window(shared):
        """The middle of the window in which samples that scatter are straight."""
        own = 0.1 * cosines(400, C1=1.0, C2=0.5)
        found = rate_of(curve(shared[:, None] + SIGNS * own[:, None]))
        assert found.slope == pytest.approx(-0.25, rel=1e-12)
        return found.centre

    d = np.full(400, -0.25)
    assert window(d) == 200
    d[:20] = 5.0
    assert window(d) == (20 + 400) / 2
    d[:21] = 5.0  # one more, and the window begins a twentieth later
    assert window(d) == (40 + 400) / 2
    d[:] = -0.25
    d[381:] = 5.0
    assert window(d) == (0 + 380) / 2


@pytest.mark.parametrize("samples", [1, 20])
@pytest.mark.parametrize("lags", [4, 50])
def test_a_constant_curve_is_exactly_straight(samples, lags):
    found = rate_of(np.zeros((lags + 1, samples)))
    assert (found.slope, found.half_width) == (0.0, 0.0)


def test_a_short_curve_is_read_where_it_bends_least():
    found = rate_of(curve([1.0, 1.125, 4.0]))
    assert (found.slope, found.half_width, found.centre) == (1.0625, None, 1.0)


@pytest.mark.parametrize("at", [9, 35, 64, 90])
def test_a_u_is_seen_in_a_quarter_beside_each_end_but_a_tenth(at):
    d = np.where(np.arange(100) < 50, -1.0, 1.0)
    d[at] = 1000.0 if at < 50 else -1000.0
    assert is_u_shaped(curve(d))
    inside = at + 1 if at in (9, 64) else at - 1
    d[[at, inside]] = d[[inside, at]]
    assert not is_u_shaped(curve(d))
