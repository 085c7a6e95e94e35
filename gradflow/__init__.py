"""How far back in time does the gradient of a recurrent net reach, and why?

    >>> import gradflow
    >>> results = gradflow.analyze({"cell": "lstm", "ws_scale": [0.5, 1.5]})
    >>> results[0].diagnosis.verdict
    'vanishing'
    >>> results[0].flow.state.log10()  # (T+1,) log10 of the gradient norm at each lag

`analyze` runs a config; `load` reads one; `verify` checks its gradients from outside. `CELLS` are
the cells; `unroll` and `backpropagate` are the engine, for parameters of your own.
"""

from __future__ import annotations

__version__ = "0.1.0"

# Nothing is imported here. Under `python -m` the first place to look in is the current directory,
# until __main__ takes it away; and until it listens, Ctrl-C is Python's own affair.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gradflow.api import Results as Results
    from gradflow.api import analyze as analyze
    from gradflow.api import check as check
    from gradflow.api import critical as critical
    from gradflow.api import explain as explain
    from gradflow.api import load as load
    from gradflow.api import load_results as load_results
    from gradflow.api import verify as verify
    from gradflow.cells import CELLS as CELLS
    from gradflow.cells import Params as Params
    from gradflow.cells.library import register as register
    from gradflow.engine.flow import unroll as unroll
    from gradflow.errors import GradflowError as GradflowError
    from gradflow.errors import InputError as InputError
    from gradflow.measures.flows import backpropagate as backpropagate
    from gradflow.numerics.magnitudes import Magnitudes as Magnitudes
    from gradflow.results import Result as Result

# Where each public name lives; loaded when first asked for, so that importing costs nothing.
_HOMES = {
    "CELLS": "cells",
    "GradflowError": "errors",
    "InputError": "errors",
    "Magnitudes": "numerics.magnitudes",
    "Params": "cells",
    "Result": "results",
    "Results": "api",
    "analyze": "api",
    "backpropagate": "measures.flows",
    "check": "api",
    "critical": "api",
    "explain": "api",
    "load": "api",
    "load_results": "api",
    "register": "cells.library",
    "unroll": "engine.flow",
    "verify": "api",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'gradflow' has no attribute {name!r}")
    return getattr(import_module(f"gradflow.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
