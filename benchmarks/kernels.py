"""How far apart results of other BLAS kernels and other NumPy versions are: the table of
`docs/ci.md`. `python -m benchmarks.kernels [--python /another/python ...]`

Each row is `gradflow analyze` of the same configs in an environment of its own, compared with the
kernel Haswell as `gradflow compare` does, everything that results have.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from gradflow.checks.compare import Pair, Side, compare
from gradflow.checks.deviations import log10_curves
from gradflow.saved.file import Saved, read_results

ROOT = Path(__file__).resolve().parent.parent

NAMES = ("quickstart", "forget-bias", "vanishing", "gru-forms")

LONG = {"cell": ["rnn", "lstm", "gru"], "sequence_length": 400, "ws_scale": [0.5, 1, 1.5, 2, 3]}
"""The longer runs, which amplify a last digit."""

KERNELS = ("Haswell", "SkylakeX", "Sandybridge", "Prescott")

COMMAND = ("-m", "gradflow", "analyze", "--quiet", "--output")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--python", action="append", default=[], help="one with another NumPy")
    others = [(python, KERNELS[0]) for python in parser.parse_args().python]
    with TemporaryDirectory() as folder:
        configs = _configs(Path(folder))
        plain = [_results(config, sys.executable, KERNELS[0]) for config in configs]
        runs = sum(len(found.results) for found in plain)
        print(f"{runs} runs, against {_made_with(plain[0])}\n")
        print("| what is different | largest distance in decades | chaotic |\n|---|---:|---|")
        for python, kernel in [*((sys.executable, name) for name in KERNELS[1:]), *others]:
            found = [_results(config, python, kernel) for config in configs]
            pairs = list(_pairs(plain, found))
            print(f"| {_made_with(found[0])} | {_largest(pairs)} | {_chaotic(pairs)} |", flush=True)


def _configs(folder: Path) -> list[Path]:
    """Those of the repository, and the longer runs."""
    for name in NAMES:
        shutil.copy(ROOT / "configs" / f"{name}.yaml", folder)
    (folder / "long.yaml").write_text(yaml.safe_dump(LONG), encoding="utf-8")
    return sorted(folder.glob("*.yaml"))


def _results(config: Path, python: str, kernel: str) -> Saved:
    """Of a config in a process of its own."""
    output = config.with_suffix(".json")
    command = [python, *COMMAND, str(output), str(config)]
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    return read_results(output)


def _pairs(before: Sequence[Saved], after: Sequence[Saved]) -> Iterator[Pair]:
    """The runs of both, config by config."""
    for one, other in zip(before, after, strict=True):
        sides = (Side(found.results, found.thresholds) for found in (one, other))
        yield from compare(*sides, tolerance=0.0).pairs


def _made_with(found: Saved) -> str:
    """Kernel and NumPy."""
    made = found.head["provenance"]
    return f"{made['blas']['kernel']}, NumPy {made['numpy']}"


def _largest(pairs: Sequence[Pair]) -> str:
    """Of the runs that are compared curve by curve: the distance, of what and where."""
    compared = [(pair.largest, pair.name) for pair in pairs if not pair.chaotic and pair.largest]
    largest, run = max(compared, key=lambda one: one[0].decades)
    return f"{largest.decades:.1g} ({largest.name} of {run})" if largest.decades else "0"


def _chaotic(pairs: Sequence[Pair]) -> str:
    """Of the others: how far the gradient is apart all the same, and whether the intervals of the
    rates overlap."""
    said = []
    for pair in pairs:
        before, after = pair.results
        if pair.chaotic and before and after:
            curves = {name: (one, other) for name, one, other in log10_curves(before, after)}
            one, other = curves["grad_norm"]
            rates = "overlap" if pair.held else "do not overlap"
            said.append(f"{pair.name}: {np.max(np.abs(one - other)):.2g}, rates {rates}")
    return "; ".join(said) or "none differs"


if __name__ == "__main__":
    main()
