"""Parameters of each package of newer cells as it keeps them, with a step of its equations.

A builder gives the arrays by name, a step (state, x) to (state, output), the state that it starts
from, and the width of its input.
"""

from __future__ import annotations

import numpy as np
from net_equations import sigmoid

H, I, T, N = 4, 3, 6, 2  # noqa: E741


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def softplus(z):
    return np.logaddexp(0, z)


def positive(v):
    return np.where(v >= 0, v + 0.5, sigmoid(v))


def mingru():
    W = normal(2 * H, I)

    def step(h, x):
        n, z = np.split(x @ W.T, 2, axis=1)
        h = (1 - sigmoid(z)) * h + sigmoid(z) * positive(n)
        return h, h

    return (
        {"to_hidden_and_gate.weight": W, "to_out.weight": normal(I, H)},
        step,
        np.zeros((N, H)),
        I,
    )


def minlstm():
    W = normal(3 * H, I)

    def step(h, x):
        n, f, i = np.split(x @ W.T, 3, axis=1)
        f, i = sigmoid(f), sigmoid(i)
        h = (f * h + i * positive(n)) / (f + i)
        return h, h

    return {"net.to_hidden_and_f_i_gate.weight": W}, step, np.zeros((N, H)), I


def lru(P=H, diagonal=False):
    inputs = P if diagonal else I
    nu, theta, gamma = normal(H), normal(H), 0.1 * normal(H)
    B, C = normal(H, inputs) + 1j * normal(inputs, H).T, normal(P, H) + 1j * normal(H, P).T
    D = normal(P) if diagonal else normal(P, inputs)
    decay = np.exp(-np.exp(nu) + 1j * np.exp(theta))

    def step(h, x):
        h = decay * h + np.exp(gamma) * (x @ B.T)
        y = (h @ C.T).real + (D * x if diagonal else x @ D.T)
        return h, np.pad(y, ((0, 0), (0, H - P)))

    arrays = {"nu_log": nu, "theta_log": theta, "gamma_log": gamma, "D": D}
    for letter, array in (("B", B), ("C", C)):
        arrays |= {f"{letter}_re": array.real, f"{letter}_im": array.imag}
    return arrays, step, np.zeros((N, H), complex), inputs


def s5(apart=False):
    """S5 by zero-order hold, Λ complex or its parts `apart`."""
    rate, phase, log_step, D = np.exp(normal(H)), normal(H + 1)[1:], 0.3 * normal(H), normal(I)
    B, C = normal(H, I, 2), normal(I, H, 2)
    Lambda = -rate + 1j * phase
    decay = np.exp(Lambda * np.exp(log_step))
    B_bar = ((decay - 1) / Lambda)[:, None] * (B[..., 0] + 1j * B[..., 1])

    def step(h, x):
        h = decay * h + x @ B_bar.T
        return h, (h @ (C[..., 0] + 1j * C[..., 1]).T).real + D * x

    arrays = {"B": B, "C": C, "D": D, "log_step": log_step[:, None] if apart else log_step}
    if apart:
        arrays |= {"Lambda_re": Lambda.real, "Lambda_im": Lambda.imag}
    else:
        arrays |= {"Lambda": np.stack([Lambda.real, Lambda.imag], axis=-1)}
    return {f"seq.{name}": a for name, a in arrays.items()}, step, np.zeros((N, H), complex), I


def mamba(S=5, R=2):
    arrays = {
        "A_log": 0.3 * normal(H, S), "D": normal(H), "x_proj.weight": normal(R + 2 * S, H),
        "dt_proj.weight": normal(H, R), "dt_proj.bias": normal(H),
        "in_proj.weight": normal(2 * H, I), "conv1d.weight": normal(H, 1, 4),
    }  # fmt: skip
    A, D, project, V, b = list(arrays.values())[:5]

    def step(h, x):
        d, B, C = np.split(x @ project.T, [R, R + S], axis=1)
        d = softplus(d @ V.T + b)[..., None]
        h = np.exp(-d * np.exp(A)) * h + d * B[:, None] * x[..., None]
        return h, (h @ C[..., None])[..., 0] + D * x

    return {f"mixer.{name}": a for name, a in arrays.items()}, step, np.zeros((N, H, S)), H


