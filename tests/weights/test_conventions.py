"""Each framework's documented equations, on its own layout, against gradflow's on what was read."""

from __future__ import annotations

import numpy as np
import pytest
from net_equations import net_outputs, sigmoid

from gradflow.errors import InputError
from gradflow.weights import Stored, Tensors, choose_net, find_layers

H, I, T, N = 3, 2, 5, 4  # noqa: E741


def tensors(arrays, **attributes):
    stored = {n: Stored(a.shape, str(a.dtype), lambda a=a: a) for n, a in arrays.items()}
    return Tensors("net.file", stored, attributes)


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def scan(step, *states):
    """(T, N, H): the first state after each step on the inputs of `x`."""
    outputs = []
    for x_t in x():
        states = step(x_t, *states)
        outputs.append(states[0])
    return np.array(outputs)


def x():
    return normal(T, N, I)


def zeros():
    return np.zeros((N, H))


def pytorch_lstm():
    p = {
        "enc.lstm.weight_ih_l0": normal(4 * H, I),
        "enc.lstm.weight_hh_l0": normal(4 * H, H),
        "enc.lstm.bias_ih_l0": normal(4 * H),
        "enc.lstm.bias_hh_l0": normal(4 * H) * 2,
    }
    W, U, b, d = p.values()

    def step(x, h, c):
        W_ii, W_if, W_ig, W_io = np.split(x @ W.T + b + h @ U.T + d, 4, axis=1)
        c = sigmoid(W_if) * c + sigmoid(W_ii) * np.tanh(W_ig)
        return sigmoid(W_io) * np.tanh(c), c

    return tensors(p), scan(step, zeros(), zeros())


