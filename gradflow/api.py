"""The library's front door."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from gradflow.config.load import from_mapping
from gradflow.config.load import load as load_file
from gradflow.results import Result
from gradflow.runs.experiment import Experiment
from gradflow.runs.runner import execute

Source = str | PathLike[str] | Mapping[str, Any] | Experiment
"""A config: its path, its keys and values as a mapping, or what `load` gave."""


def load(config: Source) -> Experiment:
    """Read and validate a config.

    Args:
        config: the path of a YAML file, or the same keys and values as a mapping.

    Raises:
        InputError: with every fault found.
    """
    if isinstance(config, Experiment):
        return config
    return from_mapping(config) if isinstance(config, Mapping) else load_file(Path(config))


def analyze(config: Source) -> list[Result]:
    """Run a config: the gradient at every lag, and what it means, for each run of the sweep.

    Args:
        config: the path of a YAML file, the same keys and values as a mapping, or what `load`
            gave.

    Returns:
        One Result a run, in the order of the sweep. `result.flow.state` is the (T+1,) gradient
        norm against lag as Magnitudes: `.log10()` and `.floats()` give NumPy arrays.

    Raises:
        InputError: the config or a file that it names is wrong; with every fault found.
    """
    return list(execute(load(config)))
