"""The library's front door."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradflow.config.load import experiment_of, from_mapping
from gradflow.config.load import load as load_file
from gradflow.errors import Fault, InputError
from gradflow.results import Result
from gradflow.runs.experiment import Experiment
from gradflow.runs.runner import execute

if TYPE_CHECKING:
    from gradflow.checks.report import Report

Source = str | PathLike[str] | Mapping[str, Any] | Experiment
"""A config: its path, its keys and values as a mapping, or what `load` gave."""


def load(config: Source, *, weights: Any = None) -> Experiment:
    """Read and validate a config.

    Args:
        config: the path of a YAML file, or the same keys and values as a mapping.
        weights: in the place of the config's: a file, a module with a `state_dict()`, or a state
            dict of arrays or tensors; None: what the config says.

    Raises:
        InputError: with every fault found.
    """
    if isinstance(config, Experiment):
        if weights is not None:
            raise InputError("weights go with a config, not with what is loaded already")
        return config
    if weights is None:
        return from_mapping(config) if isinstance(config, Mapping) else load_file(Path(config))
    from gradflow.config.expect import opened
    from gradflow.weights.given import given

    document, folder, text = opened(config)
    if isinstance(weights, str | PathLike):
        return experiment_of(document, folder, text=text, checkpoint=str(weights))
    tensors = given(weights)
    return experiment_of(document, folder, tensors=tensors, text=text, checkpoint=tensors.source)


def analyze(config: Source, *, weights: Any = None) -> list[Result]:
    """Run a config: the gradient at every lag, and what it means, for each run of the sweep.

    Args:
        config: the path of a YAML file, the same keys and values as a mapping, or what `load`
            gave.
        weights: as for `load`.

    Returns:
        One Result a run, in the order of the sweep. `result.flow.state` is the (T+1,) gradient
        norm against lag as Magnitudes: `.log10()` and `.floats()` give NumPy arrays.

    Raises:
        InputError: the config or a file that it names is wrong; with every fault found.
    """
    return list(execute(load(config, weights=weights)))


def check(
    config: str | PathLike[str] | Mapping[str, Any],
    *,
    baseline: str | PathLike[str] | None = None,
    tolerance: float = 0.05,
) -> Report:
    """Run a config and hold the results to its `expect:`, and to a baseline.

    Args:
        config: the path of a YAML file, or the same keys and values as a mapping.
        baseline: what `gradflow analyze --output NAME.json` wrote; None: no baseline.
        tolerance: decades that curves may be apart from it.

    Returns:
        A Report: true where everything holds, `str` is a line an expectation, `judgements` and
        `comparison` have the numbers.

    Raises:
        InputError: with every fault of the config, its expectations and the baseline; nothing is
            expected at all.
    """
    from gradflow.checks.compare import Side, compare
    from gradflow.checks.judge import judge
    from gradflow.checks.report import Report
    from gradflow.config.expect import load_expected
    from gradflow.saved import read_results

    source = "config" if isinstance(config, Mapping) else str(config)
    experiment, wanted = load_expected(config if isinstance(config, Mapping) else source)
    if not wanted and baseline is None:
        raise InputError(Fault("nothing is expected: add `expect:`, or give a baseline", source))
    saved = None if baseline is None else read_results(baseline)
    results = list(execute(experiment))
    comparison = None
    if saved is not None:
        before = Side(saved.results, saved.thresholds)
        comparison = compare(before, Side(results, experiment.thresholds), tolerance)
    judgements = tuple(judge(wanted, results))
    named = None if baseline is None else str(baseline)
    return Report(source, judgements, comparison, named, experiment.title)
