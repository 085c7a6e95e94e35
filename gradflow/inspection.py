"""What is in a file of trained weights: tensors, recurrent layers, a config that analyses it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gradflow.cells import CELLS
from gradflow.config.load import from_mapping
from gradflow.errors import InputError
from gradflow.weights import RecurrentLayer, Stored, Tensors, read
from gradflow.weights.conventions import find_nets
from gradflow.weights.files import reader_of
from gradflow.weights.layers import Net

_FORMATS = {
    "npz": "NumPy .npz",
    "safetensors": "safetensors",
    "torch_pickle": "PyTorch",
    "keras_h5": "Keras HDF5",
    "onnx": "ONNX",
}

_MOST_CHOICES = 6  # commented lines of one kind in a config


@dataclass(frozen=True, eq=False)
class FoundNet:
    """A recurrent net in a file.

    Attributes:
        prefix: what the config calls it.
        layers: the lowest first; none where its tensors are missing or contradict each other.
        faults: why it cannot be analysed; none where it can.
        cell: what a config calls its cell; empty where there are faults.
    """

    prefix: str
    layers: Sequence[RecurrentLayer]
    faults: tuple[str, ...] = ()
    cell: str = ""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a file of trained weights holds.

    Attributes:
        source: the file, as the user named it.
        format: what kind of file it is, in words.
        stored: shape and dtype of each tensor by name.
        nets: the recurrent nets that its names (or its graph) tell of.
        config: the text of a config for the first net that can be analysed, which runs when saved
            beside the file; None where there is no such net.
    """

    source: str
    format: str
    stored: Mapping[str, Stored]
    nets: tuple[FoundNet, ...]
    config: str | None

    @property
    def uses(self) -> dict[str, list[tuple[str, RecurrentLayer]]]:
        """By tensor: each (parameter, layer) that is read from it."""
        found: dict[str, list[tuple[str, RecurrentLayer]]] = {}
        for layer in (layer for net in self.nets for layer in net.layers):
            for parameter, names in layer.names.items():
                for name in names:
                    found.setdefault(name, []).append((parameter, layer))
        return found


def inspect(path: Path) -> Inspection:
    """Look into a file of trained weights; only the numbers of recurrent layers are read.

    Raises InputError: no such file, no known format, damaged, or its reader not installed.
    """
    tensors = read(path)
    nets = tuple(_found(path, net) for net in find_nets(tensors))
    able = next((net for net in nets if not net.faults), None)
    config = _config(path.name, tensors, nets, able) if able else None
    return Inspection(tensors.source, _FORMATS[reader_of(path)], tensors.stored, nets, config)


def option_choices(cell: str, option: str) -> list[str]:
    """What an option of a cell may be, its default first."""
    return list(CELLS[cell].equations.choices[option])


def yaml_text(text: str) -> str:
    """`text` as a YAML scalar that reads back as it is, in quotes only where it has to be."""
    words = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in words:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _found(path: Path, net: Net) -> FoundNet:
    """The net, and what analysing it would refuse."""
    layers: list[RecurrentLayer] = []
    try:
        layers = net.layers()
        cell = {"type": layers[0].cell, **_defaults(layers[0])}
        weights = {"file": str(path), "prefix": net.prefix}
        only_where_open = {"cell": cell} if layers[0].undetermined else {}
        experiment = from_mapping({"weights": weights, **only_where_open})
    except InputError as error:
        faults = (fault.message.removeprefix(f"{path}: ") for fault in error.faults)
        return FoundNet(net.prefix, layers, tuple(faults))
    chosen = cast("dict[str, str]", experiment.config["cell"])
    return FoundNet(net.prefix, layers, cell=chosen["type"])


def _defaults(layer: RecurrentLayer) -> dict[str, str]:
    """Values for the options that the file does not tell."""
    return {option: option_choices(layer.cell, option)[0] for option in layer.undetermined}


def _config(file: str, tensors: Tensors, nets: Sequence[FoundNet], net: FoundNet) -> str:
    """The config of one net, with its choices as comments."""
    lines = ["weights:", f"  file: {yaml_text(file)}"]
    if len(nets) > 1:
        lines.append(f"  prefix: {yaml_text(net.prefix)}")
        able = [one for one in nets if one is not net and not one.faults]
        lines += _commented("prefix", {one.prefix: f"another net: {one.cell}" for one in able})
    taken = {n for net in nets for one in net.layers for names in one.names.values() for n in names}
    others = {name: stored for name, stored in tensors.stored.items() if name not in taken}
    outer = dict.fromkeys(_output_layers(others, net), "if it is the output layer")
    lines += _commented("W_o", outer)
    lines.append(_cell_line(net.cell, net.layers[0]))
    lines.append("sequence_length: 100")
    columns = net.layers[0].input_size
    lines.append(f"input: gaussian  # or {{file: series.csv}}, one step a row, {columns} columns")
    return "\n".join(lines) + "\n"


def _commented(key: str, remarks: Mapping[str, str]) -> list[str]:
    """Values that the key may have, each with a remark, as comments."""
    lines = [f"  # {key}: {yaml_text(value)}  # {text}" for value, text in remarks.items()]
    more = len(lines) - _MOST_CHOICES
    return lines[:_MOST_CHOICES] + ([f"  # (or one of {more} more)"] if more > 0 else [])


def _cell_line(cell: str, layer: RecurrentLayer) -> str:
    """The cell; options that the file does not tell stand at their defaults."""
    options = {**layer.options, **_defaults(layer)}
    if not options:
        return f"cell: {cell}"
    listed = ", ".join(f"{option}: {value}" for option, value in options.items())
    remarks = (
        f"  # the file does not tell the {option}: {' or '.join(option_choices(cell, option))}?"
        for option in layer.undetermined
    )
    return f"cell: {{type: {cell}, {listed}}}" + "".join(remarks)


def _output_layers(tensors: Mapping[str, Stored], net: FoundNet) -> Iterator[str]:
    """Names of tensors that could be the output layer of a net, by their shape."""
    last = net.layers[-1]
    width = sum(one.output_size for one in net.layers if one.layer == last.layer)
    axis = 0 if last.convention in ("Keras", "Flax") else 1
    for name, stored in tensors.items():
        floats = stored.dtype.removeprefix("b").startswith("float")
        if floats and len(stored.shape) == 2 and stored.shape[axis] == width:
            yield name
