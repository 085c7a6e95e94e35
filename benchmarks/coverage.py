"""How often the 95 % interval of the rate holds the true rate: many runs of nets that are known.

    python -m benchmarks.coverage [--seeds 400] [--nets 8] [--jobs N] [--only WORD] [--output FILE]

A line is a kind of net. Of each, several nets are drawn; each is run from s_0 = 0 on inputs of
its own for every seed, the loss a random direction (`probe`), also drawn anew. The true rate of a
net is the slope of the typical curve of one long run (128 samples of 2,300 steps, both ends left
out), of a linear net the spectral radius of its Jacobian. The estimator was designed on other nets
and seeds than those that are drawn here.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.problems import Array
from gradflow.cells import GRU, LSTM, RNN, Cell, Fused, Params, SizedCell, unfused
from gradflow.diagnosis import rate_of
from gradflow.engine.flow import blocks_backward, unroll
from gradflow.machine.blas import use_one_thread
from gradflow.numerics.magnitudes import log_norms

HEADING = "## How often the interval of the rate holds the true rate"
RESULTS = Path(__file__).parent / "RESULTS.md"
LENGTHS, BATCHES = (400, 100), (32, 1)
_INPUTS = 16
_SAMPLES = 128  # run together
_LONG = (300, 2000, 2300)  # lags between which a true rate is read, and how many there are


@dataclass(frozen=True)
class Kind:
    """A kind of net: its cell, H, the scale of W_s, and what makes W_s other than Gaussian.

    Attributes:
        eigenvalues: the largest of W_s, chosen; all others are at most 0.95 times the last one.
        slow: whether it is one of the leaky lines, of which more may be withheld.
        required: whether it has to be covered at T = 100 too.
    """

    cell: Cell
    H: int = 32
    scale: float = 1.0
    eigenvalues: tuple[complex, ...] = ()
    slow: bool = False
    required: bool = False

    @property
    def linear(self) -> bool:
        """Whether its Jacobian is one matrix."""
        return self.cell.options.get("activation") == "linear"

    @property
    def label(self) -> str:
        """All that tells it from other kinds."""
        return f"{self.cell.label} {self.H} {self.scale} {self.eigenvalues}"

    @property
    def sized(self) -> SizedCell:
        """The cell for its sizes."""
        return self.cell.sized(self.H, _INPUTS)


_LINEAR = RNN(activation="linear")
_LEAKY = RNN(leak=0.1)
KINDS = {
    "rnn, W_s×1": Kind(RNN(), 48, 1.0, required=True),
    "rnn, W_s×1.5": Kind(RNN(), 48, 1.5, required=True),
    "rnn, W_s×2": Kind(RNN(), 48, 2.0, required=True),
    "gru, W_s×1": Kind(GRU(), scale=1.0, required=True),
    "gru, W_s×2": Kind(GRU(), scale=2.0, required=True),
    "lstm, forget bias 0": Kind(LSTM(), required=True),
    "lstm, forget bias 1": Kind(LSTM(forget_bias=1.0), required=True),
    "lstm, forget bias 3": Kind(LSTM(forget_bias=3.0)),
    "leak 0.1, W_s×1": Kind(_LEAKY, 48, 1.0, slow=True),
    "leak 0.1, W_s×1.5": Kind(_LEAKY, 48, 1.5, slow=True),
    "leak 0.1, W_s×2": Kind(_LEAKY, 48, 2.0, slow=True),
    "linear, leak 0.05": Kind(RNN(activation="linear", leak=0.05), 48, slow=True),
    "linear, complex pair": Kind(_LINEAR, 48, eigenvalues=(0.95 * np.exp(0.3j),)),
    "linear, close second": Kind(_LINEAR, 48, eigenvalues=(1.05, 1.03)),
}


@dataclass
class Line:
    """What became of the runs of one kind at one T and N: natural logarithms, errors against the
    true slope."""

    runs: int = 0
    errors: list[float] = field(default_factory=list)
    half_widths: list[float] = field(default_factory=list)

    def add(self, samples: Array, slope: float) -> None:
        """One run, from the logs of its samples (T+1, N)."""
        self.runs += 1
        found = rate_of(samples)
        if found is not None and found.half_width is not None:
            self.errors.append(found.slope - slope)
            self.half_widths.append(found.half_width)

    @property
    def held(self) -> int:
        """Intervals that hold the truth (to rounding)."""
        pairs = zip(self.errors, self.half_widths, strict=True)
        return sum(abs(error) <= width + 1e-12 for error, width in pairs)

    @property
    def coverage(self) -> float:
        """Of the intervals that were reported, the share that holds the truth."""
        return self.held / len(self.errors) if self.errors else math.nan

    @property
    def withheld(self) -> float:
        """Of all runs, the share without an interval."""
        return 1 - len(self.errors) / self.runs

    @property
    def wrong(self) -> float:
        """Of all runs, the share with an interval that does not hold the truth."""
        return (len(self.errors) - self.held) / self.runs

    @property
    def half_width(self) -> float:
        """The mean half-width."""
        return float(np.mean(self.half_widths)) if self.errors else math.nan

    @property
    def bias(self) -> float:
        """The mean error over the mean half-width."""
        error = float(np.mean(self.errors)) if self.errors else math.nan
        return error / self.half_width if self.half_width else math.copysign(math.inf, error)


Lines = dict[tuple[int, int], Line]
"""By (T, N)."""


def lines(kind: Kind, nets: int, seeds: int, base: tuple[int, ...] = (2026,)) -> Lines:
    """The runs of one kind, `seeds` in all over so many nets."""
    found = {(T, N): Line() for T in LENGTHS for N in BATCHES}
    for net in range(nets):
        rng = np.random.default_rng([*base, *map(ord, kind.label), net])
        p = draw(kind, rng)
        slope = true_slope(kind, p, rng)
        for (T, N), line in found.items():
            for samples in runs_of(kind, p, rng, T, N, seeds // nets):
                line.add(samples, slope)
    return found


def draw(kind: Kind, rng: np.random.Generator) -> dict[str, Array]:
    """The parameters of one net."""
    cell, H = kind.sized, kind.H
    rows = sum(p.shape[0] for p in cell.parameters.values() if p.role == "recurrent")
    W_s = rng.standard_normal((rows, H)) / math.sqrt(H)
    if kind.eigenvalues:
        W_s = _with_eigenvalues(kind.eigenvalues, W_s, rng)
    W_x = rng.standard_normal((rows, _INPUTS)) / math.sqrt(_INPUTS)
    zeros = np.zeros(rows)
    params = unfused(cell, Fused(W_x, kind.scale * W_s, zeros, zeros))
    if "forget_bias" in kind.cell.options:
        params["b_f"] = params["b_f"] + kind.cell.options["forget_bias"]
    return params


def _with_eigenvalues(chosen: tuple[complex, ...], base: Array, rng: np.random.Generator) -> Array:
    """A matrix like `base` (H, H) that has these eigenvalues first, in a basis not orthogonal."""
    H, at = len(base), 0
    D = np.zeros((H, H))
    for value in chosen:
        width = 1 if value.imag == 0 else 2
        block = [[value.real, -value.imag], [value.imag, value.real]]
        D[at : at + width, at : at + width] = np.array(block)[:width, :width]
        at += width
    rest = base[at:, at:]
    largest = np.abs(np.linalg.eigvals(rest)).max()
    D[at:, at:] = 0.95 * abs(chosen[-1]) / largest * rest
    P = np.eye(H) + 0.3 * rng.standard_normal((H, H)) / math.sqrt(H)
    return np.asarray(P @ D @ np.linalg.inv(P))


def true_slope(
    kind: Kind,
    p: Params,
    rng: np.random.Generator,
    N: int = _SAMPLES,
    long: tuple[int, ...] = _LONG,
) -> float:
    """The natural logarithm of a net's rate."""
    if kind.linear:
        leak = float(kind.cell.options["leak"])
        J = (1 - leak) * np.eye(kind.H) + leak * p["U"]
        return math.log(np.abs(np.linalg.eigvals(J)).max())
    first, last, T = long
    S = kind.sized.S
    v, s_0 = rng.standard_normal((N, S)), 0.3 * rng.standard_normal((N, S))
    y = _logs(kind.sized, p, rng.standard_normal((T, N, _INPUTS)), s_0, v)
    return float((y[last] - y[first]).mean()) / (last - first)


