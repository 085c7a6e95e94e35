"""The same net in JAX: a compiled `lax.scan` with a perturbation added to every state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.problems import Net
from benchmarks.timing import Task

jax.config.update("jax_enable_x64", True)  # or float64 arrays become float32


def _rnn(z: Any, recurrent: Any, s: Any) -> Any:
    return jnp.tanh(z + recurrent)


def _lstm(z: Any, recurrent: Any, s: Any) -> Any:
    i, f, g, o = jnp.split(z + recurrent, 4, axis=-1)
    c = jax.nn.sigmoid(f) * jnp.split(s, 2, axis=-1)[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jnp.concatenate([jax.nn.sigmoid(o) * jnp.tanh(c), c], axis=-1)


def _gru(z: Any, recurrent: Any, s: Any) -> Any:
    (z_r, z_u, z_n), (r_r, r_u, r_n) = jnp.split(z, 3, axis=-1), jnp.split(recurrent, 3, axis=-1)
    r, u = jax.nn.sigmoid(z_r + r_r), jax.nn.sigmoid(z_u + r_u)
    return (1 - u) * jnp.tanh(z_n + r * r_n) + u * s


STEPS = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}


def scan(net: Net) -> Task:
    """dL/ds at every step as the gradient of a perturbation of it; its norm at every lag, and
    dL/dW. The input product of all steps is taken before the scan. No terms of the weights by
    lag. Compiled before it is timed."""
    step = STEPS[net.cell.cell.name]

    def loss(params: Any, perturbations: Any, x: Any, s0: Any, v: Any) -> Any:
        W_x, W_s, b_x, b_s = params

        def advance(s: Any, given: Any) -> Any:
            z, perturbation = given
            recurrent = s[:, : W_s.shape[-1]] @ W_s.T + b_s
            return step(z, recurrent, s) + perturbation, None

        last, _ = jax.lax.scan(advance, s0, (x @ W_x.T + b_x, perturbations))
        return (last @ v).sum()

    def curve(params: Any, perturbations: Any, x: Any, s0: Any, v: Any) -> Any:
        of_params, ds = jax.grad(loss, argnums=(0, 1))(params, perturbations, x, s0, v)
        return of_params, jnp.sqrt(jnp.square(ds).sum(-1).mean(-1))

    zeros = jnp.zeros((len(net.x), *net.s0.shape), net.x.dtype)
    arguments = jax.device_put((tuple(net.params[:4]), zeros, net.x, net.s0, net.v))
    compiled = jax.jit(curve).lower(*arguments).compile()
    return lambda: jax.block_until_ready(compiled(*arguments))
