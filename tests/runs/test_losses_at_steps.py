"""A loss at many steps, and states cut off from their past: whole experiments, every column."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import gradflow
from gradflow.config.load import from_mapping
from gradflow.runs.stack import run_stack
from runs.loss_reference import Net

SMALL = {
    "sequence_length": 7, "hidden_size": 3, "batch_size": 2, "input_size": 2, "output_size": 3,
    "bias_scale": 0.3, "initial_state": "gaussian",
}  # fmt: skip
BOUNDS = (1e-3, 1e3)
STEPS = {"all": range(1, 8), "list": [2, 3, 6], "every": [3, 6], "one": [4], "last": None}
AT = {"all": "all", "list": [3, 6, 2], "every": {"every": 3}, "one": [4], "last": "last"}
BOTH = {"layers": 2, "bidirectional": True}
CASES = [
    ("rnn", "mse", "all", "mean", None, {}),
    ("lstm", "cross_entropy", "list", "sum", None, {"layers": 2}),
    ("gru", "mse", "every", "sum", None, BOTH),
    ("lstm", "cross_entropy", "all", "mean", None, {"bidirectional": True}),
    ("rnn", "probe", "list", "mean", None, BOTH),
    ("gru", "sum", "one", "mean", None, {"layers": 2}),
    ("rnn", "mse", "all", "sum", 3, {"layers": 2}),
    ("lstm", "mse", "last", "mean", 4, {}),
    ("gru", "probe", "all", "sum", 2, {"bidirectional": True}),
    ("rnn", "sum", "all", "mean", 1, {}),
    ({"type": "lstmp", "proj_size": 2}, "mse", "all", "mean", 5, BOTH),
]


def run_of(cell="rnn", kind="mse", at="all", reduce="mean", truncate=None, **more):
    loss = {"kind": kind, "at": AT.get(at, at) if isinstance(at, str) else at, "reduce": reduce}
    loss |= {"truncate": truncate} if truncate else {}
    [run] = from_mapping({"cell": cell, "loss": loss, **SMALL, **more}).runs
    return run


def result_of(run):
    [result] = run_stack([(0, run)], BOUNDS)
    return result


def flows_of(result):
    """The curves of each place."""
    if not result.layers:
        return {(0, 0): result.flow}
    return {(part.layer, int(part.direction == "reverse")): part.flow for part in result.layers}


def assert_equals_autograd(run, steps, reduce, cut):
    result, expected = result_of(run), Net(run, steps, reduce, cut).expected()
    assert_allclose(result.loss, expected.loss, rtol=1e-12)
    T = run.sequence_length
    flows = flows_of(result)
    firsts = {}
    for direction in (0, 1):
        own = [T] if steps is None else [T + 1 - t if direction else t for t in steps]
        firsts[direction] = T - max(own)
    for at, flow in flows.items():
        ds = expected.ds[at]
        norms = np.sqrt((ds**2).sum(axis=-1).mean(axis=-1))
        assert_allclose(flow.state.floats(), norms, rtol=1e-11, atol=1e-15)
        for part in run.cells[at].parts.values():
            of_part = np.sqrt((ds[..., part.rows] ** 2).sum(axis=-1).mean(axis=-1))
            assert_allclose(flow.parts[part.name].floats(), of_part, rtol=1e-11, atol=1e-15)
        for name, terms in expected.terms[at].items():
            of_lag = np.linalg.norm(terms, axis=1)
            assert_allclose(flow.terms[name].floats(), of_lag, rtol=1e-11, atol=1e-15)
            running = np.linalg.norm(np.cumsum(terms, axis=0), axis=1)
            assert_allclose(flow.totals[name].floats(), running[-1], rtol=1e-11)
            if name == "W_s" and running[-1]:
                assert_allclose(flow.share_W_s, running / running[-1], rtol=1e-10, atol=1e-14)
        first = firsts[at[1]]
        beside = [expected.ds[o][first] for o in flows if o[1] == at[1]]
        start = np.sqrt(sum((a**2).sum(axis=-1) for a in beside).mean())
        relative = flow.relative.floats()
        assert np.isnan(relative[:first]).all()
        assert_allclose(relative[first:], norms[first:] / start, rtol=1e-11, atol=1e-15)
    if expected.W_o is not None and result.flow is not None:
        W_o = result.flow.totals["W_o"].floats()
        assert_allclose(W_o, np.linalg.norm(expected.W_o), rtol=1e-11)


@pytest.mark.parametrize(("cell", "kind", "at", "reduce", "cut", "more"), CASES, ids=str)
def test_every_column_equals_autograd(cell, kind, at, reduce, cut, more):
    run = run_of(cell, kind, at, reduce, cut, **more)
    assert_equals_autograd(run, STEPS[at], reduce, cut)
