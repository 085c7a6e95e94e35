"""Gradient flow in a test suite: `assert_gradient_flow`.

from gradflow.testing import assert_gradient_flow

def test_the_encoder_remembers():
    assert_gradient_flow(encoder, horizon=100, rate=(0.98, None))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np

from gradflow.api.joining import look_of
from gradflow.api.sources import loaded, taken
from gradflow.checks.checked import Checked
from gradflow.checks.compare import TOLERANCE, Comparison, Side, check_tolerance, compare
from gradflow.checks.figures import curves, kind_of
from gradflow.checks.judge import Judgement, judge, label
from gradflow.checks.wanted import Wanted, without_place
from gradflow.config.expect import expected, load_expected
from gradflow.config.model import Thresholds
from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.formats import FORMATS, Look, charts, words
from gradflow.formats.lags import choose_lags
from gradflow.output.whole import WholeFile
from gradflow.results import Result, decisive
from gradflow.runs.experiment import Experiment
from gradflow.runs.runner import execute
from gradflow.saved import read_results, refuse_foreign
from gradflow.weights.given import is_module, is_state_dict

REACHES = ("horizon", "horizon_typical", "projected_horizon", "half_life")
"""The figures of which a number alone is the least."""

_MOST_CURVES = 3  # that a message shows
_ABOUT = 8  # lags that it shows
_BAR = 24

Subject = Any
"""A config (its path, or keys and values), a module, a state dict, or results."""


def assert_gradient_flow(
    subject: Subject,
    *,
    config: Mapping[str, Any] | str | PathLike[str] | None = None,
    weights: Any = None,
    input: Any = None,
    where: Mapping[str, Any] | None = None,
    allow_undecided: bool = False,
    baseline: str | PathLike[str] | None = None,
    tolerance: float = TOLERANCE,
    thresholds: tuple[float, float] | None = None,
    **figures: Any,
) -> list[Result]:
    """Assert how far back in time the gradient of a net reaches, and what else its config expects.

        >>> from gradflow.testing import assert_gradient_flow
        >>> keeps = {"type": "lstm", "forget_bias": 5.0}
        >>> assert_gradient_flow({"cell": keeps, "hidden_size": 16}, horizon=100)
        [<Result 0: lstm[forget_bias=5], stable, rate 1.012>]

    Args:
        subject: a config, as its path or its keys and values, whose own `expect` is held too; a
            torch module or a state dict of arrays or tensors, whose net is run with `config`; what
            `gradflow.load` gave, or the results of `analyze`, neither of which has an `expect`.
        config: for a module or state dict: what a config says besides its `weights`, such as
            `{"sequence_length": 200}`.
        weights: for a config: a module or state dict instead of its `weights`.
        input: an array (T, I) or (T, N, I) in place of the config's `input`.
        where: the settings and options of the runs that the figures are of; None: every run.
        allow_undecided: whether a rate whose interval holds the bound passes.
        baseline: what `gradflow analyze --output NAME.json` wrote, to be compared with.
        tolerance: decades that curves may be apart from it.
        thresholds: for results and a baseline: what their horizons were read with; None: those of
            the baseline.
        figures: any figure of a run by its flat name: `horizon=100` and `half_life=20` are the
            least; `rate=(0.98, None)` the least and the most; `verdict="stable"` or a list of
            words; a mapping of `min`, `max`, `is` and, of a column against lag, `lag`, as in a
            config's `expect`.

    Returns:
        The results.

    Raises:
        AssertionError: with a line for each expectation, and a short table of the curves that miss
            theirs.
        InputError: something is wrong with the config, the weights or what is expected, or nothing
            is.
    """
    __tracebackhide__ = True
    try:
        made = run(subject, config, weights, input)
        message = missed(
            made,
            figures,
            where=where,
            allow_undecided=allow_undecided,
            baseline=baseline,
            tolerance=tolerance,
            thresholds=thresholds,
        )
    except InputError as error:  # ends at the caller's line: what is within is no news to them
        raise error.with_traceback(None) from None
    if message:
        raise AssertionError(message)
    return made.results


@dataclass(frozen=True)
class Made:
    """What came of what `assert_gradient_flow` takes.

    Attributes:
        results: of its runs.
        experiment: what was run; None where results were given.
        wanted: what the config itself expects.
    """

    results: list[Result]
    experiment: Experiment | None = None
    wanted: Sequence[Wanted] = ()


def run(subject: Subject, config: Any = None, weights: Any = None, input: Any = None) -> Made:
    """Run what `assert_gradient_flow` takes, if it is no results already."""
    if isinstance(subject, Result):
        subject = [subject]
    if isinstance(subject, Sequence) and not isinstance(subject, str | bytes):
        results = list(subject)
        if not results or not all(isinstance(one, Result) for one in results):
            raise InputError(
                "expected a config, a module, or results, found a list of other things"
            )
        given = {"config": config, "weights": weights, "input": input}
        names = [f"`{name}`" for name, value in given.items() if value is not None]
        if names:
            raise InputError(f"{', '.join(names)}: not with results, which were run already")
        return Made(results)
    if is_module(subject) or is_state_dict(subject):
        subject, weights = ({} if config is None else config), subject
    elif config is not None:
        raise InputError("`config` goes with a module or a state dict, which is no config itself")
    if isinstance(subject, Experiment):
        experiment, wanted = loaded(subject, weights, input), list[Wanted]()
    else:
        plain, given = taken(subject, weights, input)
        experiment, wanted = load_expected(plain, **given)
    return Made(list(execute(experiment)), experiment, wanted)


def missed(
    made: Made,
    figures: Mapping[str, Any],
    *,
    where: Mapping[str, Any] | None = None,
    allow_undecided: bool = False,
    baseline: str | PathLike[str] | None = None,
    tolerance: float = TOLERANCE,
    thresholds: tuple[float, float] | None = None,
    update: bool = False,
) -> str:
    """What an assertion says of results that are not as they were to be; empty where all is well.

    Args:
        made, figures: the results, and what is expected of them besides what their config expects.
        where, allow_undecided, baseline, tolerance, thresholds: as `assert_gradient_flow` has them.
        update: whether the results become the baseline first; not where anything is wrong.

    Raises:
        InputError: something is wrong with what is expected, or with the baseline.
    """
    check_tolerance(tolerance)
    _check_thresholds(thresholds, made, baseline)
    wanted = [*made.wanted, *_wanted(made, figures, where, allow_undecided)]
    if not wanted and baseline is None:
        raise InputError("nothing is expected: give a figure, such as horizon=100, or a baseline")
    judgements = judge(wanted, made.results)
    comparison = None
    if baseline is not None:
        if update:
            save(Path(baseline), made.results, made.experiment)
        saved = read_results(baseline)
        own = thresholds if made.experiment is None else made.experiment.thresholds
        after = Side(made.results, own or saved.thresholds)
        comparison = compare(Side(saved.results, saved.thresholds), after, tolerance)
    return failure(judgements, comparison, baseline, made.results)


def _check_thresholds(thresholds: object, made: Made, baseline: object) -> None:
    """They are two bounds, and are asked for where they have a meaning."""
    if thresholds is None:
        return
    if made.experiment is not None or baseline is None:
        raise InputError("thresholds: go with results and a baseline; a config has its own")
    try:
        Thresholds.model_validate(
            dict(zip(("vanishing", "exploding"), cast("Any", thresholds), strict=True))
        )
    except (TypeError, ValueError):  # pydantic's error is one of value
        message = f"thresholds: expected (below 1, above 1), found {thresholds!r}"
        raise InputError(message) from None


def _wanted(
    made: Made,
    figures: Mapping[str, Any],
    where: Mapping[str, Any] | None,
    allow_undecided: bool,
) -> list[Wanted]:
    """What the arguments expect."""
    if not figures:
        if where:
            raise InputError("where: goes with a figure, such as horizon=100")
        return []
    item = {name: _bounds(name, bound) for name, bound in figures.items()}
    about = {"where": dict(where or {}), "allow_undecided": allow_undecided}
    return expected({**about, **item}, made.experiment, made.results)


def _bounds(name: str, bound: Any) -> Any:
    """What is expected of a figure, as a config has it."""
    if isinstance(bound, Mapping):
        return dict(bound)
    if isinstance(bound, tuple):
        if len(bound) != 2:
            raise InputError(f"{name}: expected (least, most), found {many(len(bound), 'value')}")
        named = zip(("min", "max"), bound, strict=True)
        return {key: value for key, value in named if value is not None}
    if isinstance(bound, str):
        return {"is": bound}
    if isinstance(bound, Iterable):
        return {"is": list(bound)}
    figure, _ = without_place(name)
    if figure in REACHES or (
        kind_of(figure) is None and figure not in curves()
    ):  # what is not known is reported with the nearest name
        return {"min": bound}
    raise InputError(f"{name}: expected (least, most), such as (0.98, None), found {bound!r}")


# Baselines


def save(path: Path, results: Sequence[Result], experiment: Experiment | None) -> None:
    """Write results to a file that can be a baseline.

    Raises:
        InputError: there is a file that is something else.
    """
    refuse_foreign(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    look = look_of(results) if experiment is None else Look.of(experiment)
    with WholeFile(path) as file:
        file.write(FORMATS["json"].show("results", results, look))


# Messages


def failure(
    judgements: Sequence[Judgement],
    comparison: Comparison | None,
    baseline: object,
    results: Sequence[Result],
) -> str:
    """What an assertion says: first what is missed first, which is all that a summary of pytest
    has room for, then a line for each expectation and run that misses, those that hold in one, and
    the curves that are meant; empty where all is well."""
    named = None if baseline is None else str(baseline)
    checked = Checked("", tuple(judgements), comparison, named)
    if checked.held:
        return ""
    told = sorted(checked.lines, key=lambda line: not line.fails)
    lines = [f"gradient flow: {told[0].what}: {told[0].got}; {checked.summary}"]
    lines += [
        f"  {line.outcome:<9}  "
        + f"{line.asked_at}: " * (line.line is not None)
        + f"{line.what}: {line.of}: {line.got}"
        + f" ({line.off})" * bool(line.off)
        for line in told
    ]
    missing: set[int | None] = {one.run for one in judgements if one.fails}
    if comparison is not None:
        missing |= {pair.runs[1] for pair in comparison.pairs if not pair.held}
    shown = [decisive(one) for one in results if one.run in missing and one.flows]
    for result in shown[:_MOST_CURVES]:
        lines += ["", *curve(result)]
    return "\n".join(lines)


def curve(result: Result) -> list[str]:
    """The relative gradient of a run at about eight lags, and drawn."""
    assert result.flow is not None
    lags = choose_lags(result.sequence_length, "auto")
    lags = sorted({*lags[:: max(1, len(lags) // _ABOUT)], lags[-1]})
    relative = result.flow.relative[np.array(lags)]
    logs = relative.log10()
    low, high = charts.bounds(logs)
    drawn = [charts.bar(log, low, high, _BAR) for log in logs.tolist()]
    rows = zip(lags, relative.texts(), drawn, strict=True)
    width = max(3, len(str(lags[-1])))
    head = f"  {label(result)}: gradient over that at lag 0, 1e{low:+03d} to 1e{high:+03d}"
    return [head, *(f"  {lag:>{width}}  {words.short(text):<9}  {bar}" for lag, text, bar in rows)]
