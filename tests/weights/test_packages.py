"""Layouts of packages of newer cells: what is read gives the outputs of the package's equations,
written out here one step after the other."""

from __future__ import annotations

import numpy as np
import pytest
from net_equations import sigmoid
from package_nets import NETS, H, I, N, T, lru, mamba, mingru, mlstm, normal, s5, slstm
from weight_writers import write_npz, write_pickle

import gradflow
from gradflow.cells import CELLS
from gradflow.config.load import load
from gradflow.engine.network import unroll_net
from gradflow.errors import InputError
from gradflow.inspection import inspect
from gradflow.runs.sampling import initial_state, inputs, parameters
from gradflow.weights import choose_net
from gradflow.weights.given import given
from gradflow.weights.readers import read as read_file
from nets import mapped


def outputs(run):
    """(N, P): what the last step gives out, by the engine."""
    params = {at: mapped(p, lambda a: a[None]) for at, p in parameters(run).items()}
    start = {at: s[None] for at, s in initial_state(run).items()}
    last = unroll_net(run.cells, params, inputs(run)[:, None], start).last[0, 0][0]
    return last[..., run.cells[0, 0].outputs]


def read(folder, arrays, x):
    """The run of the config that `inspect` prints for a file, on an input (T, N, I)."""
    found = inspect(write_npz(folder / "net.npz", arrays))
    assert found.config is not None
    np.save(folder / "x.npy", x)
    text = found.config.replace("input: gaussian", "input: {file: x.npy}")
    path = folder / "config.yaml"
    path.write_text(text.replace("sequence_length: 100\n", ""), encoding="utf-8")
    (run,) = load(path).runs
    return run


@pytest.mark.parametrize("name", NETS)
def test_what_is_read_computes_what_the_package_does(tmp_path, name):
    arrays, step, state, width = NETS[name]
    x = normal(T, N, width)
    run = read(tmp_path, arrays, x)
    assert run.cell.name == name.split()[0]
    for x_t in x:
        state, out = step(state, x_t)
    np.testing.assert_allclose(outputs(run), out, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_a_net_that_is_read_is_the_product_of_its_gates(tmp_path):
    weights = {"to_hidden_and_gate.weight": normal(2, I)}
    x = normal(T, 1, I)
    read(tmp_path, weights, x)
    (result,) = gradflow.analyze(str(tmp_path / "config.yaml"))
    z = sigmoid(x @ weights["to_hidden_and_gate.weight"][1])[:, 0]
    kept = np.cumsum(np.log10(1 - z)[::-1])
    found = result.flow.state.log10()
    np.testing.assert_allclose(found[1:] - found[0], kept, atol=1e-12)


@pytest.mark.parametrize("name", ["lru", "s5"])
@pytest.mark.parametrize("scale", ["1", "0", "[1, 2]"])
def test_decays_of_a_file_are_not_scaled(tmp_path, name, scale):
    arrays, *_, width = NETS[name]
    run = read(tmp_path, arrays, normal(T, N, width))
    assert run.ws_scale is None
    with pytest.raises(InputError, match=f"the recurrent weights of {name} have their own `init`"):
        load(tmp_path / "config.yaml", [f"ws_scale={scale}"])


def test_own_initial_values_of_named_parameters_are_not_scaled_but_drawn_ones_are():
    """`e_m` of the lmu starts from 0, whatever `ws_scale`; `U_m` of it is drawn."""
    cell = CELLS["lmu"]().sized(3, 2)
    arrays = {p.name: normal(*p.shape) for p in cell.parameters.values() if p.trained}
    config = {
        "cell": "lmu", "ws_scale": 2.0, "wx_scale": 3.0, "sequence_length": 4,
        "weights": {"parameters": {name: name for name in arrays}},
    }  # fmt: skip
    (run,) = gradflow.load(config, weights=arrays).runs
    found = parameters(run)[0, 0]
    factors = {name: found[name].flat[0] / array.flat[0] for name, array in arrays.items()}
    roles = {p.name: p.role for p in cell.parameters.values()}
    for name, factor in factors.items():
        wanted = {"recurrent": 2.0, "input": 3.0}.get(roles[name], 1.0)
        assert factor == pytest.approx(1.0 if name == "e_m" else wanted), name


def test_each_head_of_an_mlstm_is_a_net(tmp_path):
    arrays, step, state, width = mlstm(heads=2)
    found = inspect(write_npz(tmp_path / "net.npz", arrays))
    assert [net.prefix for net in found.nets] == ["head0", "head1"]
    x = normal(T, N, width)
    run = read(tmp_path, arrays, x)
    for x_t in x:
        state, out = step(state, x_t)
    np.testing.assert_allclose(outputs(run), out, rtol=1e-12, atol=1e-12)


def write_h5(path, arrays):
    with pytest.importorskip("h5py").File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name.replace(".", "/"), data=array, chunks=True, compression="gzip")
            file[f"plain/{name.replace('.', '/')}"] = array
    return path


