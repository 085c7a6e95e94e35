"""What a basis of cotangents costs, on one core: `python -m benchmarks.basis [--rounds 5]`.

Lyapunov exponents against the loop that people write, and the gradients of the losses at 16 steps
against one backward pass of the loss at the last.

The loop is PyTorch's: the analytic Jacobian of the full state of an LSTM at every step, as
matrices, times the basis, and a QR decomposition at every step. H = 64, N = 4, float64; both start
from the same states, which are not timed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from gradflow.cells import CELLS
from gradflow.engine.flow import Trajectory, unroll
from gradflow.machine.blas import one_thread
from gradflow.measures.flows import backpropagate
from gradflow.measures.lyapunov import exponents
from gradflow.measures.reach import reach, spaced
from gradflow.runs.scheduling.pages import keep_freed_memory

H, I, N = 64, 16, 4  # noqa: E741


def drawn(name: str, H: int, T: int, N: int) -> Trajectory:
    """A forward pass of a Gaussian net."""
    rng = np.random.default_rng(0)
    cell = CELLS[name]().sized(H, I)
    params = {}
    for p in cell.parameters.values():
        size = p.shape[1] ** -0.5 if len(p.shape) == 2 else 0.0
        params[p.name] = size * rng.standard_normal((1, *p.shape))
    return unroll(cell, params, rng.standard_normal((T, 1, N, I)), np.zeros((1, N, cell.S)))


def by_qr_at_every_step(forward: Trajectory, count: int) -> np.ndarray:
    """The exponents (N, count) of an LSTM, largest first."""
    p = {name: torch.from_numpy(a[0]) for name, a in forward.params.items()}
    W = torch.cat([p[f"W_{g}"] for g in "ifgo"])
    U = torch.cat([p[f"U_{g}"] for g in "ifgo"])
    b = torch.cat([p[f"b_{g}"] for g in "ifgo"])
    x = torch.from_numpy(forward.x[:, 0].copy())
    T, N, _ = x.shape
    h, c = torch.zeros(N, H, dtype=x.dtype), torch.zeros(N, H, dtype=x.dtype)
    start = torch.from_numpy(np.random.default_rng(0).standard_normal((N, 2 * H, count)))
    Q, _ = torch.linalg.qr(start)
    sums = torch.zeros(N, count, dtype=x.dtype)
    J = torch.zeros(N, 2 * H, 2 * H, dtype=x.dtype)
    for x_t in x:
        zi, zf, zg, zo = (x_t @ W.T + b + h @ U.T).chunk(4, dim=-1)
        i, f, g, o = zi.sigmoid(), zf.sigmoid(), zg.tanh(), zo.sigmoid()
        slopes = torch.cat([i * (1 - i) * g, f * (1 - f) * c, (1 - g * g) * i], dim=-1)
        c = f * c + i * g
        tanh_c = c.tanh()
        by_h = (slopes[..., None] * U[: 3 * H]).view(N, 3, H, H).sum(1)
        by_c = (o * (1 - tanh_c * tanh_c))[..., None]
        J[:, H:, :H] = by_h
        J[:, H:, H:] = torch.diag_embed(f)
        J[:, :H, :H] = by_c * by_h + (o * (1 - o) * tanh_c)[..., None] * U[3 * H :]
        J[:, :H, H:] = torch.diag_embed(by_c[..., 0] * f)
        h = o * tanh_c
        Q, R = torch.linalg.qr(J @ Q)
        sums += R.diagonal(dim1=-2, dim2=-1).abs().log()
    return (sums / T).sort(dim=-1, descending=True).values.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.basis", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    keep_freed_memory()  # as the command does
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with one_thread():
        exponents_against_the_loop(options.rounds)
        a_wide_net()
        origins_against_one_pass(options.rounds)


def exponents_against_the_loop(rounds: int) -> None:
    T = 200
    forward = drawn("lstm", H, T, N)
    loop = (lambda: by_qr_at_every_step(forward, 2 * H), lambda: by_qr_at_every_step(forward, 10))
    ours = (lambda: exponents([forward], 0, 0, N), lambda: exponents([forward], 10, 0, N))
    apart = ours[0]()[0].samples[:, :10].mean(0) - loop[0]()[:, :10].mean(0)
    assert np.abs(apart).max() < 10 / T  # another start, another direction of time
    print("| an LSTM, H = 64, N = 4 | ms a step |\n|---|---:|")
    for name, (whole, ten) in {"the loop": loop, "gradflow": ours}.items():
        for task, of in ((whole, "all 128 exponents"), (ten, "ten exponents")):
            print(f"| {name}: {of} | {typical(task, rounds) / T * 1e3:.3f} |", flush=True)


def a_wide_net() -> None:
    begin = time.perf_counter()
    wide = drawn("rnn", 1024, 1000, N)
    middle = time.perf_counter()
    exponents([wide], 20, 100, N)
    end = time.perf_counter()
    print(f"\n20 exponents of an rnn, H = 1024, T = 1000, N = {N}: {end - middle:.1f} s, and "
          f"{middle - begin:.1f} s for the forward pass.\n")  # fmt: skip


def origins_against_one_pass(rounds: int) -> None:
    """`reach` with 16 origins, T = 200, H = 64, N = 32."""
    print("| T = 200, H = 64, N = 32 | one backward pass, ms | 16 origins, ms | times |")
    print("|---|---:|---:|---:|")
    for name in ("rnn", "lstm", "gru"):
        forward = drawn(name, H, 200, 32)
        ds = np.random.default_rng(1).standard_normal((1, 32, forward.cell.S))
        origins = spaced(range(1, 201), 16)
        tasks = (
            lambda forward=forward, ds=ds: backpropagate(forward, ds),
            lambda forward=forward, ds=ds, origins=origins: reach(
                {(0, 0): forward}, [(0, 0)], lambda t, states: {(0, 0): ds}, origins
            ),
        )
        one, many = (typical(task, rounds) * 1e3 for task in tasks)
        print(f"| {name} | {one:.1f} | {many:.1f} | {many / one:.1f} |", flush=True)


def typical(task: Callable[[], object], rounds: int) -> float:
    """The median of the seconds that a task takes."""
    task()
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


if __name__ == "__main__":
    main()
