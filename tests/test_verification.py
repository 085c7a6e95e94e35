from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import CELLS
from gradflow.config.load import from_mapping
from gradflow.verification import TOLERANCE, verify
from nets import VARIANTS

SIZES = {"hidden_size": 5, "input_size": 3, "batch_size": 4, "sequence_length": 20}


def run_of(cell, **config):
    [run] = from_mapping({"cell": cell, "bias_scale": 0.3, **SIZES, **config}).runs
    return run


def as_config(cell):
    return {"type": cell.name, **cell.options}


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "probe", "sum"])
@pytest.mark.parametrize("cell", VARIANTS, ids=lambda cell: cell.label)
def test_right_gradients_hold(cell, loss):
    found = verify(run_of(as_config(cell), loss=loss, output_size=3))
    assert found.skipped is None
    assert {c.lag for c in found.comparisons} >= {0, 1, 20}
    assert max(c.error for c in found.comparisons) <= TOLERANCE["float64"]


def test_float32_holds_within_its_own_tolerance():
    found = verify(run_of("lstm", dtype="float32"))
    worst = max(c.error for c in found.comparisons)
    assert TOLERANCE["float64"] < worst <= TOLERANCE["float32"]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("output", ["dz", "ds_prev"])
def test_a_wrong_pullback_is_found(monkeypatch, name, output):
    cut, right = CELLS[name].backward_views, CELLS[name].pullback

    def views(self, local, ds, dz, ds_prev):
        out = dz if output == "dz" else ds_prev
        return (*cut(self, local, ds, dz, ds_prev), ds.mT, out.mT)

    def wrong(self, views, p):
        *own, ds, out = views
        right(self, tuple(own), p)
        out[..., 0, :] += 1e-6 * np.abs(ds).max()

    monkeypatch.setattr(CELLS[name], "backward_views", views)
    monkeypatch.setattr(CELLS[name], "pullback", wrong)
    found = verify(run_of(name))
    assert not all(c.holds for c in found.comparisons)


def test_what_a_complex_step_cannot_reach_is_said():
    found = verify(run_of({"type": "rnn", "activation": "linear"}, ws_scale=1e-20))
    assert "lags lie beyond 1e±150" in found.skipped
    assert found.comparisons
    found = verify(run_of({"type": "rnn", "activation": "linear"}, ws_scale=1e80))
    assert found.comparisons == ()
    assert "left float range at step" in found.skipped
