"""Times to Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.problems import Problem
from benchmarks.timing import Ratio, Times

HEAD = """# Speed

Written by `python -m benchmarks`. {machine}; {versions}. All contestants in one process, in turn,
one round of warm-up. Load of the machine meanwhile: {load}. Rounds a line: {rounds}. A ratio is
that of the medians; in brackets the middle half of the ratios round by round. Where it is wide, the
machine was busy and the line says little. Each library takes the code for this processor that it
takes by itself, whatever the environment says of OpenBLAS.

gradflow: forward, backward, and at every lag the norm of the state's gradient and of the terms of
W_x, W_s and b, in full exponent range.

- **loop**: PyTorch, a loop over the cell with `retain_grad` on every state; no weight terms.
- **fused**: PyTorch's `nn.RNN`, `nn.LSTM`, `nn.GRU`, forward and backward; no lags at all.
- **scan**: JAX, a compiled `lax.scan` with a perturbation added to every state, compile time
  excluded; no weight terms.
- **products**: only the matrix products that the same mathematics needs at least, on operands that
  lie ready: the input product, one recurrent product a step forward and one backward, the two
  products that give dL/dW_x and dL/dW_s; each in one call of `numpy.matmul`.
- **+ share**: what gradflow takes when it also sums the terms of W_s up to every lag (the column
  `share_W_s`), over what it takes without. No other column computes this.
- **alone** (all cores): what gradflow takes with that sum on one of the cores, over what it takes
  on all of them.

The first three say how many times longer the other takes than gradflow (above 1: gradflow is
faster), the fourth how many times longer gradflow takes than the products (below 1: it takes large
products in blocks, for which OpenBLAS has faster code; see `gradflow/numerics/products.py`).
"""


PROFILE = """What holds the levels that are not reached (`python -m benchmarks.profile`): one core,
float64, microseconds a time step, forward and backward. **operations alone** is what as many NumPy
operations as a step makes take on 32 numbers: where N = 1, calling them is most of the work, and no
arithmetic that is saved can change that. With N = 16 and 32 the work by element (an exponential and
a division for each gate, and about thirty passes over memory) weighs as much as the products. Small
recurrent products are called by the step itself, and are in the columns by element.
"""


ALL_CORES = """How many times faster one run is on all cores than on one, with every curve and the
share of W_s (`python -m benchmarks.cores`); in brackets the middle half of the rounds. **bare
products**: the same of the recurrent products alone, dealt out to threads that never wait for each
other.
"""


SWEEPS = """Seconds for 1,000 seeds of H = 32, T = 100, N = 16 (`python -m benchmarks.sweeps`), and
how many times longer than the default. A second core can halve the time, a bundle only save the
calls of a step, not its arithmetic, which is most of it here (see below): so much is to be gained
over runs that are taken one by one, in one process, through the same engine.
"""


@dataclass(frozen=True)
class Setting:
    """Times of the grid, with so many cores for every contestant."""

    title: str
    cores: int
    found: dict[Problem, Mapping[str, Times]]


@dataclass(frozen=True)
class Level:
    """What is aimed at: where it applies, and how many times longer another is to take."""

    applies: Callable[[Problem], bool]
    other: str
    least: float
    than: str = "gradflow"

    def figure(self, times: Mapping[str, Times]) -> float:
        """What should reach `least`."""
        return Ratio.of(times[self.other], times[self.than]).of_medians

    def beyond(self, times: Mapping[str, Times]) -> bool:
        """Whether even the bare products would miss it."""
        bare = Ratio.of(times[self.other], times["products"]).of_medians
        return self.other not in ("products", "alone") and bare < self.least


_COLUMNS = ("loop", "fused", "scan", "products", "+ share")

LEVELS = {
    "10x faster than the loop, H <= 256": Level(lambda p: p.H <= 256, "loop", 10.0),
    "3x faster than the loop, H = 1024": Level(lambda p: p.H == 1024, "loop", 3.0),
    "as fast as the fused modules, float64": Level(lambda p: p.dtype == "float64", "fused", 1.0),
    "as fast as the scan": Level(lambda p: True, "scan", 1.0),
    "within 1.3x of the products, H >= 256": Level(lambda p: p.H >= 256, "products", 1 / 1.3),
}

LEVELS_OF_ALL_CORES = {
    "as fast as on one core, H <= 256": Level(lambda p: p.H <= 256, "alone", 0.95, "share"),
    "1.6x faster than on one core, H = 512": Level(lambda p: p.H == 512, "alone", 1.6, "share"),
    "1.75x faster than on one core, H = 1024": Level(lambda p: p.H == 1024, "alone", 1.75, "share"),
}


START = """\
Where that goes (`python -m benchmarks.start`): processes that each do what the one before does and
more, NumPy with one thread; milliseconds of processor time.
"""


def markdown(
    settings: Sequence[Setting],
    processes: Mapping[str, Times],
    load: Sequence[float],
    versions: str,
    sweeps: Mapping[str, Mapping[str, float]] | None = None,
    profile: str = "",
    all_cores: str = "",
    single: Mapping[tuple[int, int, int], Mapping[str, Times]] | None = None,
    start: str = "",
) -> str:
    """The whole of RESULTS.md."""
    head = HEAD.format(
        machine=machine(),
        versions=versions,
        load=f"{min(load):.1f} to {max(load):.1f}",
        rounds=_rounds(settings),
    )
    sections = [head]
    for setting in settings:
        if setting.found:
            sections += [*_tables(setting), _levels(setting)]
    if all_cores:
        sections += ["## All cores against one\n", ALL_CORES, all_cores]
    if processes:
        sections.append(whole_processes_table(processes))
    if single:
        sections.append(single_runs_table(single))
    if start:
        sections += [START, start, ""]
    if sweeps:
        sections.append(_sweeps(sweeps))
    if profile:
        sections += ["## Where the time of a step goes\n", PROFILE, profile]
    return "\n".join(sections)


def machine() -> str:
    """CPU model and cores."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].split(":")[1].strip() if names else model
    return f"{model}, {os.cpu_count()} cores"


