"""State dicts that packages of newer cells write: what gradflow reads of the file computes what the
package's own module does, and gradients are those of autograd through it. The packages keep to
single precision, some of them whatever they are given: tolerances are of that."""

from __future__ import annotations

import numpy as np
import pytest

import gradflow
from gradflow.config.load import load
from gradflow.engine.network import unroll_net
from gradflow.inspection import inspect
from gradflow.runs.sampling import initial_state, inputs, parameters
from nets import mapped

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
torch = pytest.importorskip("torch")

T, N, E = 7, 2, 8


def drawn(module):
    """The module with every parameter moved away from where it begins, all zeros among them."""
    torch.manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return module


def signal(width):
    return torch.tensor(
        np.random.default_rng(0).standard_normal((T, N, width)), dtype=torch.float32
    )


def run_of(folder, module, x, net=0):
    """The run of the config that `inspect` prints for the state dict, on x (T, N, I)."""
    torch.save(module.state_dict(), folder / "net.pt")
    found = inspect(folder / "net.pt")
    text = next(iter(found.nets[net].configs.values()))
    np.save(folder / "x.npy", x.detach().double().numpy())
    text = text.replace("input: gaussian", "input: {file: x.npy}")
    path = folder / "config.yaml"
    path.write_text(text.replace("sequence_length: 100\n", ""), encoding="utf-8")
    (run,) = load(path).runs
    return run


def outputs(run, steps=T):
    """(N, P) of the last step, by the engine in float64."""
    params = {at: mapped(p, lambda a: a[None]) for at, p in parameters(run).items()}
    start = {at: s[None] for at, s in initial_state(run).items()}
    last = unroll_net(run.cells, params, inputs(run)[:steps, None], start).last[0, 0][0]
    return last[..., run.cells[0, 0].outputs]


def close(found, module_gives, rtol=2e-5):
    np.testing.assert_allclose(found, module_gives.detach().numpy(), rtol=rtol, atol=2e-6)


@pytest.mark.parametrize("kind", ["minGRU", "minLSTM"])
def test_mingru(tmp_path, kind):
    package = pytest.importorskip(f"minGRU_pytorch.{kind}")
    module, x = drawn(getattr(package, kind)(E, expansion_factor=2.0, proj_out=False)), signal(E)
    run = run_of(tmp_path, module, x)
    close(outputs(run), module(x.swapaxes(0, 1))[:, -1])


def rms(gradient):
    """Over the batch, of each sample's norm."""
    return float((gradient.double() ** 2).sum() / N) ** 0.5


def curves(folder):
    """(T + 1,) by part of the state: the gradient of the sum of the last outputs, by lag."""
    path = folder / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "loss: sum\n", encoding="utf-8")
    (result,) = gradflow.analyze(str(path))
    return {part: curve.floats() for part, curve in result.flow.parts.items()}


def handed_on(states, state):
    """The state, with its gradient kept."""
    states.append(state.requires_grad_() if state.is_leaf else state)
    states[-1].retain_grad()
    return states[-1]


def test_the_gradient_of_mingru_by_lag_is_that_of_autograd(tmp_path):
    package = pytest.importorskip("minGRU_pytorch.minGRU")
    module, x = drawn(package.minGRU(E)), signal(E)
    run_of(tmp_path, module, x)
    states = []
    h = handed_on(states, torch.zeros(N, 1, E))
    for x_t in x:
        h = handed_on(states, module(x_t[:, None], h))
    h.sum().backward()
    found = [rms(state.grad) for state in states[::-1]]
    np.testing.assert_allclose(curves(tmp_path)["h"], found, rtol=1e-5)


def test_the_gradient_of_mamba_by_lag_is_that_of_autograd(tmp_path):
    package = pytest.importorskip("mambapy.mamba")
    module = drawn(package.MambaBlock(package.MambaConfig(d_model=4, n_layers=1, d_state=5)))
    x, states = signal(E), []
    run_of(tmp_path, module, x)
    h = handed_on(states, torch.zeros(N, E, 5))
    for x_t in x:
        y, h = module.ssm_step(x_t, h)
        h = handed_on(states, h)
    y.sum().backward()
    found = [rms(state.grad) for state in states[-2::-1]]  # the last is read within its step
    np.testing.assert_allclose(curves(tmp_path)["h"][1:], found, rtol=1e-5)


