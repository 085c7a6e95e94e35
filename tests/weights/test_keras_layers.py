"""What of a Keras file is no plain layer: wrappers, subclasses, versions, cuDNN's layout."""

from __future__ import annotations

import numpy as np
import pytest
from net_equations import net_outputs, sigmoid
from test_conventions import H, I, normal, scan, tensors, x, zeros

from gradflow.errors import InputError
from gradflow.weights import choose_net
from gradflow.weights.conventions import find_nets


def arrays(path, gates=4, bias=None):
    found = {f"{path}/kernel:0": normal(I, gates * H)}
    found[f"{path}/recurrent_kernel:0"] = normal(H, gates * H)
    return found if bias is None else {**found, f"{path}/bias:0": normal(*bias)}


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def sequential(*layers):
    return {"class_name": "Sequential", "config": {"layers": list(layers)}}


def read(found, *layers, **attributes):
    """The nets of a file of Keras 2."""
    attributes.setdefault("keras_version", "2.14.0")
    config = sequential(*layers) if layers else None
    return tensors(found, config=config, groups={}, **attributes)


HARD = {"recurrent_activation": "hard_sigmoid"}
PLAIN = {"activation": "tanh", "recurrent_activation": "sigmoid"}


@pytest.mark.parametrize(
    ("wrapped", "path"),
    [
        (layer("TimeDistributed", "td", layer=layer("LSTM", "in", **PLAIN | HARD)), "td/td/in/c"),
        (layer("Mine>Wrap", "td", layer=layer("LSTM", "in", **PLAIN | HARD)), "td/td/in/c"),
        (layer("Functional", "td", layers=[layer("LSTM", "in", **PLAIN | HARD)]), "td/in/c"),
        (layer("mine>MyLSTM", "td", units=H, **PLAIN | HARD), "td/c"),
        (layer("RNN", "td", cell=layer("LSTMCell", "in", **PLAIN | HARD)), "td/in"),
        (
            layer(
                "TimeDistributed",
                "td",
                layer=sequential(layer("LSTM", "in", **PLAIN | HARD)),
            ),
            "td/in/c",
        ),
    ],
    ids=["TimeDistributed", "a wrapper of the user's", "model", "subclass", "RNN", "model in one"],
)
def test_a_wrapped_layer_has_its_own_activations(wrapped, path):
    """Beside another layer, whose name an inner one has too, in which they are the usual ones."""
    found = {**arrays("model_weights/" + path), **arrays("model_weights/in/in/c")}
    nets = {
        net.prefix: net.layers()[0]
        for net in find_nets(read(found, layer("LSTM", "in", **PLAIN), wrapped))
    }
    hard = {"activation": "tanh", "recurrent_activation": "keras2_hard_sigmoid"}
    assert [dict(one.options) for one in nets.values()] == [PLAIN, hard]
    assert all(not one.undetermined and not one.unsupported for one in nets.values())
    odd = wrapped["class_name"].split(">")[-1]
    said = any(odd in note for one in nets.values() for note in one.notes)
    assert said == ("ine>" in wrapped["class_name"])


def test_each_direction_has_its_own_config():
    inner = layer("LSTM", "forward_in", **PLAIN)
    other = layer("LSTM", "other", go_backwards=True, **PLAIN | HARD)
    bi = layer("Bidirectional", "bi", layer=inner, backward_layer=other, merge_mode="sum")
    found = {**arrays("bi/bi/other/c"), **arrays("bi/bi/forward_in/c")}
    forward, reverse = choose_net(read(found, bi))
    assert (forward.direction, reverse.direction) == ("forward", "reverse")
    assert forward.options == PLAIN
    assert reverse.options["recurrent_activation"] == "keras2_hard_sigmoid"
    assert forward.names["W_x"] == ("bi/bi/forward_in/c/kernel:0",)
    assert forward.merge == "sum"
    (alone,) = choose_net(read(found, bi), direction="reverse")
    assert alone.options == reverse.options


def test_a_forward_direction_that_goes_backwards_is_refused():
    inner = layer("LSTM", "in", go_backwards=True, **PLAIN)
    bi = layer("Bidirectional", "bi", layer=inner, merge_mode="concat")
    found = {**arrays("bi/forward_in/c"), **arrays("bi/backward_in/c")}
    with pytest.raises(InputError, match="a forward direction that goes backwards"):
        choose_net(read(found, bi))


@pytest.mark.parametrize(
    ("version", "gates", "words"),
    [
        ("1.2.2", "keras2_hard_sigmoid", "default in Keras 1.2.2"),
        ("2.1.4", "keras2_hard_sigmoid", "default in Keras 2.1.4"),
        ("2.2.4-tf", "keras2_hard_sigmoid", "with TensorFlow 1, sigmoid with TensorFlow 2"),
        ("2.3.0", "sigmoid", "sigmoid was the gates' default in Keras 2.3.0"),
        ("3.4.1", "sigmoid", "sigmoid was the gates' default in Keras 3.4.1"),
        (None, "sigmoid", "from Keras 2.3 on, keras2_hard_sigmoid before"),
    ],
)
def test_without_a_config_the_activations_are_asked_for(version, gates, words):
    (lstm,) = choose_net(read(arrays("a/a", bias=(4 * H,)), keras_version=version))
    assert lstm.options == {}
    assert lstm.undetermined == ("activation", "recurrent_activation")
    assert lstm.likely == {"activation": "tanh", "recurrent_activation": gates}
    assert any(words in note for note in lstm.notes)
    (rnn,) = choose_net(read(arrays("a/a", 1), keras_version=version))
    assert rnn.undetermined == ("activation",)
    (gru,) = choose_net(read(arrays("a/a", 3), keras_version=version))
    assert gru.undetermined == ("activation", "recurrent_activation", "reset")
    old = version is not None and gates != "sigmoid"
    assert gru.likely["reset"] == ("before" if old else "after")


