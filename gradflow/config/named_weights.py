"""`weights: {file:, parameters: {...}}`: a tensor for each parameter that a cell declares.

Sizes are read from the tensors, shapes held to the declaration. The values are taken as they are:
an `init` has no part in them; `ws_scale` and `wx_scale` multiply them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from gradflow.cells import Cell
from gradflow.config.faults import Faults
from gradflow.config.messages import unknown_key
from gradflow.config.model import Config, WeightsModel
from gradflow.config.trained import ONLY_DRAWN
from gradflow.config.tree import Path
from gradflow.counts import many
from gradflow.engine.network import Place
from gradflow.equations.effects import effects
from gradflow.equations.mistakes import EquationsError
from gradflow.equations.sizes import Shape, spelled
from gradflow.errors import Fault, InputError
from gradflow.numerics.arrays import Array
from gradflow.runs.experiment import Run, Trained

if TYPE_CHECKING:
    from gradflow.weights import Tensors
    from gradflow.weights.named import Reader

NOT_BESIDE = ("prefix", "layer", "direction", "W_x", "W_s", "b_x", "b_s", "W_p")
"""Keys of `weights` that choose a net in a file, where `parameters` names each tensor already."""

_DIRECTIONS = (("forward", ""), ("reverse", "_reverse"))
_PLACES = ("the layers", "both directions")
_MOST_LAYERS = 1000

TensorNames = Mapping[str, tuple[Path, str]]
"""By parameter: where its tensor is named, and how."""


@dataclass(frozen=True, eq=False)
class Named:
    """What `parameters` give.

    Attributes:
        sizes: config key to the value that the tensors say.
        trained: the parameters for each cell.
        tensors: all that the file holds.
    """

    sizes: Mapping[str, Any]
    trained: Mapping[Cell, Trained]
    tensors: Tensors

    def trained_run(self, run: Run) -> Run:
        """The run with the file's parameters in place of random ones."""
        return run.with_trained(self.trained[run.cell])


def read_named(
    config: Config,
    cells: Sequence[Cell],
    folder: FilePath,
    faults: Faults,
    tensors: Tensors | None = None,
) -> Named | None:
    """The parameters of a config's cells, where its `weights` names a tensor for each; None where
    it does not, or if something is wrong, which is a fault then. The file is read unless its
    `tensors` are given."""
    weights = config.weights
    if weights is None or weights.parameters is None or not cells:
        return None
    from gradflow.weights import read  # if there is a file
    from gradflow.weights.named import Reader

    before = len(faults.found)
    for key in NOT_BESIDE:
        if getattr(weights, key) is not None:
            message = "has no meaning with parameters, which name each tensor"
            faults.add(("weights", key), message, key=True)
    try:
        tensors = tensors or read(folder / weights.file)
    except InputError as error:
        faults.adopt(error.faults, ("weights",))
        return None
    for key in ONLY_DRAWN:
        if _is_given(config, key):
            message = f"has no meaning with weights: they come from {weights.file}"
            faults.add((key,), message, key=True)
    net = _Net(config, weights, Reader(tensors), faults)
    cells = list(dict.fromkeys(cells))
    net.check_names(cells)
    trained = {cell: net.of(cell) for cell in cells}
    return Named(net.sizes, trained, tensors) if len(faults.found) == before else None


def _places(config: Config, weights: WeightsModel, faults: Faults) -> dict[Place, TensorNames]:
    """Which tensors are named for each layer and direction; empty if that is not known."""
    given = weights.parameters
    listed = given if isinstance(given, list) else None
    layers = len(listed) if listed is not None and not _is_given(config, "layers") else None
    layers = layers or config.layers[0]
    if len(config.layers) > 1 or layers > _MOST_LAYERS:
        message = f"expected one number of layers with parameters, at most {_MOST_LAYERS}"
        faults.add(("layers",), message)
        return {}
    if listed is not None and len(listed) != layers:
        message = f"expected a mapping for each of the {many(layers, 'layer')}, found {len(listed)}"
        faults.add(("weights", "parameters"), message)
        return {}
    found: dict[Place, TensorNames] = {}
    for layer in range(layers):
        for direction in range(1 + config.bidirectional):
            way, reverse = _DIRECTIONS[direction]
            words = {"{layer}": str(layer), "{direction}": way, "{reverse}": reverse}
            start: Path = ("weights", "parameters") + ((layer,) if listed is not None else ())
            own = listed[layer] if listed is not None else given
            assert isinstance(own, dict)
            found[layer, direction] = {
                name: ((*start, name), _filled(text, words)) for name, text in own.items()
            }
    return found if _differ(found, faults) else {}


def _differ(places: Mapping[Place, TensorNames], faults: Faults) -> bool:
    """Whether each layer and direction has its own tensors."""
    texts = {at: [text for _, text in own.values()] for at, own in places.items()}
    for at, own in texts.items():
        for other, remedy in (
            ((at[0] - 1, at[1]), "put {layer} into the names, or give a list, one mapping a layer"),
            ((at[0], at[1] - 1), "put {direction} or {reverse} into the names"),
        ):
            if own and texts.get(other) == own:
                message = f"{_PLACES[at[1] > 0]} have the same tensors: {remedy}"
                faults.add(("weights", "parameters"), message)
                return False
    return True


