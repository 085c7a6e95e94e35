"""Nets that frameworks saved, from the file to gradflow's own engine and curves."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import gradflow
from gradflow.config.load import load
from gradflow.engine.network import unroll_net
from gradflow.inspection import inspect
from gradflow.runs.sampling import initial_state, inputs, parameters
from gradflow.tracking import plan
from gradflow.weights import read
from nets import mapped

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore"),  # the frameworks warn of their own plans
]

T, N, I, H = 7, 2, 5, 4  # noqa: E741
TOLERANCE = {"float64": 1e-10, "float32": 1e-6}
KERAS_MODELS = Path(__file__).parents[1] / "weights" / "keras_models.py"


def signal(dtype="float64"):
    return np.random.default_rng(0).standard_normal((T, N, I)).astype(dtype)


def read_net(path, dtype="float64", cell=None, part=None, scale=1):
    """The run of the config that `inspect` offers (for a `part` of the only net), saved next to the
    file: it analyses as it is, and is given back on `scale` times the `signal`."""
    np.save(path.parent / "x.npy", scale * signal(dtype))
    found = inspect(path)
    config = found.config if part is None else found.nets[0].configs[part]
    assert config is not None
    saved = path.parent / f"{path.name}.yaml"
    saved.write_text(config, encoding="utf-8")
    (result,) = gradflow.analyze(str(saved))
    assert (result.diverged_at is None) == ("linear_gates" not in path.name)
    config = config.replace("input: gaussian", "input: {file: x.npy}")
    config = config.replace("sequence_length: 100\n", "")
    saved.write_text(f"{config}dtype: {dtype}\n", encoding="utf-8")
    (run,) = load(saved, [f"cell={cell}"] if cell else []).runs
    return run


def last_states(run):
    """(N, S) by place, at its own last step, by gradflow's engine."""
    params = {at: mapped(p, lambda a: a[None]) for at, p in parameters(run).items()}
    start = {at: s[None] for at, s in initial_state(run).items()}
    net = unroll_net(run.cells, params, inputs(run)[:, None], start, merge=run.merge)
    return {at: s[0] for at, s in net.last.items()}


def last_outputs(run):
    """(N, D·H): the last h of each direction of the uppermost layer, side by side."""
    states = last_states(run)
    return np.concatenate(
        [states[at][..., run.cells[at].outputs] for at in run.top_places], axis=-1
    )


def ends(outputs, width):
    """The same from a framework's (T, N, D·H) outputs: the reverse half ends at step 1."""
    return np.concatenate([outputs[-1, :, :width], outputs[0, :, width:]], axis=-1)


