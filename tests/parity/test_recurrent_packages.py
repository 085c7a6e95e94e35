"""The cells in packages that others published: state gradients at every lag, by PyTorch's autograd
through one step of the package's own code after the other. Some of it computes in single precision
whatever it is given, which its tolerance says."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from gradflow.cells import CELLS
from nets import flow, random_net

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")


def tensors(net):
    """The parameters of the first run as float64 tensors, by name."""
    return SimpleNamespace(**{k: torch.tensor(a[0]) for k, a in net.params.items()})


def fused(p, letter, gates):
    return torch.cat([getattr(p, f"{letter}_{gate}") for gate in gates])


def filled(module, **values):
    """A module in double precision with these values in its parameters; biases left are 0."""
    module = module.double()
    own = dict(module.named_parameters())
    with torch.no_grad():
        for name, value in own.items():
            given = values.pop(name.replace(".", "_"), None)
            value.copy_(given.reshape(value.shape) if given is not None else 0 * value)
    assert not values, values
    return module


def cell_of(name):
    return getattr(pytest.importorskip("torchrecurrent"), name)


# Each is given the net's sizes and parameters, and makes `(parts, x) -> (parts, output)` of a step.


def peephole(H, I, p):  # noqa: E741
    module = filled(
        cell_of("PeepholeLSTMCell")(I, H), weight_ih=fused(p, "W", "ifgo"),
        weight_hh=fused(p, "U", "ifgo"), weight_ph=fused(p, "p", "ifo"),
        bias_ih=fused(p, "b", "ifgo"),
    )  # fmt: skip
    return lambda s, x: (dict(zip("hc", module(x, (s["h"], s["c"])), strict=True)), None)


def one_state(make, part="h"):
    """A cell that hands on one tensor."""

    def of(H, I, p):  # noqa: E741
        module = make(H, I, p)
        return lambda s, x: ({part: module(x, s[part])}, None)

    return of


def janet(H, I, p):  # noqa: E741
    module = filled(
        cell_of("JANETCell")(I, H), weight_ih=fused(p, "W", "fg"),
        weight_hh=fused(p, "U", "fg"), bias_ih=fused(p, "b", "fg"), beta=torch.tensor(1.0),
    )  # fmt: skip
    return lambda s, x: ({"h": module(x, (s["h"], s["h"]))[1]}, None)


@one_state
def mgu(H, I, p):  # noqa: E741
    return filled(
        cell_of("MGUCell")(I, H), weight_ih=fused(p, "W", "fn"), weight_hh=fused(p, "U", "fn"),
        bias_ih=fused(p, "b", "fn"),
    )  # fmt: skip


@one_state
def indrnn(H, I, p):  # noqa: E741
    cell = cell_of("IndRNNCell")(I, H)
    return filled(cell, weight_ih=p.W, vector_u=p.u, bias_ih=p.b)


@one_state
def antisymmetric(H, I, p):  # noqa: E741
    cell = cell_of("AntisymmetricRNNCell")(I, H, epsilon=0.1, gamma=0.01)
    return filled(cell, weight_ih=p.W, weight_hh=p.U, bias_ih=p.b)


@one_state
def brc(H, I, p):  # noqa: E741
    W, b = torch.cat([p.W_a, p.W_c, p.W]), torch.cat([p.b_a, p.b_c, p.b])
    return filled(
        cell_of("BRCell")(I, H), weight_ih=W, bias_ih=b, weight_hh=torch.cat([p.w_a, p.w_c])
    )


@one_state
def nbrc(H, I, p):  # noqa: E741
    W, b = torch.cat([p.W_a, p.W_c, p.W]), torch.cat([p.b_a, p.b_c, p.b])
    return filled(
        cell_of("NBRCell")(I, H), weight_ih=W, bias_ih=b, weight_hh=torch.cat([p.U_a, p.U_c])
    )


def oscillators(module):
    return lambda s, x: (dict(zip("yz", module(x, (s["y"], s["z"])), strict=True)), None)


def cornn(H, I, p):  # noqa: E741
    cell = cell_of("coRNNCell")(I, H, dt=0.042, gamma=2.7, epsilon=4.7)
    return oscillators(filled(cell, weight_ih=p.W, weight_hh=p.U, weight_ch=p.U_z, bias_ih=p.b))


def unicornn(H, I, p):  # noqa: E741
    cell = cell_of("UnICORNNCell")(I, H, dt=0.19, alpha=30.65)
    return oscillators(filled(cell, weight_ih=p.W, weight_hh=p.w, weight_ch=p.c, bias_ih=p.b))


def mingru(H, I, p):  # noqa: E741
    package = pytest.importorskip("minGRU_pytorch")
    p.b_z[...], p.b_n[...] = 0, 0
    module = filled(package.minGRU(H), to_hidden_and_gate_weight=torch.cat([p.W_n, p.W_z]))
    return lambda s, x: ({"h": module(x[:, None], s["h"][:, None])[:, 0]}, None)


def lru(H, I, p):  # noqa: E741
    package = pytest.importorskip("LRU_pytorch")
    torch.set_default_dtype(torch.float64)  # what it puts its output into
    one = torch.eye(H, dtype=torch.complex128)

    def reading(C):
        module = package.LRU(I, H, H)
        with torch.no_grad():
            for name in ("nu_log", "theta_log", "gamma_log", "D"):
                getattr(module, name).copy_(getattr(p, name))
            module.B.copy_(torch.complex(p.B_re, p.B_im))
            module.C.copy_(C)
        return module

    readers = [reading(C) for C in (one, -1j * one, torch.complex(p.C_re, p.C_im))]

    def step(s, x):
        found = []
        for re, im, x_n in zip(s["re"], s["im"], x, strict=True):
            state = torch.complex(re, im)
            readings = [module(x_n[None], state=state)[0] for module in readers]
            skip = p.D @ x_n
            found.append([readings[0] - skip, readings[1] - skip, readings[2]])
        re, im, y = map(torch.stack, zip(*found, strict=True))
        return {"re": re, "im": im}, y

    return step


def slstm(H, I, p):  # noqa: E741
    package = pytest.importorskip("xlstm.blocks.slstm.src.vanilla.slstm")
    W, U, b = (fused(p, letter, "ifzo") for letter in "WUb")

    def step(s, x):
        states = torch.stack([s[part] for part in "hcnm"])
        new, _ = package.slstm_forward_pointwise(x @ W.T, s["h"] @ U.T, b[None], states, {})
        return dict(zip("hcnm", new, strict=True)), None

    return step


def mlstm(H, I, p):  # noqa: E741
    package = pytest.importorskip("xlstm.blocks.mlstm.backends")

    def step(s, x):
        N = len(x)
        q, k, v = ((x @ W.T)[:, None, None] for W in (p.W_q, p.W_k, p.W_v))
        i, f = ((x @ w.T + b)[:, :, None, None] for w, b in ((p.w_i, p.b_i), (p.w_f, p.b_f)))
        C, n, m = s["C"].reshape(N, 1, H, H), s["n"].reshape(N, 1, H, 1), s["m"].reshape(N, 1, 1, 1)
        h, (C, n, m) = package.recurrent_step_stabilized_simple(C, n, m, q, k, v, i, f, eps=0.0)
        y = torch.sigmoid(x @ p.W_o.T + p.b_o) * h.reshape(N, H)
        return {"C": C.reshape(N, -1), "n": n.reshape(N, H), "m": m.reshape(N, 1)}, y

    return step


def sru(H, I, p):  # noqa: E741
    with warnings.catch_warnings():  # it tells that it finds no CUDA
        warnings.simplefilter("ignore")
        package = pytest.importorskip("sru.ops")
    bias, weight_c = torch.cat([p.b_f, p.b_r]), torch.cat([p.v_f, p.v_r])

    def step(s, x):
        U = torch.stack([x @ W.T for W in (p.W, p.W_f, p.W_r, p.W_h)], dim=-1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            h, c = package.elementwise_recurrence_naive(
                U.reshape(len(x), -1), x, weight_c, bias, s["c"], 0, H, False, True
            )
        return {"c": c.reshape(len(x), H)}, h.reshape(len(x), H)

    return step


def s6(H, I, p):  # noqa: E741
    package = pytest.importorskip("mambapy.mamba")
    n, R = p.A_log.shape[1], p.W_d.shape[0]
    config = package.MambaConfig(d_model=H, n_layers=1, dt_rank=R, d_state=n, expand_factor=1)
    block = package.MambaBlock(config).double()
    with torch.no_grad():
        block.x_proj.weight.copy_(torch.cat([p.W_d, p.W_B, p.W_C]))
        block.dt_proj.weight.copy_(p.V_d)
        block.dt_proj.bias.copy_(p.b_d)
        block.A_log.data, block.D.data = p.A_log, p.D
    p.W[...] = torch.eye(H)

    def step(s, x):
        y, h = block.ssm_step(x, s["h"].reshape(len(x), H, n))
        return {"h": h.reshape(len(x), -1)}, y

    return step


def rglru(H, I, p):  # noqa: E741
    layers = pytest.importorskip("recurrentgemma.torch.layers")
    module = layers.RGLRU(width=H, num_heads=1, dtype=torch.float64)
    with torch.no_grad():
        module.a_param.copy_(p.p)
        for gate, W, b in ((module.input_gate, p.W_i, p.b_i), (module.a_gate, p.W_r, p.b_r)):
            gate.w.copy_(W.T[None])
            gate.b.copy_(b[None])
    p.W[...] = torch.eye(H)

    def step(s, x):
        positions = torch.ones((len(x), 1), dtype=torch.int32)
        _, h = module(x[:, None], positions, s["h"].float())
        return {"h": h.double()}, None

    return step


DOUBLE, SINGLE = 1e-10, 1e-5
PACKAGES = [
    ("peephole", peephole, {}, DOUBLE),
    ("janet", janet, {}, DOUBLE),
    ("mgu", mgu, {}, DOUBLE),
    ("indrnn", indrnn, {"activation": "tanh"}, DOUBLE),
    ("antisymmetric", antisymmetric, {"gamma": 0.01}, DOUBLE),
    ("brc", brc, {}, DOUBLE),
    ("nbrc", nbrc, {}, DOUBLE),
    ("cornn", cornn, {}, DOUBLE),
    ("unicornn", unicornn, {}, DOUBLE),
    ("mingru", mingru, {}, DOUBLE),
    ("lru", lru, {}, DOUBLE),
    ("slstm", slstm, {}, DOUBLE),
    ("mlstm", mlstm, {}, DOUBLE),
    ("sru", sru, {}, DOUBLE),
    ("s6", s6, {"d_state": 3, "dt_rank": 2}, SINGLE),  # A and D are cast to float32
    ("rglru", rglru, {}, SINGLE),  # the state is
]


@pytest.fixture(autouse=True)
def _default_dtype():
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "make", "options", "tolerance"), PACKAGES,
                         ids=[name for name, *_ in PACKAGES])  # fmt: skip
def test_the_gradients_are_those_of_the_package(name, make, options, tolerance):
    H, N, T = 3, 2, 12  # the package may know no input of another size
    net = random_net(CELLS[name](**options), T=T, N=N, H=H, I=H)
    cell = net.cell
    if cell.gauge:
        parts = [cell.parts[part].rows for scaled in cell.gauge.values() for part in scaled]
        for rows in parts:  # a loss that the gauge does not change: of h, or of the output
            net.ds_T[..., rows] = 0
        net.s0[..., cell.parts["n"].rows] = np.abs(net.s0[..., cell.parts["n"].rows]) + 0.5
    p = tensors(net)
    step = make(H, H, p)
    for key, value in vars(p).items():  # what the package cannot have has been set
        net.params[key][0] = value.numpy()

    states = [{part: torch.tensor(net.s0[0][:, q.rows], requires_grad=True)
               for part, q in cell.parts.items()}]  # fmt: skip
    for t in range(T):
        new, output = step(states[-1], torch.tensor(net.x[t, 0]))
        states.append({part: a.clone() for part, a in new.items()})  # as it is handed on
        for handed in states[-1].values():
            handed.retain_grad()
    ds_T = torch.tensor(net.ds_T[0])
    loss = sum((ds_T[:, cell.parts[part].rows] * a).sum() for part, a in states[-1].items())
    if output is not None:
        loss = loss + (ds_T[:, cell.outputs] * output).sum()
    loss.backward()

    found = flow(net)
    for part in found.parts:
        own = [s[part].grad for s in states[::-1]]
        if part in {q for scaled in cell.gauge.values() for q in scaled}:
            own = [a * torch.exp(-s["m"].detach()) for a, s in zip(own, states[::-1], strict=True)]
        rms = [float((a**2).sum(-1).mean() ** 0.5) for a in own]
        # The output is read from the state within the package's step, not from what it hands on.
        lags = slice(0 if output is None else 1, None)
        curve = found.parts[part].floats()
        np.testing.assert_allclose(curve[lags], rms[lags], rtol=tolerance, err_msg=part)
