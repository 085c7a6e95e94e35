"""What `ws_init` and `wx_init` may be: a name, or a mapping that says what becomes of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from gradflow.runs.initializers import INITIALIZERS

if TYPE_CHECKING:  # made from INITIALIZERS, which a type checker cannot follow
    BaseName: TypeAlias = str
else:
    BaseName = Literal[tuple(INITIALIZERS)]

MEANING = (
    "base of each H x H block of W_s: gaussian N(0, 1/H), orthogonal (Haar), identity, uniform "
    "U(±1/√H), glorot U(±√(3/H)); fused_orthogonal and fused_glorot for all gates at once, as "
    "Keras; or {kind: gaussian, density: 0.1, spectral_radius: 0.9}"
)


class _Without:
    """In a schema: no mapping in which these keys have these values."""

    def __init__(self, **values: object) -> None:
        self.values = values

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        wrong = {"type": "object", "required": [*self.values], "properties": self.values}
        return {"allOf": [handler(core), {"not": wrong}]}


_NUMBER = {"type": "number"}


class InitModel(BaseModel):
    """How base matrices are drawn, and what is done to each block of them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: BaseName = Field(description="a name that may also stand alone")
    density: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="the share of entries that are not zero"
    )
    spectral_radius: Annotated[float, Field(gt=0, le=1e100)] | None = Field(
        None,
        description="the largest absolute eigenvalue that each block is brought to, before "
        "ws_scale; W_s alone, whose blocks are square",
    )

    @model_validator(mode="after")
    def _has_entries(self) -> InitModel:
        if self.kind == "identity" and self.density is not None:
            raise PydanticCustomError(
                "no_density", "the entries of the identity are given: leave `density` out"
            )
        return self


def _no_radius(value: str | InitModel) -> str | InitModel:
    if isinstance(value, InitModel) and value.spectral_radius is not None:
        raise PydanticCustomError(
            "no_radius", "W_x is not square and has no spectral radius: leave it out"
        )
    return value


BaseChoice = Annotated[
    Annotated[BaseName, Tag("(name)")] | Annotated[InitModel, Tag("(init)")],
    Discriminator(lambda value: "(init)" if isinstance(value, dict | InitModel) else "(name)"),
    _Without(kind={"const": "identity"}, density=_NUMBER),
]
InputBaseChoice = Annotated[
    BaseChoice, AfterValidator(_no_radius), _Without(spectral_radius=_NUMBER)
]
