"""The benchmark of coverage, in a short form: two nets, a few dozen runs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage import (
    BATCHES,
    HEADING,
    KINDS,
    LENGTHS,
    LEVELS,
    Line,
    draw,
    report,
    runs_of,
    section,
    true_slope,
)

SHORT = {"rnn, W_s×1.5": 0.0, "linear, complex pair": np.log(0.95)}


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("N", BATCHES)
def test_the_interval_holds_the_true_rate(name, N):
    line, kind = Line(), KINDS[name]
    for net in range(2):
        rng = np.random.default_rng([7, net])
        p = draw(kind, rng)
        slope = true_slope(kind, p, rng, N=64, long=(200, 1000, 1100))
        if kind.linear:
            assert slope == pytest.approx(SHORT[name], rel=1e-9)
        for samples in runs_of(kind, p, rng, 100, N, 16):
            line.add(samples, slope)
    assert line.runs == 32
    assert line.coverage >= 0.86
    assert line.wrong <= 0.1
    assert abs(line.bias) < 0.25


def test_a_line_counts_what_is_withheld_and_what_is_wrong():
    line, straight = Line(), np.arange(101.0)[:, None]
    line.add(straight, 1.0)
    line.add(straight, 1.1)
    line.add(-(straight**2) / 500, 0.0)  # bent throughout
    assert (line.runs, line.held) == (3, 1)
    assert (line.coverage, line.withheld, line.wrong) == pytest.approx((1 / 2, 1 / 3, 1 / 3))


def test_the_report_names_the_levels_and_the_lines_that_miss_them():
    wrong = Line()
    wrong.add(np.arange(401.0)[:, None], 1.1)
    found = {"rnn, W_s×1": {(T, N): wrong for T in LENGTHS for N in BATCHES}}
    text = report(found, 1)
    assert section("before\n\n" + text) == text
    assert text.startswith(HEADING)
    for name in LEVELS:
        assert f"| {name} | 0 of " in text or "withholds" in name
    assert "rnn, W_s×1 (T = 400, N = 32)" in text
