"""A loss at many steps, and states cut off from their past: whole experiments, every column."""

from __future__ import annotations

import csv
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import gradflow
from command import main
from gradflow.config.load import from_mapping
from gradflow.engine.network import Losses, net_blocks_backward, unroll_net
from gradflow.numerics.magnitudes import near_one
from gradflow.runs import sampling
from gradflow.runs.bundle import run_bundle
from gradflow.runs.experiment import Signal, Trained
from gradflow.runs.losses import objective
from gradflow.runs.memory import bytes_needed
from gradflow.runs.runner import execute
from gradflow.runs.sampling import stream
from gradflow.runs.scheduling.fingerprint import Fingerprints
from gradflow.runs.scheduling.processes import worker_processes
from nets import assert_same_bytes, random_stack
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
    [result] = run_bundle([(0, run)], BOUNDS)
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
        same_way = [expected.ds[o][first] for o in flows if o[1] == at[1]]
        start = np.sqrt(sum((a**2).sum(axis=-1) for a in same_way).mean())
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


BEYOND = {
    "type": "equations", "name": "beyond", "state": {"h": "H"},
    "parameters": {"W": ["H", "I"], "U": ["H", "H"], "b": "H", "V": ["H", "H"]},
    "step": "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\n", "output": "tanh(V @ h[t] + h[t-1])",
}  # fmt: skip
"""A cell whose output is no part of its state."""


def assert_same_results(one, other):
    assert one.loss == other.loss
    assert one.diagnosis == other.diagnosis
    for a, b in zip(flows_of(one).values(), flows_of(other).values(), strict=True):
        assert_same_bytes(a, b)
    if one.flow is not None:
        assert_same_bytes(one.flow, other.flow)


def test_a_loss_at_step_T_is_the_loss_at_the_last_step():
    last, step = (result_of(run_of("lstm", "mse", at, layers=2)) for at in ("last", [7]))
    assert_same_results(last, step)
    assert [r.objective for r in (last, step)] == ["mse at the last step", "mse at step 7"]


def test_of_two_directions_the_last_step_is_each_ones_own():
    """At step T of the input the reverse direction has seen one step; at its own last, all."""
    last, step = (result_of(run_of("rnn", "sum", at, bidirectional=True)) for at in ("last", [7]))
    reached = [flows_of(result)[0, 1].state.mantissa > 0 for result in (last, step)]
    assert reached[0].all()
    assert reached[1].tolist() == [False] * 6 + [True, True]
    assert flows_of(step)[0, 1].first == 6
    assert_same_bytes(flows_of(last)[0, 0], flows_of(step)[0, 0])


def test_a_net_that_runs_backward_alone_is_read_at_steps_of_the_input():
    run = run_of("lstm", "sum", [5])
    trained = Trained(sampling.parameters(run), {(0, 0): run.hidden_size}, backward=True)
    x = sampling.inputs(run)
    turned = replace(
        run,
        trained=replace(trained, backward=False),
        input=Signal("file", values=x[::-1]),
        loss=replace(run.loss, at=(3,)),
    )
    backward = replace(run, trained=trained)
    assert backward.own_loss_steps((0, 0)).tolist() == [3]
    assert_same_bytes(result_of(backward).flow, result_of(turned).flow)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_target_of_the_first_step_is_the_one_drawn_for_a_single_step(loss):
    """So that a loss at the last step keeps its draws, and a longer sequence starts alike."""
    N, O = SMALL["batch_size"], SMALL["output_size"]  # noqa: E741
    rng = np.random.default_rng(3)
    s = {(0, 0): rng.standard_normal((7, N, 3))}
    single = {(0, 0): s[0, 0][0]}
    short = {(0, 0): s[0, 0][:4]}
    every = objective(run_of("rnn", loss, "all")).value(s, slice(None))
    assert_allclose(every[0], objective(run_of("rnn", loss, "last")).value(single, 0), rtol=1e-15)
    first_four = objective(run_of("rnn", loss, "all", sequence_length=4)).value(short, slice(None))
    assert_allclose(every[:4], first_four, rtol=1e-14)
    if loss == "mse":
        run = run_of("rnn", "mse", "last", bias_scale=0.0)
        W_o = Net(run, None).W_o
        Y = stream(run, "target").standard_normal((N, O))
        expected = 0.5 * ((single[0, 0] @ W_o.T - Y) ** 2).sum(axis=1)
        assert_allclose(objective(run).value(single, 0), expected, rtol=1e-14)


