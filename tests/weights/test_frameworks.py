"""The frameworks' own files, and their own forward passes next to gradflow's equations."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from net_equations import net_outputs
from weight_writers import write_npz

from gradflow.weights import choose_net, find_layers, read
from gradflow.weights.conventions import find_nets

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore"),  # the frameworks warn of their own plans
]

TOLERANCE = {"float64": 1e-10, "float32": 1e-6}
T, N, I = 7, 2, 5  # noqa: E741


def inputs(dtype="float64"):
    return np.random.default_rng(0).standard_normal((T, N, I)).astype(dtype)


def torch_modules():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    return {
        "RNN": nn.RNN(I, 4),
        "RNN, relu": nn.RNN(I, 4, nonlinearity="relu"),
        "RNN, stacked and bidirectional": nn.RNN(I, 4, num_layers=3, bidirectional=True),
        "LSTM": nn.LSTM(I, 4),
        "LSTM, no bias": nn.LSTM(I, 4, bias=False),
        "LSTM, stacked and bidirectional": nn.LSTM(I, 4, num_layers=2, bidirectional=True),
        "LSTM, projected": nn.LSTM(I, 6, proj_size=3),
        "LSTM, projected, stacked and bidirectional": nn.LSTM(
            I, 6, num_layers=2, proj_size=3, bidirectional=True
        ),
        "GRU": nn.GRU(I, 4),
        "GRU, stacked and bidirectional": nn.GRU(I, 4, num_layers=2, bidirectional=True),
    }


def torch_file(path, module, suffix):
    """What PyTorch's users write: a state dict, a checkpoint, safetensors, or NumPy's format."""
    import torch

    if suffix == ".pt":
        torch.save(module.state_dict(), path)
    elif suffix == ".pth":
        optimizer = torch.optim.Adam(module.parameters())
        sum(p.sum() for p in module.parameters()).backward()
        optimizer.step()
        parts = {"epoch": 1, "model": module.state_dict(), "opt": optimizer.state_dict()}
        torch.save(parts, path)
    elif suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(module.state_dict(), path)
    else:
        write_npz(path, {n: p.numpy() for n, p in module.state_dict().items()})
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".npz"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_pytorch_modules_give_the_same_outputs(tmp_path, suffix, dtype):
    torch = pytest.importorskip("torch")
    for name, module in torch_modules().items():
        module = module.to(getattr(torch, dtype))
        tensors = read(torch_file(tmp_path / f"net{suffix}", module, suffix))
        for key, value in module.state_dict().items():
            np.testing.assert_array_equal(tensors[key], value.numpy(), strict=True)
        expected = module(torch.from_numpy(inputs(dtype)))[0].detach().numpy()
        found = net_outputs(
            choose_net(tensors), inputs(dtype), "relu" if "relu" in name else "tanh"
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype], err_msg=name)


@pytest.mark.parametrize("cell", ["RNNCell", "LSTMCell", "GRUCell"])
def test_pytorch_cells_give_the_same_outputs(tmp_path, cell):
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, cell)(I, 4).double()
    layers = choose_net(read(torch_file(tmp_path / "net.pt", module, ".pt")))
    state, expected = None, []
    for x_t in torch.from_numpy(inputs()):
        state = module(x_t, state)
        expected.append((state[0] if cell == "LSTMCell" else state).detach().numpy())
    np.testing.assert_allclose(net_outputs(layers, inputs()), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_half_precision_is_read_exactly(tmp_path, dtype, suffix):
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(I, 4).to(getattr(torch, dtype))
    tensors = read(torch_file(tmp_path / f"net{suffix}", module, suffix))
    for key, value in module.state_dict().items():
        assert tensors.stored[key].dtype == dtype
        np.testing.assert_array_equal(tensors[key].astype("f8"), value.double().numpy())


def test_what_pytorch_saves_besides_state_dicts(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(I, 4)
    path = tmp_path / "net.pt"
    torch.save(dict(module.named_parameters()), path)
    parameters = read(path)
    np.testing.assert_array_equal(parameters["weight_hh_l0"], module.weight_hh_l0.detach())
    torch.save(
        {"t": module.weight_ih_l0.detach().T[1:, ::2], "e": torch.ones(1).expand(3, 2)}, path
    )
    views = read(path)
    np.testing.assert_array_equal(views["t"], module.weight_ih_l0.detach().numpy().T[1:, ::2])
    np.testing.assert_array_equal(views["e"], np.ones((3, 2)))
    expected = module.weight_hh_l0.detach().numpy()
    for save in (
        lambda: torch.save(module, path),
        lambda: torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False),
        lambda: torch.jit.script(module).save(path),
    ):
        save()
        np.testing.assert_array_equal(choose_net(read(path))[0].W_s, expected)


def test_onnx_gives_the_same_outputs_as_its_runtime(tmp_path):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(1)
    for op, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3)):
        for direction, D in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            for after in (0, 1) if op == "GRU" else (0,):
                arrays = {"W": (D, gates * 4, I), "R": (D, gates * 4, 4), "B": (D, gates * 8)}
                constants = [
                    onnx.numpy_helper.from_array(0.5 * rng.standard_normal(s).astype("f4"), n)
                    for n, s in arrays.items()
                ]
                options = {"linear_before_reset": after} if op == "GRU" else {}
                node = onnx.helper.make_node(
                    op, ["X", *arrays], ["Y"], op, hidden_size=4, direction=direction, **options
                )
                X = onnx.helper.make_tensor_value_info("X", 1, [T, N, I])
                Y = onnx.helper.make_tensor_value_info("Y", 1, [T, D, N, 4])
                graph = onnx.helper.make_graph([node], "g", [X], [Y], constants)
                opsets = [onnx.helper.make_opsetid("", 17)]
                model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
                onnx.save(model, tmp_path / "net.onnx")
                session = runtime.InferenceSession(tmp_path / "net.onnx")
                expected = session.run(None, {"X": inputs("float32")})[0]
                layers = choose_net(read(tmp_path / "net.onnx"))
                found = net_outputs(layers, inputs("float32"))
                both = np.concatenate(np.moveaxis(expected, 1, 0), axis=2)
                np.testing.assert_allclose(found, both, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "dynamo"),
    [("LSTM", False), ("GRU", False), ("RNN", False), ("LSTM", True), ("GRU", True)],
)
def test_onnx_exported_by_pytorch_holds_the_same_net(tmp_path, kind, dynamo):
    """A stack of two layers and two directions, in both files."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript" if dynamo else "onnx")
    module = getattr(torch.nn, kind)(I, 4, num_layers=2, bidirectional=True)
    path = tmp_path / "net.onnx"
    options = {"external_data": False, "verbose": False} if dynamo else {}
    torch.onnx.export(module, (torch.zeros(T, N, I),), path, dynamo=dynamo, **options)
    layers = choose_net(read(path))
    module_file = torch_file(tmp_path / "net.safetensors", module, ".safetensors")
    for one, other in zip(layers, choose_net(read(module_file)), strict=True):
        assert (one.layer, one.direction, one.cell) == (other.layer, other.direction, other.cell)
        for parameter in ("W_x", "W_s", "b_x", "b_s"):
            np.testing.assert_array_equal(getattr(one, parameter), getattr(other, parameter))


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory):
    """Files written by Keras in its own process: its warnings and backend stay there.

    In float32: outside TensorFlow, Keras computes tanh or matrix products of float64 in float32.
    """
    if not (importlib.util.find_spec("keras") and importlib.util.find_spec("torch")):
        pytest.skip("Keras and PyTorch are not both installed")
    folder = tmp_path_factory.mktemp("keras")
    script = Path(__file__).with_name("keras_models.py")
    np.save(folder / "x.npy", inputs("float32").swapaxes(0, 1))
    subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(folder)],
        env=os.environ | {"KERAS_BACKEND": "torch"},
        check=True,
        capture_output=True,
    )
    return folder


