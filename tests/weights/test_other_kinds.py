"""A net of another kind whose tensors are called as PyTorch calls its own is refused, and can be
read by naming them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import gradflow

H, I = 3, 2  # noqa: E741


def state(gates, ending="", **more):
    rng = np.random.default_rng(0)
    shapes = {f"weight_ih{ending}": (gates * H, I), f"weight_hh{ending}": (gates * H, H),
              f"bias_ih{ending}": gates * H, f"bias_hh{ending}": gates * H, **more}  # fmt: skip
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("gates", "more"),
    [
        (4, {"weight_ph": 3 * H}),  # peephole LSTM, as torchrecurrent has it
        (1, {"weight_ch": (H, H)}),  # coRNN
        (4, {"weight_mh": (3 * H, H)}),  # WMC-LSTM
        (4, {"weight_proj": (H, I), "weight_res": (H, H), "weight_ph": 3 * H}),  # residual LSTM
        (1, {"weight_mm": (H, H)}),  # MinimalRNN
        (1, {"alpha": 1, "beta": 1}),  # FastRNN
    ],
)
@pytest.mark.parametrize("module", ["", "core."])
def test_what_pytorch_has_not_makes_it_another_kind(gates, more, module):
    tensors = {f"{module}{name}": a for name, a in state(gates, **more).items()}
    name = f"{module}{next(iter(more))}"
    with pytest.raises(gradflow.InputError, match=f"'{name}', next to .* of another kind"):
        gradflow.analyze({}, weights=tensors)


def test_a_layer_with_a_number_too_but_it_may_have_an_initial_state():
    with pytest.raises(gradflow.InputError, match="'weight_ph_l0', next to 'weight_ih_l0'"):
        gradflow.analyze({}, weights=state(4, "_l0", weight_ph_l0=3 * H))
    (result,) = gradflow.analyze({}, weights=state(4, "_l0", h0=H))
    assert result.axes["cell"] == "lstm"


@pytest.mark.parametrize(("gates", "own"), [(1, "RNN"), (3, "GRU"), (4, "LSTM")])
def test_cells_of_a_list_may_be_of_torchrecurrent_and_a_note_says_so(gates, own):
    """OriginalLSTM, MUT2 and MUT3 have names and shapes of a GRUCell, ATR those of an RNNCell."""
    cell = {"cell": {"type": "rnn", "activation": "tanh"}} if gates == 1 else {}

    def notes(prefix):
        tensors = {f"{prefix}{name}": a for name, a in state(gates).items()}
        (result,) = gradflow.analyze({**cell, "sequence_length": 3}, weights=tensors)
        return result.notes

    (note,) = notes("net.cells.0.")
    assert note.startswith(f"read as PyTorch's {own}Cell, which the file does not say")
    assert notes("encoder.0.") == notes("cells.") == notes("") == ()


@pytest.mark.parametrize("more", ["p_i", "hf/scale"])
def test_what_a_cell_of_flax_has_not_makes_it_another_kind(more):
    sides = {"i": I, "h": H}
    arrays = {f"net/{side}{g}/kernel": np.ones((width, H)) for side, width in sides.items()
              for g in "ifgo"}  # fmt: skip
    (result,) = gradflow.analyze({"sequence_length": 3}, weights={**arrays, "net_2/p": np.ones(H)})
    assert result.axes["cell"] == "lstm"
    with pytest.raises(gradflow.InputError, match=f"'net/{more}', next to .* of another kind"):
        gradflow.analyze({}, weights={**arrays, f"net/{more}": np.ones(H)})


class Module:
    """What gradflow asks of a module of torch."""

    def __init__(self, **plain):
        vars(self).update(plain)

    def state_dict(self):
        return state(3)

    def named_modules(self):
        return [("", self)]


def test_a_module_of_another_class_is_noted():
    kinds = {name: type(name, (Module,), {}) for name in ("MUT2Cell", "GRUCell", "MyGRU")}
    config = {"sequence_length": 3}
    (result,) = gradflow.analyze(config, weights=kinds["MUT2Cell"]())
    assert result.notes == ("read by its tensors as PyTorch's GRUCell: its class is MUT2Cell",)
    for known in (kinds["GRUCell"](), kinds["MyGRU"](mode="GRU")):
        (result,) = gradflow.analyze(config, weights=known)
        assert result.notes == ()


def test_its_tensors_can_be_named(tmp_path):
    """The loss of a peephole LSTM, by its equations spelt out."""
    tensors = state(4, weight_ph=3 * H, bias=4 * H)
    np.savez(tmp_path / "net.npz", **tensors)
    rows = {gate: f"[{k * H}:{(k + 1) * H}]" for k, gate in enumerate("ifgo")}
    names = {f"{to}_{gate}": f"{of}{at}" for gate, at in rows.items()
             for to, of in {"W": "weight_ih", "U": "weight_hh", "b": "bias"}.items()}  # fmt: skip
    names |= {f"p_{gate}": f"weight_ph[{k * H}:{(k + 1) * H}]" for k, gate in enumerate("ifo")}
    x = np.random.default_rng(1).standard_normal((5, 1, I))
    weights = {"file": str(tmp_path / "net.npz"), "parameters": names}
    (result,) = gradflow.analyze({"cell": "peephole", "weights": weights, "loss": "sum"}, input=x)
    h, c, p = np.zeros(H), np.zeros(H), tensors["weight_ph"].reshape(3, H)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for row in x[:, 0]:
        z = tensors["weight_ih"] @ row + tensors["weight_hh"] @ h + tensors["bias"]
        i, f, g, o = z.reshape(4, H)
        c = sigmoid(f + p[1] * c) * c + sigmoid(i + p[0] * c) * np.tanh(g)
        h = sigmoid(o + p[2] * c) * np.tanh(c)
    assert_allclose(result.loss, h.sum(), rtol=1e-12)
