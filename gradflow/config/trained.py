"""`weights: FILE`: what the file says of the net, and what the config adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gradflow.cells import CELLS, Cell, Fused, unfused
from gradflow.config.bare import as_mapping
from gradflow.config.cells import is_own
from gradflow.config.faults import Faults
from gradflow.config.model import WeightsModel
from gradflow.config.tree import Tree
from gradflow.engine.network import Place
from gradflow.errors import InputError
from gradflow.runs.experiment import Run, Trained

if TYPE_CHECKING:
    from gradflow.weights import RecurrentLayer, Tensors

ONLY_DRAWN = ("ws_init", "wx_init", "bias_scale")
"""Keys that say how random parameters are drawn."""

PROJECTING = {"lstm": "lstmp"}
"""The cell that is another one with its output projected; files call both by the same name."""


@dataclass(frozen=True, eq=False)
class FileNet:
    """What a file of weights says.

    Attributes:
        file: as the config names it.
        sizes: config key to the value that the file gives.
        cell: the type of its cells.
        options: those options of the cells that it says.
        undetermined: those that it does not, with a value that each may well have.
        trained: the parameters.
        tensors: all that the file holds.
    """

    file: str
    sizes: Mapping[str, int | bool]
    cell: str
    options: Mapping[str, str | int]
    undetermined: Mapping[str, str]
    trained: Trained
    tensors: Tensors

    def trained_run(self, run: Run) -> Run:
        """The run with the file's parameters in place of random ones."""
        return run.with_trained(self.trained)


def has_parameters(data: Mapping[str, Tree]) -> bool:
    """Whether `weights` names a tensor for each parameter."""
    weights = data.get("weights")
    return isinstance(weights, dict) and weights.get("parameters") is not None


def with_file(data: Mapping[str, Tree], file: str, faults: Faults) -> dict[str, Tree]:
    """The config with another file of weights; what else its `weights` say holds for that too."""
    weights = as_mapping("weights", data.get("weights") or {})
    if not isinstance(weights, dict):
        return dict(data)  # which the validation of the whole config refuses
    faults.given["weights", "file"] = file
    return {**data, "weights": {**weights, "file": file}}


def read_weights(
    data: Mapping[str, Tree], folder: Path, faults: Faults, tensors: Tensors | None = None
) -> FileNet | None:
    """What the file of the key `weights` says, which is read unless its `tensors` are given; None
    if there is no such key, or if what is there is wrong (which the validation of the
    whole config says)."""
    try:
        chosen = WeightsModel.model_validate(as_mapping("weights", data.get("weights")))
    except ValidationError:
        return None
    cells = data.get("cell")
    for one in cells if isinstance(cells, list) else [cells]:
        if is_own(as_mapping("cell", one).get("type") if isinstance(one, dict | str) else None):
            message = "your own cell takes a tensor for each of its parameters by name: "
            example = f"{{file: {chosen.file}, parameters: {{NAME: TENSOR, ...}}}}"
            faults.add(("weights",), message + example)
            return None
    from gradflow.weights import PARAMETERS, choose_net, output_layer, read  # if there is a file

    names = {name: getattr(chosen, name) for name in PARAMETERS if getattr(chosen, name)}
    opened = None
    try:
        if tensors is None:
            tensors = opened = read(folder / chosen.file)
        layers = choose_net(
            tensors,
            chosen.prefix,
            chosen.layer,
            names,
            direction=chosen.direction,
            merge=chosen.merge,
        )
        output = output_layer(tensors, layers, chosen.W_o, chosen.b_o) if chosen.W_o else None
        return file_net(chosen.file, tensors, layers, output)
    except InputError as error:
        faults.adopt(error.faults, ("weights",))
        return None
    finally:
        if opened is not None:
            opened.forget()


def completed(data: Mapping[str, Tree], net: FileNet, faults: Faults) -> dict[str, Tree]:
    """The config with what the file says put in; notes where the two contradict each other."""
    filled = dict(data)
    for key, value in net.sizes.items():
        given = data.get(key, value)
        if given not in (value, [value]):
            faults.add((key,), f"expected {value}, which {net.file} has, found {given}")
        filled[key] = value
    for key in ONLY_DRAWN:
        if key in data:
            message = f"has no meaning with weights: they come from {net.file}"
            faults.add((key,), message, key=True)
    filled["cell"] = _cell(data.get("cell"), net, faults)
    return filled


