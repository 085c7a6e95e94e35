"""What must not become slow: calls and operations a step, and the ratio to bare products."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest

from benchmarks import cells, ours
from benchmarks import cores as all_cores
from benchmarks.problems import GRID, NAMES, OPERATIONS, Problem, draw, problems
from benchmarks.processes import environment
from benchmarks.report import Setting, markdown
from benchmarks.timing import Ratio, Times, side_by_side
from effort import least_processor_seconds
from gradflow.cells import unfused

CALLS_PER_STEP = {"rnn": 15, "lstm": 35, "gru": 35}  # of functions, by the interpreter


class Counted(np.ndarray):
    """Counts every NumPy operation on it, and on what comes of it."""

    operations = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        Counted.operations += 1
        bare = [a.view(np.ndarray) if isinstance(a, Counted) else a for a in inputs]
        if out:
            options["out"] = tuple(a.view(np.ndarray) for a in out)
        result = getattr(ufunc, method)(*bare, **options)
        return out[0] if out else result.view(Counted)


def calls(problem):
    """Python-level calls, of Python and of C functions, that one pass makes."""
    task, count = ours.gradflow(draw(problem)), 0
    task()

    def seen(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        task()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", NAMES)
def test_a_step_more_costs_a_bounded_number_of_calls(name):
    """Forward and backward together, what is done once a block included."""
    short, long = (calls(Problem(name, T, 8, 2, "float64")) for T in (256, 768))
    per_step = (long - short) / 512
    assert 1 < per_step <= CALLS_PER_STEP[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_and_its_pullback_take_no_more_operations_than_they_do_today(name):
    net = draw(Problem(name, 1, 4, 2, "float64"))
    cell = net.cell
    w = cell.bind(unfused(cell, net.params))
    for attribute, value in vars(w).items():
        if isinstance(value, np.ndarray):
            setattr(w, attribute, value.view(Counted))
    z, saved, s, s_next, x, local, dz, ds_prev = (
        np.zeros((2, width)).view(Counted)
        for width in (cell.G, cell.saved, cell.S, cell.S, cell.I, cell.local, cell.G_all, cell.S)
    )
    cell.prepare(z, saved, x, w)
    views = cell.forward_views(z, saved, s, s_next, x)
    Counted.operations = 0
    cell.step(views, w)
    forward = Counted.operations
    with np.errstate(all="ignore"):
        cell.linearize(z, saved, s, s_next, x, local, w)
    views = cell.backward_views(local, s, dz, ds_prev)
    Counted.operations = 0
    cell.pullback(views, w)
    assert 2 < forward + Counted.operations <= OPERATIONS[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_wide_net_spends_its_time_in_matrix_products(name):
    net = draw(Problem(name, 20, 256, 32, "float64"))
    whole, products = map(least_processor_seconds, (ours.gradflow(net), ours.bare_products(net)))
    assert whole < 4 * products


def test_tasks_are_timed_in_turn_each_first_once_after_a_round_that_does_not_count():
    done = []
    times = side_by_side({n: partial(done.append, n) for n in "ab"}, rounds=3, seconds=100.0)
    assert "".join(done) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(found.seconds) for name, found in times.items()} == {"a": 3, "b": 3}


def test_the_grid_is_every_cell_at_every_point_in_both_dtypes():
    assert len(set(problems())) == 2 * len(NAMES) * len(GRID)
    net = draw(Problem("lstm", 3, 4, 2, "float32"))
    arrays = (*net.params[:4], net.x, net.s0, net.v)
    assert {a.dtype for a in arrays} == {np.dtype("float32")}
    assert net.x.shape == (3, 2, 16)


def test_ratios_come_from_medians_and_give_their_middle_half():
    ratio = Ratio.of(Times((2.0, 4.0, 6.0, 8.0, 90.0)), Times((1.0, 1.0, 2.0, 2.0, 3.0)))
    assert ratio == Ratio(of_medians=3.0, of_least=2.0, low=3.0, high=4.0)


def test_the_report_says_which_levels_are_reached():
    names = ("gradflow", "share", "loop", "fused", "scan", "products")
    seconds = {"gradflow": 1.0, "share": 1.5, "loop": 12.0, "fused": 0.5, "scan": 2.0}
    found = {
        Problem("rnn", 200, 256, 32, "float64"): {
            name: Times((seconds.get(name, 0.8),) * 3) for name in names
        }
    }
    settings = [Setting("One core", 1, found), Setting("2 cores", 2, {})]
    text = markdown(settings, {}, [0.5, 1.5], "numpy 2.0")
    assert "## One core, float64" in text
    assert "2 cores" not in text.split("## One core")[1]
    assert "| rnn | 200, 256, 32 | 1e+03 ms | 12.00 (12.00-12.00) |" in text
    assert "| 10x faster than the loop, H <= 256 | 1 of 1 |" in text
    assert "| as fast as the fused modules, float64 | 0 of 1 |" in text
    assert "0.50 of the level | 1 |" in text  # fused takes less than the products
    assert "| within 1.3x of the products, H >= 256 | 1 of 1 |" in text
    assert "H = 1024" not in text
    sweeps = {"rnn": {"a command each": 300.0, "default": 1.5}}
    text = markdown(settings, {}, [0.5], "", sweeps, "| all | products |\n")
    assert "| rnn | 300 (200x) | 1.5 (1x) |" in text
    assert "| all | products |" in text


def test_the_report_of_all_cores_says_what_they_gain():
    seconds = {"gradflow": 0.5, "share": 0.6, "alone": 1.2, "loop": 1.0, "fused": 1.0, "scan": 1.0}
    found = {
        Problem("rnn", 100, H, 32, "float64"): {
            name: Times((seconds.get(name, 0.8),) * 3) for name in (*seconds, "products")
        }
        for H in (256, 512, 1024)
    }
    of_one = {"gradflow": Times((0.5,)), "AVX2": Times((0.6,)), "torch": Times((1.5,))}
    single = {(100, 512, 32): of_one}
    busy = {"gradflow": Times((0.5,)), "torch": Times((1.5,)), "jax": Times((4.0,))}
    settings = [Setting("2 cores", 2, found)]
    text = markdown(settings, busy, [0.5], "", single=single)
    assert "| + share | alone |" in text
    assert text.count("| 1.20 (1.20-1.20) | 2.00 (2.00-2.00) |") == 3
    assert "| 1.6x faster than on one core, H = 512 | 1 of 1 |" in text
    assert "| 1.75x faster than on one core, H = 1024 | 1 of 1 |" in text
    assert "| as fast as on one core, H <= 256 | 1 of 1 |" in text
    assert "| 100, 512, 32 | 0.50 | 1.50 | 3.00 (3.00-3.00) | 0.60 | 2.50 (2.50-2.50) |" in text


def test_nothing_that_the_machine_has_set_for_linear_algebra_is_in_the_environment(monkeypatch):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    found = environment({"OPENBLAS_NUM_THREADS": "3"})
    kept = {name: value for name, value in found.items() if name.startswith(("OPENBLAS_", "OMP_"))}
    assert kept == {"OPENBLAS_NUM_THREADS": "3"}


@pytest.mark.parity
@pytest.mark.parametrize("name", NAMES)
def test_every_contestant_computes_the_same(name):
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    from benchmarks import with_jax, with_torch

    net = draw(Problem(name, 12, 5, 3, "float64"))
    (flow,) = ours.gradflow(net)()
    curve = flow.state.floats()[:-1][::-1]
    gradients, scanned = with_jax.scan(net)()
    np.testing.assert_allclose(scanned, curve, rtol=1e-9)
    totals = [np.linalg.norm(gradient) / 3 for gradient in gradients[:2]]
    expected = [flow.totals[which].floats() for which in ("W_x", "W_s")]
    np.testing.assert_allclose(totals, expected, rtol=1e-9)
    with_torch.fused(net)()
    looped = with_torch.loop(net)()
    if name != "lstm":  # PyTorch counts c's way through h as well
        np.testing.assert_allclose(looped, curve, rtol=1e-9)
    assert looped.shape == curve.shape


def test_every_cell_can_be_timed_next_to_the_lstm(monkeypatch):
    for name, size in {"T": 3, "H": 4, "N": 2, "I": 3}.items():
        monkeypatch.setattr(cells, name, size)
    made = {name: cells.task(name) for name in ("lstm", "gru", "sru")}
    for run, _ in made.values():
        run()
    times = {name: Times((1e-3,)) for name in made}
    text = "\n".join(cells.table(times, {name: size for name, (_, size) in made.items()}))
    assert "| lstm | 8 | 1.0 | 1.00 | 1.00 | 1.00 | 1.00 |" in text
    assert "| gru | 4 | 1.0 | 2.00 | 1.50 |" in text
    assert "More than 1.5 times the LSTM's: gru, sru." in text


def test_all_cores_are_timed_against_one():
    """A line for each problem; rounds that others disturbed are left out unless all were."""
    heading, rule, line = all_cores.table([Problem("lstm", 2, 8, 2, "float32")], 2, 0.0)
    assert heading.count("|") == rule.count("|") == line.count("|")
    cell, dtype, shape, *_, count = (field.strip() for field in line.strip("|").split("|"))
    assert (cell, dtype, shape) == ("lstm", "float32", "2, 8, 2")
    assert int(count) >= 1
