from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gradflow.config.load import from_mapping
from gradflow.errors import InputError
from gradflow.runs import sampling
from gradflow.runs.losses import objective

SIZES = {"hidden_size": 6, "input_size": 3, "batch_size": 4, "sequence_length": 5}
FIRST = (0, 0)


def run_of(**config):
    [run] = from_mapping({"cell": "lstm", "bias_scale": 0.5, **SIZES, **config}).runs
    return run


def drawn(run):
    """Everything random in a run, by name."""
    s_T = {at: np.ones((run.batch_size, run.cells[at].S_all)) for at in run.places}
    W_o, b_o = sampling.output_layer(run)
    params = sampling.parameters(run)[FIRST]
    by_role = {}
    for parameter in run.cells[FIRST].parameters.values():
        by_role.setdefault(parameter.role, []).append(params[parameter.name])
    return {
        **{
            "input_weights" if role == "input" else role: np.concatenate(arrays)
            for role, arrays in by_role.items()
        },
        "input": sampling.inputs(run),
        "initial_state": sampling.initial_state(run)[FIRST],
        "W_o": W_o,
        "b_o": b_o,
        "loss": objective(run).value(s_T, 0),
    }


def differing(one, other):
    return {name for name in one if not np.array_equal(one[name], other[name])}


def test_another_scale_is_the_same_base_times_another_number():
    base, other = (drawn(run_of(ws_scale=g)) for g in (1.0, 3.0))
    assert differing(base, other) == {"recurrent"}
    assert_array_equal(other["recurrent"], 3.0 * base["recurrent"])
    other = drawn(run_of(wx_scale=0.25))
    assert differing(base, other) == {"input_weights"}
    assert_array_equal(other["input_weights"], 0.25 * base["input_weights"])
    other = drawn(run_of(bias_scale=1.0))
    assert differing(base, other) == {"bias", "b_o", "loss"}
    assert_array_equal(other["bias"], 2 * base["bias"])


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"input": {"kind": "gaussian", "scale": 2.0}}, {"input"}),
        ({"input": "zeros"}, {"input"}),
        ({"initial_state": {"kind": "gaussian", "scale": 1.0}}, {"initial_state"}),
        ({"loss": {"kind": "mse", "target": 0.0}}, {"loss"}),
        ({"loss": "sum"}, {"loss"}),
        ({"ws_init": "orthogonal"}, {"recurrent"}),
        ({"wx_init": "uniform"}, {"input_weights"}),
        ({"cell": {"type": "lstm", "forget_bias": 1.0}}, {"bias"}),
        ({"seed": 1}, {"input_weights", "recurrent", "bias", "input", "W_o", "b_o", "loss"}),
    ],
    ids=lambda value: " ".join(map(str, sorted(value))) if isinstance(value, set) else str(value),
)
def test_each_kind_of_draw_has_a_stream_of_its_own(change, changed):
    assert differing(drawn(run_of()), drawn(run_of(**change))) == changed


def test_a_longer_sequence_starts_with_the_same_inputs():
    short, long = (sampling.inputs(run_of(sequence_length=T)) for T in (5, 50))
    assert_array_equal(short, long[:5])


def test_same_seed_same_numbers():
    assert differing(drawn(run_of()), drawn(run_of())) == set()


def test_a_named_bias_option_is_added_in_total():
    plain, biased = (drawn(run_of(cell={"type": "lstm", "forget_bias": b})) for b in (0.0, 2.5))
    added = (biased["bias"] - plain["bias"]).reshape(4, -1)
    assert_allclose(added, np.array([[0], [2.5], [0], [0]]) * np.ones(6), atol=1e-14)


def test_sizes_and_spread_of_the_draws():
    run = run_of(hidden_size=200, input_size=50, batch_size=100, sequence_length=20, output_size=3)
    found = drawn(run)
    assert found["input_weights"].shape == (800, 50)
    assert found["recurrent"].shape == (800, 200)
    assert found["W_o"].shape == (3, 200)
    assert found["input"].shape == (20, 100, 50)
    for name, spread in (
        ("input_weights", 50**-0.5),
        ("recurrent", 200**-0.5),
        ("input", 1.0),
        ("bias", 0.5**0.5),
    ):
        assert_allclose(found[name].std(), spread, rtol=0.1)