def test_the_sum_over_steps_is_their_number_times_the_mean():
    mean, summed = (result_of(run_of("gru", "mse", "every", reduce)) for reduce in ("mean", "sum"))
    assert_allclose(summed.loss, 2 * mean.loss, rtol=1e-14)
    assert_allclose(summed.flow.state.floats(), 2 * mean.flow.state.floats(), rtol=1e-13)
    for name in ("W_s", "W_o"):
        total = [float(result.flow.totals[name].floats()) for result in (mean, summed)]
        assert_allclose(total[1], 2 * total[0], rtol=1e-13)


@pytest.mark.parametrize("cell", ["lstm", BEYOND], ids=["lstm", "beyond"])
@pytest.mark.parametrize(
    ("at", "truncate", "more"),
    [("all", None, {}), ({"every": 9}, 50, {"layers": 2}), ("all", 7, {"bidirectional": True})],
    ids=str,
)
def test_neither_recomputation_nor_company_changes_a_byte(cell, at, truncate, more):
    more = {**more, "sequence_length": 300, "seed": [0, 1]}
    loss = {"kind": "mse", "at": at} | ({"truncate": truncate} if truncate else {})

    def runs(**other):
        return from_mapping({"cell": cell, "loss": loss, **SMALL, **more, **other}).runs

    together = list(run_bundle([*enumerate(runs())], BOUNDS))
    again = list(run_bundle([*enumerate(runs(tape_memory=1))], BOUNDS))
    for r, run in enumerate(runs()):
        assert_same_results(together[r], again[r])
        assert_same_results(together[r], result_of(run))


def test_worker_processes_give_the_same_bytes():
    config = {"cell": "gru", "loss": {"kind": "mse", "at": "all", "truncate": 3}, **SMALL}
    config["ws_scale"] = [0.5, 1.0]
    experiment = from_mapping(config)
    here = list(execute(experiment))
    with worker_processes(2) as executor:
        there = list(execute(experiment, executor=executor, workers=2))
    for one, other in zip(here, there, strict=True):
        assert_same_results(one, other)


def test_every_setting_of_the_loss_is_in_a_runs_fingerprint():
    losses = [
        ("last", "mean", None), ("all", "mean", None), ([3], "mean", None), ("all", "sum", None),
        ("all", "mean", 3), ("every", "mean", None),
    ]  # fmt: skip
    runs = [run_of("rnn", "mse", at, reduce, cut) for at, reduce, cut in losses]
    fingerprints = Fingerprints()
    assert len({fingerprints.of(run, BOUNDS) for run in runs}) == len(runs)


# At any size: a linear scalar net, whose gradient is a geometric sum.


def scalar(g, T, at, truncate=None):
    loss = {"kind": "sum", "at": at, "reduce": "sum"} | ({"truncate": truncate} if truncate else {})
    config = {
        "cell": {"type": "rnn", "activation": "linear"}, "ws_init": "identity", "ws_scale": g,
        "hidden_size": 1, "input_size": 1, "batch_size": 2, "sequence_length": T,
        "input": "zeros", "loss": loss,
    }  # fmt: skip
    [result] = gradflow.analyze(config)
    return result


@pytest.mark.parametrize("g", [1e-200, 1e-60, 0.5, 1.0, 1e60])
def test_a_geometric_sum_far_outside_float_range(g):
    """dL/ds_{T-k} is the sum of g^j over the losses j steps later, and its largest is far above or
    below the others."""
    T, n = 60, 7
    found = scalar(g, T, {"every": n})
    steps = np.arange(n, T + 1, n)
    logs = []
    for t in range(T, -1, -1):
        powers = np.log10(g) * (steps[steps >= t] - t)
        logs.append(-np.inf if not len(powers) else powers.max()
                    + np.log10((10.0 ** (powers - powers.max())).sum()))  # fmt: skip
    assert_allclose(found.flow.state.log10(), logs, rtol=1e-12, atol=1e-12)
    assert found.flow.first == T - steps[-1]
    assert found.diagnosis.rate == pytest.approx(g, rel=1e-12)


def test_no_gradient_crosses_the_border_of_a_chunk():
    """With a loss at the last of 10 steps and chunks of 4 (1-4, 5-8, 9-10) two steps have terms."""
    found = scalar(0.5, 10, "last", truncate=4)
    assert_allclose(found.flow.state.floats(), [1, 0.5, *[0] * 9], rtol=1e-15)
    summed = scalar(0.5, 10, "all", truncate=4)
    chunk = [1, 1.5, 1.75, 1.875]  # s_4, s_8 and s_10 lie on the near side of a border
    expected = [1, 1.5, *chunk, *chunk, 0.9375]
    assert_allclose(summed.flow.state.floats(), expected, rtol=1e-15)


