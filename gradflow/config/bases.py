"""What `ws_init` and `wx_init` may be: a name, or a mapping that says what becomes of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gradflow.config.forms import Strict, Without
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


_NUMBER = {"type": "number"}


class InitModel(Strict):
    """How base matrices are drawn, and what is done to each block of them."""

    kind: BaseName = Field(description="a name that may also be alone")
    density: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="the share of entries that are not zero"
    )
    spectral_radius: Annotated[float, Field(gt=0, le=1e100, allow_inf_nan=False)] | None = Field(
        None,
        description="the largest absolute eigenvalue that each block is brought to, before "
        "ws_scale; W_s alone, of cells whose blocks of it are square: not lmu, lstmp",
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
    Without(kind={"const": "identity"}, density=_NUMBER),
]
InputBaseChoice = Annotated[
    BaseChoice, AfterValidator(_no_radius), Without(spectral_radius=_NUMBER)
]