@pytest.mark.parametrize(
    ("version", "found"),
    [("2.15.0", "keras2_hard_sigmoid"), ("3.0.5", "hard_sigmoid"), (None, None)],
)
def test_a_hard_sigmoid_is_that_of_its_version(version, found):
    config = layer("GRU", "gru", reset_after=True, **PLAIN | HARD)
    (gru,) = choose_net(read(arrays("gru/gru", 3), config, keras_version=version))
    assert gru.options.get("recurrent_activation") == found
    if found is None:
        assert gru.undetermined == ("recurrent_activation",)
        assert gru.likely == {"recurrent_activation": "hard_sigmoid"}
        assert "Keras 3 (hard_sigmoid here)" in gru.notes[0]


@pytest.mark.parametrize("gates", [4, 3])
@pytest.mark.parametrize("told", [True, False])
def test_the_layout_of_cudnn_is_read(gates, told):
    """cuDNN reads each gate's kernel as (H, I) and (H, H), row by row."""
    config = [layer("CuDNNLSTM" if gates == 4 else "CuDNNGRU", "rnn")] if told else []
    found = arrays("rnn/rnn", gates, bias=(2 * gates * H,))
    W, U, b = found.values()
    W = [k.ravel().reshape(H, I) for k in np.split(W, gates, axis=1)]
    U = [k.ravel().reshape(H, H) for k in np.split(U, gates, axis=1)]
    b, d = b.reshape(2, gates, H)

    def lstm(x, h, c):
        i, f, k, o = (x @ w.T + v + h @ u.T + e for w, v, u, e in zip(W, b, U, d, strict=True))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(k)
        return sigmoid(o) * np.tanh(c), c

    def gru(x, h):
        (z, r, k), (y, s, m) = ([x @ w.T + v for w, v in zip(W, b, strict=True)],
                                [h @ u.T + v for u, v in zip(U, d, strict=True)])  # fmt: skip
        z, r = sigmoid(z + y), sigmoid(r + s)
        return (z * h + (1 - z) * np.tanh(k + r * m),)

    expected = scan(lstm, zeros(), zeros()) if gates == 4 else scan(gru, zeros())
    layers = choose_net(read(found, *config))
    assert not layers[0].undetermined
    assert layers[0].options | PLAIN == layers[0].options
    np.testing.assert_allclose(net_outputs(layers, x()), expected, rtol=0, atol=1e-12)


def test_tensors_that_no_plain_cell_has_are_not_passed_over():
    found = {**arrays("a/peephole"), "a/peephole/recurrent_peephole:0": normal(H)}
    with pytest.raises(InputError, match="has tensors that no cell of gradflow's has: 'a/peephole"):
        choose_net(read(found, keras_version="2.2.0"))


@pytest.mark.parametrize("order", [("b", "a"), ("a", "b"), ()])
def test_nets_stand_in_the_order_of_the_file(order):
    """As `layer_names` has it; without, lstm_2 before lstm_10."""
    found = {**arrays("a/a"), **arrays("b/b")} if order else {}
    found |= {**arrays("lstm_10/c"), **arrays("lstm_2/c")}
    file = read(found, layers=order)
    expected = [f"{name}/{name}" for name in order] + ["lstm_2/c", "lstm_10/c"]
    assert [net.prefix for net in find_nets(file)] == expected


def test_layers_of_one_name_in_two_models_are_told_apart():
    inner = [
        {"class_name": "Sequential", "config": {"name": name, "layers": [layer("LSTM", "lstm")]}}
        for name in ("one", "two")
    ]
    found = {**arrays("one/lstm/c"), **arrays("two/lstm/c")}
    nets = list(find_nets(read(found, *inner)))
    assert [net.prefix for net in nets] == ["one/lstm/lstm", "two/lstm/lstm"]
    assert [net.layers()[0].names["W_x"][0] for net in nets] == [
        "one/lstm/c/kernel:0",
        "two/lstm/c/kernel:0",
    ]


def test_variables_of_a_tensorflow_checkpoint_are_read():
    """As numpy.savez keeps them by the names that tf.train.load_checkpoint gives."""
    saved = {"kernel": normal(I, 3 * H), "recurrent_kernel": normal(H, 3 * H)}
    names = {f"w-0/cell/{name}/.ATTRIBUTES/VARIABLE_VALUE": a for name, a in saved.items()}
    slot = "w-0/cell/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE"
    (layer,) = choose_net(tensors({**names, slot: saved["kernel"]}))
    assert (layer.prefix, layer.cell, layer.convention) == ("w-0/cell", "gru", "Keras")
    z, r, n = np.split(saved["kernel"].T, 3)
    np.testing.assert_array_equal(layer.W_x, np.concatenate([r, z, n]))


def test_a_stack_in_each_direction_by_itself_is_no_bidirectional_stack():
    """Summed, its widths would fit one whose layers read both directions."""
    cells = [layer("LSTMCell", f"c{k}", **PLAIN) for k in range(2)]
    stack = layer("RNN", "rnn", cell=layer("StackedRNNCells", "cells", cells=cells))
    found = {}
    for way in ("forward", "backward"):
        found |= {**arrays(f"b/b/{way}_rnn/c0"), **arrays(f"b/b/{way}_rnn/c1")}
        found[f"b/b/{way}_rnn/c1/kernel:0"] = normal(H, 4 * H)
    config = layer("Bidirectional", "b", layer=stack, merge_mode="sum")
    for net in find_nets(read(found, config)):
        with pytest.raises(InputError, match="a stack of cells in each direction by itself"):
            net.layers()
