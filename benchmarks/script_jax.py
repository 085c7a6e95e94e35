"""The table of configs/quickstart.yaml as a minimal JAX script: gradient norm at every lag of three
cells at three scales of W_s. Nothing else: no terms of the weights, no diagnosis."""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

jax.config.update("jax_enable_x64", True)
T, N, I, H = 100, 32, 16, 64  # noqa: E741


def rnn(a, b, s):
    return jnp.tanh(a + b)


def lstm(a, b, s):
    i, f, g, o = jnp.split(a + b, 4, axis=-1)
    c = sigmoid(f) * s[:, H:] + sigmoid(i) * jnp.tanh(g)
    return jnp.concatenate([sigmoid(o) * jnp.tanh(c), c], axis=-1)


def gru(a, b, s):
    (ar, az, an), (br, bz, bn) = jnp.split(a, 3, axis=-1), jnp.split(b, 3, axis=-1)
    z = sigmoid(az + bz)
    return (1 - z) * jnp.tanh(an + sigmoid(ar + br) * bn) + z * s


for step, gates, parts in ((rnn, 1, 1), (lstm, 4, 2), (gru, 3, 1)):

    def loss(pushes, W_x, W_s, W_o, x, target, step=step):
        def advance(s, given):
            x_t, push = given
            return step(x_t @ W_x.T, s[:, :H] @ W_s.T, s) + push, None

        s, _ = jax.lax.scan(advance, jnp.zeros(pushes.shape[1:]), (x, pushes))
        return (0.5 * (s[:, :H] @ W_o.T - target) ** 2).sum()

    gradient = jax.jit(jax.grad(loss))
    for scale in (0.5, 1.0, 2.0):
        keys = jax.random.split(jax.random.key(0), 5)
        W_x = jax.random.normal(keys[0], (gates * H, I)) / I**0.5
        W_s = scale * jax.random.normal(keys[1], (gates * H, H)) / H**0.5
        W_o = jax.random.normal(keys[2], (1, H)) / H**0.5
        x, target = jax.random.normal(keys[3], (T, N, I)), jax.random.normal(keys[4], (N, 1))
        ds = gradient(jnp.zeros((T, N, parts * H)), W_x, W_s, W_o, x, target)
        norms = jnp.sqrt((ds**2).sum(-1).mean(-1))[::-1]
        for lag, norm in enumerate(norms.tolist()):
            print(step.__name__, scale, lag, norm)