def slstm(heads=2, form="CPU", conv=True, bare=False):
    """U (4, heads, out, in), W (4, heads, out, in), b (4, heads, out), gates i f z o."""
    d = H // heads
    U, W, b = normal(4, heads, d, d), normal(heads, 4, d, d).swapaxes(0, 1), normal(4, heads, d)
    kernel = {
        "CPU": U.transpose(1, 0, 2, 3).reshape(heads, 4 * d, d),
        "GPU": U.transpose(1, 3, 0, 2).reshape(heads, d, 4 * d),
        "full": U.transpose(1, 3, 0, 2),
    }[form]
    bias = (b if form == "CPU" else b.transpose(1, 0, 2)).ravel()
    cell = {"_recurrent_kernel_": kernel, "_bias_": bias}
    # the package makes i of the tensor that it calls fgate, and f of igate
    layer = {f"{name}gate.weight": block for name, block in zip("fizo", W, strict=True)}
    layer |= {f"slstm_cell.{name}": a for name, a in cell.items()}
    layer |= {"conv1d.conv.weight": normal(H, 1, 4)} if conv else {}

    def by_head(blocks, v):
        return np.einsum("hoi,nhi->nho", blocks, v.reshape(N, heads, d)).reshape(N, H)

    def step(state, x):
        h, c, n = state
        if bare:
            seen = np.split(x, 4, axis=1)
        else:
            inner, own = np.split(x, 2, axis=1) if conv else (x, x)
            seen = [by_head(W[k], inner if k < 2 else own) for k in range(4)]
        i, f, z, o = (seen[k] + by_head(U[k], h) + b[k].ravel() for k in range(4))
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        return (h, c, n), h

    arrays = cell if bare else {f"xlstm.{name}": a for name, a in layer.items()}
    width = 4 * H if bare else 2 * H if conv else H
    return arrays, step, (np.zeros((N, H)),) * 3, width


def mlstm(heads=1):
    arrays = {
        "igate.weight": 0.3 * normal(heads, 3 * H), "igate.bias": normal(heads),
        "fgate.weight": 0.4 * normal(heads, 3 * H), "fgate.bias": 3 + normal(heads),
        "outnorm.weight": normal(H),
    }  # fmt: skip
    w_i, b_i, w_f, b_f = (a[:1] for a in list(arrays.values())[:4])
    d = H // heads

    def step(state, x):
        C, n = state
        q, k, v = (part[:, :d] for part in np.split(x, 3, axis=1))
        k = k / np.sqrt(d)
        i, f = np.exp(x @ w_i.T + b_i), sigmoid(x @ w_f.T + b_f)
        C = f[..., None] * C + i[..., None] * k[:, :, None] * v[:, None]
        n = f * n + i * k
        return (C, n), np.einsum("nkv,nk->nv", C, q) / np.maximum(
            np.abs((n * q).sum(1, keepdims=True)), 1
        )

    return arrays, step, (np.zeros((N, d, d)), np.zeros((N, d))), 3 * H


NETS = {
    "mingru": mingru(), "minlstm": minlstm(), "lru": lru(), "lru fewer": lru(P=2),
    "lru diagonal": lru(diagonal=True), "s5": s5(), "s5 apart": s5(apart=True), "s6": mamba(),
    "slstm": slstm(),
    "slstm one head": slstm(heads=1, conv=False), "slstm GPU": slstm(form="GPU"),
    "slstm full": slstm(form="full", conv=False), "slstm bare": slstm(bare=True), "mlstm": mlstm(),
}  # fmt: skip