def _filled(text: str, words: Mapping[str, str]) -> str:
    return re.sub("{(layer|direction|reverse)}", lambda found: words[found[0]], text)


def _is_given(config: Config, key: str) -> bool:
    return key in config.model_fields_set


@dataclass
class _Net:
    """Reads the parameters of one config; what is wrong is a fault once, whichever cell it is
    of."""

    config: Config
    weights: WeightsModel
    reader: Reader
    faults: Faults
    sizes: dict[str, Any] = field(default_factory=dict)
    places: dict[Place, TensorNames] = field(default_factory=dict)
    _arrays: dict[str, Array | None] = field(default_factory=dict)
    _before: int = 0
    _added: set[tuple[Path, Fault]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._before = len(self.faults.found)
        self.places = _places(self.config, self.weights, self.faults)
        self.sizes["layers"] = [1 + max((layer for layer, _ in self.places), default=0)]

    def check_names(self, cells: Iterable[Cell]) -> None:
        """Add faults for parameters that no cell has, or that one has and the config does not
        name."""
        cells = list(cells)
        known = list(dict.fromkeys(p.name for cell in cells for p in cell.equations.parameters))
        for names in self.places.values():
            for name, (path, _) in names.items():
                if name not in known:
                    self.faults.add(path, unknown_key(name, known), key=True)
            for cell in cells:
                self._check_all_there(cell, names)
        for cell in cells:
            self._check_options(cell)

    def _check_all_there(self, cell: Cell, names: TensorNames) -> None:
        used = _shapes(cell, *self._config_sizes())
        missing = [
            p.name for p in cell.equations.parameters
            if p.trained and p.name in used and p.name not in names
        ]  # fmt: skip
        if missing:
            at = next((path[:-1] for path, _ in names.values()), ("weights", "parameters"))
            are = "is" if len(missing) == 1 else "are"
            listed = " and ".join(", ".join(missing).rsplit(", ", 1))
            message = f"expected a tensor for each parameter of {cell.name}: {listed} {are} missing"
            self.faults.add(at, message)

    def _check_options(self, cell: Cell) -> None:
        """Add faults for options that only make initial values, which the file gives."""
        given = next(iter(self.places.values()), {})
        check_options(cell, given, self.weights.file, self.faults)

    def of(self, cell: Cell) -> Trained:
        """The parameters of a cell at every place, as far as nothing is wrong."""
        params: dict[Place, Mapping[str, Array]] = {}
        hidden: dict[Place, int] = {}
        widths: dict[Place, int] = {}
        for at, names in self.places.items():
            arrays = {name: array for name, (path, text) in names.items()
                      if (array := self._array(path, text)) is not None}  # fmt: skip
            H, I = self._sizes_at(cell, at, arrays, widths)  # noqa: E741
            hidden[at] = H
            try:
                sized = cell.sized(H, I)
            except EquationsError as wrong:
                sizes = f"with hidden_size {H} and input_size {I}"
                self.faults.add(("cell",), f"{cell.name} {sizes}: {wrong.mistakes[0].message}")
                continue
            widths[at] = sized.P
            symbols = _shapes(cell, H, I)
            params[at] = {
                name: self._fitted(names[name], array, symbols[name], parameter.shape)
                for name, array in arrays.items()
                if (parameter := sized.parameters.get(name)) is not None
            }
        output = self._output_layer(widths)
        merge = self.weights.merge or "concat"
        return Trained(params, hidden, output, merge=merge, as_is=True)

    def _array(self, path: Path, text: str) -> Array | None:
        if text not in self._arrays:
            try:
                self._arrays[text] = self.reader.array(text)
            except InputError as error:
                self._arrays[text] = None
                new = [fault for fault in error.faults if (path, fault) not in self._added]
                self._added.update((path, fault) for fault in new)
                self.faults.adopt(new, path)
        return self._arrays[text]

    def _config_sizes(self) -> tuple[int, int]:
        return self.config.hidden_size[0], self.config.input_size

    def _sizes_at(
        self, cell: Cell, at: Place, arrays: Mapping[str, Array], widths: Mapping[Place, int]
    ) -> tuple[int, int]:
        """H and I of a place: what most of its arrays say, or else the config."""
        usual, I = self._config_sizes()  # noqa: E741
        below: int | None = None
        if at[0]:
            lower = [width for (layer, _), width in widths.items() if layer == at[0] - 1]
            below = sum(lower) if self.weights.merge in (None, "concat") else max(lower, default=0)
            below = below or I
        elif at[1]:
            below = self.sizes["input_size"]
        shapes = _shapes(cell, usual, I)
        pairs = [(shapes[name], array.shape) for name, array in arrays.items() if name in shapes]
        H, inputs = _solved(pairs, below)
        if at[0] == 0 and at[1] == 0:
            self._agree("hidden_size", H, [H])
            self._agree("input_size", inputs, inputs)
        return H or usual, inputs or I

    def _agree(self, key: str, size: int | None, value: Any) -> None:
        """A size that the file says, and that the config may not contradict."""
        given = getattr(self.config, key)
        if size is None:
            self.sizes.setdefault(key, given)
            if isinstance(given, list) and len(given) > 1:
                self.faults.add((key,), "expected one value with parameters that do not say it")
        elif self.sizes.setdefault(key, value) != value or (
            _is_given(self.config, key) and given != value
        ):
            found = given[0] if isinstance(given, list) and len(given) == 1 else given
            message = f"expected {size}, which {self.weights.file} has, found {found}"
            self.faults.add((key,), message)

    def _fitted(
        self, named: tuple[Path, str], array: Array, symbols: Shape, shape: tuple[int, ...]
    ) -> Array:
        """The array in the declared shape; a fault if it has another."""
        if array.shape == shape or (array.shape == () and set(shape) == {1}):
            return array.reshape(shape)
        path, text = named
        declared = f"{spelled(symbols)} = {shape}" if any(s.h or s.i for s in symbols) else shape
        message = f"expected the shape {declared}, found {array.shape}"
        self.faults.add(path, message + _remedy(text, array.shape, shape))
        return array

    def _output_layer(self, widths: Mapping[Place, int]) -> tuple[Array, Array] | None:
        """W_o (O, P of every direction) and b_o (O,), where the config names them."""
        weights = self.weights
        if weights.W_o is None or len(self.faults.found) > self._before or not widths:
            return None
        from gradflow.weights.selection import of_both_directions

        W_o = self._array(("weights", "W_o"), weights.W_o)
        b_o = self._array(("weights", "b_o"), weights.b_o) if weights.b_o is not None else None
        if W_o is None:
            return None
        top = [width for (layer, _), width in widths.items() if layer == max(widths)[0]]
        merge = weights.merge if weights.merge and len(top) > 1 else "concat"
        width = sum(top) if merge == "concat" else top[0]
        if W_o.ndim != 2 or W_o.shape[1] != width:
            message = f"expected the shape (O, {width}), found {W_o.shape}"
            remedy = _remedy(weights.W_o, W_o.shape, (W_o.shape[-1] if W_o.ndim else 0, width))
            self.faults.add(("weights", "W_o"), message + remedy)
            return None
        if b_o is not None and b_o.shape != (len(W_o),):
            message = f"expected the shape ({len(W_o)},), found {b_o.shape}"
            self.faults.add(("weights", "b_o"), message)
            return None
        try:
            W_o = of_both_directions(self.reader.tensors, W_o, merge)
        except InputError as error:
            self.faults.adopt(error.faults, ("weights", "W_o"))
            return None
        self.sizes["output_size"] = len(W_o)
        return W_o, b_o if b_o is not None else W_o[:, 0] * 0


def check_options(cell: Cell, given: Iterable[str], file: str, faults: Faults) -> None:
    """Add faults for options that only make initial values of the parameters that a file gives."""
    defaults, reads = cell.equations.defaults, effects(cell.equations)
    for option, _ in reads.idle(cell.options, frozenset(given)):
        if cell.options[option] != defaults[option]:
            message = f"{option} makes initial values, and these come from {file}"
            faults.add(("cell", option), f"{message}: leave it out")


def _shapes(cell: Cell, H: int, I: int) -> Mapping[str, Shape]:  # noqa: E741
    """The declared shapes of the parameters that a cell uses."""
    return cell.compiled_for(H, I).step.shapes


def _solved(
    pairs: Sequence[tuple[Shape, tuple[int, ...]]], I: int | None  # noqa: E741
) -> tuple[int | None, int | None]:  # fmt: skip
    """The H and I at which most sizes are those that were found; I may be known."""
    sizes = [
        pair for shape, found in pairs if len(shape) == len(found)
        for pair in zip(shape, found, strict=True)
    ]  # fmt: skip
    H: int | None = None
    for _ in range(2):  # what is one alone first, then what is a sum of both
        votes = Counter(_quotients(((s.h, n - s.n, s.i) for s, n in sizes), I))
        H = votes.most_common(1)[0][0] if votes and H is None else H
        votes = Counter(_quotients(((s.i, n - s.n, s.h) for s, n in sizes), H))
        I = votes.most_common(1)[0][0] if votes and I is None else I  # noqa: E741
    return H, I


def _quotients(terms: Iterable[tuple[int, int, int]], other: int | None) -> Iterator[int]:
    """The n with count x n + its x other = whole, where it is a whole number."""
    for count, whole, its in terms:
        if count and (its == 0 or other is not None):
            rest = whole - its * (other or 0)
            if rest > 0 and rest % count == 0:
                yield rest // count


def _remedy(text: str, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """How to write what would fit."""
    if len(found) == 2 and found[::-1] == expected and found != expected:
        return f"; its transpose fits: {text}.T"
    if len(found) == 2 and len(expected) == 1 and 1 in found and max(found) == expected[0]:
        return f"; write {text}[{'0' if found[0] == 1 else ':, 0'}]"
    return ""
