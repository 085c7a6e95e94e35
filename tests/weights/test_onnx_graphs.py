"""ONNX graphs as exporters and optimizers leave them: quantized, merged, branched, written out."""

from __future__ import annotations

import numpy as np
import pytest
from net_equations import net_outputs
from test_conventions import H, I, normal, tensors, x

from gradflow.errors import InputError
from gradflow.weights import choose_net
from gradflow.weights.conventions import find_nets
from gradflow.weights.readers.onnx import Node


def weights(key, width, D=1, gates=4):
    return {f"W{key}": normal(D, gates * H, width), f"R{key}": normal(D, gates * H, H)}


def recurrent(key, source, op="LSTM", **attributes):
    return Node(op, f"n{key}", (source, f"W{key}", f"R{key}"), (f"Y{key}",), attributes)


def nets(arrays, *nodes):
    file = tensors(arrays, nodes=nodes)
    return [(net.prefix, 1 + net.layers()[-1].layer) for net in find_nets(file)]


BOTH = {"direction": b"bidirectional"}


def test_a_chain_ends_where_the_directions_change():
    arrays = {**weights(0, I, 2), **weights(1, 2 * H, 2), **weights(2, 2 * H), **weights(3, H)}
    nodes = [recurrent(0, "X", **BOTH), recurrent(1, "Y0", **BOTH), recurrent(2, "Y1")]
    assert nets(arrays, *nodes, recurrent(3, "Y2")) == [("n0", 2), ("n2", 2)]
    (upper,) = choose_net(tensors(arrays, nodes=nodes), "n2")
    assert upper.input_size == 2 * H
    assert "the net 'n2' reads the outputs of 'n1'" in upper.notes[0]
    backward = recurrent(3, "Y2", direction=b"reverse")
    assert nets(arrays, *nodes, backward) == [("n0", 2), ("n2", 1), ("n3", 1)]


def test_a_chain_ends_where_the_activations_change():
    arrays = {**weights(0, I), **weights(1, H)}
    hard = {"activations": [b"HardSigmoid", b"Tanh", b"Tanh"]}
    assert nets(arrays, recurrent(0, "X", **hard), recurrent(1, "Y0", **hard)) == [("n0", 2)]
    assert nets(arrays, recurrent(0, "X"), recurrent(1, "Y0", **hard)) == [("n0", 1), ("n1", 1)]


@pytest.mark.parametrize(("op", "merge"), [("ReduceSum", "sum"), ("ReduceMean", "ave")])
def test_directions_that_are_reduced_on_their_way_up_are_merged(op, merge):
    arrays = {**weights(0, I, 2), **weights(1, H, 2)}
    reduced = Node(op, "r", ("Y0",), ("s",), {"axes": [1]})
    file = tensors(arrays, nodes=(recurrent(0, "X", **BOTH), reduced, recurrent(1, "s", **BOTH)))
    layers = choose_net(file)
    assert [one.merge for one in layers] == [merge] * 4
    assert net_outputs(layers, x()).shape[-1] == H


@pytest.mark.parametrize(
    ("names", "constants", "found"),
    [
        ([b"HardSigmoid", b"Tanh", b"Tanh"], {}, ("tanh", "keras2_hard_sigmoid")),
        (
            [b"HardSigmoid", b"Tanh", b"Tanh"],
            {"activation_alpha": [1 / 6], "activation_beta": [0.5]},
            ("tanh", "hard_sigmoid"),
        ),
        ([b"Sigmoid", b"Relu", b"Relu"], {}, ("relu", "sigmoid")),
        ([b"Affine", b"Tanh", b"Tanh"], {}, ("tanh", "linear")),
        ([b"Sigmoid", b"Tanh", b"Relu"], {}, "tanh of the candidate and relu of the state"),
        ([b"HardSigmoid", b"Tanh", b"Tanh"], {"activation_alpha": [0.3]}, "hardsigmoid 0.3 0.5"),
    ],
)
def test_the_activations_of_a_node_are_options(names, constants, found):
    node = recurrent(0, "X", activations=names, **constants)
    file = tensors(weights(0, I), nodes=(node,))
    if isinstance(found, tuple):
        assert tuple(choose_net(file)[0].options.values()) == found
    else:
        with pytest.raises(InputError, match=found):
            choose_net(file)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("zero", [None, np.int8(3)])