# Every convention, by the engine


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        *itertools.product(["RNN", "LSTM", "GRU"], [{}, {"num_layers": 3, "bidirectional": True}]),
        ("LSTM", {"proj_size": 2}),
        ("LSTM", {"proj_size": 3, "num_layers": 2, "bidirectional": True}),
    ],
    ids=str,
)
def test_pytorch_ends_in_the_same_states(tmp_path, kind, shape, dtype, suffix):
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, kind)(I, H, **shape).to(getattr(torch, dtype))
    if suffix == ".pt":
        torch.save(module.state_dict(), tmp_path / "net.pt")
    else:
        save_file = pytest.importorskip("safetensors.torch").save_file
        save_file(module.state_dict(), tmp_path / "net.safetensors")
    found = last_states(read_net(tmp_path / f"net{suffix}", dtype))
    state = module(torch.from_numpy(signal(dtype)))[1]
    parts = [p.detach().numpy() for p in (state if kind == "LSTM" else [state])]
    directions = 1 + max(direction for _, direction in found)
    for (layer, direction), s in found.items():
        row = layer * directions + direction
        expected = np.concatenate([part[row] for part in parts], axis=-1)
        np.testing.assert_allclose(s, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_pytorch_cells_end_in_the_same_state(tmp_path, kind, activation):
    torch = pytest.importorskip("torch")
    options = {"nonlinearity": activation} if kind == "RNNCell" else {}
    module = getattr(torch.nn, kind)(I, H, **options).double()
    torch.save(module.state_dict(), tmp_path / "net.pt")
    state = None
    for x_t in torch.from_numpy(signal()):
        state = module(x_t, state)
    parts = state if kind == "LSTMCell" else [state]
    expected = np.concatenate([part.detach().numpy() for part in parts], axis=-1)
    cell = f"{{type: rnn, activation: {activation}}}" if kind == "RNNCell" else None
    (found,) = last_states(read_net(tmp_path / "net.pt", cell=cell)).values()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_onnx_ends_in_the_outputs_of_its_runtime(tmp_path, kind):
    """As PyTorch exports it: a stack of two layers and two directions."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    module = getattr(torch.nn, kind)(I, H, num_layers=2, bidirectional=True)
    path = tmp_path / "net.onnx"
    torch.onnx.export(module, (torch.zeros(T, N, I),), path, dynamo=False)
    session = runtime.InferenceSession(path)
    outputs = session.run(None, {session.get_inputs()[0].name: signal("float32")})[0]
    found = last_outputs(read_net(path, "float32"))
    np.testing.assert_allclose(found, ends(outputs, H), rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory):
    """Files written by Keras, in float32, in its own process."""
    for package in ("keras", "torch", "h5py"):  # importing keras looks for its backend
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed")
    folder = tmp_path_factory.mktemp("keras")
    np.save(folder / "x.npy", signal("float32").swapaxes(0, 1))
    subprocess.run(
        [sys.executable, "-W", "ignore", str(KERAS_MODELS), str(folder)],
        env=os.environ | {"KERAS_BACKEND": "torch"},
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_ends_in_the_same_outputs(keras_files, suffix):
    checked = 0
    for path in sorted(keras_files.glob(f"*{suffix}")):
        if path.stem.startswith("half") or path.name.endswith(".weights.h5"):
            continue
        outputs = np.load(keras_files / f"{path.stem}.npy").swapaxes(0, 1)
        if path.stem == "stack":  # one direction, then two, then one: each its own net
            assert [net.cell for net in inspect(path).nets] == ["lstm"] * 3
            continue
        if path.stem == "odd_backward":  # directions of different kinds: each its own net
            parts = [f"direction {way}" for way in ("forward", "reverse")]
            halves = [last_outputs(read_net(path, "float32", part=part)) for part in parts]
            found, expected = np.concatenate(halves, axis=-1), ends(outputs, 4)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=path.name)
            checked += 1
            continue
        run = read_net(path, "float32")
        width = run.output_width(run.top_places[0])
        found, expected = last_outputs(run), ends(outputs, width)
        if path.stem.startswith("merge"):  # where the other direction is elsewhere in its time
            assert all(c.holds for c in gradflow.verify(run).comparisons)
        else:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=path.name)
        checked += 1
    assert checked == 24


def test_the_gates_of_keras_before_3_are_those_that_the_user_tells(keras_files):
    path = keras_files / "old" / "gates.weights.h5"
    cell = "{type: lstm, activation: tanh, recurrent_activation: keras2_hard_sigmoid}"
    run = read_net(path, "float32", cell=cell, scale=3)
    expected = np.load(path.parent / "gates.npy")[:, -1]
    np.testing.assert_allclose(last_outputs(run), expected, rtol=0, atol=1e-6)
    (sigmoid,) = load(path.parent / f"{path.name}.yaml").runs
    assert np.abs(last_outputs(sigmoid) - expected).max() > 1e-3


@pytest.mark.parametrize("kind", ["SimpleCell", "LSTMCell", "OptimizedLSTMCell", "GRUCell"])
def test_flax_ends_in_the_same_outputs(tmp_path, kind):
    jax, nn = pytest.importorskip("jax"), pytest.importorskip("flax.linen")
    from flax.traverse_util import flatten_dict

    jax.config.update("jax_enable_x64", True)
    x = signal().swapaxes(0, 1)
    module = nn.RNN(getattr(nn, kind)(H, param_dtype=float))
    variables = module.init(jax.random.key(0), x)
    flat = flatten_dict(variables["params"], sep="/")
    np.savez(tmp_path / "net.npz", **{name: np.asarray(a) for name, a in flat.items()})
    outputs = np.asarray(module.apply(variables, x)).swapaxes(0, 1)
    found = last_outputs(read_net(tmp_path / "net.npz"))
    np.testing.assert_allclose(found, outputs[-1], rtol=0, atol=1e-10)


# A net that learned something


LENGTH, SYMBOLS, BATCH, UNITS = 8, 3, 16, 12


@pytest.fixture(scope="module")
def copying(tmp_path_factory):
    """An LSTM, float64, trained to name at the end the symbol it saw at the first step; a
    checkpoint before, one amid and one after; a batch of the task."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("copying")
    torch.manual_seed(0)
    rnn = torch.nn.LSTM(SYMBOLS + 1, UNITS).double()
    head = torch.nn.Linear(UNITS, SYMBOLS).double()
    model = torch.nn.ModuleDict({"rnn": rnn, "head": head})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    rng = np.random.default_rng(0)

    def batch():
        y = rng.integers(SYMBOLS, size=BATCH)
        x = np.zeros((LENGTH, BATCH, SYMBOLS + 1))
        x[0, np.arange(BATCH), y] = 1
        x[1:, :, SYMBOLS] = 1
        return x, y

    losses = []
    for step in range(201):
        if step in (0, 100, 200):
            torch.save(model.state_dict(), folder / f"ckpt-{step}.pt")
        x, y = batch()
        logits = head(rnn(torch.from_numpy(x))[0][-1])
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y))
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.05 < 0.9 < losses[0]  # it has learned it
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    (folder / "copy.yaml").write_text(
        "weights: {file: ckpt-200.pt, W_o: head.weight, b_o: head.bias}\n"
        f"output_size: {SYMBOLS}\ninput: {{file: x.npy}}\n"
        "loss: {kind: cross_entropy, target: y.npy}\n"
    )
    return folder


