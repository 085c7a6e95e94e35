"""From the config's text to an Experiment: parse, override, validate, read its files, expand."""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import ValidationError

from gradflow.cells import CELLS
from gradflow.config import measures, tree
from gradflow.config.arrays import GIVEN, Read, check_initial_state, read_files
from gradflow.config.cells import Choice, cells_of
from gradflow.config.faults import MOST, Faults
from gradflow.config.losses import check_loss, loss_of
from gradflow.config.messages import faults_in
from gradflow.config.model import SWEPT, Config, FileInput, FileState
from gradflow.config.numbers import MOST_RUNS
from gradflow.config.overrides import override
from gradflow.config.ranges import with_ranges
from gradflow.config.recurrent import idle_keys
from gradflow.config.tree import Document, Tree
from gradflow.equations.initial import uses_drawn
from gradflow.equations.mistakes import At, EquationsError, Mistake
from gradflow.errors import Fault, InputError
from gradflow.files.opening import open_regular
from gradflow.measures.contract import Asked
from gradflow.runs.experiment import Experiment, Run
from gradflow.runs.initializers import Base
from gradflow.runs.memory import too_large
from gradflow.runs.sampling import initial_state, inputs, parameters

if TYPE_CHECKING:
    from gradflow.config.trained import FileNet
    from gradflow.weights import Tensors

_DEEPEST = 100  # mappings and lists in a config that is no file


def load(path: str | Path, overrides: Sequence[str] = (), *, believing: bool = False) -> Experiment:
    """The experiment that a YAML file describes.

    Args:
        path: the file; `-` is standard input. Files that it names are looked up next to it.
        overrides: `KEY=VALUE` texts, nested keys with dots, values as YAML.
        believing: what a cell says is a gauge is believed, not tried: `verify` does that.

    Raises:
        InputError: with every fault found, each with its file, line and column.
    """
    source = str(path)
    raw = read_config(source)
    document = tree.read(raw, source)
    folder = Path() if source == "-" else Path(source).parent
    text = raw.decode("utf-8", "replace")
    return experiment_of(document, folder, overrides, text=text, believing=believing)


def from_mapping(data: Mapping[str, Any], tensors: Tensors | None = None) -> Experiment:
    """The experiment that plain data describes: a config as a dict. Files: from the current
    directory; `tensors` are those of its `weights`, where they are open. Raises InputError."""
    plain = cast(Tree, plain_data(data))
    return experiment_of(Document("config", plain, {}, {}), Path(), tensors=tensors)


def experiment_of(
    document: Document,
    folder: Path,
    overrides: Sequence[str] = (),
    tensors: Tensors | None = None,
    text: str = "",
    checkpoint: str | None = None,
    series: object = None,
    believing: bool = False,
) -> Experiment:
    """The experiment of a parsed config.

    Args:
        document: what was parsed.
        folder: where the files that it names are.
        overrides: `KEY=VALUE` texts.
        tensors: what the file of its `weights` holds, where that is open already.
        text: what was parsed, as text.
        checkpoint: a file of weights, from the current directory, in place of the one it names.
        series: an array (T, I) or (T, N, I) in place of its `input`.
        believing: gauges are believed, not tried.

    Raises:
        InputError: with every fault found; those of the checkpoint name it as it is given.
    """
    faults = Faults(document, found=list(document.faults))
    data = override(document.data, overrides, faults)
    if not isinstance(data, dict):
        faults.add((), "expected a mapping of keys, such as `cell: lstm`")
        raise InputError(*faults.found)
    if {"gradflow", "provenance"} <= data.keys():
        message = f"these are results: gradflow show {document.source} shows them"
        raise InputError(Fault(message, document.source))
    if series is not None:
        data = {**data, "input": {"file": GIVEN, **_prepared(data.get("input"), faults)}}
    data = with_ranges(data, faults)
    home = folder
    net = named = None
    if checkpoint is not None:
        from gradflow.config.trained import with_file

        data, home = with_file(data, checkpoint, faults), Path()
    if data.get("weights") is not None:
        net, data = _net_of_file(data, home, faults, tensors)
    choices = cells_of(data, document, folder, text, faults) if "cell" in data else []
    if net is not None and net.trained.as_is:
        from gradflow.config.named_weights import check_options

        for choice in choices:
            check_options(choice.cell, net.trained.params[0, 0], net.file, faults)
    asked = measures.asked_for(data, faults)
    config = _validate(data, faults)
    if config.weights is not None:
        from gradflow.config.named_weights import read_named

        named = read_named(config, [choice.cell for choice in choices], home, faults, tensors)
    if named is not None:
        config = config.model_copy(update=named.sizes)
    given = net or named
    config, read = read_files(config, folder, faults, given.tensors if given else None, series)
    if read.input.values is not None or not isinstance(config.input, FileInput):  # else: no T
        _check_lags(config, faults)
        check_loss(config, faults)
    faults.stop_if_any()
    runs = _runs(config, choices, read, asked, faults)
    if given is not None:
        runs = tuple(map(given.trained_run, runs))
    runs = measures.explained(runs)
    _check_runs(config, runs, faults)
    if not believing:
        _try_gauges(choices, runs)
    faults.stop_if_any()
    lags = config.lags if not isinstance(config.lags, list) else tuple(sorted(set(config.lags)))
    thresholds = (config.thresholds.vanishing, config.thresholds.exploding)
    keys: tuple[str, ...] = ("cell", "ws_init")
    places = {key: faults.place(key) for key in keys if key in data}
    written = _as_data(config, choices, asked)
    return Experiment(runs, config.title, lags, thresholds, written, places)