def test_quantized_weights_are_whole_numbers_times_their_scale(each, zero):
    rng = np.random.default_rng(0)
    q = {"W": rng.integers(-90, 90, (2, I, 4 * H)), "R": rng.integers(-90, 90, (2, H, 4 * H))}
    scales = {n: rng.uniform(0.01, 0.02, (2, 4 * H) if each else (1,)) for n in q}
    arrays = {n: a.astype(np.int8) for n, a in q.items()}
    arrays |= {f"s{n}": a.astype("f4") for n, a in scales.items()}
    if zero is not None:
        arrays["z"] = np.full((2, 4 * H) if each else (1,), zero)
    z = "z" if zero is not None else ""
    inputs = ("X", "W", "R", "", "", "", "", "", "sW", z, "sR", z)
    node = Node("DynamicQuantizeLSTM", "q", inputs, ("Y",), BOTH)
    file = tensors(arrays, nodes=(node,))
    layers = choose_net(file)
    assert "quantized weights" in layers[0].notes[0]
    for d, layer in enumerate(layers):
        scale = scales["W"].astype("f4")[d] if each else scales["W"].astype("f4")
        expected = ((q["W"][d] - float(zero or 0)) * scale).T
        i, o, f, c = np.split(expected, 4)
        np.testing.assert_allclose(layer.W_x, np.concatenate([i, f, c, o]), rtol=1e-12)
    arrays["sW"] = np.ones(5, "f4")
    with pytest.raises(InputError, match="do not fit"):
        choose_net(tensors(arrays, nodes=(node,)))


def branches(copies, changed=False):
    """An If whose branches have a node each, on the same tensors or on copies."""
    arrays, nodes = {}, []
    for way in ("then", "else"):
        path = f"If_0.{way}_branch/"
        key = path if copies else ""
        arrays |= {key + n: a for n, a in weights("", I).items()}
        nodes.append(Node("LSTM", f"{path}lstm", ("X", key + "W", key + "R"), (f"{path}Y",), {}))
    if changed:
        arrays["If_0.else_branch/R"] = arrays["If_0.else_branch/R"] + 1
    return nets(arrays, *nodes)


def test_branches_that_share_their_weights_are_one_net():
    assert branches(copies=False) == branches(copies=True) == [("If_0.then_branch/lstm", 1)]
    both = [("If_0.then_branch/lstm", 1), ("If_0.else_branch/lstm", 1)]
    assert branches(copies=True, changed=True) == both


def written_out(path):
    return {f"{path}rnn.weight_ih": normal(3 * H, I), f"{path}rnn.weight_hh": normal(3 * H, H)}


def test_a_cell_that_is_written_out_is_known_by_its_names():
    gemm = Node("Gemm", "g", ("X", "rnn.weight_ih"), ("a",), {})
    (layer,) = choose_net(tensors(written_out(""), nodes=(gemm,)))
    assert (layer.prefix, layer.cell, layer.convention) == ("rnn", "gru", "PyTorch")
    assert "written out" in layer.notes[0]
    both = {**written_out("If_0.then_branch/"), **written_out("If_0.else_branch/")}
    assert nets(both, gemm) == [("If_0.then_branch/rnn", 1)]
    both["If_0.else_branch/rnn.weight_hh"] = np.zeros((3 * H, H))
    assert len(nets(both, gemm)) == 2


def test_tensors_that_a_node_is_made_of_are_no_second_net():
    arrays = {"rnn.weight_ih": normal(4 * H, I), "rnn.weight_hh": normal(4 * H, H)}
    arrays["axes"] = np.array([0])
    nodes = [
        Node("Unsqueeze", n, (f"rnn.weight_{n}", "axes"), (f"W_{n}",), {}) for n in ("ih", "hh")
    ]
    lstm = Node("LSTM", "lstm", ("X", "W_ih", "W_hh"), ("Y",), {})
    assert nets(arrays, *nodes, lstm) == [("lstm", 1)]


@pytest.mark.parametrize("axis", [None, 1])
def test_weights_behind_a_dequantizing_node_are_read(axis):
    rng = np.random.default_rng(0)
    q = rng.integers(-9, 9, (1, 4 * H, I)).astype(np.int8)
    scale = np.array(0.5, "f4") if axis is None else rng.uniform(1, 2, 4 * H).astype("f4")
    arrays = {**weights(0, I), "q": q, "s": scale, "half": normal(1, 4 * H, H).astype("f2")}
    del arrays["W0"], arrays["R0"]
    options = {} if axis is None else {"axis": axis}
    nodes = [
        Node("DequantizeLinear", "dq", ("q", "s"), ("W0",), options),
        Node("Cast", "cast", ("half",), ("R0",), {"to": 1}),
        recurrent(0, "X"),
    ]
    (layer,) = choose_net(tensors(arrays, nodes=nodes))
    i, o, f, c = np.split(q[0] * scale.reshape(-1, 1) if axis else q[0] * 0.5, 4)
    np.testing.assert_allclose(layer.W_x, np.concatenate([i, f, c, o]), rtol=1e-6)
    assert "quantized weights" in layer.notes[0]
    i, o, f, c = np.split(arrays["half"][0].astype(float), 4)
    np.testing.assert_array_equal(layer.W_s, np.concatenate([i, f, c, o]))
