"""Layouts of packages of newer cells: what is read gives the outputs of the package's equations,
written out here one step after the other."""

from __future__ import annotations

import numpy as np
import pytest
from net_equations import sigmoid
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

H, I, T, N = 4, 3, 6, 2  # noqa: E741


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def softplus(z):
    return np.logaddexp(0, z)


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


def positive(v):
    return np.where(v >= 0, v + 0.5, sigmoid(v))


def mingru():
    W = normal(2 * H, I)

    def step(h, x):
        n, z = np.split(x @ W.T, 2, axis=1)
        h = (1 - sigmoid(z)) * h + sigmoid(z) * positive(n)
        return h, h

    return (
        {"to_hidden_and_gate.weight": W, "to_out.weight": normal(I, H)},
        step,
        np.zeros((N, H)),
        I,
    )


def minlstm():
    W = normal(3 * H, I)

    def step(h, x):
        n, f, i = np.split(x @ W.T, 3, axis=1)
        f, i = sigmoid(f), sigmoid(i)
        h = (f * h + i * positive(n)) / (f + i)
        return h, h

    return {"net.to_hidden_and_f_i_gate.weight": W}, step, np.zeros((N, H)), I


def lru(P=H, diagonal=False):
    inputs = P if diagonal else I
    nu, theta, gamma = normal(H), normal(H), 0.1 * normal(H)
    B, C = normal(H, inputs) + 1j * normal(inputs, H).T, normal(P, H) + 1j * normal(H, P).T
    D = normal(P) if diagonal else normal(P, inputs)
    decay = np.exp(-np.exp(nu) + 1j * np.exp(theta))

    def step(h, x):
        h = decay * h + np.exp(gamma) * (x @ B.T)
        y = (h @ C.T).real + (D * x if diagonal else x @ D.T)
        return h, np.pad(y, ((0, 0), (0, H - P)))

    arrays = {"nu_log": nu, "theta_log": theta, "gamma_log": gamma, "D": D}
    for letter, array in (("B", B), ("C", C)):
        arrays |= {f"{letter}_re": array.real, f"{letter}_im": array.imag}
    return arrays, step, np.zeros((N, H), complex), inputs


def s5(apart=False):
    """S5 by zero-order hold, Λ complex or its parts `apart`."""
    rate, phase, log_step, D = np.exp(normal(H)), normal(H + 1)[1:], 0.3 * normal(H), normal(I)
    B, C = normal(H, I, 2), normal(I, H, 2)
    Lambda = -rate + 1j * phase
    decay = np.exp(Lambda * np.exp(log_step))
    B_bar = ((decay - 1) / Lambda)[:, None] * (B[..., 0] + 1j * B[..., 1])

    def step(h, x):
        h = decay * h + x @ B_bar.T
        return h, (h @ (C[..., 0] + 1j * C[..., 1]).T).real + D * x

    arrays = {"B": B, "C": C, "D": D, "log_step": log_step[:, None] if apart else log_step}
    if apart:
        arrays |= {"Lambda_re": Lambda.real, "Lambda_im": Lambda.imag}
    else:
        arrays |= {"Lambda": np.stack([Lambda.real, Lambda.imag], axis=-1)}
    return {f"seq.{name}": a for name, a in arrays.items()}, step, np.zeros((N, H), complex), I


def mamba(S=5, R=2):
    arrays = {
        "A_log": 0.3 * normal(H, S), "D": normal(H), "x_proj.weight": normal(R + 2 * S, H),
        "dt_proj.weight": normal(H, R), "dt_proj.bias": normal(H),
        "in_proj.weight": normal(2 * H, I), "conv1d.weight": normal(H, 1, 4),
    }  # fmt: skip
    A, D, project, V, b = list(arrays.values())[:5]

    def step(h, x):
        d, B, C = np.split(x @ project.T, [R, R + S], axis=1)
        d = softplus(d @ V.T + b)[..., None]
        h = np.exp(-d * np.exp(A)) * h + d * B[:, None] * x[..., None]
        return h, (h @ C[..., None])[..., 0] + D * x

    return {f"mixer.{name}": a for name, a in arrays.items()}, step, np.zeros((N, H, S)), H


