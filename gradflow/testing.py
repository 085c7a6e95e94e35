"""Gradient flow in a test suite: `assert_gradient_flow`.

from gradflow.testing import assert_gradient_flow

def test_the_encoder_remembers():
    assert_gradient_flow(encoder, horizon=100, rate=(0.98, None))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from gradflow.api import load
from gradflow.checks.checked import Checked
from gradflow.checks.compare import TOLERANCE, Comparison, Side, compare
from gradflow.checks.figures import curves, kind_of
from gradflow.checks.judge import Judgement, judge, label
from gradflow.checks.wanted import without_place
from gradflow.config.expect import expected
from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.formats import FORMATS, Look, charts, words
from gradflow.formats.lags import choose_lags
from gradflow.output.whole import WholeFile
from gradflow.results import Result, decisive
from gradflow.runs.experiment import Experiment
from gradflow.runs.runner import execute
from gradflow.saved import read_results
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
    where: Mapping[str, Any] | None = None,
    allow_undecided: bool = False,
    baseline: str | PathLike[str] | None = None,
    tolerance: float = TOLERANCE,
    thresholds: tuple[float, float] | None = None,
    **figures: Any,
) -> list[Result]:
    """Assert how far back in time the gradient of a net reaches.

        >>> from gradflow.testing import assert_gradient_flow
        >>> keeps = {"type": "lstm", "forget_bias": 5.0}
        >>> assert_gradient_flow({"cell": keeps, "hidden_size": 16}, horizon=100)
        [<Result 0: lstm[forget_bias=5], stable, rate 1.012>]

    Args:
        subject: a config, as its path or its keys and values; a torch module or a state dict of
            arrays or tensors, whose net is run with `config`; or the results of `analyze`.
        config: for a module or state dict: what a config says besides its `weights`, such as
            `{"sequence_length": 200}`.
        weights: for a config: a module or state dict instead of its `weights`.
        where: the settings and options of the runs that are meant; None: every run.
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
        InputError: something is wrong with the config, the weights or what is expected.
    """
    __tracebackhide__ = True
    results, experiment = run(subject, config, weights)
    judgements = _judged(results, experiment, figures, where, allow_undecided)
    comparison = None
    if baseline is not None:
        read_with = experiment.thresholds if experiment is not None else thresholds
        comparison = compared(baseline, results, read_with, tolerance)
    if not judgements and comparison is None:
        raise InputError("nothing is expected: give a figure, such as horizon=100, or a baseline")
    if message := failure(judgements, comparison, baseline, results):
        raise AssertionError(message)
    return results


def run(
    subject: Subject, config: Any = None, weights: Any = None
) -> tuple[list[Result], Experiment | None]:
    """The results of what `assert_gradient_flow` takes, and the experiment, if there is one."""
    if isinstance(subject, Result):
        return [subject], None
    if isinstance(subject, Sequence) and not isinstance(subject, str | bytes):
        results = list(subject)
        if not results or not all(isinstance(one, Result) for one in results):
            raise InputError(
                "expected a config, a module, or results, found a list of other things"
            )
        return results, None
    if is_module(subject) or is_state_dict(subject):
        subject, weights = ({} if config is None else config), subject
    elif config is not None:
        raise InputError("`config` goes with a module or a state dict, which is no config itself")
    experiment = load(subject, weights=weights)
    return list(execute(experiment)), experiment


def _judged(
    results: Sequence[Result],
    experiment: Experiment | None,
    figures: Mapping[str, Any],
    where: Mapping[str, Any] | None,
    allow_undecided: bool,
) -> list[Judgement]:
    if not figures:
        return []
    item = {name: _bounds(name, bound) for name, bound in figures.items()}
    about = {"where": dict(where or {}), "allow_undecided": allow_undecided}
    return judge(expected({**about, **item}, experiment, results), results)


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


def compared(
    baseline: str | PathLike[str],
    results: Sequence[Result],
    thresholds: tuple[float, float] | None,
    tolerance: float,
) -> Comparison:
    """The results compared with those of a file."""
    saved = read_results(baseline)
    after = Side(results, thresholds or saved.thresholds)
    return compare(Side(saved.results, saved.thresholds), after, tolerance)


def save(path: Path, results: Sequence[Result], experiment: Experiment | None) -> None:
    """Write results to a file that can be a baseline; results alone with the usual thresholds."""
    look = Look(
        config={"lags": "auto", "thresholds": {"vanishing": 1e-3, "exploding": 1e3}},
        parts=tuple(dict.fromkeys(p for r in results if r.flow is not None for p in r.flow.parts)),
        options=tuple(dict.fromkeys(name for result in results for name in result.options)),
        measures=tuple(dict.fromkeys(name for result in results for name in result.measures)),
    )
    if experiment is not None:
        look = Look(
            config=experiment.config,
            parts=experiment.parts,
            options=experiment.options,
            measures=tuple(one.name for one in experiment.measures),
        )
    with WholeFile(path) as file:
        file.write(FORMATS["json"].show("results", results, look))


# Messages


def failure(
    judgements: Sequence[Judgement],
    comparison: Comparison | None,
    baseline: object,
    results: Sequence[Result],
) -> str:
    """What an assertion says: a line for each expectation and run that misses, those that hold in
    one, and the curves that are meant; empty where all is well."""
    named = None if baseline is None else str(baseline)
    checked = Checked("", tuple(judgements), comparison, named)
    if checked.held:
        return ""
    lines = ["gradient flow: " + checked.summary]
    lines += [
        f"  {line.outcome:<9}  {line.what}: {line.of}: {line.got}"
        + (f" ({line.off})" * bool(line.off))
        for line in sorted(checked.lines, key=lambda line: not line.fails)
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
