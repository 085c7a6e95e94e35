"""What a person calls: a config, or results, in; results out."""

from __future__ import annotations

from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

from gradflow.api.answers import Answers, Check
from gradflow.api.results import Results
from gradflow.api.sources import Source, load, loaded, taken
from gradflow.errors import Fault, InputError
from gradflow.formats.look import Look
from gradflow.machine.blas import one_thread
from gradflow.machine.threads import threads_of_a_run
from gradflow.output.terminal import notebook_bar
from gradflow.runs.experiment import Run
from gradflow.runs.runner import execute, time_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradflow.criticality import Critical
    from gradflow.explanation import Explanation
    from gradflow.verification import Verification


def analyze(config: Source, *, weights: Any = None, input: Any = None) -> Results:
    """Run a config: the gradient at every lag, and what it means, for each run of the sweep.

        >>> import gradflow
        >>> results = gradflow.analyze({"cell": ["rnn", "lstm"]})
        >>> results
        <Results: 2 runs, 2 vanishing>
        >>> results[0].diagnosis.horizon  # the first lag with less than 0.001 of the start
        17
        >>> results[0].flow.state.shape  # ‖dL/ds‖ at the lags 0..T
        (101,)

    Args:
        config: the path of a YAML file, its text, the same keys and values as a mapping, or what
            `load` gave.
        weights, input: as for `load`.

    Returns:
        Results, a sequence: one Result a run, in the order of the sweep. `result.flow.state` is
        the (T+1,) gradient norm against lag, which acts as an array of floats; its `.log10()` is
        right at any size.

    Raises:
        InputError: the config or a file that it names is wrong; with every fault found.
    """
    experiment = load(config, weights=weights, input=input)
    with notebook_bar(sum(map(time_steps, experiment.runs))) as progress:
        return Results.of(experiment, execute(experiment, progress))


def load_results(path: str | PathLike[str]) -> Results:
    """The results that `gradflow analyze --output NAME.json` or `Results.save` wrote to this path,
    to the last bit.

        >>> import gradflow
        >>> gradflow.analyze({"cell": "rnn", "hidden_size": 8}).save("flow.json")
        >>> gradflow.load_results("flow.json")
        <Results: 1 run, 1 vanishing>

    Args:
        path: of the JSON file.

    Returns:
        Results, as `analyze` gave them.

    Raises:
        InputError: there is no such file, it is something else, of a newer gradflow, or damaged.
    """
    from gradflow.saved import read_results

    saved = read_results(path)
    return Results(saved.results, saved.look())


@overload
def verify(config: Run) -> Verification: ...
@overload
def verify(config: Source, *, weights: Any = None, input: Any = None) -> Answers[Verification]: ...
def verify(
    config: Source | Run, *, weights: Any = None, input: Any = None
) -> Verification | Answers[Verification]:
    """The gradients of a config's runs against complex-step derivatives, at about a dozen lags.

        >>> import gradflow
        >>> small = {"sequence_length": 20, "hidden_size": 8}
        >>> gradflow.verify({"cell": "lstm", **small})
        [<Verification: lstm, 40 of 40 comparisons hold>]

    Args:
        config, weights, input: as for `analyze`; or one run of what `load` gave.

    Returns:
        One Verification a run: its `comparisons`, each with `error`, `tolerance` and `holds`, and
        `unfounded`, the gauges that are none; `holds` says it of all. Of a single run that one. The
        list is printed as the table of `gradflow verify`.

    Raises:
        InputError: with every fault found.
    """
    from gradflow.verification import verify as verified

    threads = threads_of_a_run()
    with one_thread():
        if isinstance(config, Run):
            return verified(config, threads)
        experiment = loaded(config, weights, input, believing=True)
        found = [verified(run, threads) for run in experiment.runs]
    return Answers(found, "verification", Look.of(experiment))