def autograd(folder, checkpoint):
    """By PyTorch's own module stepped with a copy of its parameters per step: the loss of the
    batch, (T+1, N, 2H) gradients of each sample's loss by lag, and terms by parameter and lag."""
    import torch

    saved = torch.load(folder / checkpoint)
    rnn = torch.nn.LSTM(SYMBOLS + 1, UNITS).double()
    x, y = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in "xy")
    names = {n: saved[f"rnn.{n}"] for n, _ in rnn.named_parameters()}
    zeros = torch.zeros(1, BATCH, UNITS, dtype=torch.float64)
    states, copies = [(zeros.clone().requires_grad_(), zeros.clone().requires_grad_())], []
    for t in range(LENGTH):
        copies.append({n: a.clone().requires_grad_() for n, a in names.items()})
        _, state = torch.func.functional_call(rnn, copies[-1], (x[t : t + 1], states[-1]))
        for part in state:
            part.retain_grad()
        states.append(state)
    logits = states[-1][0][0] @ saved["head.weight"].T + saved["head.bias"]
    loss = torch.nn.functional.cross_entropy(logits, y, reduction="sum")
    loss.backward()
    states[-1][1].grad = torch.zeros_like(zeros)  # the loss does not read the last c
    grads = [torch.cat([part.grad[0] for part in s], -1).numpy() for s in states[::-1]]
    terms = {
        ours: [own[f"{theirs}_l0"].grad.numpy() / BATCH for own in copies[::-1]]
        for theirs, ours in (("weight_ih", "W_x"), ("weight_hh", "W_s"), ("bias_hh", "b_s"))
    }
    return float(loss.detach()) / BATCH, np.array(grads), terms