def test_keras_models_give_the_same_outputs(keras_files):
    folder = keras_files
    names = [path.stem for path in folder.glob("*.keras") if path.stem != "half"]
    assert len(names) == 25
    for name in names:
        expected = np.load(folder / f"{name}.npy").swapaxes(0, 1)
        for suffix in (".keras", ".h5"):
            nets = find_nets(read(folder / f"{name}{suffix}"))
            assert len(nets) == (3 if name == "stack" else 1)
            found = inputs("float32")
            for net in nets:  # each reads the outputs of the one before
                layers = net.layers()
                assert not any(one.undetermined or one.unsupported for one in layers)
                found = net_outputs(layers, found)
            np.testing.assert_allclose(
                found, expected, rtol=0, atol=1e-6, err_msg=f"{name}{suffix}"
            )


def test_weights_of_keras_without_a_config_give_the_same_numbers(keras_files):
    """In another order of nets, each layer its own net."""
    folder = keras_files
    for path in folder.glob("*.weights.h5"):
        name = path.name.removesuffix(".weights.h5")
        told = find_layers(read(folder / f"{name}.keras"))
        bare = find_layers(read(path))
        for one, other in zip(
            sorted(told, key=lambda layer: layer.names["W_s"]),
            sorted(bare, key=lambda layer: layer.names["W_s"]),
            strict=True,
        ):
            assert (one.cell, one.direction) == (other.cell, other.direction)
            np.testing.assert_array_equal(one.W_s, other.W_s)
            asked = ["activation"] if one.cell == "rnn" else ["activation", "recurrent_activation"]
            asked += ["reset"] if name == "gru_after_no_bias" else []
            assert other.undetermined == tuple(asked)
            assert other.options == {o: v for o, v in one.options.items() if o not in asked}
    stack = read(folder / "stack.weights.h5")
    layers = choose_net(stack, ["layers/lstm", "layers/bidirectional", "layers/lstm_1"])
    expected = np.load(folder / "stack.npy").swapaxes(0, 1)
    np.testing.assert_allclose(net_outputs(layers, inputs("float32")), expected, rtol=0, atol=1e-6)


