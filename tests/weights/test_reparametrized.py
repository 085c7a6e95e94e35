"""Weights that PyTorch's utilities keep in parts, and modules that only wrap others."""

from __future__ import annotations

import numpy as np
import pytest
from test_conventions import H, I, normal, pytorch, tensors

from gradflow.errors import InputError
from gradflow.weights import choose_net
from gradflow.weights.conventions import find_nets


def parts_of(form, W):
    """The tensors that keep W of a net `rnn` in a form, by their names."""
    g, v = np.linalg.norm(W, axis=1, keepdims=True), 3 * W
    rng = np.random.default_rng(0)
    u, w = rng.standard_normal(len(W)), rng.standard_normal(W.shape[1])
    mask = rng.integers(0, 2, W.shape).astype(float)
    orig = W * (u @ W @ w)  # whose spectral norm by u and w is the square of W's
    name, other = "rnn.weight_hh_l0", "rnn.parametrizations.weight_hh_l0"
    expected = W * mask if form == "pruned" else W
    if form.startswith("spectral"):
        expected = orig / (u @ orig @ w)
    return {
        "raw": {f"{name}_raw": W, "rnn.module.weight_hh_l0": W + 1},
        "weight norm": {f"{name}_g": g, f"{name}_v": v},
        "weight norm of one length": {f"{name}_g": np.linalg.norm(W), f"{name}_v": v},
        "weight norm, parametrized": {f"{other}.original0": g, f"{other}.original1": v},
        "spectral": {f"{name}_orig": orig, f"{name}_u": u, f"{name}_v": w},
        "spectral, parametrized": {
            f"{other}.original": orig, f"{other}.0._u": u, f"{other}.0._v": w},
        "pruned": {f"{name}_orig": W + (1 - mask), f"{name}_mask": mask},
    }[form], expected  # fmt: skip


FORMS = (
    *("raw", "weight norm", "weight norm of one length", "weight norm, parametrized"),
    *("spectral", "spectral, parametrized", "pruned"),
)


@pytest.mark.parametrize("form", FORMS)
def test_a_parameter_is_put_together_from_its_parts(form):
    arrays = pytorch("rnn.", "lstm")
    parts, expected = parts_of(form, arrays.pop("rnn.weight_hh_l0"))
    (layer,) = choose_net(tensors({**parts, **arrays}))
    np.testing.assert_allclose(layer.W_s, expected, rtol=1e-12)
    np.testing.assert_array_equal(layer.W_x, arrays["rnn.weight_ih_l0"])
    assert set(layer.names["W_s"]) <= parts.keys()
    assert form.split()[0].rstrip(",") in layer.notes[0]
    if form != "raw":
        del parts[list(parts)[-1]]
        with pytest.raises(InputError, match="of a parameter is missing, next to the tensor"):
            choose_net(tensors({**parts, **arrays}))


def test_parts_that_do_not_fit_are_refused():
    arrays = pytorch("rnn.", "lstm")
    parts, _ = parts_of("weight norm", arrays.pop("rnn.weight_hh_l0"))
    parts["rnn.weight_hh_l0_g"] = np.ones((3, 1))
    with pytest.raises(InputError, match=r"the parts \(3, 1\), \(12, 3\) do not make one"):
        choose_net(tensors({**parts, **arrays}))
    parts["rnn.weight_hh_l0_g"], parts["rnn.weight_hh_l0_v"] = np.ones((12, 1)), np.zeros((12, 3))
    with pytest.raises(InputError, match="make numbers that are not finite"):
        choose_net(tensors({**parts, **arrays}))


def test_a_parametrization_that_is_not_known_is_named():
    arrays = pytorch("rnn.", "lstm")
    name = "rnn.parametrizations.weight_hh_l0.original"
    arrays[name] = arrays.pop("rnn.weight_hh_l0")
    with pytest.raises(InputError, match=rf"'{name}' is under a parametrization.*remove_param"):
        choose_net(tensors(arrays))


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", ""])
def test_a_module_that_only_wraps_is_left_out_of_the_name(wrapper):
    file = tensors(pytorch(f"{wrapper}enc.rnn.", "gru"))
    (net,) = find_nets(file)
    assert net.prefix == "enc.rnn"
    for prefix in ("enc.rnn", "enc", f"{wrapper}enc.rnn"):
        assert choose_net(file, prefix)[0].cell == "gru"


def test_a_net_and_its_wrapped_twin_are_two():
    """Such as weights and their running average."""
    average = {name: array + 1 for name, array in pytorch("module.rnn.", "lstm").items()}
    file = tensors({**pytorch("rnn.", "lstm"), **average})
    assert [net.prefix for net in find_nets(file)] == ["rnn", "module.rnn"]
    plain, wrapped = (choose_net(file, p)[0] for p in ("rnn", "module.rnn"))
    np.testing.assert_array_equal(wrapped.W_s, plain.W_s + 1)


@pytest.mark.parametrize(
    ("facts", "activation"),
    [({"mode": "RNN_RELU"}, "relu"), ({"nonlinearity": "tanh"}, "tanh"), ({"mode": 3}, None)],
)
def test_a_module_that_is_in_the_file_tells_its_activation(facts, activation):
    arrays = {"m.rnn.weight_ih_l0": normal(H, I), "m.rnn.weight_hh_l0": normal(H, H)}
    (layer,) = choose_net(tensors(arrays, modules={"m.rnn": facts}))
    assert layer.options.get("activation") == activation
    assert layer.undetermined == (() if activation else ("activation",))
