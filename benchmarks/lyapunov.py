"""Lyapunov exponents against the loop that people write, on one core:
`python -m benchmarks.lyapunov [--steps 200] [--rounds 5]`.

The loop is PyTorch's: the analytic Jacobian of the full state of an LSTM at every step, as
matrices, times the basis, and a QR decomposition at every step. H = 64, N = 4, float64; both start
from the same states, which are not timed.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median

import numpy as np
import torch

from gradflow.blas import use_one_thread
from gradflow.cells import CELLS
from gradflow.engine.flow import Trajectory, unroll
from gradflow.measures.lyapunov import exponents

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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lyapunov", description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    use_one_thread()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    T = options.steps
    forward = drawn("lstm", H, T, N)
    print(
        "| exponents | gradflow, ms a step | loop, ms a step | times as fast |\n"
        "|---|---:|---:|---:|"
    )
    for count in (2 * H, 10):
        tasks = {
            "ours": lambda count=count: exponents([forward], count, 0, N)[0].samples,
            "loop": lambda count=count: by_qr_at_every_step(forward, count),
        }
        found = {name: task() for name, task in tasks.items()}
        apart = np.abs(found["ours"][:, :10].mean(0) - found["loop"][:, :10].mean(0)).max()
        assert apart < 10 / T, apart  # another start, another direction of time
        times: dict[str, list[float]] = {name: [] for name in tasks}
        for _ in range(options.rounds):
            for name, task in tasks.items():
                begin = time.perf_counter()
                task()
                times[name].append((time.perf_counter() - begin) / T * 1e3)
        ours, loop = median(times["ours"]), median(times["loop"])
        print(f"| {count} of {2 * H} | {ours:.3f} | {loop:.3f} | {loop / ours:.1f} |", flush=True)
    begin = time.perf_counter()
    wide = drawn("rnn", 1024, 1000, N)
    middle = time.perf_counter()
    exponents([wide], 20, 100, N)
    end = time.perf_counter()
    print(f"\n20 exponents of an rnn, H = 1024, T = 1000, N = {N}: {end - middle:.1f} s, and "
          f"{middle - begin:.1f} s for the forward pass.")  # fmt: skip


if __name__ == "__main__":
    main()
