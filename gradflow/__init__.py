"""How far back in time does the gradient of a recurrent net reach, and why?

    >>> import gradflow
    >>> results = gradflow.analyze({"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.5]})
    >>> results
    <Results: 4 runs, 4 vanishing>
    >>> results[0].flow.state.log10()[[0, 50, 100]].round(1)  # ‖dL/ds‖, 0, 50 and 100 steps back
    array([  0. , -22.1, -44.7])
    >>> results.to_pandas(rows="runs")["horizon"].tolist()
    [7.0, 59.0, 12.0, 18.0]

Calls. A config is a mapping, a path, or YAML text; `weights` (a file, a torch module, a state dict)
and `input` (an array) replace its own. Each raises `InputError` with every fault found.

    analyze       the gradient at every lag, rate, half-life, horizon, verdict: `Results`
    explain       the factors of the rate, and what would change it: `Explanation`, one a run
    critical      where the rate is 1: `Critical`, one a net
    verify        the gradients against complex-step derivatives: `Verification`, one a run
    check         results held to `expect:` or to a baseline: `Check`
    load          a config read and validated: `Experiment`, a list of `Run`
    load_results  what was saved: `Results`
    register      your own cell under a name

Results. `Results` is a sequence of `Result`; `to_pandas`, `to_polars`, `to_xarray`, `plot`, `save`.

    result.axes       what was run, by key of the config: {"cell": "lstm", "ws_scale": 0.5, ...}
    result.diagnosis  `Diagnosis`: verdict; rate (factor per step), half_life, horizon (steps)
    result.flow       `GradientFlow`: curves against lag, 0 the last state; None if it diverged,
                      and of a bidirectional net, which has no one state
    result.flows      the same by place: `net`, `l0`, `l0_reverse`
    result.layers     `LayerResult`, diagnosis and curves of each layer and direction
    result.measures   `Measured` by name, what `measure:` asked for

Each has its own help, `help(gradflow.Result)`, as has what these hold: `Explanation` its `Factors`,
`Advice` and `Expansion`, `Critical` its `Point`, `Verification` its `ComparedGradient`, `Check` its
`Judgement` and `Comparison`, `InputError` its `Fault`. A curve is `Magnitudes`: it acts as an array
of floats, and is exact beyond their range.

Engine. `CELLS` are the cells by name; `unroll` runs one forward with your own parameters,
`backpropagate` goes back from any dL/ds_T.
"""

from __future__ import annotations

__version__ = "0.1.0"

# Nothing is imported here. Under `python -m` the first place to look in is the current directory,
# until __main__ takes it away; and until it listens, Ctrl-C is Python's own affair.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gradflow.api import Answers as Answers
    from gradflow.api import Check as Check
    from gradflow.api import Results as Results
    from gradflow.api import analyze as analyze
    from gradflow.api import backpropagate as backpropagate
    from gradflow.api import check as check
    from gradflow.api import critical as critical
    from gradflow.api import explain as explain
    from gradflow.api import load as load
    from gradflow.api import load_results as load_results
    from gradflow.api import unroll as unroll
    from gradflow.api import verify as verify
    from gradflow.cells import CELLS as CELLS
    from gradflow.cells import Cell as Cell
    from gradflow.cells import CellType as CellType
    from gradflow.cells import Params as Params
    from gradflow.cells import SizedCell as SizedCell
    from gradflow.cells.library import register as register
    from gradflow.checks.compare import Comparison as Comparison
    from gradflow.checks.deviations import Deviation as Deviation
    from gradflow.checks.judge import Judgement as Judgement
    from gradflow.checks.wanted import Wanted as Wanted
    from gradflow.criticality import Critical as Critical
    from gradflow.criticality.search import Point as Point
    from gradflow.engine.flow import Trajectory as Trajectory
    from gradflow.equations.mistakes import EquationsError as EquationsError
    from gradflow.errors import Fault as Fault
    from gradflow.errors import GradflowError as GradflowError
    from gradflow.errors import InputError as InputError
    from gradflow.explanation import Explanation as Explanation
    from gradflow.explanation.advice import Advice as Advice
    from gradflow.explanation.expansion import Expansion as Expansion
    from gradflow.explanation.factors import Factor as Factor
    from gradflow.explanation.factors import Factors as Factors
    from gradflow.formats.look import Look as Look
    from gradflow.measures.measured import Measured as Measured
    from gradflow.numerics.magnitudes import Magnitudes as Magnitudes
    from gradflow.results import Diagnosis as Diagnosis
    from gradflow.results import GradientFlow as GradientFlow
    from gradflow.results import LayerResult as LayerResult
    from gradflow.results import OverSeeds as OverSeeds
    from gradflow.results import Result as Result
    from gradflow.results import Spread as Spread
    from gradflow.runs.experiment import Experiment as Experiment
    from gradflow.runs.experiment import Run as Run
    from gradflow.verification import ComparedGradient as ComparedGradient
    from gradflow.verification import Verification as Verification

# Where each public name lives; loaded when first asked for, so that importing costs nothing.
_HOMES = {
    "Advice": "explanation.advice",
    "Answers": "api",
    "CELLS": "cells",
    "Cell": "cells",
    "CellType": "cells",
    "Check": "api",
    "ComparedGradient": "verification",
    "Comparison": "checks.compare",
    "Critical": "criticality",
    "Deviation": "checks.deviations",
    "Diagnosis": "results",
    "EquationsError": "equations.mistakes",
    "Expansion": "explanation.expansion",
    "Experiment": "runs.experiment",
    "Explanation": "explanation",
    "Factor": "explanation.factors",
    "Factors": "explanation.factors",
    "Fault": "errors",
    "GradflowError": "errors",
    "GradientFlow": "results",
    "InputError": "errors",
    "Judgement": "checks.judge",
    "LayerResult": "results",
    "Look": "formats.look",
    "Magnitudes": "numerics.magnitudes",
    "Measured": "measures.measured",
    "OverSeeds": "results",
    "Params": "cells",
    "Point": "criticality.search",
    "Result": "results",
    "Results": "api",
    "Run": "runs.experiment",
    "SizedCell": "cells",
    "Spread": "results",
    "Trajectory": "engine.flow",
    "Verification": "verification",
    "Wanted": "checks.wanted",
    "analyze": "api",
    "backpropagate": "api",
    "check": "api",
    "critical": "api",
    "explain": "api",
    "load": "api",
    "load_results": "api",
    "register": "cells.library",
    "unroll": "api",
    "verify": "api",
}

# What a star imports, and `help(gradflow)` goes through: the calls. A class has a help of its own.
__all__ = ["CELLS", *(name for name in _HOMES if name.islower())]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "testing":
        return import_module("gradflow.testing")
    if name not in _HOMES:
        raise AttributeError(f"module 'gradflow' has no attribute {name!r}")
    return getattr(import_module(f"gradflow.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(["__version__", *_HOMES])
