"""A gradient that is no number says nothing: no verdict, no horizon, and no bound holds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import gradflow
from gradflow.checks.compare import Side, compare
from gradflow.checks.judge import judge_run
from gradflow.checks.wanted import Wanted
from gradflow.criticality.search import point
from gradflow.formats.flat import HORIZONS
from gradflow.formats.merging import over_seeds

ROOTED = {
    "cell": {
        "type": "equations", "name": "rooted", "state": {"h": "H"},
        "parameters": {"W": ["H", "I"], "U": ["H", "H"]},
        "step": "h[t] = sqrt(abs(U @ h[t-1] + W @ x[t]))",
    },
    "sequence_length": 8, "hidden_size": 4, "batch_size": 4, "input": "zeros",
}  # fmt: skip
RNN = {"cell": "rnn", "sequence_length": 8, "hidden_size": 4, "batch_size": 4}


@pytest.fixture(scope="module")
def lost():
    (result,) = gradflow.analyze(ROOTED)
    return result


def test_there_is_no_verdict_no_horizon_and_no_rate(lost):
    assert np.isnan(lost.flow.relative.mantissa[1:]).all()
    found = lost.diagnosis
    assert (found.verdict, found.no_rate) == ("unknown", "lost")
    assert [found.rate, found.half_life, found.projected_horizon] == [None] * 3
    assert [getattr(found, name) for name in HORIZONS] == [None] * 2
    assert math.isnan(point(1.0, lost).log_rate)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("verdict", one_of=("stable", "vanishing", "exploding")),
        Wanted("horizon", least=5),
        Wanted("horizon_typical", least=5),
        Wanted("horizon", most=5),
        Wanted("projected_horizon", least=5),
        Wanted("rate", most=1.0),
        Wanted("half_life", least=1.0),
        Wanted("relative", lag=5, most=1.0),
        Wanted("grad_norm", lag=5, most=1.0),
        Wanted("log10_grad_norm", lag=5, most=1.0),
    ],
    ids=lambda wanted: f"{wanted.what} {wanted.bounds}",
)
@pytest.mark.parametrize("allow", [False, True])
def test_no_bound_holds(lost, wanted, allow):
    found = judge_run(replace(wanted, allow_undecided=allow), lost)
    assert found.outcome == "missed"
    assert found.fails


def test_it_may_be_expected(lost):
    assert judge_run(Wanted("verdict", one_of=("unknown",)), lost).outcome == "held"


def test_it_is_unlike_a_net_that_has_a_gradient(lost):
    known = replace(lost, diagnosis=replace(lost.diagnosis, verdict="stable"))
    same, other = (compare(*(Side([r], (1e-3, 1e3)) for r in (lost, one))) for one in (lost, known))
    assert same.held
    assert not other.held


def test_one_place_that_is_lost_leaves_a_net_of_both_directions_unknown():
    (result,) = gradflow.analyze({**ROOTED, "bidirectional": True})
    assert result.diagnosis.verdict == "unknown"


def test_seeds_without_a_gradient_have_no_horizon():
    (merged,) = over_seeds(gradflow.analyze({**ROOTED, "seed": [0, 1]}))
    assert merged.over.verdicts == {"unknown": 2}
    assert merged.over.figures["horizon"].middle is None
