"""Runs an experiment: neighbouring runs of equal shape go through the engine together, here or in
whatever processes an executor has."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING

from gradflow import __version__
from gradflow.engine.flow import Progress
from gradflow.errors import GradflowError, InputError
from gradflow.machine.blas import one_thread
from gradflow.machine.threads import sharing, threads_of_a_run
from gradflow.results import Result
from gradflow.runs.bundle import backward_passes, run_bundle
from gradflow.runs.experiment import Experiment, Run
from gradflow.runs.memory import bundle_size, threads_that_fit

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from gradflow.runs.scheduling.journal import Journal

Bundle = list[tuple[int, Run]]
"""Runs of equal shape, each with its number in the sweep."""

Keep = Callable[[Bundle, list[Result]], None]
"""Called with the results of a bundle as soon as it is finished."""

_BUNDLES_PER_WORKER = 4  # in hand: being worked on, next in line, or waiting for an earlier one


def execute(
    experiment: Experiment,
    progress: Progress = lambda steps: None,
    executor: Executor | None = None,
    workers: int = 1,
    journal: Journal | None = None,
    threads: int | None = None,
) -> Iterator[Result]:
    """The results, in order, each as soon as it is known. No result depends on how it was run.

    Args:
        experiment: what to run.
        progress: called with the time steps done: in all, the `time_steps` of each run.
        executor: who runs it; None is this process.
        workers: how many bundles of runs the executor works on at a time.
        journal: that of these runs: what it holds is not run again; all else is added to it.
        threads: how many share the work of a wide run; None is what GRADFLOW_CORES says, or one.
    """
    varied, thresholds = experiment.varied, experiment.thresholds
    finished = journal.finished() if journal else set()
    keep: Keep = journal.add if journal else lambda bundle, results: None
    missing = [item for item in enumerate(experiment.runs) if item[0] not in finished]
    if executor is None:
        threads = threads_of_a_run() if threads is None else threads
        computed = _run_here(bundles(missing), thresholds, progress, keep, threads)
    else:
        work = bundles(missing, workers)
        computed = _run_by(executor, workers, work, thresholds, progress, keep, threads or 1)
    for number, run in enumerate(experiment.runs):
        if journal and number in finished:
            result = journal.read(number)
            progress(time_steps(run))
        else:
            try:
                result = next(computed)
            except InputError as error:
                raise experiment.placed(error) from None
        yield replace(result, run=number, varied=varied, thresholds=thresholds)


def time_steps(run: Run) -> int:
    """The steps of a run, forward and backward, that `progress` hears of."""
    return (1 + backward_passes(run)) * run.sequence_length * len(run.places)


def bundles(runs: Iterable[tuple[int, Run]], workers: int = 1) -> Iterator[Bundle]:
    """The runs, cut into bundles that stay in cache, and are enough to keep `workers` busy."""
    for _, group in groupby(runs, key=lambda item: item[1].shape):
        alike = list(group)
        size = bundle_size(alike[0][1], workers)
        if workers > 1:
            size = min(size, math.ceil(len(alike) / (2 * workers)))
        for at in range(0, len(alike), size):
            yield alike[at : at + size]


def run_elsewhere(
    version: str, bundle: Bundle, thresholds: tuple[float, float], threads: int = 1
) -> list[Result]:
    """What an executor is given to do; `version` is that of the gradflow which asks."""
    if version != __version__:
        raise GradflowError(f"error: a worker has gradflow {__version__}, here is {version}")
    return _results(bundle, thresholds, threads)


def _run_here(
    work: Iterable[Bundle],
    thresholds: tuple[float, float],
    progress: Progress,
    keep: Keep,
    threads: int,
) -> Iterator[Result]:
    for bundle in work:
        results = _results(bundle, thresholds, threads, progress)
        keep(bundle, results)
        yield from results


def _results(
    bundle: Bundle,
    thresholds: tuple[float, float],
    threads: int,
    progress: Progress = lambda steps: None,
) -> list[Result]:
    with one_thread(), sharing(threads_that_fit([run for _, run in bundle], threads)):
        return list(run_bundle(bundle, thresholds, progress))


def _run_by(
    executor: Executor,
    workers: int,
    work: Iterator[Bundle],
    thresholds: tuple[float, float],
    progress: Progress,
    keep: Keep,
    threads: int,
) -> Iterator[Result]:
    """The results in the order of the work, with a bounded number of bundles in hand."""
    from concurrent.futures import FIRST_COMPLETED, wait

    in_hand: deque[Future[list[Result]]] = deque()  # in the order of the work
    running: dict[Future[list[Result]], Bundle] = {}
    while True:
        for bundle in islice(work, _BUNDLES_PER_WORKER * workers - len(in_hand)):
            future = executor.submit(run_elsewhere, __version__, bundle, thresholds, threads)
            in_hand.append(future)
            running[future] = bundle
        if not in_hand:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            bundle = running.pop(future)
            keep(bundle, future.result())
            progress(sum(time_steps(run) for _, run in bundle))
        while in_hand and in_hand[0] not in running:
            yield from in_hand.popleft().result()
