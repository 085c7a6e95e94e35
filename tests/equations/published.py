"""Published cells as equations, and the parameters of cells.json for each of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gradflow.equations.declaration import Declared, Equations

CASES = json.loads((Path(__file__).parent / "cells.json").read_text(encoding="utf-8"))
GIVEN = {name: np.array(value) for name, value in CASES["weights"].items()}


def sizes(text):
    return tuple(str(text).split())


def equations(name, state, parameters, step, constants=None, **more) -> Equations:
    """`state`, `parameters` and `constants` by name to their sizes, such as "H I"."""
    declared = [Declared(n, sizes(s)) for n, s in parameters.items()]
    declared += [Declared(n, sizes(s), "ones", trained=False) for n, s in (constants or {}).items()]
    parts = tuple((part, sizes(s)) for part, s in state.items())
    return Equations(name, parts, tuple(declared), step, **more)


def gates(letters, order="WUb"):
    """W_i, U_i, b_i of every gate."""
    shapes = {"W": "H I", "U": "H H", "b": "H"}
    return {f"{letter}_{gate}": shapes[letter] for letter in order for gate in letters}


def gate_values(letters, order="WUb"):
    source = {"W": GIVEN["W_x"], "U": GIVEN["W_s"], "b": GIVEN["b"]}
    return {
        f"{letter}_{gate}": source[letter][3 * k : 3 * k + 3]
        for letter in order
        for k, gate in enumerate(letters)
    }


h0, c0, w = GIVEN["h0"], GIVEN["c0"], GIVEN["w_vec"]
sq = GIVEN["W_sq"]
half = np.full((2, 3), 0.8)
none = np.zeros((2, 1))

CELLS = {
    "irnn": (
        equations("irnn", {"h": "H"}, {"W": "H I", "U": "H H"},
                  "h[t] = relu(W @ x[t] + U @ h[t-1])"),
        {"W": GIVEN["W_x"][:3], "U": np.eye(3)}, {"h": GIVEN["h0_positive"]}, "x",
    ),
    "peephole_lstm": (
        equations("peephole_lstm", {"h": "H", "c": "H"},
                  {**gates("ifgo"), "p_i": "H", "p_f": "H", "p_o": "H"},
                  """i = sigmoid(W_i @ x[t] + U_i @ h[t-1] + p_i * c[t-1] + b_i)
f = sigmoid(W_f @ x[t] + U_f @ h[t-1] + p_f * c[t-1] + b_f)
g = tanh(W_g @ x[t] + U_g @ h[t-1] + b_g)
c[t] = f * c[t-1] + i * g
o = sigmoid(W_o @ x[t] + U_o @ h[t-1] + p_o * c[t] + b_o)
h[t] = o * tanh(c[t])"""),
        {**{k: v for k, v in gate_values("ifco").items() if not k.endswith("_c")},
         **{f"{k}_g": v for k, v in {"W": GIVEN["W_x"][6:9], "U": GIVEN["W_s"][6:9],
                                     "b": GIVEN["b"][6:9]}.items()},
         "p_i": w[:3], "p_f": w[3:6], "p_o": w[6:9]},
        {"h": h0, "c": c0}, "x",
    ),
    "cifg": (
        equations("cifg", {"h": "H", "c": "H"}, gates("fgo"),
                  """f = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
i = 1 - f
g = tanh(W_g @ x[t] + U_g @ h[t-1] + b_g)
o = sigmoid(W_o @ x[t] + U_o @ h[t-1] + b_o)
c[t] = f * c[t-1] + i * g
h[t] = o * tanh(c[t])"""),
        gate_values("fgo"), {"h": h0, "c": c0}, "x",
    ),
    "indrnn_tanh": (
        equations("indrnn", {"h": "H"}, {"W": "H I", "u": "H", "b": "H"},
                  "h[t] = tanh(W @ x[t] + u * h[t-1] + b)"),
        {"W": GIVEN["W_x"][:3], "u": w[:3], "b": GIVEN["b"][:3]}, {"h": h0}, "x",
    ),
    "janet": (
        equations("janet", {"h": "H"}, gates("fg"),
                  """s = W_f @ x[t] + U_f @ h[t-1] + b_f
g = tanh(W_g @ x[t] + U_g @ h[t-1] + b_g)
h[t] = sigmoid(s) * h[t-1] + (1 - sigmoid(s - beta)) * g""", options=(("beta", 1.0),)),
        gate_values("fg"), {"h": h0}, "x",
    ),
    "antisymmetric": (
        equations("antisymmetric", {"h": "H"}, {"W": "H I", "U": "H H", "b": "H"},
                  """a = (U - U.T) @ h[t-1] - gamma * h[t-1] + W @ x[t] + b
