"""From the config's text to an Experiment: parse, override, validate, read its files, expand."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import BaseModel, ValidationError

from gradflow.cells import CELLS, Cell
from gradflow.columns import Array
from gradflow.config import tree
from gradflow.config.faults import MOST, Faults
from gradflow.config.files import read_files
from gradflow.config.messages import faults_in
from gradflow.config.model import Config, FileInput
from gradflow.config.overrides import override
from gradflow.config.own_cells import own_cells
from gradflow.config.trained import beside, read_weights
from gradflow.config.tree import Document, Tree
from gradflow.equations.mistakes import EquationsError
from gradflow.errors import Fault, InputError
from gradflow.files.opening import open_regular
from gradflow.initializers import Base
from gradflow.runs.experiment import Experiment, Loss, Run, Signal
from gradflow.runs.memory import too_large

if TYPE_CHECKING:
    from gradflow.weights import Tensors

MOST_RUNS = 1_000_000
"""The longest sweep that is taken on."""

SWEPT = (
    "cell",
    "sequence_length",
    "hidden_size",
    "layers",
    "ws_init",
    "ws_scale",
    "wx_init",
    "wx_scale",
    "bias_scale",
    "seed",
)
"""The keys that may be lists; the last one varies fastest."""


def load(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that a YAML file describes.

    Args:
        path: the file; `-` is standard input. Files that it names are looked up beside it.
        overrides: `KEY=VALUE` texts, nested keys with dots, values as YAML.

    Raises:
        InputError: with every fault found, each with its file, line and column.
    """
    source = str(path)
    raw = read_config(source)
    document = tree.read(raw, source)
    folder = Path() if source == "-" else Path(source).parent
    return experiment_of(document, folder, overrides, text=raw.decode("utf-8", "replace"))


def from_mapping(data: Mapping[str, Any], tensors: Tensors | None = None) -> Experiment:
    """The experiment that plain data describes: a config as a dict. Files: from the current
    directory; `tensors` are those of its `weights`, where they are open. Raises InputError."""
    plain = cast(Tree, _plain(data))
    return experiment_of(Document("config", plain, {}, {}), Path(), tensors=tensors)


def experiment_of(
    document: Document,
    folder: Path,
    overrides: Sequence[str] = (),
    tensors: Tensors | None = None,
    text: str = "",
) -> Experiment:
    """The experiment of a parsed config; `folder` is where the files that it names are, `tensors`
    what the file of its `weights` holds, where that is open already, `text` what was parsed."""
    faults = Faults(document, found=list(document.faults))
    data = override(document.data, overrides, faults)
    if not isinstance(data, dict):
        faults.add((), "expected a mapping of keys, such as `cell: lstm`")
        raise InputError(*faults.found)
    written = data.get("cell")
    data, own = own_cells(data, document, folder, text, faults)
    told = None
    if data.get("weights") is not None:
        told = read_weights(data, folder, faults, tensors)
        data = beside(data, told, faults) if told else {"cell": "rnn", **data}
    config = _validate(data, faults)
    tensors = told.tensors if told else None
    config, signal, target = read_files(config, folder, faults, tensors)
    if signal.values is not None or not isinstance(config.input, FileInput):  # else: no T
        _check_lags(config, faults)
    faults.stop_if_any()
    runs = _runs(config, own, signal, target, faults)
    if told is not None:
        runs = tuple(map(told.trained_run, runs))
    for path, message in too_large(runs):
        faults.add(path, message)
    faults.stop_if_any()
    lags = config.lags if not isinstance(config.lags, list) else tuple(sorted(set(config.lags)))
    thresholds = (config.thresholds.vanishing, config.thresholds.exploding)
    plain = _as_data(config) if own is None else {**_as_data(config), "cell": written}
    return Experiment(runs, config.title, lags, thresholds, plain)