def test_entries_of_all_layers_add_up():
    """The pass is linear: what enters the outputs of two layers at once, where the lower one
    receives from above as well, gives the sum of what each gives."""
    [run] = from_mapping({"cell": BEYOND, **SMALL}).runs
    stack = random_stack(run.cell, layers=2, T=40, N=3)
    net = unroll_net(stack.cells, stack.params, stack.x, stack.s0)
    rng = np.random.default_rng(0)
    cotangents = {at: rng.standard_normal((41, 1, 3, c.S_all)) for at, c in stack.cells.items()}

    def entered(places):
        def entry(at, t, states):
            there = cotangents[at][t : t + len(states)].copy()
            there[: t == 0] = 0  # there is no step 0
            return there if at in places else None

        ds_T = {at: a[40] if at in places else 0 * a[40] for at, a in cotangents.items()}
        found = {at: [] for at in stack.cells}
        for at, block in net_blocks_backward(net, ds_T, losses=Losses(entry)):
            ds = near_one(block.ds)
            own = ds.value * np.exp2(np.maximum(ds.exponent, -1000))[..., None]
            found[at] += [own[: len(block.dz.value), ..., : stack.cells[at].S]]
        return {at: np.concatenate(blocks) for at, blocks in found.items()}

    both, upper, lower = entered([(0, 0), (1, 0)]), entered([(1, 0)]), entered([(0, 0)])
    for at, whole in both.items():
        assert_allclose(whole, upper[at] + lower[at], rtol=1e-11, atol=1e-13)


# What leaves float range


def test_a_loss_whose_gradient_is_not_finite_is_told_with_its_step():
    config = {
        "cell": {"type": "rnn", "activation": "linear"}, "ws_init": "identity", "ws_scale": 1e60,
        "hidden_size": 4, "batch_size": 2, "input_size": 2, "sequence_length": 6,
        "output_size": 2000, "loss": {"kind": "mse", "at": "all"},
        "wx_scale": 1e6,
    }  # fmt: skip
    [result] = gradflow.analyze(config)
    assert (result.diagnosis.verdict, result.diverged_at) == ("diverged", 6)
    [other] = gradflow.analyze({**config, "wx_scale": 1e-180})
    assert other.diverged_at is None
    assert np.isfinite(other.loss)


def test_nothing_is_kept_of_a_long_sequence_but_what_is_stated():
    """States are read from the tape; of two directions the outputs are kept, which is stated."""
    config = {
        "cell": "rnn", "sequence_length": 1500, "hidden_size": 64, "batch_size": 2, "input_size": 1,
        "tape_memory": "256KiB",
    }  # fmt: skip

    def peak(at, **more):
        [run] = from_mapping({**config, "loss": {"kind": "sum", "at": at}, **more}).runs
        tracemalloc.start()
        result_of(run)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found, sum(bytes_needed(run).values())

    outputs = 1500 * 2 * 64 * 8
    last, every = peak("last"), peak("all")
    assert every[0] - last[0] < 0.5 * outputs
    both = {"bidirectional": True}
    assert peak("all", **both)[1] - peak("last", **both)[1] > 2 * outputs


def test_before_the_last_step_of_the_loss_the_relative_gradient_is_empty(capsys, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("cell: gru\nsequence_length: 8\nloss: {kind: mse, at: [3, 5]}\n", "utf-8")
    _, out, _ = main(capsys, "analyze", path, "--format", "csv")
    rows = [*csv.DictReader(out.splitlines())]
    assert [row["relative"] == "" for row in rows] == [True] * 3 + [False] * 6
    assert [row["log10_grad_norm"] for row in rows[:3]] == ["-inf"] * 3
    assert float(rows[3]["relative"]) == 1
    _, out, _ = main(capsys, "analyze", path)
    assert "mse at steps 3 and 5" in out
    assert "relative: ‖∂L/∂s‖ over its value at lag 3" in " ".join(out.split())
    _, out, _ = main(capsys, "analyze", path, "--format", "json")
    [run] = json.loads(out)["runs"]
    assert run["objective"] == "mse at steps 3 and 5"
    assert run["relative"][:4] == [None, None, None, 1.0]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"at": "last"}, "mse at the last step"),
        ({"at": "all"}, "mse at every step"),
        ({"at": {"every": 2}}, "mse at every 2nd step"),
        ({"at": {"every": 3}, "reduce": "sum"}, "mse at every 3rd step, summed"),
        ({"at": [4]}, "mse at step 4"),
        ({"at": [7, 1, 3]}, "mse at steps 1, 3 and 7"),
        ({"at": [1, 2, 3, 4, 5, 7]}, "mse at 6 steps from 1 to 7"),
        ({"at": "all", "truncate": 5}, "mse at every step, cut off every 5 steps"),
    ],
    ids=str,
)
def test_what_is_said_of_a_loss(loss, said):
    [run] = from_mapping({"cell": "rnn", "loss": {"kind": "mse", **loss}, **SMALL}).runs
    assert run.objective == said