def runs_of(
    kind: Kind, p: Params, rng: np.random.Generator, T: int, N: int, count: int
) -> Iterator[Array]:
    """The logs (T+1, N) of so many runs of one net, some samples at a time."""
    S = kind.sized.S
    at_a_time = _SAMPLES // N
    for start in range(0, count, at_a_time):
        runs = min(at_a_time, count - start)
        v = rng.standard_normal((runs, S))
        v = np.repeat(v / np.linalg.norm(v, axis=1, keepdims=True), N, axis=0)
        x = rng.standard_normal((T, runs * N, _INPUTS))
        y = _logs(kind.sized, p, x, np.zeros_like(v), v)
        yield from np.moveaxis(y.reshape(T + 1, runs, N), 1, 0)


def _logs(cell: SizedCell, p: Params, x: Array, s_0: Array, v: Array) -> Array:
    """ln ‖∂(v·s_T)/∂s_{T-k}‖, (T+1, N), for inputs x (T, N, I)."""
    params = {name: a[None] for name, a in p.items()}
    trajectory = unroll(cell, params, x[:, None], s_0[None])
    found: list[Array] = []
    for block in blocks_backward(trajectory, v[None]):
        ds = block.ds[1 if found else 0 :]
        found.append(log_norms(np.vecdot(ds.value, ds.value), ds.exponent)[:, 0])
    return np.concatenate(found)


