"""Rows and columns of a tensor by strides, as packages keep them that interleave gates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import gradflow

H, I = 3, 2  # noqa: E741


def test_gates_side_by_side_are_taken_apart(tmp_path):
    """The columns of the sru package's weight are unit by unit: candidate, forget, reset."""
    rng = np.random.default_rng(0)
    weight, x = rng.standard_normal((I, 3 * H)), rng.standard_normal((6, 2, I))
    apart = {f"W_{k}": weight.reshape(I, H, 3)[..., k].T for k in range(3)}
    cell = {
        "type": "equations", "name": "light", "state": {"c": "H"},
        "parameters": {"W": ["H", "I"], "W_f": ["H", "I"], "W_r": ["H", "I"]},
        "step": "f = sigmoid(W_f @ x[t])\n"
                "c[t] = f * c[t-1] + (1 - f) * (W @ x[t]) * sigmoid(W_r @ x[t])",
    }  # fmt: skip
    np.savez(tmp_path / "net.npz", weight=weight, **apart)
    names = ("W", "W_f", "W_r")
    strides, whole = (
        {name: text.format(k=k) for k, name in enumerate(names)}
        for text in ("weight[:, {k}::3].T", "W_{k}")
    )
    found = [
        gradflow.analyze(
            {"cell": cell, "weights": {"file": str(tmp_path / "net.npz"), "parameters": named}},
            input=x,
        )[0]
        for named in (strides, whole)
    ]
    assert found[0].loss == found[1].loss
    assert_array_equal(found[0].flow.state.log10(), found[1].flow.state.log10())


@pytest.mark.parametrize("part", ["[0:6:0]", "[::-1]", "[9::2]"])
def test_a_stride_that_is_none_is_refused(tmp_path, part):
    np.savez(tmp_path / "net.npz", weight=np.ones((6, I)))
    cell = {
        "type": "equations", "name": "one", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
        "step": "h[t] = tanh(W @ x[t])",
    }  # fmt: skip
    weights = {"file": str(tmp_path / "net.npz"), "parameters": {"W": f"weight{part}"}}
    with pytest.raises(gradflow.InputError, match="weight"):
        gradflow.analyze({"cell": cell, "weights": weights})
