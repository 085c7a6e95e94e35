"""Gauges that are none: refused where results would be of them, and told by `verify`."""

from __future__ import annotations

import pytest

import gradflow
from command import main
from gradflow.cells import CELLS
from gradflow.invariance import unfounded
from gradflow.runs.sampling import initial_state, inputs, parameters
from nets import VARIANTS

FALSE = """\
cell:
  type: equations
  name: falsely
  state: {h: H, c: H, m: H}
  gauge: {m: c}
  parameters: {W: [H, I], U: [H, H], b: H, W_m: [H, I]}
  step: |
    m[t] = 0.5 * m[t-1] + W_m @ x[t]
    c[t] = tanh(W @ x[t] + U @ h[t-1] + b) + 0.5 * c[t-1]
    h[t] = tanh(c[t] + m[t])
hidden_size: 4
input_size: 2
sequence_length: 10
batch_size: 3
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FALSE, encoding="utf-8")
    return path


def test_a_false_gauge_is_refused_at_its_line(config, capsys):
    code, _, told = main(capsys, "analyze", config)
    assert code == 2
    assert told.startswith(f"{config}:5:14: error: cell.gauge.m: 'm' is no gauge of c: with m")
    assert told.count("error:") == 1
    assert "a step gives another h[t]" in told


@pytest.mark.parametrize("format", ["table", "json", "markdown"])
def test_verify_fails_and_says_which_gauge_is_none(config, capsys, format):
    code, told, _ = main(capsys, "verify", config, "--format", format)
    assert code == 1
    assert "'m' is no gauge of c: with m greater by 0.5" in told
    (found,) = gradflow.verify(FALSE)
    assert not found.holds


def test_a_gauge_that_no_gradient_shows_is_told_all_the_same(config, capsys):
    """m scales nothing and reaches nothing: every derivative holds."""
    config.write_text(FALSE.replace("c[t] + m[t]", "c[t]"), encoding="utf-8")
    code, told, _ = main(capsys, "verify", config)
    assert code == 1
    assert "0 differ" in told
    assert "a step gives another" in told


def test_a_registered_cell_is_tried_too(monkeypatch):
    monkeypatch.setattr(CELLS, "_own", {})
    cell = {
        "name": "falsely_made", "state": {"h": "H", "m": "H"}, "gauge": {"m": "h"},
        "parameters": {"W": ["H", "I"], "U": ["H", "H"]},
        "step": "m[t] = m[t-1]\nh[t] = tanh(W @ x[t] + U @ h[t-1])",
    }  # fmt: skip
    gradflow.register(cell)
    with pytest.raises(gradflow.InputError, match="'m' is no gauge of h"):
        gradflow.analyze({"cell": "falsely_made", "hidden_size": 3})


@pytest.mark.parametrize("cell", [cell for cell in VARIANTS if cell.equations.gauge], ids=str)
@pytest.mark.parametrize("bias_scale", [0.0, 10.0])
def test_the_gauges_of_the_library_are_gauges(cell, bias_scale):
    config = {"cell": {"type": cell.name, **cell.options}, "bias_scale": bias_scale}
    (run,) = gradflow.load({**config, "hidden_size": 5}).runs
    x = inputs(run)
    for scale in (1, 30):
        s0 = initial_state(run)[0, 0]
        assert unfounded(run.cells[0, 0], parameters(run)[0, 0], scale * x, s0) == ()


FAR = """\
cell:
  type: equations
  name: far
  state: {c: H, n: H, m: H}
  parameters: {W: [H, I], V: [H, I]}
  gauge: {m: [c, n]}
  output: c[t] / n[t] + max(m[t] - 3, 0)
  step: |
    i = V @ x[t]
    m[t] = max(m[t-1] - 0.1, i)
    c[t] = exp(m[t-1] - 0.1 - m[t]) * c[t-1] + exp(i - m[t]) * (W @ x[t])
    n[t] = exp(m[t-1] - 0.1 - m[t]) * n[t-1] + exp(i - m[t])
wx_scale: 5
sequence_length: 30
hidden_size: 4
batch_size: 4
loss: sum
"""


def test_a_gauge_that_is_none_far_off_is_found_where_the_run_goes():
    with pytest.raises(gradflow.InputError, match="another output"):
        gradflow.load(FAR)
    with pytest.raises(gradflow.InputError, match="another output"):
        gradflow.load(FAR.replace("wx_scale: 5", "wx_scale: [0.1, 5]"))
    assert gradflow.load(FAR.replace("max(m[t] - 3, 0)", "0")).runs
