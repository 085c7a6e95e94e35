"""What is in a file of trained weights: tensors, recurrent layers, configs that analyse them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gradflow.cells import CELLS
from gradflow.config.load import from_mapping
from gradflow.config.trained import file_net
from gradflow.errors import InputError
from gradflow.inspection.offers import Offer, Writer
from gradflow.weights import RecurrentLayer, Stored, Tensors, choose_net, read
from gradflow.weights.conventions import find_nets
from gradflow.weights.guess import guess
from gradflow.weights.layers import Net
from gradflow.weights.selection import check, one_direction, one_layer


@dataclass(frozen=True, eq=False)
class FoundNet:
    """A recurrent net in a file.

    Attributes:
        prefix: what the config calls it.
        layers: the lowest first; none where its tensors are missing or contradict each other.
        faults: why it cannot be analysed as a whole; none where it can.
        cell: what a config calls its cell; empty if there are faults.
        names: the tensors that make it by parameter, where they follow no convention and were
            guessed.
        configs: the text of a config for the whole, or for each part that can be analysed, by what
            it is of: "" for the whole, else `layer 1` or `direction reverse`.
    """

    prefix: str
    layers: Sequence[RecurrentLayer]
    faults: tuple[str, ...] = ()
    cell: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a file of trained weights holds.

    Attributes:
        source: the file, as the user named it.
        format: what kind of file it is, in words.
        stored: shape and dtype of each tensor by name.
        nets: the recurrent nets that its names (or its graph) show; without these, guesses.
        config: the text of a config for the first net that can be analysed, which runs when saved
            next to the file; None if there is no such net.
    """

    source: str
    format: str
    stored: Mapping[str, Stored]
    nets: tuple[FoundNet, ...]
    config: str | None

    @cached_property
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
    looked = [_whole(path, tensors, net) for net in find_nets(tensors)] or list(
        _guessed(path, tensors)
    )
    offers = [offer for _, offers in looked for offer in offers]
    writer = Writer(path.name, tensors, [net.layers for net, _ in looked], offers)
    nets = tuple(_with_configs(net, offers, writer) for net, offers in looked)
    config = next((text for net in nets for text in net.configs.values()), None)
    return Inspection(tensors.source, tensors.format, tensors.stored, nets, config)


def option_choices(layer: RecurrentLayer, option: str) -> list[str]:
    """What an option that a file does not hold may be, the likeliest first."""
    equations = CELLS[layer.cell].equations
    likely = layer.likely.get(option, equations.defaults[option])
    return sorted(equations.choices[option], key=lambda value: value != likely)


def _whole(path: Path, tensors: Tensors, net: Net) -> tuple[FoundNet, list[Offer]]:
    """The net, with what can be analysed of it: itself, or else its layers or directions."""
    try:
        layers = net.layers()
    except InputError as error:
        return FoundNet(net.prefix, [], _texts(path, error)), []
    try:
        offer = _offer(path, tensors, net.prefix, layers)
    except InputError as error:
        found = FoundNet(net.prefix, layers, _texts(path, error))
        return found, list(_parts(path, tensors, net.prefix, layers))
    return FoundNet(net.prefix, layers, cell=offer.cell), [offer]


def _parts(
    path: Path, tensors: Tensors, prefix: str, layers: Sequence[RecurrentLayer]
) -> Iterator[Offer]:
    """The layers, or the directions of the only one, that can be analysed by themselves."""
    height = 1 + layers[-1].layer
    picks: list[dict[str, str | int]] = [{"layer": k} for k in range(height)]
    if height == 1:
        picks = [{"direction": way} for way in ("forward", "reverse")] if len(layers) > 1 else []
    for pick in picks:
        with suppress(InputError):
            yield _offer(path, tensors, prefix, _picked(tensors, layers, pick), pick)


def _picked(
    tensors: Tensors, layers: Sequence[RecurrentLayer], pick: Mapping[str, str | int]
) -> Sequence[RecurrentLayer]:
    if "layer" in pick:
        return one_layer(tensors, layers, int(pick["layer"]))
    return one_direction(tensors, layers, str(pick["direction"]))


def _guessed(path: Path, tensors: Tensors) -> Iterator[tuple[FoundNet, list[Offer]]]:
    """The layers that shapes and endings of names may well make."""
    for names in guess(tensors):
        with suppress(InputError):
            layers = choose_net(tensors, names=names)
            offer = _offer(path, tensors, "", layers, names)
            yield FoundNet("", layers, cell=offer.cell, names=names), [offer]


def _offer(
    path: Path,
    tensors: Tensors,
    prefix: str,
    layers: Sequence[RecurrentLayer],
    chosen: Mapping[str, str | int] | None = None,
) -> Offer:
    """What a config says for these layers. Raises InputError where it would not run."""
    check(tensors, layers)
    net = file_net(path.name, tensors, layers)
    open_ = {o: option_choices(layers[0], o) for o in net.undetermined}
    options = {**net.options, **{option: choices[0] for option, choices in open_.items()}}
    from_mapping({"cell": {"type": net.cell, **options}, **net.sizes})
    notable = {k: v for k, v in options.items() if k in open_ or layers[0].telling(k, v)}
    return Offer(prefix, net.cell, layers, notable, open_, dict(chosen or {}))


def _with_configs(net: FoundNet, offers: Sequence[Offer], writer: Writer) -> FoundNet:
    texts = {offer.part: writer.text(offer) for offer in offers}
    return FoundNet(net.prefix, net.layers, net.faults, net.cell, net.names, texts)


def _texts(path: Path, error: InputError) -> tuple[str, ...]:
    return tuple(fault.message for fault in error.faults)
