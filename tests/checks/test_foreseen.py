"""What a run will not have is said before it is run."""

from __future__ import annotations

import pytest

import gradflow
from gradflow.checks.figures import BY_PLACE
from gradflow.checks.foreseen import lacks, last_lag
from gradflow.checks.judge import judge
from gradflow.checks.wanted import Wanted, strays

SMALL = {"hidden_size": 4, "sequence_length": 6}


@pytest.mark.parametrize(
    ("config", "figure", "place", "said"),
    [
        ({"cell": "lstm"}, "loss", None, None),
        ({"cell": "lstm", "layers": 2}, "loss", (0, "forward"), "the loss is one of the net as"),
        ({"cell": "lstm"}, "gates_f_mean", None, None),
        ({"cell": "lstm"}, "gates_q_mean", None, "lstm has no gate q"),
        ({"cell": "rnn"}, "grad_c", None, "has no such part: its state is h"),
        ({"cell": "mingru"}, "total_W_s", None, "has no such parameters"),
        ({"cell": "rnn", "bidirectional": True}, "total_W_s", None, BY_PLACE),
        ({"cell": "rnn", "bidirectional": True}, "total_W_s", (0, "reverse"), None),
    ],
)
def test_what_a_run_lacks(config, figure, place, said):
    (run,) = gradflow.load({**SMALL, **config}).runs
    found = lacks(run, figure, place)
    assert found is None if said is None else said in found


def test_terms_of_parameters_end_a_lag_earlier():
    (run,) = gradflow.load({"cell": "rnn", **SMALL}).runs
    lags = {name: last_lag(run, name) for name in ("grad_norm", "log10_grad_W_s", "share_W_s")}
    assert lags == {"grad_norm": 6, "log10_grad_W_s": 5, "share_W_s": 5}


def test_a_cell_is_meant_by_its_type_too():
    settings = [{"cell": "lstm[forget_bias=1]", "seed": 1}]
    assert strays(["lstm", "lstm[forget_bias=1]"], "cell", settings) == []
    assert strays(["gru", "lstm"], "cell", settings) == [0]
    assert strays([1, 2], "seed", settings) == [1]


def test_a_value_that_no_run_has_is_a_fault_next_to_one_that_some_have():
    results = gradflow.analyze({"cell": ["rnn", "lstm"], **SMALL})
    wanted = Wanted("horizon", where={"cell": ("rnn", "lstmm")}, least=1)
    with pytest.raises(gradflow.InputError, match=r"where\.cell: lstmm matches no run"):
        judge([wanted], results)