def file_net(
    file: str,
    tensors: Tensors,
    layers: Sequence[RecurrentLayer],
    output: tuple[Any, Any] | None = None,
) -> FileNet:
    """What the layers of a net, and its output layer, say to a config. Raises InputError where the
    layers are not of one kind."""
    from gradflow.weights.layers import CellLayer  # if there is a file

    first = layers[0]
    cell, options = _one_kind(layers)
    by_place = {(one.layer, int(one.direction == "reverse")): one for one in layers}
    both = any(direction for _, direction in by_place)
    backward = both and len(layers) == 1
    if backward:
        by_place, both = {(0, 0): first}, False
    height = 1 + max(layer for layer, _ in by_place)
    if len(by_place) != height * (2 if both else 1):
        raise InputError("some layers run in one direction and some in two, or backward only")
    params = {at: _params(one, CELLS[cell](**options)) for at, one in sorted(by_place.items())}
    hidden: dict[Place, int] = {at: one.hidden_size for at, one in by_place.items()}
    sizes: dict[str, int | bool] = {
        "input_size": first.input_size,
        "hidden_size": first.hidden_size,
        "layers": height,
        "bidirectional": both,
    }
    if output is not None:
        sizes["output_size"] = len(output[0])
    notes = tuple(dict.fromkeys(note for one in layers for note in one.notes))
    merge, as_is = first.merge if both else "concat", isinstance(first, CellLayer)
    trained = Trained(params, hidden, output, backward, merge, notes, as_is)
    open_ = {o: first.likely.get(o) or _default(cell, o) for o in first.undetermined}
    return FileNet(file, sizes, cell, options, open_, trained, tensors)


def _params(layer: RecurrentLayer, cell: Cell) -> Mapping[str, Any]:
    """The parameters of a layer by the names that its cell has for them."""
    from gradflow.weights.layers import StackedLayer  # if there is a file

    if not isinstance(layer, StackedLayer):
        return layer.arrays
    fused = Fused(layer.W_x, layer.W_s, layer.b_x, layer.b_s, layer.W_p)
    return unfused(cell.sized(layer.hidden_size, layer.input_size), fused)


def _one_kind(layers: Sequence[RecurrentLayer]) -> tuple[str, dict[str, str | int]]:
    """The cell and options that all layers have; InputError where they differ."""
    cell, options = _kind(layers[0])
    for one in layers:
        if _kind(one) == (cell, options) and one.undetermined == layers[0].undetermined:
            continue
        if one.layer == layers[0].layer:
            what = "give `direction: forward` or `direction: reverse`"
            message = f"{one.direction} has {_options(one)}, forward {_options(layers[0])}"
            raise InputError(f"its directions are not of one kind ({message}): {what}")
        message = f"layer {one.layer} has {_options(one)}, layer 0 {_options(layers[0])}"
        raise InputError(f"expected the same options of every layer: {message}")
    if len({one.merge for one in layers if one.layer < layers[-1].layer}) > 1:
        raise InputError("its layers merge their directions in different ways")
    return cell, options


def _options(layer: RecurrentLayer) -> str:
    """The options of a layer for a message: `{'reset': 'after', 'activation': '?'}`."""
    return str({**_kind(layer)[1], **dict.fromkeys(layer.undetermined, "?")})


def _kind(layer: RecurrentLayer) -> tuple[str, dict[str, str | int]]:
    """The cell that computes a layer, and those of its options that the file says."""
    projects = "W_p" in layer.arrays
    cell = PROJECTING[layer.cell] if projects else layer.cell
    known = {o: v for o, v in layer.options.items() if o in CELLS[cell]().options}
    projected = {"proj_size": layer.output_size} if projects else {}
    return cell, {**known, **layer.notable, **projected}


def _cell(given: Tree, net: FileNet, faults: Faults) -> Tree:
    """The cell of the file, with the options that the user adds."""
    filled: dict[str, Tree] = {"type": net.cell, **net.options}
    alone = given[0] if isinstance(given, list) and len(given) == 1 else given
    choice = as_mapping("cell", alone) if given is not None else {}
    if not isinstance(choice, dict):
        faults.add(("cell",), f"expected one cell, the {net.cell} of {net.file}")
        return filled
    named = choice.get("type", net.cell)
    if not isinstance(named, str) or named not in CELLS:
        return given  # which the validation of the whole config refuses
    if net.cell not in (named, PROJECTING.get(named)):
        faults.add(("cell",), f"expected {net.cell}, which {net.file} has, found {named}")
        return filled
    for option, value in net.options.items():
        if choice.get(option, value) != value:
            message = f"expected {value}, which {net.file} has, found {choice[option]}"
            faults.add(("cell", option), message)
    if missing := [option for option in net.undetermined if option not in choice]:
        given = "".join(f", {option}: {net.undetermined[option]}" for option in missing)
        it = "it" if len(missing) == 1 else "them"
        message = (
            f"{net.file} does not give the {' and the '.join(missing)}: say {it}, for example "
            f"`cell: {{type: {net.cell}{given}}}`"
        )
        faults.add(("cell",), message)
    return {**filled, **choice, "type": net.cell}


def _default(cell: str, option: str) -> str:
    return str(CELLS[cell]().options[option])
