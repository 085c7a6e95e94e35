"""Forward passes: gradflow's own layout, and what each framework documents for its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradflow.weights import RecurrentLayer

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "linear": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "hard_sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "keras2_hard_sigmoid": lambda z: np.clip(0.2 * z + 0.5, 0, 1),
}
sigmoid = ACTIVATIONS["sigmoid"]
MERGES = {
    "concat": lambda two: np.concatenate(two, axis=2),
    "sum": sum,
    "ave": lambda two: sum(two) / 2,
    "mul": lambda two: two[0] * two[1],
}


def layer_outputs(layer: RecurrentLayer, x: np.ndarray, activation: str = "tanh") -> np.ndarray:
    """(T, N, P) outputs in the order of time, from a zero state, by gradflow's equations."""
    gate = layer.likely.get("recurrent_activation", "sigmoid")
    usual = activation if layer.cell == "rnn" else "tanh"
    phi = ACTIVATIONS[layer.options.get("activation", layer.likely.get("activation", usual))]
    sigmoid = ACTIVATIONS[layer.options.get("recurrent_activation", gate)]
    h = np.zeros((x.shape[1], layer.output_size))
    c = np.zeros((x.shape[1], layer.hidden_size))
    hs = []
    for x_t in x if layer.direction == "forward" else x[::-1]:
        a = x_t @ layer.W_x.T + layer.b_x
        u = h @ layer.W_s.T + layer.b_s
        if layer.cell == "rnn":
            h = phi(a + u)
        elif layer.cell == "lstm":
            i, f, g, o = np.split(a + u, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * phi(g)
            h = sigmoid(o) * phi(c)
            h = h if layer.W_p is None else h @ layer.W_p.T
        else:
            (a_r, a_z, a_n), (u_r, u_z, u_n) = np.split(a, 3, axis=1), np.split(u, 3, axis=1)
            r, z = sigmoid(a_r + u_r), sigmoid(a_z + u_z)
            if layer.options.get("reset", layer.likely.get("reset")) == "before":
                n = len(layer.W_s) // 3
                u_n = (r * h) @ layer.W_s[2 * n :].T + layer.b_s[2 * n :]
                h = (1 - z) * phi(a_n + u_n) + z * h
            else:
                h = (1 - z) * phi(a_n + r * u_n) + z * h
        hs.append(h)
    return np.array(hs if layer.direction == "forward" else hs[::-1])


def net_outputs(
    layers: Sequence[RecurrentLayer], x: np.ndarray, activation: str = "tanh"
) -> np.ndarray:
    """(T, N, D P) outputs of the last layer, or (T, N, P) where it merges its directions."""
    for index in range(layers[-1].layer + 1):
        here = [layer for layer in layers if layer.layer == index]
        outputs = [layer_outputs(layer, x, activation) for layer in here]
        x = MERGES[here[0].merge](outputs) if len(here) == 2 else outputs[0]
    return x
