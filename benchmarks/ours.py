"""gradflow, and the matrix products that nothing which computes the same can do without."""

from __future__ import annotations

import numpy as np

from benchmarks.problems import Net
from benchmarks.timing import Task
from gradflow.cells import unfused
from gradflow.engine.flow import unroll
from gradflow.machine.threads import sharing
from gradflow.measures.flows import backpropagate


def gradflow(net: Net, *, share: bool = False, threads: int = 1) -> Task:
    """Forward, backward, and at every lag the norms of the state's and the weights' terms."""
    params = {name: p[None] for name, p in unfused(net.cell, net.params).items()}
    x, s0 = net.x[:, None], net.s0[None]
    ds_T = np.broadcast_to(net.v, s0.shape).copy()

    def run() -> object:
        with sharing(threads):
            return backpropagate(unroll(net.cell, params, x, s0), ds_T, share=share)

    return run


def bare_products(net: Net) -> Task:
    """The input product, a recurrent product each step forward and backward, and the two products
    that give dL/dW_x and dL/dW_s. Every operand is ready and contiguous; nothing else is done."""
    T, N, I = net.x.shape  # noqa: E741
    (G, H), dtype = net.params.W_s.shape, net.x.dtype
    W_x, W_s = net.params.W_x, net.params.W_s
    x = net.x.reshape(T * N, I)
    states = np.full((T + 1, N, H), 0.1, dtype)
    z, dz = np.empty((T, N, G), dtype), np.full((T, N, G), 0.1, dtype)
    dW_x, dW_s = np.empty_like(W_x), np.empty_like(W_s)
    forward, backward = W_s.T, W_s

    def products() -> None:
        np.matmul(x, W_x.T, out=z.reshape(T * N, G))
        for t in range(T):
            np.matmul(states[t], forward, out=z[t])
        for t in reversed(range(T)):
            np.matmul(dz[t], backward, out=states[t])
        states[...] = 0.1  # or the numbers would change from one call to the next
        left = dz.reshape(T * N, G)
        np.matmul(left.T, x, out=dW_x)
        np.matmul(left.T, states[:-1].reshape(T * N, H), out=dW_s)

    return products
