"""Writes models, as each of Keras's formats has them, and their outputs: `FOLDER`."""

import os
import sys

import keras
import numpy as np
from keras import layers

folder = sys.argv[1]
rng = np.random.default_rng(7)
x = np.load(folder + "/x.npy")


def build(*stack):
    model = keras.Sequential([layers.Input(x.shape[1:]), *stack])
    model.set_weights([0.5 * rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


@keras.saving.register_keras_serializable("mine")
class MyLSTM(layers.LSTM):
    """The user's own class."""


S = {"return_sequences": True}
HARD = {"recurrent_activation": "hard_sigmoid"}
ODD = {"activation": "relu", "recurrent_activation": "hard_sigmoid", **S}
models = {
    "rnn": build(layers.SimpleRNN(4, **S)),
    "rnn_relu": build(layers.SimpleRNN(4, activation="relu", **S)),
    "lstm": build(layers.LSTM(4, **S)),
    "lstm_no_bias": build(layers.LSTM(4, use_bias=False, **S)),
    "gru": build(layers.GRU(4, **S)),
    "gru_before": build(layers.GRU(4, reset_after=False, **S)),
    "gru_after_no_bias": build(layers.GRU(4, use_bias=False, **S)),
    "bidirectional": build(layers.Bidirectional(layers.GRU(4, **S))),
    "stack": build(
        layers.LSTM(4, name="low", **S),
        layers.Dropout(0.3),
        layers.Bidirectional(layers.LSTM(3, **S)),
        layers.LSTM(2, name="high", **S),
    ),
    "cells": build(layers.RNN([layers.LSTMCell(4), layers.LSTMCell(3)], **S)),
    "one_cell": build(layers.RNN(layers.GRUCell(4), **S)),
    "odd_lstm": build(layers.LSTM(4, **ODD)),
    "odd_gru": build(layers.GRU(4, **ODD)),
    "odd_linear_gates": build(layers.LSTM(4, recurrent_activation="linear", **S)),
    "odd_subclass": build(MyLSTM(4, **ODD)),
    "odd_backward": build(
        layers.Bidirectional(
            layers.LSTM(4, **S), backward_layer=layers.LSTM(4, go_backwards=True, **ODD)
        )
    ),
    "odd_nested": build(
        keras.Sequential(
            [layers.Input(x.shape[1:]), layers.Masking(), layers.LSTM(4, **HARD, **S)], name="in"
        )
    ),
}
for mode in ("sum", "ave", "mul"):
    models[f"merge_{mode}"] = build(
        layers.Bidirectional(layers.GRU(4, **S), merge_mode=mode),
        layers.Bidirectional(layers.GRU(3, **S), merge_mode=mode),
    )
inputs = layers.Input(x.shape[1:])
models["functional"] = keras.Model(inputs, layers.GRU(3, **S)(layers.GRU(4, **S)(inputs)))
models["nested"] = build(keras.Sequential([layers.Input(x.shape[1:]), layers.LSTM(4, **S)]))
for name, model in models.items():
    np.save(f"{folder}/{name}.npy", keras.ops.convert_to_numpy(model(x, training=False)))
    model.save(f"{folder}/{name}.keras")
    model.save(f"{folder}/{name}.h5")
    model.save_weights(f"{folder}/{name}.weights.h5")

# Gates as they were before Keras 3, in a file that does not say so.
old = build(layers.LSTM(4, recurrent_activation=lambda z: keras.ops.clip(0.2 * z + 0.5, 0, 1), **S))
os.mkdir(f"{folder}/old")
np.save(f"{folder}/old/gates.npy", keras.ops.convert_to_numpy(old(3 * x, training=False)))
old.save_weights(f"{folder}/old/gates.weights.h5")

# A sequence of sequences: the layers that a TimeDistributed wraps see the inner ones.
outer = layers.Input((3, *x.shape[1:]))
sequences = np.stack([x, 2 * x, -x], axis=1)
for name, inner in {
    "lstm": layers.LSTM(4, **ODD),
    "both": layers.Bidirectional(layers.LSTM(4, **HARD, **S)),
    "model": keras.Sequential([layers.Input(x.shape[1:]), layers.LSTM(4, **ODD)]),
}.items():
    model = keras.Model(outer, layers.TimeDistributed(inner)(outer))
    model.set_weights([0.5 * rng.standard_normal(w.shape) for w in model.get_weights()])
    outputs = keras.ops.convert_to_numpy(model(sequences, training=False))
    np.save(f"{folder}/distributed_{name}.npy", outputs[:, 0])
    model.save(f"{folder}/distributed_{name}.keras")
    model.save(f"{folder}/distributed_{name}.h5")

keras.config.set_dtype_policy("bfloat16")
half = keras.Sequential([layers.Input(x.shape[1:]), layers.LSTM(4)])
half.save(f"{folder}/half.keras")
np.savez(f"{folder}/half.npz", *[w.value.detach().float().numpy() for w in half.weights])