LEVELS: dict[str, Callable[[Kind, int, int, Line], bool | None]] = {
    "T = 400: covers 88 to 100 %": lambda kind, T, N, line: (
        line.coverage >= 0.88 if T == 400 else None
    ),
    "T = 400: withholds at most 20 %, leaky lines 35 %": lambda kind, T, N, line: (
        line.withheld <= (0.35 if kind.slow else 0.2) if T == 400 else None
    ),
    "T = 100, N = 32: covers 86 % (rnn, gru, lstm of forget bias 0 and 1)": (
        lambda kind, T, N, line: (
            line.coverage >= 0.86 if (T, N) == (100, 32) and kind.required else None
        )
    ),
    "reported and wrong in at most 10 % of all runs": lambda kind, T, N, line: line.wrong <= 0.1,
    "bias below a quarter of the half-width": lambda kind, T, N, line: abs(line.bias) < 0.25,
}
"""What is aimed at: whether a line reaches it, None where it does not apply."""


def report(found: Mapping[str, Lines], nets: int) -> str:
    """The section of RESULTS.md."""
    runs = max(line.runs for by_size in found.values() for line in by_size.values())
    parts = [
        f"{HEADING}\n",
        f"`python -m benchmarks.coverage`: {runs} runs a line over {nets} nets that the estimator",
        "was not designed on; s_0 = 0, loss a random direction, inputs N(0, 1). **covers**: of",
        "the 95 % intervals that were reported, those that hold the true rate; **withheld**: of",
        "all runs, those without an interval; **wrong**: of all runs, those with one that misses;",
        "bias: the mean error over the half-width; half-width: of ln rate, the mean.\n",
    ]
    for T in LENGTHS:
        for N in BATCHES:
            parts += [
                f"### T = {T}, N = {N}\n",
                "| net | covers % | withheld % | wrong % | bias | half-width |",
                "|---|---:|---:|---:|---:|---:|",
                *(_row(name, by_size[T, N]) for name, by_size in found.items()),
                "",
            ]
    parts += ["| level | reached | missed by |", "|---|---:|---|"]
    for name, level in LEVELS.items():
        judged = {
            f"{kind} (T = {T}, N = {N})": reached
            for kind, by_size in found.items()
            for (T, N), line in by_size.items()
            if (reached := level(KINDS[kind], T, N, line)) is not None
        }
        missed = ", ".join(line for line, reached in judged.items() if not reached)
        parts.append(f"| {name} | {sum(judged.values())} of {len(judged)} | {missed} |")
    return "\n".join([*parts, ""])


def _row(name: str, line: Line) -> str:
    shares = [f"{100 * share:.1f}" for share in (line.coverage, line.withheld, line.wrong)]
    figures = [name, *shares, f"{line.bias:.2f}", f"{line.half_width:.4f}"]
    return f"| {' | '.join(figures)} |"


def section(text: str) -> str:
    """The section in the text of RESULTS.md, empty if there is none; it is the last one."""
    _, heading, rest = text.partition(HEADING)
    return heading + rest


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage")
    parser.add_argument("--seeds", type=int, default=400, help="runs a line")
    parser.add_argument("--nets", type=int, default=8, help="nets that they are spread over")
    parser.add_argument("--only", default="", metavar="WORD", help="of the lines' names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    use_one_thread()
    kinds = {name: kind for name, kind in KINDS.items() if options.only in name}
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        task = partial(lines, nets=options.nets, seeds=options.seeds)
        found = dict(zip(kinds, pool.map(task, kinds.values()), strict=True))
    text = report(found, options.nets)
    print(text)
    if not options.only:
        old = options.output.read_text(encoding="utf-8") if options.output.exists() else ""
        kept = old.removesuffix(section(old)).rstrip("\n")
        options.output.write_text(f"{kept}\n\n{text}" if kept else text, encoding="utf-8")


if __name__ == "__main__":
    main()