def test_the_gradient_of_slstm_by_lag_is_that_of_autograd(tmp_path):
    package = pytest.importorskip("xlstm.blocks.slstm.layer")
    config = package.sLSTMLayerConfig(
        embedding_dim=E, num_heads=2, conv1d_kernel_size=0, backend="vanilla", dtype="float32"
    )
    module, x = drawn(package.sLSTMLayer(config).eval()), signal(E)
    run_of(tmp_path, module, x)
    given = [module.fgate(x), module.igate(x), module.zgate(x), module.ogate(x)]
    given, states = torch.cat(given, -1), []
    state = handed_on(states, torch.zeros(4, N, E))
    for x_t in given:
        _, state = module.slstm_cell(x_t[:, None], state=state)
        state = handed_on(states, state)
    state[0].sum().backward()
    found = curves(tmp_path)
    for part, row in {"h": 0, "c": 1, "n": 2}.items():
        scales = [1 if part == "h" else torch.exp(-state[3].detach()) for state in states]
        own = [rms(s.grad[row] * scale) for s, scale in zip(states, scales, strict=True)][::-1]
        # at lag 0 h is read within its step; before the first the package skips c and n
        np.testing.assert_allclose(found[part][1:T], own[1:T], rtol=2e-5, err_msg=part)


@pytest.mark.parametrize("outer", [E, 3])
def test_lru(tmp_path, outer):
    package = pytest.importorskip("LRU_pytorch.LRU")
    module, x = drawn(package.LRU(5, outer, E)), signal(5)
    run = run_of(tmp_path, module, x)
    close(outputs(run)[:, :outer], module(x.swapaxes(0, 1))[:, -1])


def test_mamba(tmp_path):
    package = pytest.importorskip("mambapy.mamba")
    module = drawn(package.MambaBlock(package.MambaConfig(d_model=4, n_layers=1, d_state=5)))
    x = signal(E)
    run = run_of(tmp_path, module, x)
    close(outputs(run), module.ssm(x.swapaxes(0, 1), None)[:, -1])


@pytest.mark.parametrize(("heads", "window"), [(1, 0), (2, 0), (2, 4)])
def test_slstm(tmp_path, heads, window):
    package = pytest.importorskip("xlstm.blocks.slstm.layer")
    config = package.sLSTMLayerConfig(
        embedding_dim=E, num_heads=heads, conv1d_kernel_size=window, backend="vanilla",
        dtype="float32",
    )  # fmt: skip
    module, x = drawn(package.sLSTMLayer(config).eval()), signal(E)
    seen = x.swapaxes(0, 1)
    own = seen
    if window:
        seen = module.conv_act_fn(module.conv1d(seen))
    given = [module.fgate(seen), module.igate(seen), module.zgate(own), module.ogate(own)]
    cell = module.slstm_cell(torch.cat(given, -1))[0]  # (N, heads, T, d), before its norm
    joint = (torch.cat([seen, own], -1) if window else own).swapaxes(0, 1)
    run = run_of(tmp_path, module, joint)
    close(outputs(run), cell[:, :, -1].reshape(N, E))


@pytest.mark.parametrize("head", [0, 1])
def test_mlstm(tmp_path, head):
    package = pytest.importorskip("xlstm.blocks.mlstm.cell")
    config = package.mLSTMCellConfig(context_length=T, embedding_dim=E, num_heads=2)
    module = drawn(package.mLSTMCell(config))
    x = signal(3 * E)
    seen = []
    module.outnorm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    module(*x.swapaxes(0, 1).split(E, dim=-1))
    run = run_of(tmp_path, module, x, head)
    close(outputs(run), seen[0][:, head, -1], rtol=2e-4)  # of the 1e-6 that it divides by besides


@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
def test_s5(tmp_path, discretization):
    package = pytest.importorskip("s5.s5_model")
    module, x = drawn(package.S5(6, 8)), signal(6)
    module.seq.discretize = getattr(package, f"discretize_{discretization}")
    run = run_of(tmp_path, module, x)
    if discretization != "zoh":
        text = (tmp_path / "config.yaml").read_text()
        path = tmp_path / "other.yaml"
        path.write_text(text.replace("discretization: zoh", f"discretization: {discretization}"))
        (run,) = load(path).runs
    close(outputs(run), module(x.swapaxes(0, 1))[:, -1])
