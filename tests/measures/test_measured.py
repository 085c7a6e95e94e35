"""What was measured, in a prompt."""

from __future__ import annotations

import numpy as np

from gradflow.measures.measured import Measured


def test_it_says_what_it_has():
    curves = {"log10_direct_path": np.zeros(3)}
    assert repr(Measured(curves=curves)) == "<Measured: log10_direct_path>"
    assert repr(Measured(figures={"a": 1.0})) == "<Measured: 1 figure>"
    both = Measured(curves=curves, figures={"a": 1.0, "b": "x"}, note="an approximation")
    assert repr(both) == "<Measured: log10_direct_path, 2 figures, an approximation>"
    assert repr(Measured(note="none")) == "<Measured: none>"