def _rounds(settings: Sequence[Setting]) -> str:
    counts = [len(t["gradflow"].seconds) for setting in settings for t in setting.found.values()]
    return f"{min(counts)} to {max(counts)}"


def _tables(setting: Setting) -> Iterator[str]:
    found = setting.found
    for dtype in dict.fromkeys(problem.dtype for problem in found):
        yield f"## {setting.title}, {dtype}\n"
        more = setting.cores > 1
        yield f"| cell | T, H, N | gradflow | {' | '.join(_COLUMNS)} |{' alone |' * more}"
        yield f"|---|---|---:|{'---:|' * (len(_COLUMNS) + more)}"
        for problem, times in found.items():
            if problem.dtype == dtype:
                ours = times["gradflow"]
                others = [Ratio.of(times[name], ours) for name in ("loop", "fused", "scan")]
                ratios = [
                    *others,
                    Ratio.of(ours, times["products"]),
                    Ratio.of(times["share"], ours),
                    *([Ratio.of(times["alone"], times["share"])] if more else []),
                ]
                cells = [
                    problem.cell,
                    f"{problem.T}, {problem.H}, {problem.N}",
                    f"{1e3 * ours.median:.3g} ms",
                    *map(_spelled, ratios),
                ]
                yield f"| {' | '.join(cells)} |"
        yield ""


def _levels(setting: Setting) -> str:
    lines = [
        f"## Levels aimed at: {setting.title[0].lower()}{setting.title[1:]}\n",
        "| level | reached | worst | beyond the products |",
        "|---|---:|---|---:|",
    ]
    levels = LEVELS | (LEVELS_OF_ALL_CORES if setting.cores > 1 else {})
    for name, level in levels.items():
        found = {p: times for p, times in setting.found.items() if level.applies(p)}
        if not found:
            continue
        figures = {problem: level.figure(times) for problem, times in found.items()}
        reached = sum(value >= level.least for value in figures.values())
        worst = min(figures, key=lambda problem: figures[problem])
        how = f"{worst}: {figures[worst] / level.least:.2f} of the level"
        beyond = sum(level.beyond(times) for times in found.values())
        lines.append(f"| {name} | {reached} of {len(figures)} | {how} | {beyond or ''} |")
    lines.append(
        "\nBeyond the products: lines where whoever reached the level would have to be faster than "
        "the\nbare products alone."
    )
    return "\n".join([*lines, ""])


def whole_processes_table(processes: Mapping[str, Times]) -> str:
    """The section of RESULTS.md."""
    lines = [
        "## Whole processes\n",
        "Start-up included; the scripts print the gradient norms of the same nine runs and nothing",
        "else (`benchmarks/script_torch.py`, `benchmarks/script_jax.py`).\n",
        "| process | seconds | over gradflow |",
        "|---|---:|---:|",
    ]
    titles = {"gradflow": "`gradflow analyze configs/quickstart.yaml`"}
    for name, times in processes.items():
        ratio = _spelled(Ratio.of(times, processes["gradflow"])) if name != "gradflow" else ""
        lines.append(f"| {titles.get(name, name)} | {times.median:.2f} | {ratio} |")
    return "\n".join([*lines, ""])


def single_runs_table(found: Mapping[tuple[int, int, int], Mapping[str, Times]]) -> str:
    """What follows it there: each shape with both times."""
    lines = [
        "One LSTM as a command that prints CSV, and as `benchmarks/script_torch_run.py`, which",
        "prints its gradient norms, each on all cores, with the code that its linear algebra takes",
        "here by itself; and the command with OpenBLAS's kernel for processors with AVX2 alone.\n",
        "| T, H, N | gradflow | torch | over gradflow | gradflow, AVX2 | torch over that |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for shape, times in found.items():
        ours, other, older = times["gradflow"], times["torch"], times["AVX2"]
        seconds = [f"{ours.median:.2f}", f"{other.median:.2f}", _spelled(Ratio.of(other, ours))]
        seconds += [f"{older.median:.2f}", _spelled(Ratio.of(other, older))]
        lines.append(f"| {', '.join(map(str, shape))} | {' | '.join(seconds)} |")
    return "\n".join([*lines, ""])


def _sweeps(sweeps: Mapping[str, Mapping[str, float]]) -> str:
    """Seconds by cell and way; the last way is the one that the others are compared with."""
    ways = list(next(iter(sweeps.values())))
    lines = [
        "## A thousand small runs\n",
        SWEEPS,
        f"| cell | {' | '.join(ways)} |",
        f"|---|{'---:|' * len(ways)}",
    ]
    for cell, seconds in sweeps.items():
        last = seconds[ways[-1]]
        figures = [f"{s:.3g} ({s / last:.3g}x)" for s in seconds.values()]
        lines.append(f"| {cell} | {' | '.join(figures)} |")
    return "\n".join([*lines, ""])


def _spelled(ratio: Ratio) -> str:
    return f"{ratio.of_medians:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