def test_bfloat16_of_keras_is_read_exactly(keras_files):
    folder = keras_files
    tensors = read(folder / "half.keras")
    assert {stored.dtype for stored in tensors.stored.values()} == {"bfloat16"}
    for array, expected in zip(
        tensors.values(), np.load(folder / "half.npz").values(), strict=True
    ):
        np.testing.assert_array_equal(array, expected)


def reparametrized():
    """An LSTM under each of PyTorch's utilities, by its name."""
    import torch
    from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

    weight = "weight_hh_l0"
    modules = {name: torch.nn.LSTM(I, 4) for name in ("norm", "new norm", "spectral", "pruned")}
    weight_norm(modules["norm"], weight)
    weight_norm(modules["norm"], "weight_ih_l0", dim=None)
    parametrizations.weight_norm(modules["new norm"], weight)
    spectral_norm(modules["spectral"], weight)
    prune.random_unstructured(modules["pruned"], weight, 0.5)
    modules["new spectral"] = parametrizations.spectral_norm(torch.nn.LSTM(I, 4), weight)
    modules["compiled"] = torch.nn.DataParallel(torch.nn.LSTM(I, 4))
    for _ in range(10):  # as in training: a norm just drawn may be next to nothing, with few digits
        modules["spectral"](torch.from_numpy(inputs("float32")))
    return modules


