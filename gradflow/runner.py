"""Runs an experiment: neighbouring runs of equal shape go through the engine together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from gradflow.experiment import Experiment, Run
from gradflow.flow import Progress
from gradflow.results import Result
from gradflow.stack import run_stack

Stack = list[tuple[int, Run]]
"""Runs of equal shape, each with its number in the sweep."""

_STACK_ELEMENTS = 2**16  # pre-activations of all runs of a stack at one step


def execute(experiment: Experiment, progress: Progress = lambda steps: None) -> Iterator[Result]:
    """The results, in order, each as soon as it is known.

    `progress` is called with the run-steps done: 2 x sequence_length for each run.
    """
    varied = experiment.varied
    for stack in stacks(experiment):
        for result in run_stack(stack, experiment.thresholds, progress):
            yield replace(result, varied=varied)


def stacks(experiment: Experiment) -> Iterator[Stack]:
    """The runs of the sweep, cut into stacks that are small enough to stay in cache."""
    for _, group in groupby(enumerate(experiment.runs), key=lambda item: item[1].shape):
        runs = list(group)
        size = _stack_size(runs[0][1])
        for at in range(0, len(runs), size):
            yield runs[at : at + size]


def _stack_size(run: Run) -> int:
    width = run.batch_size * run.hidden_size * len(run.cell.gates)
    return max(1, _STACK_ELEMENTS // width)