def explain(
    config: Source, *, advice: bool = True, weights: Any = None, input: Any = None
) -> Answers[Explanation]:
    """Why each run's gradient does what it does, and what would change it.

        >>> import gradflow
        >>> [found] = gradflow.explain({"cell": "rnn"}, advice=False)
        >>> {factor.name: round(factor.value, 3) for factor in found.factors[""].factors}
        {'gain of W_s': 1.012, 'rms slope': 0.648}

    Args:
        config, weights, input: as for `analyze`.
        advice: whether changes are tried, which takes up to 20 more runs each.

    Returns:
        One Explanation a run: the `factors` of its rate, the `advice` that was tried, and for a run
        of at most 10 steps the sum over k, `expansions`. The list is printed as the text of
        `gradflow explain`.

    Raises:
        InputError: with every fault found.
    """
    from gradflow.explanation import explain as explanations
    from gradflow.explanation import most_time_steps

    experiment = load(config, weights=weights, input=input)
    with notebook_bar(most_time_steps(experiment, advice)) as progress:
        found = list(explanations(experiment, partial(execute, progress=progress), advice))
    return Answers(found, "explanation", Look.of(experiment))


def critical(
    config: Source,
    *,
    vary: str = "ws_scale",
    between: tuple[float, float] | None = None,
    weights: Any = None,
    input: Any = None,
) -> Answers[Critical]:
    """The value of a setting at which the rate per step is 1, for every net of a config.

        >>> import gradflow
        >>> [net] = gradflow.critical({"cell": "rnn", "ws_init": "orthogonal", "hidden_size": 16})
        >>> f"{net.value:.1f}"
        '2.1'

    Args:
        config, weights, input: as for `analyze`.
        vary: `ws_scale` or another scale of the config, or `cell.OPTION`, an option that is a
            number.
        between: the range that is searched; None: 0.1 to 10 for a scale, -10 to 10 for an option.

    Returns:
        One Critical a net: its `value` (None: nowhere in the range), the `interval` that the rate's
        interval allows, every point that was `tried`, and what theory has `predicted`. The list is
        printed as the table of `gradflow critical`.

    Raises:
        InputError: with every fault found.
    """
    from gradflow.criticality import find, most_time_steps

    experiment = load(config, weights=weights, input=input)
    with notebook_bar(most_time_steps(experiment, vary)) as progress:
        found = find(experiment, partial(execute, progress=progress), vary, between)
    return Answers(found, "critical", Look.of(experiment))


def check(
    config: str | PathLike[str] | Mapping[str, Any],
    *,
    baseline: str | PathLike[str] | Results | None = None,
    tolerance: float = 0.05,
    weights: Any = None,
    input: Any = None,
) -> Check:
    """Run a config and hold the results to its `expect:`, and to a baseline.

        >>> import gradflow
        >>> report = gradflow.check({"cell": "rnn", "expect": {"horizon": {"min": 50}}})
        >>> bool(report)
        False
        >>> print(report)
        outcome  asked for in  expected             of   found  off
        ────────────────────────────────────────────────────────────────────
        missed   config        horizon at least 50  rnn  17     33 too small
        <BLANKLINE>
        1 figure: 1 missed.

    Args:
        config: the path of a YAML file, its text, or the same keys and values as a mapping.
        baseline: what `gradflow analyze --output NAME.json` wrote, or Results; None: no baseline.
        tolerance: decades that curves may be apart from it.
        weights, input: as for `load`.

    Returns:
        A Check: true where everything holds, `str` is the table of `gradflow check`, `judgements`
        and `comparison` have the numbers.

    Raises:
        InputError: with every fault of the config, its expectations and the baseline; nothing is
            expected at all.
    """
    from gradflow.checks.checked import Checked
    from gradflow.checks.compare import Side, check_tolerance, compare
    from gradflow.checks.judge import judge
    from gradflow.config.expect import load_expected
    from gradflow.saved import read_results

    check_tolerance(tolerance)
    plain, given = taken(config, weights, input)
    source = plain if isinstance(plain, str) else "config"
    experiment, wanted = load_expected(plain, **given)
    if not wanted and baseline is None:
        raise InputError(Fault("nothing is expected: add `expect:`, or give a baseline", source))
    before = None
    if isinstance(baseline, Results):
        before = Side(list(baseline), baseline.look.thresholds)
    elif baseline is not None:
        saved = read_results(baseline)
        before = Side(saved.results, saved.thresholds)
    with notebook_bar(sum(map(time_steps, experiment.runs))) as progress:
        results = list(execute(experiment, progress))
    comparison = None
    if before is not None:
        comparison = compare(before, Side(results, experiment.thresholds), tolerance)
    judgements = tuple(judge(wanted, results))
    called = None if baseline is None else str(baseline)
    if isinstance(baseline, Results):
        called = "baseline"
    checked = Checked(source, judgements, comparison, called, experiment.title, tuple(results))
    return Check.of(checked, Look.of(experiment))