def test_reparametrized_modules_give_the_same_outputs(tmp_path):
    torch = pytest.importorskip("torch")
    for name, module in reparametrized().items():
        module.eval()
        expected = module(torch.from_numpy(inputs("float32")))[0].detach().numpy()
        layers = choose_net(read(torch_file(tmp_path / "net.pt", module, ".pt")))
        found = net_outputs(layers, inputs("float32"))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_quantized_onnx_is_close_to_its_runtime(tmp_path, direction):
    """Which rounds the inputs of each product to eight bits too."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(1)
    D = 2 if direction == "bidirectional" else 1
    arrays = {
        "W": rng.integers(-127, 127, (D, I, 16)).astype("i1"),
        "R": rng.integers(-127, 127, (D, 4, 16)).astype("i1"),
        "B": 0.5 * rng.standard_normal((D, 32)).astype("f4"),
        **{f"s{n}": rng.uniform(0.003, 0.006, (D, 16)).astype("f4") for n in "WR"},
        "z": np.zeros((D, 16), "i1"),
    }
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    names = ["X", "W", "R", "B", "", "", "", "", "sW", "z", "sR", "z"]
    node = onnx.helper.make_node(
        *("DynamicQuantizeLSTM", names, ["Y"], "lstm"),
        domain="com.microsoft", hidden_size=4, direction=direction,
    )  # fmt: skip
    X = onnx.helper.make_tensor_value_info("X", 1, [T, N, I])
    Y = onnx.helper.make_tensor_value_info("Y", 1, [T, D, N, 4])
    graph = onnx.helper.make_graph([node], "g", [X], [Y], constants)
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "net.onnx"
    )
    expected = runtime.InferenceSession(tmp_path / "net.onnx").run(None, {"X": inputs("float32")})
    found = net_outputs(choose_net(read(tmp_path / "net.onnx")), inputs("float32"))
    both = np.concatenate(np.moveaxis(expected[0], 1, 0), axis=2)
    np.testing.assert_allclose(found, both, rtol=0, atol=0.02)
    assert np.abs(both).max() > 0.3


@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize(
    "cell", ["SimpleCell", "LSTMCell", "OptimizedLSTMCell", "GRUCell", "Bidirectional"]
)
def test_flax_modules_give_the_same_outputs(tmp_path, cell, separator):
    jax, nn = pytest.importorskip("jax"), pytest.importorskip("flax.linen")
    from flax.traverse_util import flatten_dict

    jax.config.update("jax_enable_x64", True)
    x = inputs().swapaxes(0, 1)
    if cell == "Bidirectional":
        one = [nn.RNN(nn.LSTMCell(4, param_dtype=float)) for _ in range(2)]
        module = nn.Bidirectional(*one)
    else:
        module = nn.RNN(getattr(nn, cell)(4, param_dtype=float))
    parameters = jax.tree.map(
        lambda leaf: np.random.default_rng(leaf.size).standard_normal(leaf.shape),
        module.init(jax.random.key(0), x),
    )
    arrays = flatten_dict(parameters, sep=separator)
    layers = choose_net(read(write_npz(tmp_path / "net.npz", arrays)))
    expected = np.asarray(module.apply(parameters, x)).swapaxes(0, 1)
    np.testing.assert_allclose(net_outputs(layers, inputs()), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", ["SimpleCell", "LSTMCell", "OptimizedLSTMCell", "GRUCell"])
def test_flax_nnx_modules_give_the_same_outputs(tmp_path, cell):
    jax, nnx = pytest.importorskip("jax"), pytest.importorskip("flax.nnx")
    jax.config.update("jax_enable_x64", True)
    module = nnx.RNN(getattr(nnx, cell)(I, 4, dtype=float, param_dtype=float, rngs=nnx.Rngs(0)))
    arrays = {
        ".".join(map(str, path)): np.asarray(leaf[...])
        for path, leaf in nnx.to_flat_state(nnx.state(module, nnx.Param))
    }
    layers = choose_net(read(write_npz(tmp_path / "net.npz", arrays)))
    expected = np.asarray(module(inputs().swapaxes(0, 1))).swapaxes(0, 1)
    np.testing.assert_allclose(net_outputs(layers, inputs()), expected, rtol=0, atol=1e-10)