@pytest.mark.parametrize("form", ["state dict", "npz", "pkl", "h5"])
@pytest.mark.parametrize("dtype", [">c16", np.complex64])
@pytest.mark.parametrize("name", ["lru", "s5 apart"])
def test_complex_tensors_are_read_from_every_kind_of_file(tmp_path, name, form, dtype):
    arrays = dict(NETS[name][0])
    prefix = "seq." if name == "s5 apart" else ""
    pairs = ["Lambda"] if prefix else ["B", "C"]
    joined = {k: a for k, a in arrays.items() if "_re" not in k and "_im" not in k}
    for pair in pairs:
        both = arrays[f"{prefix}{pair}_re"] + 1j * arrays[f"{prefix}{pair}_im"]
        joined[prefix + pair] = both.astype(dtype)
    writers = {"npz": write_npz, "pkl": write_pickle, "h5": write_h5}
    if form == "state dict":
        tensors = given({k: a.astype(a.dtype.newbyteorder("=")) for k, a in joined.items()})
    else:
        tensors = read_file(writers[form](tmp_path / f"net.{form}", joined))
    where = "plain/seq" if prefix else "plain"
    (one,) = choose_net(tensors, where if form == "h5" else None)
    (apart,) = choose_net(given(arrays))
    assert apart.arrays.keys() == one.arrays.keys()
    tolerance = 1e-6 if dtype == np.complex64 else 0
    for k, array in apart.arrays.items():
        np.testing.assert_allclose(one.arrays[k], array, rtol=tolerance, atol=tolerance)


# Near misses: each is one clear message


def without(arrays, *names):
    return {name: a for name, a in arrays.items() if name not in names}


