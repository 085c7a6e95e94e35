"""The configs that analyse what was found in a file of trained weights, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradflow.counts import many
from gradflow.weights import RecurrentLayer, Stored, Tensors

_MOST_CHOICES = 6  # commented lines of one kind in a config
_MOST_SPOKEN = 7  # configs with such lines; so many are printed

_EMBEDDING = re.compile(r"emb|lookup|vocab|wte|token|char|word|gather", re.IGNORECASE)
_RECURRENT = re.compile(r"weight_(?:ih|hh|hr)|\.OPTIMIZER_SLOT")
"""What belongs to recurrent layers, or an optimizer, though no layer is read from it."""


@dataclass(frozen=True, eq=False)
class Offer:
    """What a config has to say to analyse a net, or a part of one.

    `options` are the cell's, `choices` what those among them may be that the file does not hold,
    `chosen` the keys of `weights` that pick the layers.
    """

    prefix: str
    cell: str
    layers: Sequence[RecurrentLayer]
    options: Mapping[str, object]
    choices: Mapping[str, Sequence[str]]
    chosen: Mapping[str, str | int]

    @property
    def part(self) -> str:
        """What part of its net it is of; empty for the whole."""
        keys = ("layer", "direction")
        return ", ".join(f"{key} {self.chosen[key]}" for key in keys if key in self.chosen)


class Writer:
    """Writes the configs of one file; the first ones have what else is worth a try as comments."""

    def __init__(
        self,
        file: str,
        tensors: Tensors,
        nets: Sequence[Sequence[RecurrentLayer]],
        offers: Sequence[Offer],
    ) -> None:
        self.file, self.offers, self.several = file, offers, len(nets) > 1
        layers = [layer for net in nets for layer in net]
        taken = {name for one in layers for names in one.names.values() for name in names}
        self.others = {n: one for n, one in tensors.stored.items() if n not in taken}

    def text(self, offer: Offer) -> str:
        """The config of one net, or of a part of one."""
        first = bool(self.offers) and offer is self.offers[0]
        spoken = any(offer is one for one in self.offers[:_MOST_SPOKEN])
        lines = ["weights:", f"  file: {yaml_text(self.file)}"]
        guessed = "W_x" in offer.chosen
        if self.several and not guessed:
            lines.append(f"  prefix: {yaml_text(offer.prefix)}")
            lines += (
                [*self._stacks(offer), *_commented("prefix", self._other_nets(offer))]
                if first
                else []
            )
        lines += [f"  {key}: {_scalar(value)}" for key, value in offer.chosen.items()]
        if spoken:
            outer = dict.fromkeys(_output_layers(self.others, offer), "if it is the output layer")
            lines += _commented("W_o", outer)
        lines += _cell_lines(offer, guessed)
        lines.append("sequence_length: 100")
        columns = offer.layers[0].input_size
        lines.append(
            f"input: gaussian  # or {{file: series.csv}}, one step a row, {many(columns, 'column')}"
        )
        if spoken:
            lines += list(_embedding_lines(self.others, columns))
        return "\n".join(lines) + "\n"

    def _stacks(self, offer: Offer) -> Iterator[str]:
        """The list of prefixes that makes one net of the offer's and of those numbered after it,
        as modules in a list are, where each could read the one below, as a comment."""
        whole = {one.prefix: one for one in self.offers if not one.part}
        found = [offer]
        while (above := whole.get(_next(found[-1].prefix))) and _reads(above, found[-1]):
            found.append(above)
        if len(found) > 1:
            listed = ", ".join(yaml_text(one.prefix) for one in found)
            yield f"  # prefix: [{listed}]  # stacked, if each reads the one before"

    def _other_nets(self, offer: Offer) -> dict[str, str]:
        """The other nets that can be analysed as a whole, with a remark on each."""
        whole = [one for one in self.offers if one is not offer and not one.part]
        return {one.prefix: f"another net: {one.cell}" for one in whole}


def yaml_text(text: str) -> str:
    """`text` as a YAML scalar that reads back as it is, in quotes only where it has to be."""
    words = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in words:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _next(prefix: str) -> str:
    """The name of the next module in a list: `rnns.1` after `rnns.0`; empty if there is none."""
    match = re.fullmatch(r"(.*?)([0-9]{1,6})", prefix)
    return f"{match[1]}{int(match[2]) + 1}" if match else ""


def _reads(upper: Offer, lower: Offer) -> bool:
    """Whether a net could read the outputs of another, and be one with it."""
    kinds = {
        (o.cell, *map(str, o.options.items()), len({one.direction for one in o.layers}))
        for o in (upper, lower)
    }
    return len(kinds) == 1 and upper.layers[0].input_size == _width(lower.layers)


def _width(layers: Sequence[RecurrentLayer]) -> int:
    """What a net hands on: the outputs of its last layer, of both directions."""
    last = layers[-1]
    top = [one.output_size for one in layers if one.layer == last.layer]
    return sum(top) if last.merge == "concat" else top[0]


def _scalar(value: str | int) -> str:
    return yaml_text(value) if isinstance(value, str) else str(value)


def _commented(key: str, remarks: Mapping[str, str]) -> list[str]:
    """Values that the key may have, each with a remark, as comments."""
    lines = [f"  # {key}: {yaml_text(value)}  # {text}" for value, text in remarks.items()]
    return lines[:_MOST_CHOICES] + list(_more("  ", len(lines) - _MOST_CHOICES))


def _more(indent: str, count: int) -> Iterator[str]:
    if count > 0:
        yield f"{indent}# (or one of {count} more)"


def _cell_lines(offer: Offer, guessed: bool) -> Iterator[str]:
    """The cell; options that the file does not hold are at the likeliest value."""
    for option, choices in offer.choices.items():
        yield f"# the file does not give the {option}: {' or '.join(choices)}?"
    if guessed and offer.cell != "rnn":
        yield "# if its gates are in the order that `gradflow cells` shows"
    listed = ", ".join(f"{option}: {value}" for option, value in offer.options.items())
    yield f"cell: {{type: {offer.cell}, {listed}}}" if listed else f"cell: {offer.cell}"


def _floats(stored: Stored) -> bool:
    return stored.dtype.removeprefix("b").startswith("float")


def _output_layers(tensors: Mapping[str, Stored], offer: Offer) -> Iterator[str]:
    """Names of tensors that could be the output layer of a net, by their shape."""
    last = offer.layers[-1]
    top = [one for one in offer.layers if one.layer == last.layer]
    width = _width(offer.layers) - last.blank
    axis = 0 if last.convention in ("Keras", "Flax") else 1
    if last.merge == "mul" and len(top) == 2:
        return
    fit = [
        name
        for name, stored in tensors.items()
        if _floats(stored) and len(stored.shape) == 2 and stored.shape[axis] == width
        if not _RECURRENT.search(name)
    ]
    yield from sorted(fit, key=lambda name: bool(_EMBEDDING.search(name)))


def _embedding_lines(tensors: Mapping[str, Stored], width: int) -> Iterator[str]:
    """Inputs of whole numbers that a tensor of the net's width may be a row for, those first that
    are called so, as comments."""
    fit = [
        name
        for name, stored in tensors.items()
        if _floats(stored) and len(stored.shape) == 2 and stored.shape[1] == width
        if stored.shape[0] > 1 and not _RECURRENT.search(name)
    ]
    fit.sort(key=lambda name: not _EMBEDDING.search(name))
    for name in fit[:_MOST_CHOICES]:
        below = tensors[name].shape[0]
        yield (
            f"# input: {{file: tokens.npy, embedding: {yaml_text(name)}}}"
            f"  # looks up numbers below {below:,}"
        )
    yield from _more("", len(fit) - _MOST_CHOICES)
