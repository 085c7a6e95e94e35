"""The config's keys, types and defaults, as pydantic models; the cells' part comes from CELLS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from gradflow.cells import CELLS
from gradflow.config.bases import MEANING, BaseChoice, InitModel, InputBaseChoice
from gradflow.engine.flow import BUDGET
from gradflow.equations.declaration import Option

T = TypeVar("T")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _OneOrMany:
    """In the schema of a list: its only item may also stand alone."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


class _NameOr:
    """In the schema of a mapping: one of these names may stand for it."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.names)}, handler(core)]}


class _TextOr:
    """In the schema of a mapping: any text may stand for it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(core)]}


class _OrOwnCell:
    """In the schema of a cell: a file of equations, equations, and options that are lists."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        named = {"type": "object", "required": ["type"]}
        kinds = [{"const": "equations"}, {"type": "string", "pattern": r"[./\\]"}]
        own = {**named, "properties": {"type": {"anyOf": kinds}}}
        listed = {**named, "not": {"additionalProperties": {"not": {"type": "array"}}}}
        file = kinds[1]
        return {"anyOf": [handler(core), file, own, listed]}


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _named(key: str) -> BeforeValidator:
    """A bare name stands for the mapping `{key: name}`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _whole(value: object) -> object:
    """1e6 is a whole number, though YAML reads it as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_BYTES = re.compile(r"^([0-9]{1,12}) ?(KiB|MiB|GiB)$")


def _bytes(value: object) -> object:
    """`512MiB` as a number of bytes."""
    found = _BYTES.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    return int(found[1]) << {"KiB": 10, "MiB": 20, "GiB": 30}[found[2]]


Axis = Annotated[list[T], Field(min_length=1), BeforeValidator(_listed), _OneOrMany()]
_LARGEST = 2**62  # more than any machine has room for, and products of it still fit a float
Size = Annotated[int, Field(ge=1, le=_LARGEST), BeforeValidator(_whole)]
Index = Annotated[int, Field(ge=0, le=_LARGEST), BeforeValidator(_whole)]
Seed = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_whole)]
Bytes = Annotated[
    int,
    Field(ge=1, le=2**60),
    BeforeValidator(lambda value: _bytes(_whole(value))),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 2**60},
                {"type": "string", "pattern": _BYTES.pattern},
            ]
        }
    ),
]
Real = Annotated[float, Field(ge=-1e100, le=1e100, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e100, allow_inf_nan=False)]


_WHOLE = Annotated[Size, Field(le=10**9)]


def _cell_model(name: str) -> Any:
    """The mapping `{type: name, options}` of one cell, from its declaration."""
    equations = CELLS[name].equations
    about, bounds = dict(equations.help), dict(equations.bounds)
    options: dict[str, Any] = {
        option: (
            _option_type(given, dict(bounds.get(option, ()))),
            Field(equations.defaults[option], description=about[option]),
        )
        for option, given in equations.options
    }
    tag: Any = (Literal[name], ...)
    return create_model(name, __base__=_Strict, type=tag, **options)


def _option_type(given: Option, bounds: dict[str, float]) -> Any:
    """What an option may be, from its default; a number within `bounds` if it has some."""
    if isinstance(given, tuple):
        return Literal[given]
    if bounds:
        limits: dict[str, Any] = bounds
        return Annotated[float, Field(allow_inf_nan=False, **limits)]
    return _WHOLE if isinstance(given, int) else Real


CELL_MODELS: dict[str, type[BaseModel]] = {name: _cell_model(name) for name in CELLS}
"""The mapping of each cell, by its name."""

if TYPE_CHECKING:  # made from CELLS, which a type checker cannot follow
    CellChoice: TypeAlias = BaseModel
else:
    CellChoice = Annotated[
        Union[tuple(CELL_MODELS.values())],  # noqa: UP007 (| cannot take a tuple)
        Field(discriminator="type"),
        _named("type"),
        _OrOwnCell(),
        _NameOr(*CELLS),
    ]


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


class GaussianSignal(_Strict):
    """Independent N(0, scale²) draws."""

    kind: Literal["gaussian"]
    scale: NotNegative = 1.0


class Zeros(_Strict):
    """All zero."""

    kind: Literal["zeros"]


class FileInput(_Strict):
    """A series from a file: CSV, .npy or .npz; 2-d (T, I) or 3-d (T, N, I), with an embedding whole
    numbers (T) or (T, N)."""

    file: Annotated[str, Field(min_length=1)]
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


def _kind_or_file(value: object) -> str | None:
    if isinstance(value, dict):
        return "(file)" if "file" in value else value.get("kind")
    return "(file)" if isinstance(value, FileInput) else getattr(value, "kind", None)


InputChoice = Annotated[
    Annotated[GaussianSignal, Tag("gaussian")]
    | Annotated[Zeros, Tag("zeros")]
    | Annotated[FileInput, Tag("(file)")],
    Discriminator(_kind_or_file),
    _named("kind"),
    _NameOr("gaussian", "zeros"),
]
StateChoice = Annotated[
    GaussianSignal | Zeros,
    Field(discriminator="kind"),
    _named("kind"),
    _NameOr("gaussian", "zeros"),
]


class LossModel(_Strict):
    """The loss at the last step."""

    kind: Literal["mse", "cross_entropy", "probe", "sum"]
    target: NumberOrFile | None = Field(
        None,
        description="mse: Y as a number or a file of shape (N, O); cross_entropy: the class, "
        "or a file of N classes; drawn at random where not given",
    )

    @model_validator(mode="after")
    def _target_fits(self) -> LossModel:
        if self.target is not None and self.kind in ("probe", "sum"):
            raise PydanticCustomError(
                "no_target", f"the loss {self.kind} has no target: leave `target` out"
            )
        return self


LossChoice = Annotated[LossModel, _named("kind"), _NameOr("mse", "cross_entropy", "probe", "sum")]


class WeightsModel(_Strict):
    """A file of trained parameters, and which of its tensors are meant."""

    file: Annotated[str, Field(min_length=1)]
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
    W_x: str | None = Field(None, description="the tensor's name, in a file of no known scheme")
    W_s: str | None = Field(None, description="likewise")
    b_x: str | None = Field(None, description="likewise")
    b_s: str | None = Field(None, description="likewise")
    W_p: str | None = Field(None, description="likewise, the projection of an LSTM's output")
    W_o: str | None = Field(None, description="the tensor that is the output layer")
    b_o: str | None = Field(None, description="likewise, its bias")


WeightsChoice = Annotated[WeightsModel, _named("file"), _TextOr()]


class Thresholds(_Strict):
    """Bounds on the gradient relative to lag 0."""

    vanishing: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    exploding: Annotated[float, Field(gt=1, le=1e300)] = 1e3


class Config(_Strict):
    """How gradflow is told what to run. Only `cell` has no default, and `weights` can tell it. A
    key that takes a list runs every combination, in the order in which the keys stand here."""

    title: str | None = Field(None, description="a heading for the results")
    cell: Axis[CellChoice] = Field(
        description=f"{', '.join(CELLS)} or a mapping {{type: ..., options}}; `gradflow cells` "
        "lists them"
    )
    sequence_length: Axis[Size] = Field([100], description="T, the steps unrolled")
    hidden_size: Axis[Size] = Field([64], description="H, the size of the hidden state")
    layers: Axis[Size] = Field([1], description="how many layers stand on each other")
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
        "{file: series.csv}, a path beside the config",
    )
    initial_state: StateChoice = Field(
        Zeros(kind="zeros"), description="zeros or {kind: gaussian, scale: 1.0}"
    )
    loss: LossChoice = Field(
        LossModel(kind="mse", target=None),
        description="mse: ½‖O_T - Y‖², Y ~ N(0, 1); cross_entropy: over output_size classes; "
        "probe: v·s_T, v a random unit vector; sum: the sum of h_T. A mapping "
        "{kind: mse, target: 0.0} sets the target",
    )
    weights: WeightsChoice | None = Field(
        None,
        description="a file of trained parameters in place of random ones, beside the config: "
        ".npz, .safetensors, .pt, .h5, .keras, .onnx; sizes and, where the file tells it, the "
        "cell come from it. A mapping {file: ..., prefix: ..., layer: ...} says which net",
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


MODELS: dict[str, type[BaseModel]] = {
    **CELL_MODELS,
    "(init)": InitModel,
    "gaussian": GaussianSignal,
    "zeros": Zeros,
    "(file)": FileInput,
    "loss": LossModel,
    "thresholds": Thresholds,
    "weights": WeightsModel,
}
"""The mappings within a config, by the union tag or else the key that pydantic locates them at."""