def read_config(source: str) -> bytes:
    """The config's bytes; raises InputError where there is no such file, and names the nearest."""
    try:
        if source == "-":
            if sys.stdin is None:
                raise InputError(Fault("cannot be read: standard input is closed", source))
            return sys.stdin.buffer.read(tree.MAX_BYTES + 1)
        with open_regular(Path(source), source) as file:
            return file.read(tree.MAX_BYTES + 1)
    except OSError as error:
        raise InputError(Fault(f"cannot be read: {error.strerror or error}", source)) from None


def _validate(data: Mapping[str, Tree], faults: Faults) -> Config:
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        places, tell = faults_in(error, cast(Tree, data))
        for index in faults.first(places, MOST):
            path, is_key, message = tell(index)
            faults.add(path, message, key=is_key)
        faults.stop_if_any()
        raise AssertionError("pydantic found a fault and named none") from error
    if config.loss.kind == "cross_entropy" and config.output_size < 2:
        faults.add(("loss",), "cross_entropy needs at least two classes: set output_size")
    return config


def _check_lags(config: Config, faults: Faults) -> None:
    """No lag that tables are to show lies beyond the longest sequence."""
    longest = max(config.sequence_length)
    for i, lag in enumerate(config.lags if isinstance(config.lags, list) else []):
        if lag > longest:
            message = f"expected at most {longest}, the sequence_length, found {lag}"
            faults.add(("lags", i), message)


def _runs(
    config: Config,
    own: list[Cell | None] | None,
    signal: Signal,
    target: float | Array | None,
    faults: Faults,
) -> tuple[Run, ...]:
    """Every combination of the keys that hold lists, in the order in which they stand."""
    axes = {name: getattr(config, name) for name in SWEPT}
    cells = own or [None] * len(config.cell)
    pairs = zip(cells, config.cell, strict=True)
    axes["cell"] = [cell or _cell(choice) for cell, choice in pairs]
    for name in ("ws_init", "wx_init"):
        axes[name] = [v if isinstance(v, str) else Base(**v.model_dump()) for v in axes[name]]
    count = int(np.prod([len(values) for values in axes.values()], dtype=object))
    if count > MOST_RUNS:
        longest = max(axes, key=lambda name: len(axes[name]))
        faults.add((longest,), f"expected at most {MOST_RUNS:,} runs in all, found {count:,}")
        faults.stop_if_any()
    state = config.initial_state
    fixed: dict[str, Any] = {
        "input_size": config.input_size,
        "output_size": config.output_size,
        "batch_size": config.batch_size,
        "input": signal,
        "initial_state": Signal(state.kind, getattr(state, "scale", 1.0)),
        "loss": Loss(config.loss.kind, target),
        "dtype": config.dtype,
        "bidirectional": config.bidirectional,
        "tape_memory": config.tape_memory,
    }
    points = itertools.product(*axes.values())
    runs = tuple(Run(**dict(zip(axes, point, strict=True)), **fixed) for point in points)
    _check_sizes(runs, faults)
    return runs


def _check_sizes(runs: Sequence[Run], faults: Faults) -> None:
    """Tell of cells whose equations do not hold for the sizes of some run."""
    told = set()
    for run in {(r.cell, r.hidden_size, r.input_size, min(r.layers, 2)): r for r in runs}.values():
        try:
            for layer in range(min(run.layers, 2)):
                run.cell_of_layer(layer)
        except EquationsError as wrong:  # noqa: PERF203 (once for each shape)
            sizes = f"with hidden_size {run.hidden_size} and input_size {run.input_size}"
            message = f"{run.cell.name} {sizes}: {wrong.mistakes[0].message}"
            if message not in told:
                told.add(message)
                faults.add(("cell",), message)
    faults.stop_if_any()


def _cell(choice: BaseModel) -> Cell:
    options = choice.model_dump()
    return CELLS[options.pop("type")](**options)


def _as_data(config: Config) -> dict[str, object]:
    """The config as plain data, every default filled in; an axis of one value as that value."""
    data: dict[str, object] = config.model_dump(mode="json", exclude_none=True)
    for name in SWEPT:
        values = cast("list[object]", data[name])
        data[name] = values[0] if len(values) == 1 else values
    return data


def _plain(value: object) -> object:
    """Tuples, NumPy arrays and scalars as what YAML would have given."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | range):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
