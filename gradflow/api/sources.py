"""What a person hands in: a config in whatever form, weights and input that replace its own."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from gradflow.cells import CELLS
from gradflow.config import tree
from gradflow.config.load import experiment_of
from gradflow.errors import Fault, InputError
from gradflow.runs.experiment import Experiment

Source = str | PathLike[str] | Mapping[str, Any] | Experiment
"""A config: its path, its keys and values as a mapping, its YAML text, or what `load` gave."""


def load(config: Source, *, weights: Any = None, input: Any = None) -> Experiment:
    """Read and validate a config; nothing is run yet.

        >>> import gradflow
        >>> gradflow.load({"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.5]})
        <Experiment: 4 runs over cell, ws_scale>
        >>> gradflow.load("cell: gru").runs[0]
        <Run: gru, W_s×1.0, T=100, H=64, I=16, N=32, seed 0>

    Args:
        config: the path of a YAML file, its text, or the same keys and values as a mapping, which
            may hold NumPy numbers and arrays, a net as `weights` and an array as `input`.
        weights: instead of the config's: a file, a module with a `state_dict()`, or a state
            dict, names to arrays or tensors; None: what the config says.
        input: instead of the config's: an array (T, I) or (T, N, I) of finite numbers; None:
            what the config says.

    Returns:
        An Experiment: its `runs`, and the `config` with every default, as plain data; `analyze` and
        the others take it.

    Raises:
        InputError: with every fault found, `faults`.
    """
    return loaded(config, weights, input)


def loaded(config: Source, weights: Any, input: Any, believing: bool = False) -> Experiment:
    """The same; `believing` what a cell declares a gauge, which `verify` tries itself."""
    if isinstance(config, Experiment):
        if weights is not None or input is not None:
            raise InputError("weights and input go with a config, not with what is loaded already")
        return config
    from gradflow.config.expect import opened

    plain, given = taken(config, weights, input)
    document, folder, text = opened(plain)
    return experiment_of(document, folder, text=text, believing=believing, **given)


def taken(
    config: object, weights: Any = None, input: Any = None
) -> tuple[str | Mapping[str, Any], dict[str, Any]]:
    """A config's path or its keys and values, and what goes in the place of its weights and input,
    as what reads a config takes them. A net or an array may be in the mapping itself.

    Raises:
        InputError: it is no config, or the weights are none.
    """
    from gradflow.weights.given import given, is_module, is_state_dict, is_text

    plain = named(config)
    if isinstance(plain, Mapping):
        net, array = plain.get("weights"), plain.get("input")
        if is_module(net) or is_state_dict(net):
            plain = {key: value for key, value in plain.items() if key != "weights"}
            weights = net if weights is None else weights
        if isinstance(array, list | tuple) or (hasattr(array, "__array__") and not is_text(array)):
            plain = {key: value for key, value in plain.items() if key != "input"}
            input = array if input is None else input
    series = {"series": input}
    if isinstance(weights, str | PathLike):
        return plain, {"checkpoint": str(weights), **series}
    if weights is None:
        return plain, series
    tensors = given(weights)
    return plain, {"tensors": tensors, "checkpoint": tensors.source, **series}


def named(config: object) -> str | Mapping[str, Any]:
    """A config's path or mapping; YAML text as the mapping that it is.

    Raises:
        InputError: it is none of these, a net, or a cell's name alone.
    """
    from gradflow.weights.given import is_module, is_state_dict

    if is_module(config) or is_state_dict(config):
        raise InputError('a net goes in weights: analyze({"sequence_length": 100}, weights=net)')
    if isinstance(config, Mapping):
        return config
    if not isinstance(config, str | PathLike):
        expected = 'expected a path, YAML text or a mapping such as {"cell": "lstm"}'
        raise InputError(f"{expected}, found a {type(config).__name__}")
    name = str(fspath(config))
    if isinstance(config, str) and (not name.strip() or "\n" in name or ": " in name):
        document = tree.read(name.encode(), "config")
        if document.faults:
            raise InputError(*document.faults)
        if isinstance(document.data, Mapping):
            return document.data
    if name in CELLS and not Path(name).exists():
        raise InputError(Fault(f'no such file; a cell is given as {{"cell": "{name}"}}', name))
    return name
