"""What the configuration in Keras's files tells of their layers, from Keras 1 to Keras 3."""

from __future__ import annotations

import pytest
from test_conventions import H, I, normal, tensors

from gradflow.errors import InputError
from gradflow.weights import choose_net
from gradflow.weights.conventions import find_nets

KERAS_STACK = [
    {"class_name": "LSTM", "config": {"name": "first", "return_sequences": True}},
    {"class_name": "Dropout", "config": {"name": "dropout"}},
    {
        "class_name": "Bidirectional",
        "config": {
            "name": "second",
            "merge_mode": "concat",
            "layer": {"class_name": "LSTM", "config": {"name": "x", "return_sequences": True}},
        },
    },
    {"class_name": "Dense", "config": {"name": "dense"}},
    {"class_name": "LSTM", "config": {"name": "third", "activation": "relu"}},
]


def keras_stack():
    arrays = {}
    for path, width in {
        "first/first": I,
        "second/second/forward_x": H,
        "second/second/backward_x": H,
        "third/third": I,
    }.items():
        arrays[f"model_weights/{path}/kernel:0"] = normal(width, 4 * H)
        arrays[f"model_weights/{path}/recurrent_kernel:0"] = normal(H, 4 * H)
    return arrays


def inbound(layers):
    """The same layers as a functional model of Keras 2 has them."""
    names = ["input", *(layer["config"]["name"] for layer in layers)]
    return [
        {**layer, "inbound_nodes": [[[below, 0, 0, {}]]]}
        for layer, below in zip(layers, names, strict=False)
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "Sequential", "config": {"layers": KERAS_STACK}},
        {"class_name": "Sequential", "config": KERAS_STACK},
        {"class_name": "Model", "config": {"layers": inbound(KERAS_STACK)}},
    ],
    ids=["sequential", "sequential of Keras 1", "functional"],
)
def test_the_configuration_of_keras_tells_what_is_stacked(config):
    """And where a net has to end: at another number of directions, at a layer that changes."""
    file = tensors(keras_stack(), config=config, groups={})
    nets = [net.layers() for net in find_nets(file)]
    assert [[(one.prefix, one.layer, one.direction) for one in net] for net in nets] == [
        [("first", 0, "forward")],
        [("second", 0, "forward"), ("second", 0, "reverse")],
        [("third", 0, "forward")],
    ]
    reads = "the net 'second' reads the outputs of 'first': its input here is drawn for them"
    assert [reads in net[0].notes for net in nets] == [False, True, False]


@pytest.mark.parametrize("sequences", [True, False])
def test_layers_of_one_kind_are_one_net(sequences):
    layers = [
        {"class_name": "GRU", "config": {"name": name, "return_sequences": sequences}}
        for name in ("b_low", "a_high")
    ]
    config = {"class_name": "Sequential", "config": {"layers": layers}}
    arrays = {}
    for name, width in {"a_high": H, "b_low": I}.items():
        arrays[f"{name}/{name}/kernel:0"] = normal(width, 3 * H)
        arrays[f"{name}/{name}/recurrent_kernel:0"] = normal(H, 3 * H)
    nets = [net.layers() for net in find_nets(tensors(arrays, config=config, groups={}))]
    # in the model's order, not in that of the alphabet
    assert [len(net) for net in nets] == ([2] if sequences else [1, 1])
    assert nets[0][0].names["W_x"] == ("b_low/b_low/kernel:0",)


@pytest.mark.parametrize(
    ("kind", "config", "found"),
    [
        ("LSTM", {"inner_activation": "softsign"}, "recurrent_activation softsign"),
        ("LSTM", {"recurrent_activation": "softsign"}, "recurrent_activation softsign"),
        ("LSTM", {"activation": "hard_sigmoid"}, "activation hard_sigmoid"),
        ("LSTM", {"activation": {"class_name": "LeakyReLU", "config": {}}}, "activation LeakyReLU"),
        ("LSTM", {"activation": "tanh", "recurrent_activation": "sigmoid"}, None),
        ("LSTM", {"go_backwards": True}, None),
        ("GRU", {}, "tensor 'a/lstm/recurrent_kernel' of a gru"),
    ],
)
def test_what_keras_says_of_a_layer_is_heeded(kind, config, found):
    layer = {"class_name": kind, "config": {"name": "lstm", **config}}
    model = {"class_name": "Sequential", "config": {"layers": [layer]}}
    arrays = {"a/lstm/kernel": normal(I, 4 * H), "a/lstm/recurrent_kernel": normal(H, 4 * H)}
    file = tensors(arrays, config=model, groups={})
    if found is None:
        reverse = "go_backwards" in config
        assert choose_net(file)[0].direction == ("reverse" if reverse else "forward")
    else:
        with pytest.raises(InputError, match=found):
            choose_net(file)
