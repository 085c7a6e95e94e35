from __future__ import annotations

from itertools import pairwise

import pytest

from gradflow.formats.lags import all_lags, choose_lags


@pytest.mark.parametrize("T", [1, 2, 19, 20, 21, 50, 100, 137, 1000, 9999, 10**4, 10**6, 10**9])
def test_auto_gives_about_20_lags_from_0_to_T(T):
    lags = choose_lags(T, "auto")
    assert lags[0] == 0
    assert lags[-1] == T
    assert lags == sorted(set(lags))
    assert min(T + 1, 12) <= len(lags) <= 24
    gaps = [after / before for before, after in pairwise(lags[1:])]
    assert max(gaps, default=1) <= 10


def test_auto_gives_all_lags_of_a_short_sequence_and_round_ones_of_a_long_one():
    assert choose_lags(20, "auto") == list(range(21))
    assert choose_lags(130, "auto")[-6:] == [50, 60, 80, 100, 120, 130]


def test_all_and_a_list():
    assert choose_lags(3, "all") == [0, 1, 2, 3]
    assert choose_lags(10, (50, 7, 0, 7, 10)) == [0, 7, 10]
    assert all_lags(3, "auto").tolist() == [0, 1, 2, 3]
    assert all_lags(3, (2, 9)).tolist() == [2]
