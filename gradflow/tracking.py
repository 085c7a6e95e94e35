"""One experiment on every checkpoint of a training: the gradient's reach as the net learns."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gradflow.axes import AXES, NET_AXES, PLACE_AXES
from gradflow.config import tree
from gradflow.config.load import experiment_of, read_config
from gradflow.config.tree import Document
from gradflow.engine.flow import Progress
from gradflow.errors import Fault, InputError, first_faults, visible
from gradflow.results import Result, decisive
from gradflow.runs.experiment import Experiment
from gradflow.runs.runner import execute, time_steps

CHECKPOINT = "checkpoint"
"""The axis of the checkpoints, before those of a sweep."""


@dataclass(frozen=True, eq=False)
class Track:
    """An experiment that is to be run on checkpoints, each of which is known to fit.

    Attributes:
        checkpoints: as the user named them, in natural order.
        example: the experiment with the first of them.
        varied: the axes that differ, of checkpoints or runs, `checkpoint` first.
        time_steps: what `results` reports as progress, in all.
    """

    checkpoints: tuple[str, ...]
    example: Experiment
    varied: tuple[str, ...]
    time_steps: int
    _load: Callable[[str], Experiment]

    def results(
        self, progress: Progress = lambda steps: None, threads: int | None = None
    ) -> Iterator[Result]:
        """One result per checkpoint and run, with the axis `checkpoint`; one checkpoint is in
        memory at a time. Of a bidirectional net, the part whose gradient first leaves the
        thresholds. Progress and threads are as for `execute`."""
        for name in self.checkpoints:
            for result in execute(self._load(name), progress, threads=threads):
                shown = decisive(result)
                axes = {CHECKPOINT: visible(name), **shown.axes}
                yield replace(shown, axes=axes, varied=self.varied)


def plan(
    config: str | Path, checkpoints: Sequence[str | Path], overrides: Sequence[str] = ()
) -> Track:
    """The experiment of a config on each checkpoint, whose file is read instead of `weights.file`.

    Args:
        config: a YAML file; `-` is standard input. Its `weights`, if any, say which net is meant.
        checkpoints: files of weights, from the current directory.
        overrides: `KEY=VALUE` texts, as for `load`.

    Raises:
        InputError: with every fault of the config and of each checkpoint.
    """
    source = str(config)
    document = tree.read(read_config(source), source)
    folder = Path() if source == "-" else Path(source).parent
    load = partial(_with_checkpoint, document, folder, tuple(overrides))
    names = sorted(map(str, checkpoints), key=natural_order)
    faults = _named_twice(names)
    values: dict[str, set[object]] = {}
    example, steps = None, 0
    for name in names:
        try:
            experiment = load(name)
        except InputError as error:
            faults += error.faults
            continue
        example = example or experiment
        steps += sum(map(time_steps, experiment.runs))
        for axis, value in (item for run in experiment.runs for item in run.axes.items()):
            values.setdefault(axis, set()).add(value)
    if faults:
        raise InputError(*first_faults(dict.fromkeys(faults), most=20))
    if example is None:
        raise InputError("expected at least one checkpoint")
    varied = [axis for axis in (*AXES, *NET_AXES) if len(values[axis] - {None}) > 1]
    parts = PLACE_AXES if example.runs[0].bidirectional else ()
    return Track(tuple(names), example, (CHECKPOINT, *varied, *parts), steps, load)


def natural_order(name: str) -> tuple[object, ...]:
    """What sorts ckpt-2 before ckpt-10."""
    pieces = re.split("0*([0-9]+)", name)
    numbers = [(len(piece), piece) if i % 2 else piece for i, piece in enumerate(pieces)]
    return (numbers, name)


def _with_checkpoint(
    document: Document, folder: Path, overrides: tuple[str, ...], name: str
) -> Experiment:
    """The experiment on one checkpoint, whose file its config names from anywhere. Raises
    InputError."""
    experiment = experiment_of(document, folder, overrides, checkpoint=name)
    weights = {**experiment.config["weights"], "file": os.path.abspath(name)}  # type: ignore[dict-item]
    return replace(experiment, config={**experiment.config, "weights": weights})


def _named_twice(names: Iterable[str]) -> list[Fault]:
    seen: set[str] = set()
    faults = []
    for name in names:
        path = os.path.realpath(name)
        if path in seen:
            faults.append(Fault("the same checkpoint is named twice", name))
        seen.add(path)
    return faults