@pytest.mark.parametrize("checkpoint", ["ckpt-0.pt", "ckpt-200.pt"])
def test_gradients_of_a_trained_net_equal_autograd_at_every_lag(copying, checkpoint):
    loss, grads, terms = autograd(copying, checkpoint)
    (run,) = load(copying / "copy.yaml", [f"weights.file={checkpoint}"]).runs
    (result,) = plan(copying / "copy.yaml", [copying / checkpoint]).results()
    assert run.sequence_length == LENGTH
    np.testing.assert_allclose(result.loss, loss, rtol=1e-12)

    def root_mean_square(ds):
        return np.sqrt((ds**2).sum(axis=-1).mean(axis=-1))

    flow = result.flow
    np.testing.assert_allclose(flow.state.floats(), root_mean_square(grads), rtol=1e-9)
    for part, columns in (("h", slice(None, UNITS)), ("c", slice(UNITS, None))):
        expected = root_mean_square(grads[..., columns])
        np.testing.assert_allclose(flow.parts[part].floats(), expected, rtol=1e-9)
    for name, expected in terms.items():
        norms = [np.linalg.norm(term) for term in expected]
        np.testing.assert_allclose(flow.terms[name].floats(), norms, rtol=1e-9)
        total = np.linalg.norm(np.sum(expected, axis=0))
        np.testing.assert_allclose(flow.totals[name].floats(), total, rtol=1e-9)


def test_track_shows_how_training_opens_the_way_back(copying):
    """A net that learns to carry the first symbol to the end learns to carry the gradient back.

    Seen from the state, by a probe: the gradient of a loss that is met is another matter.
    """
    checkpoints = [copying / f"ckpt-{step}.pt" for step in (200, 0, 100)]
    results = list(plan(copying / "copy.yaml", checkpoints, ["loss=probe"]).results())
    names = [Path(str(result.axes["checkpoint"])).name for result in results]
    assert names == ["ckpt-0.pt", "ckpt-100.pt", "ckpt-200.pt"]
    before, _, after = results
    assert before.diagnosis.rate < 0.75 < 0.85 < after.diagnosis.rate
    arrives = [result.flow.relative.log10()[LENGTH] for result in results]
    assert arrives[0] < -1 < -0.5 < min(arrives[1:])


# A net that nobody here trained


@pytest.fixture(scope="module")
def silero(tmp_path_factory):
    """The data files of the package silero-vad, which nobody here trained; read, never imported."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("silero")
    wanted = [sys.executable, "-m", "pip", "download", "--no-deps", "silero-vad==6.2.3"]
    done = subprocess.run([*wanted, "--dest", str(folder)], capture_output=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        pytest.skip("the package silero-vad cannot be had here")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(folder)
    return folder / "silero_vad" / "data"


def curve(path, prefix):
    """log10 of the gradient at each lag, of one net of a file."""
    weights = {"file": str(path), "prefix": prefix}
    config = {"weights": weights, "sequence_length": 60, "batch_size": 4, "loss": "probe"}
    (result,) = gradflow.analyze(config)
    return result.flow.state.log10()


def curves_of(path):
    """The curve of each net of a file that can be analysed."""
    return [curve(path, net.prefix) for net in inspect(path).nets if not net.faults]


def test_silero_vad_gives_one_curve_from_every_format_of_the_same_training(silero, tmp_path):
    """Its ONNX graphs keep W_x and W_s ready in one file, and in another as slices of PyTorch's
    tensors, which are there too: saved by themselves they give the same curve once more."""
    safetensors = pytest.importorskip("safetensors.numpy")
    (expected,) = curves_of(silero / "silero_vad_16k_sequence.onnx")
    assert np.isfinite(expected).all()
    sliced = silero / "silero_vad_16k_op15.onnx"
    tensors = read(sliced)
    stem = "model.decoder.rnn"
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    saved = tmp_path / "decoder.safetensors"
    safetensors.save_file({name: tensors[f"{stem}.{name}"] for name in names}, saved)
    for found in (*curves_of(sliced), *curves_of(saved)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_the_safetensors_of_silero_vad_holds_against_complex_steps(silero):
    """It is of another training than the ONNX files of its release: its numbers differ."""
    path = silero / "silero_vad_16k.safetensors"
    ours, theirs = read(path), read(silero / "silero_vad_16k_op15.onnx")
    differs = ours["lstm_cell.weight_ih"] - theirs["model.decoder.rnn.weight_ih"]
    assert np.abs(differs).max() > 0.5
    (net,) = inspect(path).nets
    assert (net.layers[0].cell, net.faults) == ("lstm", ())
    (run,) = gradflow.load({"weights": str(path), "sequence_length": 20, "batch_size": 2}).runs
    found = gradflow.verify(run).comparisons
    assert found
    assert all(c.holds for c in found)