def pytorch_lstm_projected():
    p = {
        "weight_ih_l0": normal(4 * H, I),
        "weight_hh_l0": normal(4 * H, 2),
        "weight_hr_l0": normal(2, H),
    }
    W, U, P = p.values()

    def step(x, h, c):
        i, f, g, o = np.split(x @ W.T + h @ U.T, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return (sigmoid(o) * np.tanh(c)) @ P.T, c

    return tensors(p), scan(step, np.zeros((N, 2)), zeros())


def pytorch_gru_cell():
    p = {
        "cell.weight_ih": normal(3 * H, I),
        "cell.weight_hh": normal(3 * H, H),
        "cell.bias_ih": normal(3 * H),
        "cell.bias_hh": normal(3 * H) * 2,
    }
    W, U, b, d = p.values()

    def step(x, h):
        (r, z, n), (s, y, m) = np.split(x @ W.T + b, 3, axis=1), np.split(h @ U.T + d, 3, axis=1)
        n = np.tanh(n + sigmoid(r + s) * m)
        return ((1 - sigmoid(z + y)) * n + sigmoid(z + y) * h,)

    return tensors(p), scan(step, zeros())


def pytorch_rnn_without_bias():
    p = {"weight_ih_l0": normal(H, I), "weight_hh_l0": normal(H, H)}
    W, U = p.values()
    return tensors(p), scan(lambda x, h: (np.tanh(x @ W.T + h @ U.T),), zeros())


def keras_lstm():
    p = {"lstm/kernel": normal(I, 4 * H), "lstm/recurrent_kernel": normal(H, 4 * H)}
    p["lstm/bias"] = normal(4 * H)
    W, U, b = p.values()

    def step(x, h, c):
        i, f, k, o = np.split(x @ W + h @ U + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(k)
        return sigmoid(o) * np.tanh(c), c

    return tensors(p), scan(step, zeros(), zeros())


def keras_gru(after):
    p = {"gru/cell/vars/0": normal(I, 3 * H), "gru/cell/vars/1": normal(H, 3 * H)}
    p["gru/cell/vars/2"] = normal(2, 3 * H) if after else normal(3 * H)
    W, U, b = p.values()
    b, d = b if after else (b, np.zeros(3 * H))

    def step(x, h):
        (z, r, k), (y, s, m) = np.split(x @ W + b, 3, axis=1), np.split(h @ U + d, 3, axis=1)
        z, r = sigmoid(z + y), sigmoid(r + s)
        k = np.tanh(k + (r * m if after else (r * h) @ U[:, 2 * H :]))
        return (z * h + (1 - z) * k,)

    return tensors(p), scan(step, zeros())


def keras_1_gru():
    """Keras 1: a tensor for each gate."""
    parts = {f"gru_1_{m}_{g}": None for g in "zrh" for m in "WUb"}
    shapes = {"W": (I, H), "U": (H, H), "b": (H,)}
    rng = np.random.default_rng(0)
    p = {name: rng.standard_normal(shapes[name.split("_")[2]]) for name in parts}

    def gate(x, h, g):
        return x @ p[f"gru_1_W_{g}"] + h @ p[f"gru_1_U_{g}"] + p[f"gru_1_b_{g}"]

    def step(x, h):
        z, r = sigmoid(gate(x, h, "z")), sigmoid(gate(x, h, "r"))
        return (z * h + (1 - z) * np.tanh(gate(x, r * h, "h")),)

    return tensors({f"gru_1/{n}:0": a for n, a in p.items()}, groups={}), scan(step, zeros())


def keras_1_lstm():
    shapes = {"W": (I, H), "U": (H, H), "b": (H,)}
    rng = np.random.default_rng(1)
    p = {f"{m}_{g}": rng.standard_normal(shapes[m]) for g in "icfo" for m in "WUb"}

    def step(x, h, c):
        i, f, k, o = (x @ p[f"W_{g}"] + h @ p[f"U_{g}"] + p[f"b_{g}"] for g in "ifco")
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(k)
        return sigmoid(o) * np.tanh(c), c

    return tensors({f"a/lstm_1_{n}": v for n, v in p.items()}, groups={}), scan(
        step, zeros(), zeros()
    )


def flax_lstm(separator="/"):
    rng = np.random.default_rng(2)
    p = {f"i{g}/kernel": rng.standard_normal((I, H)) for g in "ifgo"}
    p |= {f"h{g}/kernel": rng.standard_normal((H, H)) for g in "ifgo"}
    p |= {f"h{g}/bias": rng.standard_normal(H) for g in "ifgo"}

    def step(x, h, c):
        i, f, g, o = (
            x @ p[f"i{g}/kernel"] + h @ p[f"h{g}/kernel"] + p[f"h{g}/bias"] for g in "ifgo"
        )
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    names = {n: f"params/cell/{n}".replace("/", separator) for n in p}
    return tensors({names[n]: p[n] for n in sorted(p)}), scan(step, zeros(), zeros())


def flax_gru():
    rng = np.random.default_rng(3)
    p = {f"i{g}/kernel": rng.standard_normal((I, H)) for g in "rzn"}
    p |= {f"i{g}/bias": rng.standard_normal(H) for g in "rzn"}
    p |= {f"h{g}/kernel": rng.standard_normal((H, H)) for g in "rzn"}
    p["hn/bias"] = rng.standard_normal(H)

    def step(x, h):
        a = {g: x @ p[f"i{g}/kernel"] + p[f"i{g}/bias"] for g in "rzn"}
        r, z = (sigmoid(a[g] + h @ p[f"h{g}/kernel"]) for g in "rz")
        n = np.tanh(a["n"] + r * (h @ p["hn/kernel"] + p["hn/bias"]))
        return ((1 - z) * n + z * h,)

    return tensors({f"cell/{n}": a for n, a in p.items()}), scan(step, zeros())


def flax_nnx_gru():
    p = {"gru.dense_i.kernel": normal(I, 3 * H), "gru.dense_i.bias": normal(3 * H)}
    p["gru.dense_h.kernel"] = normal(H, 3 * H)
    W, b, U = p.values()

    def step(x, h):
        (r, z, n), (s, y, m) = np.split(x @ W + b, 3, axis=1), np.split(h @ U, 3, axis=1)
        r, z = sigmoid(r + s), sigmoid(z + y)
        return ((1 - z) * np.tanh(n + r * m) + z * h,)

    return tensors(p), scan(step, zeros())


def onnx_node(op, after=0):
    from gradflow.weights.readers.onnx import Node

    G = {"LSTM": 4, "GRU": 3, "RNN": 1}[op] * H
    p = {"W": normal(1, G, I), "R": normal(1, G, H), "B": normal(1, 2 * G)}
    W, R, (b, d) = p["W"][0], p["R"][0], np.split(p["B"][0], 2)
    attributes = {"hidden_size": H, "linear_before_reset": after}
    node = Node(op, "node", ("X", "W", "R", "B"), ("Y",), attributes)

    def lstm(x, h, c):
        i, o, f, k = np.split(x @ W.T + h @ R.T + b + d, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(k)
        return sigmoid(o) * np.tanh(c), c

    def gru(x, h):
        (z, r, k), (y, s, m) = np.split(x @ W.T + b, 3, axis=1), np.split(h @ R.T + d, 3, axis=1)
        z, r = sigmoid(z + y), sigmoid(r + s)
        k = np.tanh(k + (r * m if after else (r * h) @ R[2 * H :].T + d[2 * H :]))
        return ((1 - z) * k + z * h,)

    steps = {"LSTM": lstm, "GRU": gru, "RNN": lambda x, h: (np.tanh(x @ W.T + h @ R.T + b + d),)}
    states = [zeros()] * (2 if op == "LSTM" else 1)
    return tensors(p, nodes=(node,)), scan(steps[op], *states)


CASES = {
    "PyTorch LSTM": pytorch_lstm,
    "PyTorch LSTM with proj_size": pytorch_lstm_projected,
    "PyTorch GRUCell": pytorch_gru_cell,
    "PyTorch RNN without bias": pytorch_rnn_without_bias,
    "Keras LSTM": keras_lstm,
    "Keras GRU, reset after": lambda: keras_gru(after=True),
    "Keras GRU, reset before": lambda: keras_gru(after=False),
    "Keras 1 GRU": keras_1_gru,
    "Keras 1 LSTM": keras_1_lstm,
    "Flax LSTM": flax_lstm,
    "Flax LSTM, dotted names": lambda: flax_lstm("."),
    "Flax GRU": flax_gru,
    "Flax nnx GRU": flax_nnx_gru,
    "ONNX LSTM": lambda: onnx_node("LSTM"),
    "ONNX GRU, reset after": lambda: onnx_node("GRU", after=1),
    "ONNX GRU, reset before": lambda: onnx_node("GRU"),
    "ONNX RNN": lambda: onnx_node("RNN"),
}


@pytest.mark.parametrize("case", CASES)
def test_documented_equations_give_the_same_outputs(case):
    file, expected = CASES[case]()
    layers = choose_net(file)
    assert layers[0].convention == case.split()[0]
    np.testing.assert_allclose(net_outputs(layers, x()), expected, rtol=0, atol=1e-12)


def pytorch(prefix, cell, layers=1, bidirectional=False, inputs=I):
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    arrays = {}
    for k in range(layers):
        for suffix in ("", "_reverse")[: 1 + bidirectional]:
            width = inputs if k == 0 else H * (1 + bidirectional)
            arrays[f"{prefix}weight_ih_l{k}{suffix}"] = normal(gates * H, width)
            arrays[f"{prefix}weight_hh_l{k}{suffix}"] = normal(gates * H, H)
    return arrays


def test_all_nets_of_a_file_are_found():
    file = tensors(
        pytorch("a.", "lstm", layers=2, bidirectional=True)
        | pytorch("b.", "gru")
        | pytorch("c.d.", "rnn")
        | {"fc.weight": normal(2, 2), "emb.weight": normal(9, 9)}
    )
    found = [(one.prefix, one.layer, one.direction, one.cell) for one in find_layers(file)]
    assert found == [
        ("a", 0, "forward", "lstm"),
        ("a", 0, "reverse", "lstm"),
        ("a", 1, "forward", "lstm"),
        ("a", 1, "reverse", "lstm"),
        ("b", 0, "forward", "gru"),
        ("c.d", 0, "forward", "rnn"),
    ]
    assert find_layers(file, "c")[0].undetermined == ("activation",)
    assert find_layers(file, "b")[0].options == {"reset": "after"}


def test_flax_bidirectional_is_one_net():
    rng = np.random.default_rng(1)
    arrays = {
        f"bi/{way}_rnn/cell/{part}": rng.standard_normal((I if part[0] == "i" else H, H))
        for way in ("forward", "backward")
        for part in ("i/kernel", "h/kernel")
    }
    layers = choose_net(tensors(arrays))
    assert [(one.prefix, one.layer, one.direction) for one in layers] == [
        ("bi", 0, "forward"),
        ("bi", 0, "reverse"),
    ]


def test_two_readers_of_one_sequence_are_two_nets_in_onnx():
    from gradflow.weights.readers.onnx import Node

    arrays = {
        f"{m}{k}": normal(1, H, width)
        for k in range(3)
        for m, width in (("W", I if k == 0 else H), ("R", H))
    }

    def nodes(*edges):
        return tuple(
            Node("RNN", f"n{k}", (source, f"W{k}", f"R{k}"), (f"Y{k}",), {})
            for k, source in enumerate(edges)
        )

    def prefixes(*edges):
        file = tensors(arrays, nodes=nodes(*edges))
        return [(one.prefix, one.layer) for one in find_layers(file)]

    assert prefixes("X", "Y0", "Y1") == [("n0", 0), ("n0", 1), ("n0", 2)]
    assert prefixes("X", "Y0", "Y0") == [("n0", 0), ("n1", 0), ("n2", 0)]
    same = [Node("RNN", "same", n.inputs, n.outputs, {}) for n in nodes("X", "X", "X")]
    found = find_layers(tensors({**arrays, "W1": arrays["W0"], "W2": arrays["W0"]}, nodes=same))
    assert [one.prefix for one in found] == ["Y0", "Y1", "Y2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activations": [b"Relu"]}, None),
        ({"activations": [b"HardSigmoid"]}, "activation keras2_hard_sigmoid"),
        ({"activations": [b"Elu"]}, "activation elu 1 "),
        ({"clip": 3.0}, "clipping of the pre-activations"),
    ],
)
def test_what_onnx_says_of_a_node_is_heeded(changes, message):
    from gradflow.weights.readers.onnx import Node

    node = Node("RNN", "n", ("X", "W", "R"), ("Y",), changes)
    file = tensors({"W": normal(1, H, I), "R": normal(1, H, H)}, nodes=(node,))
    if message is None:
        assert choose_net(file)[0].options == {"activation": "relu"}
    else:
        with pytest.raises(InputError, match=message):
            choose_net(file)
