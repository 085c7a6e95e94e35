"""The config's keys, types and defaults, as pydantic models; the cells' part comes from CELLS."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gradflow.cells import CELLS
from gradflow.config.bare import as_mapping
from gradflow.config.bases import MEANING, BaseChoice, InitModel, InputBaseChoice
from gradflow.config.forms import ExpectForms, MeasureForms, NameOr, OneOrMany, Strict, TextOr
from gradflow.config.numbers import Bytes, Index, Seed, Size
from gradflow.engine.lengths import BUDGET

T = TypeVar("T")


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _or_bare(key: str) -> BeforeValidator:
    """At this key a bare name may be given for the mapping."""
    return BeforeValidator(lambda value: as_mapping(key, value))


Axis = Annotated[list[T], Field(min_length=1), BeforeValidator(_listed), OneOrMany()]
Real = Annotated[float, Field(ge=-1e100, le=1e100, allow_inf_nan=False)]
FileName = Annotated[str, Field(min_length=1)]
NotNegative = Annotated[float, Field(ge=0, le=1e100, allow_inf_nan=False)]


CellChoice: TypeAlias = Any
"""A cell: `cells` looks at it, since what it may be follows from equations, which are read where
they are used."""


# Tags in brackets: pydantic puts them into its locations, where they must not look like keys.


def _by_type(value: object) -> str:
    """Which branch of a union a value belongs to, by its type alone."""
    return "(text)" if isinstance(value, str) else "(number)"


ByType = Discriminator(_by_type)
Column = Annotated[Annotated[str, Tag("(text)")] | Annotated[Index, Tag("(number)")], ByType]
NumberOrFile = Annotated[Annotated[Real, Tag("(number)")] | Annotated[str, Tag("(text)")], ByType]
Lags = Annotated[
    Annotated[Literal["auto", "all"], Tag("(name)")]
    | Annotated[list[Index], Field(min_length=1), Tag("(list)")],
    Discriminator(lambda value: "(list)" if isinstance(value, list) else "(name)"),
]

OneOrStacked = Annotated[
    Annotated[str, Tag("(text)")] | Annotated[list[str], Field(min_length=1), Tag("(list)")],
    Discriminator(lambda value: "(list)" if isinstance(value, list) else "(text)"),
]


class GaussianSignal(Strict):
    """Independent N(0, scale²) draws."""

    kind: Literal["gaussian"]
    scale: NotNegative = 1.0


class Zeros(Strict):
    """All zero."""

    kind: Literal["zeros"]


class FileInput(Strict):
    """A series from a file: 2-d (T, I) or 3-d (T, N, I), with an embedding whole numbers (T) or
    (T, N)."""

    file: FileName = Field(description="a .csv, .tsv, .npy or .npz, next to the config")
    columns: list[Column] | None = Field(
        None, description="the columns of a CSV, by header name or number from 0"
    )
    key: str | None = Field(None, description="the array of a .npz that holds several")
    standardize: bool = Field(False, description="to zero mean and unit variance, per column")
    embedding: str | None = Field(
        None,
        description="the tensor of the weights' file in which the series' whole numbers are looked "
        "up, one a row",
    )
    window: Size | None = Field(None, description="cut the series into windows of this many steps")
    stride: Size = Field(1, description="steps from the start of one window to that of the next")


class FileState(Strict):
    """A state from a .npz file: an array (N, width) for each part by its name, `h`, `c`; of a net
    of several layers or directions `h_l0`, `h_l0_reverse`, ..."""

    file: FileName = Field(description="a .npz, next to the config")


def _kind_or(file: str) -> Discriminator:
    """The kind of a mapping, or this tag where it names a file."""

    def tag(value: object) -> str | None:
        if isinstance(value, dict):
            return file if "file" in value else value.get("kind")
        return file if hasattr(value, "file") else getattr(value, "kind", None)

    return Discriminator(tag)


InputChoice = Annotated[
    Annotated[GaussianSignal, Tag("gaussian")]
    | Annotated[Zeros, Tag("zeros")]
    | Annotated[FileInput, Tag("(file)")],
    _kind_or("(file)"),
    _or_bare("input"),
    NameOr("gaussian", "zeros"),
]
StateChoice = Annotated[
    Annotated[GaussianSignal, Tag("gaussian")]
    | Annotated[Zeros, Tag("zeros")]
    | Annotated[FileState, Tag("(state)")],
    _kind_or("(state)"),
    _or_bare("initial_state"),
    NameOr("gaussian", "zeros"),
]


class EveryModel(Strict):
    """Steps n, 2n, 3n, ..."""

    every: Size


def _kind_of_steps(value: object) -> str:
    if isinstance(value, list):
        return "(list)"
    return "(every)" if isinstance(value, dict | EveryModel) else "(name)"


_Steps = Field(min_length=1, json_schema_extra={"uniqueItems": True})
LossSteps = Annotated[
    Annotated[Literal["last", "all"], Tag("(name)")]
    | Annotated[list[Size], _Steps, Tag("(list)")]
    | Annotated[EveryModel, Tag("(every)")],
    Discriminator(_kind_of_steps),
]


class LossModel(Strict):
    """The loss, and the steps at which it is read."""

    kind: Literal["mse", "cross_entropy", "probe", "sum"] = Field(
        description="a name that may also be given alone"
    )
    target: NumberOrFile | None = Field(
        None,
        description="mse: Y as a number or a file of shape (N, O), or (T', N, O), one for each "
        "step of the loss or of the input; cross_entropy: the class, or a file of N or (T', N) "
        "classes; drawn at random where not given",
    )
    at: LossSteps = Field(
        "last", description="last, all, a list of steps 1..T or {every: n}: where the loss is read"
    )
    reduce: Literal["mean", "sum"] = Field("mean", description="of the losses of these steps")
    truncate: Size | None = Field(
        None, description="the state is cut off from its past every so many steps"
    )

    @model_validator(mode="after")
    def _target_fits(self) -> LossModel:
        if self.target is not None and self.kind in ("probe", "sum"):
            raise PydanticCustomError(
                "no_target", f"the loss {self.kind} has no target: leave `target` out"
            )
        return self


LossChoice = Annotated[LossModel, _or_bare("loss"), NameOr("mse", "cross_entropy", "probe", "sum")]


_ByName = dict[str, Annotated[str, Field(min_length=1)]]
Parameters = Annotated[
    Annotated[_ByName, Tag("(mapping)")]
    | Annotated[list[_ByName], Field(min_length=1), Tag("(list)")],
    Discriminator(lambda value: "(list)" if isinstance(value, list) else "(mapping)"),
]


class WeightsModel(Strict):
    """A file of trained parameters, and which of its tensors are meant."""

    file: FileName = Field(description="the file, next to the config")
    prefix: OneOrStacked | None = Field(
        None, description="the net in a file of several; a list stacks them"
    )
    layer: Index | None = Field(None, description="one layer of the net")
    direction: Literal["forward", "reverse"] | None = Field(
        None, description="one direction of a bidirectional layer"
    )
    merge: Literal["concat", "sum", "ave", "mul"] | None = Field(
        None, description="what both directions of a layer hand to the next: side by side, or one"
    )
    parameters: Parameters | None = Field(
        None,
        description="a tensor for each parameter that the cell declares, with rows or a transpose "
        'if need be: {W_f: "rnn.weight_ih[0:128]", U_f: "cell.kernel.T"}; {layer}, {direction} and '
        "{reverse} in a name are those of the place; or a list of such mappings, one a layer",
    )
    W_x: str | None = Field(None, description="the tensor's name, in a file of no known scheme")
    W_s: str | None = Field(None, description="likewise")
    b_x: str | None = Field(None, description="likewise")
    b_s: str | None = Field(None, description="likewise")
    W_p: str | None = Field(None, description="likewise, the projection of an LSTM's output")
    W_o: str | None = Field(None, description="the tensor that is the output layer")
    b_o: str | None = Field(None, description="likewise, its bias")


WeightsChoice = Annotated[WeightsModel, _or_bare("weights"), TextOr()]


class Thresholds(Strict):
    """Bounds on the gradient relative to lag 0."""

    vanishing: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        default=1e-3, description="below it the gradient has vanished"
    )
    exploding: Annotated[float, Field(gt=1, le=1e300, allow_inf_nan=False)] = Field(
        default=1e3, description="above it it has exploded"
    )


class Config(Strict):
    """What gradflow is to run. Only `cell` has no default, and `weights` can say it. A key
    that takes a list, or a range of numbers, runs every combination, in the order of the keys
    here."""

    title: str | None = Field(None, description="a heading for the results")
    cell: Axis[CellChoice] = Field(
        description=f"{', '.join(CELLS)} or a mapping {{type: ..., options}}; `gradflow cells` "
        "lists them"
    )
    sequence_length: Axis[Size] = Field([100], description="T, the steps unrolled")
    hidden_size: Axis[Size] = Field([64], description="H, the size of the hidden state")
    layers: Axis[Size] = Field([1], description="how many layers are stacked")
    bidirectional: bool = Field(
        False, description="whether each layer runs in both directions of time"
    )
    input_size: Size = Field(16, description="I; taken from the file where `input` is one")
    output_size: Size = Field(1, description="O, the size of the output layer")
    batch_size: Size = Field(32, description="N; taken from the file where `input` is one")
    ws_init: Axis[BaseChoice] = Field(["gaussian"], description=MEANING)
    ws_scale: Axis[Real] = Field([1.0], description="W_s = ws_scale x base, every gate block")
    wx_init: Axis[InputBaseChoice] = Field(
        ["gaussian"], description="base of W_x, N(0, 1/I) and so on"
    )
    wx_scale: Axis[Real] = Field([1.0], description="W_x = wx_scale x base")
    bias_scale: Axis[NotNegative] = Field(
        [0.0], description="biases N(0, bias_scale²), before any bias that a cell option names"
    )
    input: InputChoice = Field(
        GaussianSignal(kind="gaussian"),
        description="gaussian (independent N(0, 1)), zeros, {kind: gaussian, scale: 0.3} or "
        "{file: series.csv}, a path next to the config",
    )
    initial_state: StateChoice = Field(
        Zeros(kind="zeros"),
        description="zeros, {kind: gaussian, scale: 1.0} or {file: s0.npz}, an array for each part "
        "of the state by name: h, c, of a stack h_l0, h_l0_reverse, ...",
    )
    loss: LossChoice = Field(
        LossModel(kind="mse", target=None, at="last", reduce="mean", truncate=None),
        description="mse: ½‖O_T - Y‖², Y ~ N(0, 1); cross_entropy: over output_size classes; "
        "probe: v·s_T, v a random unit vector; sum: the sum of h_T. A mapping "
        "{kind: mse, target: 0.0} sets the target; `at: last` (each direction's own last step), "
        "`all`, a list of steps 1..T or `{every: n}` says where it is read, `reduce: mean` or "
        "`sum` what becomes of these, `truncate: k` cuts the state off from its past every k steps",
    )
    weights: WeightsChoice | None = Field(
        None,
        description="a file of trained parameters instead of random ones, next to the config "
        "(gradflow inspect says what is in it); sizes and, if the file says it, the cell come "
        "from it. A mapping {file: ..., prefix: ..., layer: ...} says which net, "
        "{file: ..., parameters: {W: TENSOR, ...}} a tensor for each parameter of the cell",
    )
    measure: Annotated[Any, MeasureForms()] = Field(
        [],
        description="what to measure besides the gradient: names of measures, or mappings "
        "{type: ..., options}",
    )
    expect: Annotated[Any, ExpectForms()] = Field(
        [],
        description="what `gradflow check` holds the results to: a list of mappings such as "
        "{where: {cell: lstm}, horizon: {min: 100}}",
    )
    dtype: Literal["float64", "float32"] = Field("float64", description="of the whole computation")
    tape_memory: Bytes = Field(
        BUDGET,
        description="bytes kept of a run for its backward pass, such as 512MiB; what goes beyond "
        "is computed again, which changes no digit",
    )
    seed: Axis[Seed] = Field(
        [0], description="all randomness: same config, same machine, same bytes out"
    )
    lags: Lags = Field(
        "auto",
        description="which lags tables show: auto (about 20, log-spaced), all or a list; CSV holds "
        "all lags unless this is a list, JSON always",
    )
    thresholds: Thresholds = Field(
        Thresholds(), description="on the gradient relative to lag 0, for horizon and verdict"
    )


SWEPT = tuple(
    name
    for name, field in Config.model_fields.items()
    if any(isinstance(one, OneOrMany) for one in field.metadata)
)
"""The keys that may be lists, in the order of the model; the last one varies fastest."""


def _kind(name: str) -> object:
    """What the items of a swept key are: int, float, or something else."""
    item = get_args(Config.model_fields[name].annotation)[0]
    return next(iter(get_args(item)), item)


NUMBERS = {name: _kind(name) is int for name in SWEPT if _kind(name) in (int, float)}
"""Those whose values are numbers, which may be a range, and whether they are whole ones."""

MODELS: dict[str, type[Strict]] = {
    "(init)": InitModel,
    "gaussian": GaussianSignal,
    "zeros": Zeros,
    "(file)": FileInput,
    "(state)": FileState,
    "loss": LossModel,
    "at": EveryModel,
    "thresholds": Thresholds,
    "weights": WeightsModel,
}
"""The mappings within a config, by the union tag or else the key that pydantic locates them at."""