MISSES = [
    (
        {"to_hidden_and_gate.weight": normal(7, 3)},
        "tensor 'to_hidden_and_gate.weight': expected 2 blocks of H rows, found the shape (7, 3)",
    ),
    (
        without(lru()[0], "theta_log"),
        "tensor 'theta_log' is missing: the net '' has 'nu_log'",
    ),
    (
        lru()[0] | {"B_re": normal(I, H)},
        "tensor 'B_re': expected the shape (H, I) = (4, 3), found (3, 4): it is transposed",
    ),
    (
        lru()[0] | {"C_im": normal(H, 2)},
        "tensor 'C_im': expected the shape (P, H) = (4, 4), found (4, 2)",
    ),
    (lru(P=H + 1)[0], "cannot be computed: it has 5 outputs of 4 units, and lru has one a unit"),
    (
        without(mamba()[0], "mixer.dt_proj.bias"),
        "tensor 'mixer.dt_proj.bias' is missing: the net 'mixer' has 'mixer.A_log'",
    ),
    (
        mamba()[0] | {"mixer.x_proj.weight": mamba()[0]["mixer.x_proj.weight"].T},
        "expected the shape (R + 2 N, H) = (12, 4), found (4, 12): it is transposed",
    ),
    (
        mamba()[0] | {"mixer.dt_layernorm.weight": normal(2)},
        "cannot be computed: it has 'mixer.dt_layernorm.weight', which s6 has not",
    ),
    (
        without(slstm()[0], "xlstm.slstm_cell._bias_"),
        "tensor 'xlstm.slstm_cell._bias_' is missing: the net 'xlstm' has",
    ),
    (
        without(slstm()[0], "xlstm.ogate.weight"),
        "tensor 'xlstm.ogate.weight' is missing: the net 'xlstm' has",
    ),
    (
        slstm()[0] | {"xlstm.slstm_cell._recurrent_kernel_": normal(2, 8, 3)},
        "expected the shape (heads, 4 d, d), (heads, d, 4 d) or (heads, d, 4, d), found (2, 8, 3)",
    ),
    (
        without(mlstm()[0], "fgate.weight"),
        "tensor 'fgate.weight' is missing: the net '' has 'igate.weight'",
    ),
    (
        mlstm()[0] | {"igate.weight": normal(1, 13)},
        "expected (heads, 3 E), E a multiple of heads, found (1, 13)",
    ),
    (
        mingru()[0] | {"to_hidden_and_gate.weight": np.full((8, 3), np.nan)},
        "tensor 'to_hidden_and_gate.weight' holds nan at [0, 0]: expected finite numbers",
    ),
    (
        {"to_hidden_and_gate.weight": np.ones((8, 3), int)},
        "expected floating-point numbers, found int64",
    ),
    (
        without(s5()[0], "seq.C"),
        "tensor 'seq.C' is missing: the net 'seq' has",
    ),
    (
        s5()[0] | {"seq.C": normal(I, 2 * H, 2)},
        "tensor 'seq.C' is of a layer of both directions, 2 H = 8 columns, which is not computed",
    ),
    (
        s5()[0] | {"seq.C": normal(I, 2 * H + 1, 2)},
        "tensor 'seq.C': expected the shape (I, H, 2) = (3, 4, 2), found (3, 9, 2)",
    ),
    (
        mamba()[0] | {"mixer.A_log_b": normal(H, 5), "mixer.D_b": normal(H)},
        "tensor 'mixer.A_log_b' is of a block of both directions, whose sum is not computed here",
    ),
    (
        mamba()[0] | {"mixer.dt_proj.lora_A": normal(H, 2)},
        "tensor 'mixer.dt_proj.lora_A', next to 'mixer.A_log', is none of what mambapy has there",
    ),
    (
        s5()[0] | {"seq.gate": normal(H)},
        "tensor 'seq.gate', next to 'seq.B', is none of what s5-pytorch has there: the net 'seq' "
        "is of another kind",
    ),
    (
        slstm()[0] | {"xlstm.igate.bias": normal(H)},
        "tensor 'xlstm.igate.bias', next to",
    ),
    (
        {f"a.{name}": array for name, array in (mlstm()[0] | {"ogate": normal(H)}).items()},
        "tensor 'a.ogate', next to 'a.igate.weight', is none of what xlstm has there",
    ),
    (
        {f"{at}.to_hidden_and_gate.weight": normal(8, 3) for at in "ab"},
        "expected one recurrent net, found 2: give one as prefix: 'a', 'b'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "message"), MISSES, ids=[m[:40] for _, m in MISSES])
def test_a_near_miss_is_one_clear_message(arrays, message):
    with pytest.raises(InputError) as error:
        choose_net(given(arrays))
    assert len(error.value.faults) == 1
    assert message in error.value.faults[0].message


@pytest.mark.parametrize("more", ["mixer.conv1d_b.weight", "mixer.conv1d.bias", "norm"])
def test_what_is_around_a_layer_is_none_of_it(more):
    """The block's convolution and what is next to the block."""
    (layer,) = choose_net(given(mamba()[0] | {more: normal(H, 1, 4)}))
    assert len(layer.notes) == 1


def test_what_lies_next_to_a_layer_at_the_top_of_a_file_is_noted():
    (layer,) = choose_net(given(lru()[0] | {"head_weight": normal(2, H), "epoch": np.ones(1)}))
    assert layer.notes == (
        "next to 'nu_log' and not read, as no part of the layer: 'head_weight', 'epoch'",
    )
    aside = {"to_out.bias": normal(I), "to_out.weight": normal(I, H)}
    (layer,) = choose_net(given(mingru()[0] | aside))
    assert len(layer.notes) == 1


@pytest.mark.parametrize("form", ["in memory", "npz"])
def test_the_head_of_an_lru_reads_the_outputs_that_the_file_has(tmp_path, form):
    """C and D of 2 outputs are filled up to 4 with zeros, and W_o with them."""
    arrays, step, state, width = lru(P=2)
    arrays |= {"head.weight": normal(1, 2), "head.bias": normal(1)}
    x = normal(T, N, width)
    loss = {"kind": "mse", "target": 0.0}
    config = {"cell": "lru", "loss": loss, "weights": {"W_o": "head.weight", "b_o": "head.bias"}}
    if form == "npz":
        found = inspect(write_npz(tmp_path / "net.npz", arrays))
        assert "# W_o: head.weight" in found.config
        config["weights"]["file"] = str(tmp_path / "net.npz")
        (result,) = gradflow.analyze(config, input=x)
    else:
        (result,) = gradflow.analyze(config, weights=arrays, input=x)
    for x_t in x:
        state, out = step(state, x_t)
    wanted = out[:, :2] @ arrays["head.weight"].T + arrays["head.bias"]
    assert result.loss == pytest.approx(0.5 * float((wanted**2).mean()), rel=1e-12)
    assert "rows of zeros for them, by which grad_other counts too" in result.notes[0]
    wrong = {**config, "weights": {**config["weights"], "W_o": "nu_log"}}
    with pytest.raises(InputError, match=r"expected W_o of shape \(O, 2\), found \(4,\)"):
        gradflow.analyze(wrong, input=x, **({} if form == "npz" else {"weights": arrays}))


def test_an_slstm_says_which_function_it_is_read_as():
    (layer,) = choose_net(given(NETS["slstm"][0]))
    assert layer.notes[0].startswith("read as of function slstm, which the file does not say")


def test_a_net_of_pytorch_beside_them_is_still_the_one_that_is_meant():
    lstm = {"lstm.weight_ih_l0": normal(4 * H, I), "lstm.weight_hh_l0": normal(4 * H, H)}
    minimal = {f"min.{name}": a for name, a in mingru()[0].items()}
    assert [one.cell for one in choose_net(given(minimal | lstm))] == ["lstm"]
    assert [one.cell for one in choose_net(given(minimal | lstm), "min")] == ["mingru"]


def test_wrappers_are_left_out_of_a_prefix():
    arrays = {f"module._orig_mod.{name}": a for name, a in mingru()[0].items()}
    (layer,) = choose_net(given(arrays))
    assert layer.prefix == ""


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("{type: mingru, candidate: plain}", "expected positive, which net.npz has, found plain"),
        ("{type: mingru, update_bias: 1}", "update_bias makes initial values, and these come from"),
        ("lstm", "expected mingru, which net.npz has, found lstm"),
    ],
)
def test_what_a_config_says_beside_the_file_is_held_to_it(tmp_path, cell, message):
    write_npz(tmp_path / "net.npz", mingru()[0])
    path = tmp_path / "config.yaml"
    path.write_text(f"weights: net.npz\ncell: {cell}\nsequence_length: 5\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load(path)


def test_nets_of_a_list_are_stacked(tmp_path):
    arrays = {f"{k}.to_hidden_and_gate.weight": normal(2 * H, (I, H)[k]) for k in (0, 1)}
    below, above = choose_net(given(arrays), ["0", "1"])
    assert (below.layer, above.layer, above.input_size) == (0, 1, H)
    arrays["1.to_hidden_and_gate.weight"] = normal(2 * H, H + 1)
    with pytest.raises(InputError, match="expected 4 columns for the outputs of the layer below"):
        choose_net(given(arrays), ["0", "1"])
