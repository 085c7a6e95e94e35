"""The loss of a config: the steps at which it is read, and the targets from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from gradflow.config.faults import Faults
from gradflow.config.model import Config, EveryModel, LossModel
from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.numerics.arrays import Array
from gradflow.runs.experiment import Loss


def loss_of(model: LossModel, target: float | Array | None) -> Loss:
    """The loss as a run has it."""
    return Loss(model.kind, target, _at(model), model.reduce, model.truncate)


def check_loss(config: Config, faults: Faults) -> None:
    """Every step of the loss lies within the shortest sequence, and is there once."""
    T, loss = min(config.sequence_length), config.loss
    which = "shortest " if len(config.sequence_length) > 1 else ""
    most = f"expected at most {T}, the {which}sequence_length"
    if isinstance(loss.at, list):
        seen: set[int] = set()
        for i, step in enumerate(loss.at):
            if step in seen:
                faults.add(("loss", "at", i), f"step {step} is there twice: leave one of them out")
            elif step > T:
                message = f"{most}, found {step}: leave it out, or raise sequence_length"
                faults.add(("loss", "at", i), message)
            seen.add(step)
    if isinstance(loss.at, EveryModel) and loss.at.every > T:
        message = f"{most}, found {loss.at.every}: there would be no step to read the loss at"
        faults.add(("loss", "at", "every"), message)
    if loss.truncate is not None and loss.truncate > T:
        message = f"{most}, found {loss.truncate}: leave it out where nothing is to be cut off"
        faults.add(("loss", "truncate"), message)


def read_target(config: Config, folder: Path, faults: Faults) -> float | Array | None:
    """The loss's target: a number, (N, O) for all steps or (T', N, O) for each of them, of classes
    with a last axis of 1; None: drawn at random."""
    target = config.loss.target
    classes = config.loss.kind == "cross_entropy"
    if not isinstance(target, str):
        if classes and target is not None and not _is_class(target, config.output_size):
            message = f"expected a class from 0 to {config.output_size - 1}, found {target:g}"
            faults.add(("loss", "target"), message)
        return target
    from gradflow.files import series

    try:
        values = series.read_array(folder / target)
    except InputError as error:
        faults.adopt(error.faults, ("loss", "target"))
        return None
    N, O = config.batch_size, 1 if classes else config.output_size  # noqa: E741 (the field's)
    shaped = _shaped(values, N, O)
    if shaped is None:
        each = "" if config.loss.at == "last" else f", or (T', {N}, {O}) for each step"
        message = f"expected {target} to be of shape {(N, O)}{each}, found {values.shape}"
        faults.add(("loss", "target"), message)
    elif shaped.ndim == 3 and (wrong := _wrong_length(config, len(shaped))):
        message = f"{target} has {many(len(shaped), 'row')} of targets: {wrong}"
        faults.add(("loss", "target"), message)
    elif classes and not _is_class(values, config.output_size):
        message = f"expected classes from 0 to {config.output_size - 1} in {target}"
        faults.add(("loss", "target"), message)
    return _in_order(shaped, config) if shaped is not None else None


def _at(model: LossModel) -> Literal["last"] | int | tuple[int, ...]:
    at = model.at
    if isinstance(at, EveryModel):
        return at.every
    if isinstance(at, list):
        return tuple(sorted(at))
    return 1 if at == "all" else "last"


def _shaped(values: Array, N: int, O: int) -> Array | None:  # noqa: E741
    """The values as (N, O), or as (T', N, O); None: they are neither."""
    if not values.ndim:
        return None
    flat = values.reshape(len(values), -1)
    if flat.shape == (N, O):
        return flat
    each_step: list[tuple[int, ...]] = [(N, O)]
    each_step += [(O,)] if N == 1 else []
    each_step += [(N,)] if O == 1 else []
    each_step += [()] if N == O == 1 else []
    return values.reshape(-1, N, O) if values.shape[1:] in each_step else None


def _in_order(targets: Array, config: Config) -> Array:
    """Targets with a row for each step that is listed, in the order of the steps."""
    at = config.loss.at
    if not isinstance(at, list) or targets.ndim != 3 or len(targets) != len(at):
        return targets
    if len(at) == min(config.sequence_length):  # a row for each step of the input
        return targets
    return targets[np.argsort(at)]


def _wrong_length(config: Config, rows: int) -> str | None:
    """What is wrong with the number of targets, if anything."""
    loss = loss_of(config.loss, None)
    if loss.at == "last":
        return "the loss is read at the last step alone; say `at: all` to use them"
    for T in config.sequence_length:
        count = len(loss.at) if isinstance(loss.at, tuple) else T // int(loss.at)
        if rows != count and rows < T:
            wanted = f"expected {count}, one for each step of the loss"
            return wanted if count == T else f"{wanted}, or at least {T}, a row for each step"
    return None


def _is_class(value: float | Array, count: int) -> bool:
    values = np.asarray(value)
    return bool(((values >= 0) & (values < count) & (values == np.floor(values))).all())