h[t] = h[t-1] + eps * tanh(a)""", options=(("eps", 0.1), ("gamma", 0.05))),
        {"W": GIVEN["W_x"][:3], "U": GIVEN["W_s"][:3], "b": GIVEN["b"][:3]}, {"h": h0}, "x",
    ),
    "cornn": (
        equations("cornn", {"y": "H", "z": "H"},
                  {"W": "H I", "U": "H H", "V": "H H", "b": "H"},
                  """a = tanh(U @ y[t-1] + V @ z[t-1] + W @ x[t] + b)
z[t] = z[t-1] + dt * (a - gamma * y[t-1] - eps * z[t-1])
y[t] = y[t-1] + dt * z[t]""", options=(("dt", 0.1), ("gamma", 1.3), ("eps", 2.0))),
        {"W": GIVEN["W_x"][:3], "U": GIVEN["W_s"][:3], "V": GIVEN["W_s"][3:6],
         "b": GIVEN["b"][:3]}, {"y": h0, "z": c0}, "x",
    ),
    "mingru": (
        equations("mingru", {"h": "H"}, {"W_n": "H I", "W_z": "H I"},
                  """z = sigmoid(W_z @ x[t])
a = W_n @ x[t]
n = max(a + 0.5, sigmoid(a))
h[t] = (1 - z) * h[t-1] + z * n"""),
        {"W_n": GIVEN["W_x"][:3], "W_z": GIVEN["W_x"][3:6]}, {"h": GIVEN["h0_positive"]}, "x",
    ),
    "lru": (
        equations("lru", {"re": "H", "im": "H"},
                  {"nu": "H", "theta": "H", "B_re": "H I", "B_im": "H I"},
                  """size = exp(-nu)
a = size * cos(theta)
b = size * sin(theta)
gamma = sqrt(1 - size ** 2)
re[t] = a * re[t-1] - b * im[t-1] + gamma * (B_re @ x[t])
im[t] = a * im[t-1] + b * re[t-1] + gamma * (B_im @ x[t])"""),
        {k: GIVEN[k] for k in ("nu", "theta", "B_re", "B_im")}, {"re": h0, "im": c0}, "x",
    ),
    "slstm": (
        equations("slstm", {"h": "H", "c": "H", "n": "H", "m": "H"}, gates("ifzo"),
                  """i = W_i @ x[t] + U_i @ h[t-1] + b_i
f = -softplus(-(W_f @ x[t] + U_f @ h[t-1] + b_f)) + m[t-1]
z = tanh(W_z @ x[t] + U_z @ h[t-1] + b_z)
o = sigmoid(W_o @ x[t] + U_o @ h[t-1] + b_o)
m[t] = max(f, i)
c[t] = exp(f - m[t]) * c[t-1] + exp(i - m[t]) * z
n[t] = exp(f - m[t]) * n[t-1] + exp(i - m[t])
h[t] = o * c[t] / n[t]"""),
        gate_values("ifzo"), {"h": h0, "c": c0, "n": half, "m": 0 * half}, "x",
    ),
    "slstm_unstabilised": (
        equations("slstm", {"h": "H", "c": "H", "n": "H"}, gates("ifzo"),
                  """i = exp(W_i @ x[t] + U_i @ h[t-1] + b_i)
f = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
z = tanh(W_z @ x[t] + U_z @ h[t-1] + b_z)
o = sigmoid(W_o @ x[t] + U_o @ h[t-1] + b_o)
c[t] = f * c[t-1] + i * z
n[t] = f * n[t-1] + i
h[t] = o * (c[t] / n[t])"""),
        gate_values("ifzo"), {"h": h0, "c": c0, "n": half}, "x",
    ),
    "mlstm": (
        equations("mlstm", {"C": "H H", "n": "H", "m": "1"},
                  {"W_q": "H I", "W_k": "H I", "W_v": "H I", "w_i": "I", "w_f": "I",
                   "b_i": "1", "b_f": "1"},
                  """k = (W_k @ x[t]) / scale ** 0.5
v = W_v @ x[t]
q = W_q @ x[t]
a = w_i @ x[t] + b_i
f = -softplus(-(w_f @ x[t] + b_f)) + m[t-1]
m[t] = max(f, a)
i = exp(a - m[t])
g = exp(f - m[t])
C[t] = g * C[t-1] + i * outer(k, v)
n[t] = g * n[t-1] + i * k""", options=(("scale", 3.0),),
                  output="(C[t].T @ q) / max(abs(n[t] @ q), exp(-m[t]))"),
        {"W_q": sq[1], "W_k": sq[2], "W_v": sq[3], "w_i": GIVEN["W_s"][0],
         "w_f": GIVEN["W_s"][1], "b_i": GIVEN["b"][:1], "b_f": GIVEN["b"][1:2]},
        {"C": 0.3 * sq[:2], "n": half, "m": none}, "xH",
    ),
    "leaky_voltage": (
        equations("leaky", {"v": "H"}, {"W": "H I", "U": "H H", "b": "H"},
                  "v[t] = (1 - alpha) * v[t-1] + alpha * (U @ tanh(v[t-1]) + W @ x[t] + b)",
                  options=(("alpha", 0.2),)),
        {"W": GIVEN["W_x"][:3], "U": GIVEN["W_s"][:3], "b": GIVEN["b"][:3]}, {"v": h0}, "x",
    ),
    "rglru": (
        equations("rglru", {"h": "H"},
                  {"W_i": "H H", "W_a": "H H", "b_i": "H", "b_a": "H", "p": "H"},
                  """i = sigmoid(W_i @ x[t] + b_i)
