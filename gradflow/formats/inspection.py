"""What `gradflow inspect` found in a file of weights: for people, in Markdown, and as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gradflow import __version__
from gradflow.counts import many
from gradflow.formats import markdown, words
from gradflow.formats.layout import Column, Entry, Line, Span, fold, grid, render
from gradflow.formats.look import Look
from gradflow.inspection import FoundNet, Inspection, option_choices
from gradflow.inspection.offers import yaml_text
from gradflow.weights import RecurrentLayer
from gradflow.weights.selection import quantized

_MANY = 40
"""From more tensors on, those that differ only in numbers in their names share a line."""

_MOST_CONFIGS = 6
"""So many configs are printed after the first."""

_NAMING = """\
weights:
  file: {file}
  W_x: NAME  # (G, I): the input weights
  W_s: NAME  # (G, H): the recurrent weights; G = H for an rnn, 3 H for a gru, 4 H for an lstm
  b_x: NAME  # (G,): leave out what is not there
  b_s: NAME
"""


def table(found: Inspection, look: Look) -> Iterator[str]:
    """The tensors (`look.tables`: each on its own line), the layers, what is wrong or unknown, and
    a config; no wider than it says where names allow it."""
    width, colour, every = look.width, look.colour, bool(look.tables)
    for line in _page(found, width, every):
        yield render(line, colour)
    if found.config is not None:
        yield from _heading(
            "Config, to save next to the file and run with gradflow analyze:", colour
        )
        yield found.config
        yield from _other_configs(found, colour)
    elif not found.nets and (why := quantized(found.stored)):
        for line in _prose(f"No recurrent layer is recognised here: {why}.", width):
            yield render(line, colour)
    elif not found.nets:
        for line in _prose(
            "No recurrent layer is recognised here. Say in the config which tensors make one: of an"
            " rnn, gru or lstm as below, gates in the order that `gradflow cells` shows; of any"
            " other cell, a tensor for each parameter that `gradflow cells NAME` lists, as"
            " `parameters: {U_f: NAME, ...}` in place of W_x and W_s.",
            width,
        ):
            yield render(line, colour)
        yield "\n" + _NAMING.format(file=yaml_text(Path(found.source).name))


def _other_configs(found: Inspection, colour: bool) -> Iterator[str]:
    """The configs of further nets, and of parts of nets, each under a heading."""
    titles = [
        (_title(net, part), text) for net in found.nets for part, text in net.configs.items()
    ][1:]
    for title, text in titles[:_MOST_CONFIGS]:
        yield "\n"
        yield from _heading(f"Config for {title}:", colour)
        yield text
    if (more := len(titles) - _MOST_CONFIGS) > 0:
        yield f"\nWith --format json: {many(more, 'more config')}.\n"


def _title(net: FoundNet, part: str) -> str:
    whole = f"the net {words.clean(net.prefix)}" if net.prefix else "the net"
    if net.names:
        whole = f"the layer of {words.clean(net.names['W_s'])}"
    return f"{part} of {whole}" if part else whole


def to_json(found: Inspection, look: Look) -> Iterator[str]:
    """The same as one JSON object, with each tensor by itself."""
    tensors = [
        {
            "name": name,
            "shape": list(stored.shape),
            "dtype": stored.dtype,
            "read_as": [
                {
                    "parameter": parameter,
                    "net": layer.prefix,
                    "layer": layer.layer,
                    "direction": layer.direction,
                }
                for parameter, layer in found.uses.get(name, [])
            ],
        }
        for name, stored in found.stored.items()
    ]
    nets = [
        {
            "prefix": net.prefix,
            "cell": net.cell or None,
            "layers": [_layer(layer) for layer in net.layers],
            "faults": list(net.faults),
            "configs": [{"of": part, "config": text} for part, text in net.configs.items()],
        }
        for net in found.nets
    ]
    facts = {
        "gradflow": __version__,
        "file": found.source,
        "format": found.format,
        "tensors": tensors,
        "nets": nets,
        "config": found.config,
    }
    yield json.dumps(facts, allow_nan=False) + "\n"


def to_markdown(found: Inspection, look: Look) -> Iterator[str]:
    """What `table` shows, in Markdown."""
    yield f"### {markdown.escaped(words.clean(found.source))}\n\n"
    yield f"{markdown.prose(' · '.join(_counts(found)))}\n\n"
    yield from markdown.grid(_tensor_columns(found, len(found.stored) > _MANY and not look.tables))
    if any(net.layers for net in found.nets):
        yield "\n"
        yield from markdown.grid(_layer_columns(found))
    remarks = list(dict.fromkeys(text for _, text in _remarks(found)))
    yield from ("\n", *(f"- {markdown.prose(text)}\n" for text in remarks)) if remarks else ()
    if found.config is not None:
        yield "\nConfig, to save next to the file and run with `gradflow analyze`:\n\n"
        yield from markdown.fenced(found.config, "yaml")


def _layer(layer: RecurrentLayer) -> dict[str, object]:
    return {
        "layer": layer.layer,
        "direction": layer.direction,
        "cell": layer.cell,
        "options": dict(layer.options),
        "undetermined": list(layer.undetermined),
        "likely": dict(layer.likely),
        "merge": layer.merge,
        "input_size": layer.input_size,
        "hidden_size": layer.hidden_size,
        "output_size": layer.output_size,
        "convention": layer.convention,
        "unsupported": list(layer.unsupported),
        "notes": list(layer.notes),
        "tensors": {parameter: list(names) for parameter, names in layer.names.items()},
    }


def _page(found: Inspection, width: int, every: bool) -> Iterator[Line]:
    yield from fold([words.clean(found.source), *_counts(found)], " · ", width, "bold")
    yield []
    grouped = len(found.stored) > _MANY and not every
    yield from grid(_tensor_columns(found, grouped))
    if grouped:
        yield from _prose(
            f"* means any number: {len(found.stored):,} tensors in all, each by itself with"
            " --tensors.",
            width,
            "dim",
        )
    yield []
    if any(net.layers for net in found.nets):
        yield from grid(_layer_columns(found))
        yield []
    remarks = list(dict.fromkeys(_remarks(found)))
    for style, text in remarks:
        yield from _prose(text, width, style)
    if remarks:
        yield []


def _counts(found: Inspection) -> list[str]:
    count = sum(math.prod(stored.shape) for stored in found.stored.values())
    return [found.format, many(len(found.stored), "tensor"), many(count, "number")]


def _tensor_columns(found: Inspection, grouped: bool) -> list[Column]:
    groups: dict[object, list[str]] = {}
    uses = found.uses
    for name, stored in found.stored.items():
        pattern = re.sub(r"\d+", "*", name) if grouped else name
        key = pattern, stored.shape, stored.dtype, _use(uses.get(name, []))
        groups.setdefault(key, []).append(name)
    names, shapes, dtypes, reads, counts = [], [], [], [], []
    for members in groups.values():
        first, stored = members[0], found.stored[members[0]]
        alone = len(members) == 1
        names.append(Entry(first if alone else re.sub(r"\d+", "*", first)))
        counts.append(Entry("" if alone else str(len(members))))
        shapes.append(Entry(" × ".join(map(str, stored.shape)) or "scalar"))
        dtypes.append(Entry(words.clean(stored.dtype)))
        reads.append(Entry(_use(uses.get(first, [])), "green"))
    columns = [Column(("tensor",), names, "left")]
    if any(one.text for one in counts):
        columns.append(Column(("tensors",), counts, "right"))
    columns += [Column(("shape",), shapes, "left"), Column(("dtype",), dtypes, "left")]
    if any(one.text for one in reads):
        columns.append(Column(("read as",), reads, "left"))
    return columns


def _use(uses: Sequence[tuple[str, RecurrentLayer]]) -> str:
    """What a tensor is to the recurrent layers: `W_x of layer 0`."""
    if not uses:
        return ""
    parameters = ", ".join(dict.fromkeys(parameter for parameter, _ in uses))
    layers = ", ".join(dict.fromkeys(str(layer.layer) for _, layer in uses))
    return f"{parameters} of layer {layers}"


def _layer_columns(found: Inspection) -> list[Column]:
    """A row per layer and direction."""
    layers = [layer for net in found.nets for layer in net.layers]
    shown = {
        "net": [words.clean(layer.prefix) for layer in layers],
        "layer": [str(layer.layer) for layer in layers],
        "direction": [layer.direction for layer in layers],
        "cell": [_label(net, layer) for net in found.nets for layer in net.layers],
        "I": [str(layer.input_size) for layer in layers],
        "H": [str(layer.hidden_size) for layer in layers],
        "P": [str(layer.output_size) for layer in layers],
        "merge": [layer.merge for layer in layers],
        "convention": [layer.convention for layer in layers],
    }
    if all(layer.merge == "concat" for layer in layers):
        del shown["merge"]
    if not any(shown["net"]):
        del shown["net"]
    if all(layer.output_size == layer.hidden_size for layer in layers):
        del shown["P"]
    numbers = ("layer", "I", "H", "P")
    return [
        Column((head,), [Entry(text) for text in texts], "right" if head in numbers else "left")
        for head, texts in shown.items()
    ]


def _label(net: FoundNet, layer: RecurrentLayer) -> str:
    """The cell with what the file says of it, and a question mark for what it does not."""
    said = [f"{option}={value}" for option, value in layer.notable.items()]
    said += [f"{option}=?" for option in layer.undetermined]
    return (net.cell or layer.cell) + (f"[{' '.join(said)}]" if said else "")


def _remarks(found: Inspection) -> Iterator[tuple[str, str]]:
    """(style, text) of what cannot be computed, is unknown or was taken for granted."""
    for net in found.nets:
        name = f"The net {words.clean(net.prefix)}" if net.prefix else "The net"
        for fault in net.faults:
            yield "red", f"{name} cannot be analysed: {words.clean(fault)}"
    for net in found.nets:
        for layer in net.layers:
            for option in layer.undetermined:
                choices = " or ".join(option_choices(layer, option))
                yield (
                    "yellow",
                    f"The file does not give the {option} of the {layer.cell}: {choices}?",
                )
            yield from (("dim", f"Note: {words.clean(note)}") for note in layer.notes)
    able = [net for net in found.nets if not net.faults]
    if able and able[0].names:
        yield (
            "yellow",
            "No recurrent layer is recognised here by a convention. By shapes and endings of names"
            " these may be one: whether they are, and how their gates are ordered,"
            " is for you to say.",
        )
    elif len(able) > 1:
        yield "", f"{len(able)} nets: the config takes one; a list as prefix stacks those that fit."


def _prose(text: str, width: int, style: str = "") -> Iterable[Line]:
    return fold(text.split(" "), " ", width, style)


def _heading(text: str, colour: bool) -> Iterator[str]:
    yield render([Span(text, "bold")], colour)
    yield "\n"