def read_config(source: str) -> bytes:
    """The config's bytes; raises InputError if there is no such file, and names the nearest."""
    try:
        if source == "-":
            if sys.stdin is None:
                raise InputError(Fault("cannot be read: standard input is closed", source))
            return sys.stdin.buffer.read(tree.MAX_BYTES + 1)
        if (source in CELLS or ": " in source) and not os.path.lexists(source):
            text = f"cell: {source}" if source in CELLS else source
            hint = f"no such file; a config may come in a pipe, echo '{text}' | gradflow analyze -"
            raise InputError(Fault(hint, source))
        with open_regular(Path(source), source) as file:
            return file.read(tree.MAX_BYTES + 1)
    except OSError as error:
        raise InputError(Fault(f"cannot be read: {error.strerror or error}", source)) from None


def _net_of_file(
    data: dict[str, Tree], folder: Path, faults: Faults, tensors: Tensors | None
) -> tuple[FileNet | None, dict[str, Tree]]:
    """What the file of `weights` says of the net, and the config with that put in; nothing as yet
    where `weights` names a tensor for each parameter."""
    from gradflow.config.trained import completed, has_parameters, read_weights

    if has_parameters(data):
        return None, data
    net = read_weights(data, folder, faults, tensors)
    return net, completed(data, net, faults) if net else {"cell": "rnn", **data}


def _validate(data: Mapping[str, Tree], faults: Faults) -> Config:
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        paths, words = faults_in(error, cast(Tree, data))
        for index in faults.first(paths, MOST):
            path, is_key, message = words(index)
            faults.add(path, message, key=is_key)
        faults.stop_if_any()
        raise AssertionError("pydantic found a fault and named none") from error
    if config.loss.kind == "cross_entropy" and config.output_size < 2:
        faults.add(("loss",), "cross_entropy needs at least two classes: set output_size")
    return config


_TRIED = 8  # runs of a sweep in which a gauge is tried