def test_a_projection_is_drawn_from_a_stream_of_its_own():
    sizes = {"hidden_size": 90, "output_size": 2}
    plain, wide, narrow = (
        drawn(run_of(cell=cell, **sizes))
        for cell in ("lstm", *({"type": "lstmp", "proj_size": P} for P in (90, 60)))
    )
    assert set(wide) - set(plain) == {"other"}
    assert differing(plain, wide) == set()
    assert narrow["other"].shape == (60, 90)
    assert narrow["recurrent"].shape == (360, 60)
    assert narrow["W_o"].shape == (2, 60)
    for name, spread in (("other", 90**-0.5), ("recurrent", 60**-0.5)):
        assert_allclose(narrow[name].std(), spread, rtol=0.05)


def test_dtype_is_that_of_the_config():
    for dtype in ("float32", "float64"):
        found = drawn(run_of(cell="lstmp", dtype=dtype))
        assert {found[name].dtype.name for name in found if name != "loss"} == {dtype}


@pytest.mark.parametrize(
    ("cell", "name"), [("mlstm", "b_o"), ("qrnn", "b_o"), ("sru", "b_r"), ("lstm", "b_o")]
)
def test_biases_that_only_the_output_reads_follow_bias_scale_too(cell, name):
    none, one, half = (
        sampling.parameters(run_of(cell=cell, hidden_size=500, bias_scale=scale))[0, 0][name]
        for scale in (0.0, 1.0, 0.5)
    )
    assert not none.any()
    assert_allclose(half, one / 2, rtol=1e-15)
    assert_allclose(one.std(), 2**0.5 if cell == "lstm" else 1.0, rtol=0.1)


def test_a_forget_bias_is_added_to_what_spreads_the_biases():
    def b_f(**cell):
        return sampling.parameters(run_of(cell=cell, hidden_size=20))[0, 0]["b_f"]

    for spread in ({"type": "lstm", "chrono": 100.0}, {"type": "slstm"}):
        assert_allclose(b_f(**spread, forget_bias=3.0), b_f(**spread) + 3, rtol=1e-14)


def test_initial_values_keep_their_digits_at_small_steps():
    for step in (1e-12, 1e-17):
        for cell, name in (("s6", "b_d"), ("gated_deltanet", "b_g")):
            own = {"type": cell, "dt_min": step, "dt_max": step}
            drawn = sampling.parameters(run_of(cell=own))[0, 0][name]
            assert_allclose(np.log1p(np.exp(drawn)), step, rtol=1e-13)
    radius = {"type": "lru", "r_min": 0.0, "r_max": 1e-200}
    sizes = np.exp(
        -np.exp(sampling.parameters(run_of(cell=radius, hidden_size=300))[0, 0]["nu_log"])
    )
    assert_allclose(np.mean((sizes / 1e-200) ** 2), 0.5, rtol=0.15)
    assert sizes.max() <= 1e-200 * (1 + 1e-12)


def test_what_published_code_starts_from():
    first = sampling.parameters(run_of(cell="rwkv4", hidden_size=200))[0, 0]["u"]
    by_turns = [0.5 * ((unit + 1) % 3 - 1) for unit in range(200)]  # BlinkDL's time_first
    assert_allclose(first, np.log(0.3) + by_turns, rtol=0, atol=1e-12)
    decays = [
        np.exp(sampling.parameters(run_of(cell="gated_deltanet", seed=seed))[0, 0]["A_log"][0])
        for seed in range(200)
    ]
    assert min(decays) < 0.5
    assert 15.5 < max(decays) < 16


def test_a_draw_from_nothing_names_its_cell_and_parameter():
    own = {
        "type": "equations",
        "state": {"h": "H"},
        "parameters": {"W": ["H", "I"], "b": {"shape": "H", "init": "uniform(H, 10)"}},
        "step": "h[t] = tanh(W @ x[t] + b)",
    }
    run = from_mapping({"cell": own, "hidden_size": 12}).runs[0]
    with pytest.raises(InputError, match=r"equations: b: uniform\(12, 10\) is empty"):
        sampling.parameters(run)