def slstm(heads=2, form="CPU", conv=True, bare=False):
    """U (4, heads, out, in), W (4, heads, out, in), b (4, heads, out), gates i f z o."""
    d = H // heads
    U, W, b = normal(4, heads, d, d), normal(heads, 4, d, d).swapaxes(0, 1), normal(4, heads, d)
    kernel = {
        "CPU": U.transpose(1, 0, 2, 3).reshape(heads, 4 * d, d),
        "GPU": U.transpose(1, 3, 0, 2).reshape(heads, d, 4 * d),
        "full": U.transpose(1, 3, 0, 2),
    }[form]
    bias = (b if form == "CPU" else b.transpose(1, 0, 2)).ravel()
    cell = {"_recurrent_kernel_": kernel, "_bias_": bias}
    # the package makes i of the tensor that it calls fgate, and f of igate
    layer = {f"{name}gate.weight": block for name, block in zip("fizo", W, strict=True)}
    layer |= {f"slstm_cell.{name}": a for name, a in cell.items()}
    layer |= {"conv1d.conv.weight": normal(H, 1, 4)} if conv else {}

    def by_head(blocks, v):
        return np.einsum("hoi,nhi->nho", blocks, v.reshape(N, heads, d)).reshape(N, H)

    def step(state, x):
        h, c, n = state
        if bare:
            seen = np.split(x, 4, axis=1)
        else:
            inner, own = np.split(x, 2, axis=1) if conv else (x, x)
            seen = [by_head(W[k], inner if k < 2 else own) for k in range(4)]
        i, f, z, o = (seen[k] + by_head(U[k], h) + b[k].ravel() for k in range(4))
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        return (h, c, n), h

    arrays = cell if bare else {f"xlstm.{name}": a for name, a in layer.items()}
    width = 4 * H if bare else 2 * H if conv else H
    return arrays, step, (np.zeros((N, H)),) * 3, width


def mlstm(heads=1):
    arrays = {
        "igate.weight": 0.3 * normal(heads, 3 * H), "igate.bias": normal(heads),
        "fgate.weight": 0.4 * normal(heads, 3 * H), "fgate.bias": 3 + normal(heads),
        "outnorm.weight": normal(H),
    }  # fmt: skip
    w_i, b_i, w_f, b_f = (a[:1] for a in list(arrays.values())[:4])
    d = H // heads

    def step(state, x):
        C, n = state
        q, k, v = (part[:, :d] for part in np.split(x, 3, axis=1))
        k = k / np.sqrt(d)
        i, f = np.exp(x @ w_i.T + b_i), sigmoid(x @ w_f.T + b_f)
        C = f[..., None] * C + i[..., None] * k[:, :, None] * v[:, None]
        n = f * n + i * k
        return (C, n), np.einsum("nkv,nk->nv", C, q) / np.maximum(
            np.abs((n * q).sum(1, keepdims=True)), 1
        )

    return arrays, step, (np.zeros((N, d, d)), np.zeros((N, d))), 3 * H


NETS = {
    "mingru": mingru(), "minlstm": minlstm(), "lru": lru(), "lru fewer": lru(P=2),
    "lru diagonal": lru(diagonal=True), "s5": s5(), "s5 apart": s5(apart=True), "s6": mamba(),
    "slstm": slstm(),
    "slstm one head": slstm(heads=1, conv=False), "slstm GPU": slstm(form="GPU"),
    "slstm full": slstm(form="full", conv=False), "slstm bare": slstm(bare=True), "mlstm": mlstm(),
}  # fmt: skip


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
        "tensor 'seq.C': expected the shape (I, H, 2) = (3, 4, 2), found (3, 8, 2)",
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