def _try_gauges(choices: Sequence[Choice], runs: Sequence[Run]) -> None:
    """Add cells of the user's own that call a part a gauge which is none to the faults; one for
    all values of options that are numbers."""
    own = {c.cell: c.add for c in choices if c.add is not None and c.cell.equations.gauge}
    if not own:
        return
    from gradflow.invariance import unfounded

    alike: dict[object, list[Run]] = {}
    for run in runs:
        if run.cell in own:
            alike.setdefault(run.cell.typical, []).append(run)
    for its in alike.values():
        for run in (*its[:: -(-len(its) // _TRIED)], its[-1]):
            mistakes = [
                Mistake(f"gauge.{found.gauge}", At(1, 1), found.message)
                for found in unfounded(
                    run.cells[0, 0], parameters(run)[0, 0], inputs(run), initial_state(run)[0, 0]
                )
            ]
            if mistakes:
                own[run.cell](EquationsError(mistakes))
                break


def _check_runs(config: Config, runs: Sequence[Run], faults: Faults) -> None:
    """The runs have the states that a file gives them, and room in memory. Raises InputError."""
    if isinstance(config.initial_state, FileState):
        check_initial_state(runs, config.initial_state.file, faults)
    for path, message in too_large(runs):
        faults.add(path, message)
    faults.stop_if_any()


def _check_lags(config: Config, faults: Faults) -> None:
    """No lag that tables are to show lies beyond the longest sequence."""
    longest = max(config.sequence_length)
    for i, lag in enumerate(config.lags if isinstance(config.lags, list) else []):
        if lag > longest:
            message = f"expected at most {longest}, the sequence_length, found {lag}"
            faults.add(("lags", i), message)


def _prepared(chosen: Tree, faults: Faults) -> dict[str, Tree]:
    """What the config's `input` says of a series that holds for an array in its place too."""
    if not isinstance(chosen, dict):
        return {}
    for key in ("columns", "key", "embedding"):
        if key in chosen:
            message = "says nothing of an array that is given in the file's place: leave it out"
            faults.add(("input", key), message)
    return {key: chosen[key] for key in ("standardize", "window", "stride") if key in chosen}


def _runs(
    config: Config, choices: Sequence[Choice], read: Read, asked: tuple[Asked, ...], faults: Faults
) -> tuple[Run, ...]:
    """Every combination of the keys that hold lists, in their order in the config; a cell that
    has nothing to scale or draw as the keys of W_s say has one run for all their values."""
    axes = {name: getattr(config, name) for name in SWEPT if name != "cell"}
    for name in ("ws_init", "wx_init"):
        axes[name] = [v if isinstance(v, str) else Base(**v.model_dump()) for v in axes[name]]
    own = [
        {"cell": [choice.cell], **axes, **{key: [None] for key in idle}}
        for choice, idle in zip(choices, idle_keys(config, choices, faults), strict=True)
    ]
    count = sum(math.prod(map(len, one.values())) for one in own)
    if count > MOST_RUNS:
        longest = max(axes, key=lambda name: len(axes[name]))
        longest = longest if len(axes[longest]) > len(choices) else "cell"
        faults.add((longest,), f"expected at most {MOST_RUNS:,} runs in all, found {count:,}")
    faults.stop_if_any()
    fixed: dict[str, Any] = {
        "input_size": config.input_size,
        "output_size": config.output_size,
        "batch_size": config.batch_size,
        "input": read.input,
        "initial_state": read.initial_state,
        "loss": loss_of(config.loss, read.target),
        "dtype": config.dtype,
        "bidirectional": config.bidirectional,
        "tape_memory": config.tape_memory,
        "measures": asked,
    }
    runs = tuple(
        Run(**dict(zip(one, point, strict=True)), **fixed)
        for one in own
        for point in itertools.product(*one.values())
    )
    _check_sizes(runs, faults)
    _check_radius(runs, faults)
    return runs


def _check_sizes(runs: Sequence[Run], faults: Faults) -> None:
    """Add cells whose equations do not hold for the sizes of some run."""
    found = set()
    typical = {cell: cell.typical for cell in dict.fromkeys(run.cell for run in runs)}
    apart = {
        (typical[r.cell], r.hidden_size, r.input_size, min(r.layers, 2)): r for r in runs
    }  # fmt: skip
    for run in apart.values():
        try:
            for layer in range(min(run.layers, 2)):
                run.cell_of_layer(layer)
        except EquationsError as wrong:  # noqa: PERF203 (once for each shape)
            sizes = f"with hidden_size {run.hidden_size} and input_size {run.input_size}"
            message = f"{run.cell.name} {sizes}: {wrong.mistakes[0].message}"
            if message not in found:
                found.add(message)
                faults.add(("cell",), message)
    faults.stop_if_any()


def _check_radius(runs: Sequence[Run], faults: Faults) -> None:
    """Add recurrent weights that are drawn and have no spectral radius, since they are not
    square."""
    found: dict[str, None] = {}
    asked = [run for run in runs if isinstance(run.ws_init, Base) and run.ws_init.spectral_radius]
    apart = {(run.cell, run.hidden_size, min(run.layers, 2)): run for run in asked}
    for run in apart.values():
        for cell in (run.cell_of_layer(layer) for layer in range(min(run.layers, 2))):
            for one in cell.parameters.values():
                rows, columns = one.shape[0] // one.blocks, one.shape[-1]
                drawn = one.role == "recurrent" and one.trained and uses_drawn(one.init)
                if drawn and len(one.shape) == 2 and rows != columns:
                    what = f"{one.name} of {run.cell.name} is {rows} x {columns}"
                    found[f"{what}, not square, and has no spectral radius: leave it out"] = None
    for message in found:
        faults.add(("ws_init",), message)
    faults.stop_if_any()


def _as_data(
    config: Config, choices: Sequence[Choice], asked: Sequence[Asked]
) -> dict[str, object]:
    """The config as plain data, every default filled in; an axis of one value as that value, and
    no `measure` where none is asked for."""
    data: dict[str, object] = config.model_dump(mode="json", exclude_none=True, exclude={"expect"})
    data["measure"] = measures.plain(asked)
    if not asked:
        del data["measure"]
    written: list[Tree] = []
    for choice in choices:  # what is written once may mean several cells
        if not any(choice.written is one for one in written):
            written.append(choice.written)
    for name in SWEPT:
        values = written if name == "cell" else cast("list[object]", data[name])
        data[name] = values[0] if len(values) == 1 else values
    return data


def plain_data(value: object, depth: int = 0) -> object:
    """Tuples, NumPy arrays and scalars as what YAML would have given.

    Raises:
        InputError: it is nested without end, or nearly so.
    """
    if depth > _DEEPEST:
        message = f"expected at most {_DEEPEST} mappings and lists within each other; does one"
        raise InputError(Fault(f"{message} contain itself?", "config"))
    if isinstance(value, Mapping):
        return {str(k): plain_data(v, depth + 1) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain_data(value.tolist(), depth + 1)
    if isinstance(value, list | tuple | range):
        return [plain_data(v, depth + 1) for v in value]
    return str(value) if isinstance(value, Path) else value
