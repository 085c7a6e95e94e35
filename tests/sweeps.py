"""Small sweeps for the tests of running them, and what is compared: the text of the results."""

from __future__ import annotations

from dataclasses import replace

from gradflow.api import load
from gradflow.formats import FORMATS, Look
from gradflow.runs.bundle import run_bundle

SMALL = {
    "cell": [{"type": "rnn", "activation": "linear"}, "lstm", {"type": "gru", "reset": "before"}],
    "hidden_size": [3, 5],
    "ws_scale": [0.5, 1e100],  # with the second, a linear net leaves float range
    "seed": [0, 1, 2],
    "input_size": 2,
    "batch_size": 3,
    "sequence_length": 6,
}


def small(**changes):
    """An experiment of 36 runs of several shapes; some diverge."""
    return load({**SMALL, **changes})


def one_by_one(experiment):
    """The text of the results where each run goes through the engine alone."""
    numbered = enumerate(experiment.runs)
    return text(
        experiment, [r for item in numbered for r in run_bundle([item], experiment.thresholds)]
    )


def text(experiment, results):
    """Every digit of the results: their CSV and JSON."""
    look = replace(Look.of(experiment), lags="all")
    results = list(results)
    return "".join(
        [
            *FORMATS["csv"].show("results", results, look),
            *FORMATS["json"].show("results", results, look),
        ]
    )
