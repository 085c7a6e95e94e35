"""PyTorch's own modules with a loss at many steps, and with states detached every k steps."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.config.load import from_mapping
from gradflow.runs import sampling
from gradflow.runs.bundle import run_bundle
from nets import as_pytorch

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

MODULES = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
CURVES = {"W_x": "weight_ih", "W_s": "weight_hh", "b_s": "bias_hh"}
SIZES = {
    "sequence_length": 11, "hidden_size": 5, "batch_size": 4, "input_size": 3, "output_size": 3,
    "bias_scale": 0.3, "initial_state": "gaussian",
}  # fmt: skip
BOUNDS = (1e-3, 1e3)


def run_of(cell, loss, **more):
    [run] = from_mapping({"cell": cell, "loss": loss, **SIZES, **more}).runs
    return run


def result_of(run):
    [result] = run_bundle([(0, run)], BOUNDS)
    return result


def tensor(a):
    return torch.from_numpy(np.ascontiguousarray(a))


class Losses:
    """The loss of a run on PyTorch's tensors, `mse` or `cross_entropy`, with W_o a leaf."""

    def __init__(self, run):
        W_o, b_o = sampling.output_layer(run)
        self.run, self.b_o = run, tensor(b_o)
        self.W_o = tensor(W_o).requires_grad_()
        n, rng = len(run.loss_steps), sampling.stream(run, "target")
        N, classes = run.batch_size, run.output_size
        self.mse = run.loss.kind == "mse"
        if self.mse:
            self.targets = tensor(rng.standard_normal((n, N, classes)))
        else:
            self.targets = tensor(rng.integers(classes, size=(n, N)))

    def __call__(self, outputs):
        """The sum over the batch; `outputs` (N, D·P) is that of each step of the loss."""
        each = []
        for h, target in zip(outputs, self.targets, strict=True):
            o = h @ self.W_o.T + self.b_o
            if self.mse:
                each.append(0.5 * ((o - target) ** 2).sum())
            else:
                each.append(torch.nn.functional.cross_entropy(o, target, reduction="sum"))
        return sum(each) / (len(each) if self.run.loss.reduce == "mean" else 1)


class Stepped:
    """A run's net, each step with its own copy of the parameters, so that the gradient of a copy is
    the term of its step, and each state that is handed on with its gradient."""

    def __init__(self, run):
        self.run, T = run, run.sequence_length
        params, s0 = sampling.parameters(run), sampling.initial_state(run)
        y = [tensor(x) for x in sampling.inputs(run)]
        self.states, self.copies = {}, {}
        for layer in range(run.layers):
            outputs = []
            for at in (place for place in run.places if place[0] == layer):
                cell = run.cells[at]
                module = MODULES[cell.cell.name](cell.I, cell.H).double()
                own = as_pytorch(cell.cell, params[at])
                self.copies[at] = [
                    {f"{k}_l0": tensor(v.copy()).requires_grad_() for k, v in own.items()}
                    for _ in range(T)
                ]
                s = [tensor(s0[at][:, p.rows])[None].requires_grad_() for p in cell.parts.values()]
                path, seen = [s], []
                for t, x in enumerate(y[::-1] if at[1] else y):
                    s = path[-1]
                    if t and run.loss.truncate and t % run.loss.truncate == 0:
                        s = [part.detach() for part in s]
                    carried = tuple(s) if len(s) > 1 else s[0]
                    h, new = torch.func.functional_call(
                        module, self.copies[at][t], (x[None], carried)
                    )
                    new = [part.clone() for part in (new if isinstance(new, tuple) else (new,))]
                    for part in new:
                        part.retain_grad()
                    seen.append(h[0])
                    path.append(new)
                self.states[at] = path
                outputs.append(seen[::-1] if at[1] else seen)
            y = [torch.cat(parts, dim=-1) for parts in zip(*outputs, strict=True)]

    def read(self):
        """The output of the top layer at each step of the loss, from the states handed on."""
        run, T = self.run, self.run.sequence_length
        for t in run.loss_steps:
            last = run.loss.at == "last"
            own = {at: T if last else T + 1 - t if at[1] else t for at in run.top_places}
            yield torch.cat([self.states[at][own[at]][0][0] for at in run.top_places], dim=-1)

    def gradients(self, at):
        """(T+1, N, S) in the order of lags."""
        grads = [[torch.zeros_like(p) if p.grad is None else p.grad for p in s]
                for s in self.states[at]]  # fmt: skip
        return np.array([torch.cat([p[0] for p in s], -1).numpy() for s in grads[::-1]])

    def terms(self, at, name):
        """(T, entries) in the order of lags."""
        found = []
        for own in self.copies[at][::-1]:
            leaf = own[f"{CURVES[name]}_l0"]
            found.append((torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).numpy())
        return np.array(found).reshape(len(found), -1)


def flows_of(result):
    if not result.layers:
        return {(0, 0): result.flow}
    return {(part.layer, int(part.direction == "reverse")): part.flow for part in result.layers}


