"""What a person calls: a config, or results, in; results out."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

from gradflow.api.results import Results
from gradflow.config import tree
from gradflow.config.load import experiment_of
from gradflow.errors import Fault, InputError
from gradflow.output.terminal import in_notebook, progress_bar
from gradflow.runs.experiment import Experiment, Run
from gradflow.runs.runner import execute, time_steps

if TYPE_CHECKING:
    from gradflow.checks.report import Report
    from gradflow.criticality import Critical
    from gradflow.explanation import Explanation
    from gradflow.verification import Verification

Source = str | PathLike[str] | Mapping[str, Any] | Experiment
"""A config: its path, its keys and values as a mapping, its YAML text, or what `load` gave."""


def load(config: Source, *, weights: Any = None, input: Any = None) -> Experiment:
    """Read and validate a config.

    Args:
        config: the path of a YAML file, or the same keys and values as a mapping.
        weights: in the place of the config's: a file, a module with a `state_dict()`, or a state
            dict of arrays or tensors; None: what the config says.
        input: in the place of the config's: an array (T, I) or (T, N, I) of finite numbers; None:
            what the config says.

    Raises:
        InputError: with every fault found.
    """
    if isinstance(config, Experiment):
        if weights is not None or input is not None:
            raise InputError("weights and input go with a config, not with what is loaded already")
        return config
    from gradflow.config.expect import opened
    from gradflow.weights.given import given

    document, folder, text = opened(_named(config))
    how: dict[str, Any] = {"text": text, "series": input}
    if isinstance(weights, str | PathLike):
        return experiment_of(document, folder, checkpoint=str(weights), **how)
    if weights is not None:
        tensors = given(weights)
        return experiment_of(document, folder, tensors=tensors, checkpoint=tensors.source, **how)
    return experiment_of(document, folder, **how)


def _named(config: str | PathLike[str] | Mapping[str, Any]) -> str | Mapping[str, Any]:
    """A config's path or mapping; YAML text as the mapping that it is."""
    if isinstance(config, Mapping):
        return config
    name = str(config)
    if isinstance(config, str) and ("\n" in name or ": " in name):
        document = tree.read(name.encode(), "config")
        if document.faults:
            raise InputError(*document.faults)
        if isinstance(document.data, Mapping):
            return document.data
    return name


def analyze(config: Source, *, weights: Any = None, input: Any = None) -> Results:
    """Run a config: the gradient at every lag, and what it means, for each run of the sweep.

    Args:
        config: the path of a YAML file, the same keys and values as a mapping, or what `load`
            gave.
        weights, input: as for `load`.

    Returns:
        Results, a sequence: one Result a run, in the order of the sweep. `result.flow.state` is
        the (T+1,) gradient norm against lag, which acts as an array of floats; its `.log10()` is
        right at any size.

    Raises:
        InputError: the config or a file that it names is wrong; with every fault found.
    """
    experiment = load(config, weights=weights, input=input)
    if not in_notebook():
        return Results.of(experiment, execute(experiment))
    with progress_bar(sum(map(time_steps, experiment.runs))) as progress:
        return Results.of(experiment, execute(experiment, progress))


def load_results(path: str | PathLike[str]) -> Results:
    """The results that `gradflow analyze --output NAME.json` or `Results.save` wrote.

    Raises:
        InputError: there is no such file, it is something else, of a newer gradflow, or damaged.
    """
    from gradflow.saved import read_results

    saved = read_results(path)
    return Results(saved.results, saved.view())


@overload
def verify(config: Run) -> Verification: ...
@overload
def verify(config: Source, *, weights: Any = None, input: Any = None) -> list[Verification]: ...
def verify(
    config: Source | Run, *, weights: Any = None, input: Any = None
) -> Verification | list[Verification]:
    """The gradients of a config's runs against complex-step derivatives, at about a dozen lags.

    Args:
        config, weights, input: as for `analyze`; or one run of what `load` gave.

    Returns:
        One Verification a run: its `comparisons`, each with `error`, `tolerance` and `holds`; of a
        single run that one.

    Raises:
        InputError: with every fault found.
    """
    from gradflow.verification import verify as verified

    if isinstance(config, Run):
        return verified(config)
    return [verified(run) for run in load(config, weights=weights, input=input).runs]


def explain(config: Source, *, advice: bool = True) -> list[Explanation]:
    """Why each run's gradient does what it does, and what would change it.

    Args:
        config: as for `analyze`.
        advice: whether changes are tried, which takes up to 20 more runs each.

    Raises:
        InputError: with every fault found.
    """
    from gradflow.explanation import explain as explanations

    return list(explanations(load(config), execute, advice))


def critical(
    config: Source, *, vary: str = "ws_scale", between: tuple[float, float] | None = None
) -> list[Critical]:
    """The value of a setting at which the rate per step is 1, for every net of a config.

    Args:
        config: as for `analyze`.
        vary: `ws_scale`, `wx_scale`, `bias_scale`, or `cell.OPTION`, an option that is a number.
        between: the range that is searched; None: 0.1 to 10 for a scale, -10 to 10 for an option.

    Raises:
        InputError: with every fault found.
    """
    from gradflow.criticality import find

    return find(load(config), execute, vary, between)


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
    return Report(source, judgements, comparison, named, experiment.title, tuple(results))
