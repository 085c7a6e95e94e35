"""What the configuration in Keras's files tells of their layers, from Keras 1 to Keras 3."""

from __future__ import annotations

import pytest
from test_conventions import H, I, normal, tensors

from gradflow.errors import InputError
from gradflow.weights import choose_net

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
    file = tensors(keras_stack(), config=config, groups={})
    assert [(one.prefix, one.layer, one.direction) for one in choose_net(file, "first")] == [
        ("first", 0, "forward"),
        ("first", 1, "forward"),
        ("first", 1, "reverse"),
    ]
    with pytest.raises(InputError, match="activation relu"):
        choose_net(file, "third")


@pytest.mark.parametrize(
    ("kind", "config", "found"),
    [
        ("LSTM", {"inner_activation": "hard_sigmoid"}, "recurrent_activation hard_sigmoid"),
        ("LSTM", {"recurrent_activation": "hard_sigmoid"}, "recurrent_activation hard_sigmoid"),
        ("LSTM", {"activation": "relu"}, "activation relu"),
        ("CuDNNLSTM", {}, "CuDNNLSTM"),
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