LOSSES = [
    {"kind": "mse", "at": "all"},
    {"kind": "cross_entropy", "at": [2, 5, 9], "reduce": "sum"},
    {"kind": "mse", "at": {"every": 4}, "reduce": "sum"},
    {"kind": "mse", "at": [6]},
    {"kind": "cross_entropy", "at": "all", "truncate": 4},
    {"kind": "mse", "at": "all", "reduce": "sum", "truncate": 1},
    {"kind": "mse", "at": "last", "truncate": 3},
]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", MODULES)
def test_every_column_equals_pytorch(cell, layers, bidirectional, loss):
    run = run_of(cell, loss, layers=layers, bidirectional=bidirectional)
    result, T, N = result_of(run), run.sequence_length, run.batch_size
    net, goal = Stepped(run), Losses(run)
    total = goal([*net.read()])
    total.backward()
    close = {"rtol": 1e-9, "atol": 1e-15}
    np.testing.assert_allclose(result.loss, total.item() / N, rtol=1e-12)
    flows = flows_of(result)
    for at, flow in flows.items():
        ds = net.gradients(at)
        norms = np.sqrt((ds**2).sum(-1).mean(-1))
        np.testing.assert_allclose(flow.state.floats(), norms, **close)
        each = np.sqrt((ds**2).sum(-1))
        alive = each.min(axis=1) > 0
        spread = np.percentile(np.log10(each[alive]), (10, 50, 90), axis=1).T
        np.testing.assert_allclose(flow.log10_percentiles[alive], spread, atol=1e-9)
        for part, curve in flow.parts.items():
            own = np.sqrt((ds[..., run.cells[at].parts[part].rows] ** 2).sum(-1).mean(-1))
            np.testing.assert_allclose(curve.floats(), own, **close)
        own = [T] if loss["at"] == "last" else [T + 1 - t if at[1] else t for t in run.loss_steps]
        first = T - max(own)
        same_way = [net.gradients(o)[first] for o in flows if o[1] == at[1]]
        start = np.sqrt(sum((a**2).sum(-1) for a in same_way).mean())
        relative = flow.relative.floats()
        assert np.isnan(relative[:first]).all()
        np.testing.assert_allclose(relative[first:], norms[first:] / start, **close)
        for name, curve in flow.terms.items():
            terms = net.terms(at, name) / N
            np.testing.assert_allclose(curve.floats(), np.linalg.norm(terms, axis=1), **close)
            running = np.linalg.norm(np.cumsum(terms, axis=0), axis=1)
            np.testing.assert_allclose(flow.totals[name].floats(), running[-1], **close)
            if name == "W_s":
                np.testing.assert_allclose(flow.share_W_s, running / running[-1], **close)
    if not bidirectional:
        W_o = goal.W_o.grad.norm().item() / N
        np.testing.assert_allclose(result.flow.totals["W_o"].floats(), W_o, rtol=1e-9)


def whole_module(run):
    """PyTorch's module of a whole net of a run, and its initial states."""
    module = MODULES[run.cell.name](
        run.input_size, run.hidden_size, run.layers, bidirectional=run.bidirectional
    ).double()
    params, s0 = sampling.parameters(run), sampling.initial_state(run)
    for (layer, direction), own in params.items():
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        for name, value in as_pytorch(run.cells[layer, direction].cell, own).items():
            getattr(module, name + suffix).data = tensor(value)
    first = run.cells[0, 0]
    parts = [np.stack([s0[at][:, p.rows] for at in run.places]) for p in first.parts.values()]
    state = tuple(tensor(part) for part in parts)
    return module, state if len(state) > 1 else state[0]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", MODULES)
def test_the_outputs_of_a_whole_module_at_every_step(cell, bidirectional):
    """`output[t]` of PyTorch's own module has both directions at the same step of the input."""
    run = run_of(cell, {"kind": "mse", "at": "all"}, layers=2, bidirectional=bidirectional)
    result, goal = result_of(run), Losses(run)
    module, state = whole_module(run)
    outputs, _ = module(tensor(sampling.inputs(run)), state)
    total = goal(outputs)
    total.backward()
    np.testing.assert_allclose(result.loss, total.item() / run.batch_size, rtol=1e-12)
    for (layer, direction), flow in flows_of(result).items():
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        for name, parameter in CURVES.items():
            norm = getattr(module, parameter + suffix).grad.norm().item() / run.batch_size
            np.testing.assert_allclose(flow.totals[name].floats(), norm, rtol=1e-9)


def test_summed_over_every_step_the_gradient_of_a_character_model_grows_with_its_length():
    """A character-level language model: one-hot characters, 65 of them, cross entropy at every
    step; the gradient of the summed loss grows with T as PyTorch has it."""
    found = []
    for T in (10, 250, 500):
        run = run_of(
            "lstm",
            {"kind": "cross_entropy", "at": "all", "reduce": "sum"},
            sequence_length=T, hidden_size=64, input_size=65, output_size=65, batch_size=4,
        )  # fmt: skip
        goal, (module, state) = Losses(run), whole_module(run)
        outputs, _ = module(tensor(sampling.inputs(run)), state)
        goal(outputs).backward()
        expected = module.weight_hh_l0.grad.norm().item() / run.batch_size
        ours = float(result_of(run).flow.totals["W_s"].floats())
        np.testing.assert_allclose(ours, expected, rtol=1e-9)
        found.append(ours)
    assert found[1] > 2 * found[0]
    assert found[2] > 1.2 * found[1]