r = sigmoid(W_a @ x[t] + b_a)
log_a = -8 * r * softplus(p)
a = exp(log_a)
h[t] = a * h[t-1] + sqrt(1 - exp(2 * log_a)) * (i * x[t])"""),
        {"W_i": sq[1], "W_a": sq[2], "b_i": GIVEN["b"][:3], "b_a": GIVEN["b"][3:6], "p": w[:3]},
        {"h": 0 * h0}, "xH",
    ),
    "mamba_s6": (
        equations("s6", {"h": "H 2"},
                  {"W_d": "1 I", "W_B": "2 I", "W_C": "2 I", "w_d": "H", "b_d": "H", "D": "H"},
                  """d = softplus(w_d * (W_d @ x[t]) + b_d)
h[t] = exp(outer(d, one) * A) * h[t-1] + outer(d * x[t], W_B @ x[t])""",
                  constants={"A": "H 2", "one": "2"}, output="h[t] @ (W_C @ x[t]) + D * x[t]"),
        {"W_d": GIVEN["W_s"][:1], "W_B": GIVEN["W_s"][1:3], "W_C": GIVEN["W_s"][3:5],
         "w_d": w[:3], "b_d": GIVEN["b"][:3], "D": w[3:6], "A": np.tile([-1.0, -2.0], (3, 1)),
         "one": np.ones(2)},
        {"h": 0.5 * sq[:2, :, :2]}, "xH",
    ),
    "layernorm_lstm_ba": (
        equations("layernorm_lstm", {"h": "H", "c": "H"},
                  {"W": "4*H I", "U": "4*H H", "b": "4*H", "g_x": "4*H", "g_h": "4*H",
                   "g_c": "H", "b_c": "H"},
                  """a = layernorm(W @ x[t], g_x) + layernorm(U @ h[t-1], g_h) + b
i = sigmoid(a[0:H])
f = sigmoid(a[H:2*H])
g = tanh(a[2*H:3*H])
o = sigmoid(a[3*H:])
c[t] = f * c[t-1] + i * g
h[t] = o * tanh(layernorm(c[t], g_c, b_c))"""),
        {"W": GIVEN["W_x"], "U": GIVEN["W_s"], "b": GIVEN["b"],
         **{ours: np.array(CASES["cells"]["layernorm_lstm_ba"]["params"][theirs]) for ours, theirs
            in {"g_x": "gamma_x", "g_h": "gamma_h", "g_c": "gain_c", "b_c": "shift_c"}.items()}},
        {"h": h0, "c": c0}, "x",
    ),
    "sru": (
        equations("sru", {"c": "H"},
                  {"W": "H I", "W_f": "H I", "W_r": "H I", "v_f": "H", "v_r": "H", "b_f": "H",
                   "b_r": "H"},
                  """f = sigmoid(W_f @ x[t] + v_f * c[t-1] + b_f)
r = sigmoid(W_r @ x[t] + v_r * c[t-1] + b_r)
c[t] = f * c[t-1] + (1 - f) * (W @ x[t])""", output="c[t] + 0 * r"),
        {"W": sq[1], "W_f": sq[2], "W_r": sq[3], "v_f": w[:3], "v_r": w[3:6],
         "b_f": GIVEN["b"][:3], "b_r": GIVEN["b"][3:6]},
        {"c": h0}, "xH",
    ),
    "gated_deltanet": (
        equations("deltanet", {"M": "H H"},
                  {"W_q": "H I", "W_k": "H I", "W_v": "H I", "w_g": "I", "w_beta": "I"},
                  """k = W_k @ x[t]
k_n = k / sqrt(sum(k ** 2))
q = W_q @ x[t]
v = W_v @ x[t]
beta = sigmoid(w_beta @ x[t])
S = exp(-softplus(w_g @ x[t])) * M[t-1]
M[t] = S + outer(k_n, beta * (v - S.T @ k_n))""", output="(M[t].T @ q) / 3 ** 0.5"),
        {"W_q": sq[1], "W_k": sq[2], "W_v": sq[3], "w_g": GIVEN["W_s"][0],
         "w_beta": GIVEN["W_s"][1]},
        {"M": 0.3 * sq[:2]}, "xH",
    ),
}  # fmt: skip
"""Name in cells.json: equations, parameters, initial state, which input."""
