"""What a user is shown: one line a fault, the same after a trip through a worker process."""

from __future__ import annotations

import pickle

import pytest

from gradflow.errors import Fault, InputError, nearest


def test_a_fault_names_its_place_key_and_message():
    fault = Fault("unknown key", "x.yaml", 3, 1, "hiden_size")
    assert str(fault) == "x.yaml:3:1: error: hiden_size: unknown key"
    assert str(Fault("no such file", "x.csv")) == "x.csv: error: no such file"
    assert str(Fault("out of luck")) == "error: out of luck"


def test_an_input_error_survives_pickling_as_it_is():
    error = InputError(Fault("unknown key", "x.yaml", 3, 1, "hiden_size"), "another")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.faults == error.faults


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("total_W_S", ["total_b_s", "total_W_s", "total_W_x"], "total_W_s"),
        ("w_f", ["w_x", "W_F", "W_f"], "W_f"),
        ("H", ["g", "h", "H"], "H"),
        ("LSTM", ["gru", "lstm"], "lstm"),
        ("horizn", ["rate", "horizon"], "horizon"),
        ("xyz", ["rate", "horizon"], None),
    ],
)
def test_the_nearest_name_is_that_of_the_same_letters_first(name, known, near):
    assert nearest(name, known) == near
