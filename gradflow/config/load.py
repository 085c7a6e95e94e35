"""From the config's text to an Experiment: parse, override, validate, read its files, expand."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import ValidationError

from gradflow.cells import CELLS
from gradflow.config import measures, tree
from gradflow.config.arrays import GIVEN, read_files
from gradflow.config.cells import Choice, cells_of
from gradflow.config.expansion import check_runs, expanded, try_gauges
from gradflow.config.faults import MOST, Faults
from gradflow.config.losses import check_loss
from gradflow.config.messages import faults_in
from gradflow.config.model import SWEPT, Config, FileInput
from gradflow.config.overrides import override
from gradflow.config.ranges import with_ranges
from gradflow.config.tree import Document, Tree
from gradflow.errors import Fault, InputError
from gradflow.files.opening import open_regular
from gradflow.measures.contract import Asked
from gradflow.runs.experiment import Experiment, Run

if TYPE_CHECKING:
    from gradflow.config.named_weights import Named
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
    data = _stated(document, overrides, series, faults)
    home, net = folder, None
    if checkpoint is not None:
        from gradflow.config.trained import with_file

        data, home = with_file(data, checkpoint, faults), Path()
    if data.get("weights") is not None:
        net, data = _net_of_file(data, home, faults, tensors)
    choices = cells_of(data, document, folder, text, faults) if "cell" in data else []
    if net is not None:
        _check_trained_options(net, choices, faults)
    asked = measures.asked_for(data, faults)
    config = _validate(data, faults)
    given: FileNet | Named | None = net
    if config.weights is not None:
        from gradflow.config.named_weights import read_named

        named = read_named(config, [choice.cell for choice in choices], home, faults, tensors)
        config = config if named is None else config.model_copy(update=named.sizes)
        given = net or named
    config, read = read_files(config, folder, faults, given.tensors if given else None, series)
    if read.input.values is not None or not isinstance(config.input, FileInput):  # else: no T
        _check_lags(config, faults)
        check_loss(config, faults)
    faults.stop_if_any()
    runs = expanded(config, choices, read, asked, faults)
    if given is not None:
        runs = tuple(map(given.trained_run, runs))
    runs = measures.explained(runs)
    check_runs(config, runs, faults)
    if not believing:
        try_gauges(choices, runs)
    faults.stop_if_any()
    return _experiment(runs, config, data, _as_data(config, choices, asked), faults)


def _stated(
    document: Document, overrides: Sequence[str], series: object, faults: Faults
) -> dict[str, Tree]:
    """What a config says, with overrides, an array in place of its series, and ranges as lists.

    Raises:
        InputError: it is no config at all.
    """
    data = override(document.data, overrides, faults)
    if not isinstance(data, dict):
        faults.add((), "expected a mapping of keys, such as `cell: lstm`")
        raise InputError(*faults.found)
    if {"gradflow", "provenance"} <= data.keys():
        message = f"these are results: gradflow show {document.source} shows them"
        raise InputError(Fault(message, document.source))
    if series is not None:
        data = {**data, "input": {"file": GIVEN, **_prepared(data.get("input"), faults)}}
    return with_ranges(data, faults)


def _experiment(
    runs: tuple[Run, ...],
    config: Config,
    data: Mapping[str, Tree],
    written: dict[str, object],
    faults: Faults,
) -> Experiment:
    """The runs, and how they are to be shown; `written` is the config in full."""
    lags = config.lags if not isinstance(config.lags, list) else tuple(sorted(set(config.lags)))
    thresholds = (config.thresholds.vanishing, config.thresholds.exploding)
    keys: tuple[str, ...] = ("cell", "ws_init")
    positions = {key: faults.position(key) for key in keys if key in data}
    return Experiment(runs, config.title, lags, thresholds, written, positions)


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
        with open_regular(Path(source), source, tree.SUFFIXES) as file:
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


def _check_trained_options(net: FileNet, choices: Sequence[Choice], faults: Faults) -> None:
    """Options that a net was trained with are not changed."""
    if net.trained.as_is:
        from gradflow.config.named_weights import check_options

        for choice in choices:
            check_options(choice.cell, net.trained.params[0, 0], net.file, faults)


def _validate(data: Mapping[str, Tree], faults: Faults) -> Config:
    config = _config_or_error(data)
    if isinstance(config, ValidationError):
        paths, words = faults_in(config, cast(Tree, data))
        for index in faults.first(paths, MOST):
            path, is_key, message = words(index)
            faults.add(path, message, key=is_key)
        faults.stop_if_any()
        raise AssertionError("pydantic found a fault and named none") from config
    if config.loss.kind == "cross_entropy" and config.output_size < 2:
        faults.add(("loss",), "cross_entropy needs at least two classes: set output_size")
    return config


def _config_or_error(data: Mapping[str, Tree]) -> Config | ValidationError:
    """What pydantic makes of it; its error is no news to who reads ours."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        return error


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
