"""The contract every recurrent cell keeps.

Axis letters: T steps, R runs advanced together, N batch, I input, H hidden, G = H x gates,
P the components of h (H, but where a cell projects it), S those of all state parts. Leading axes
are free: a state is (..., N, S), a pre-activation (..., N, G), a recurrent matrix (..., G, P). So
the same code serves one net, a stack of runs (R, N, S), and a basis of cotangents pushed through
together. Forward code also takes complex arrays.

A cell says its mathematics in three places that stand under each other in its file:

`step`       one step forward, as the paper writes it;
`linearize`  its local partial derivatives, for many steps at once (they need no recurrence);
`pullback`   the chain rule of one step backward: ds_t to ds_{t-1} and dz_t.

They work on columns (..., width, N), a sample a column, as the papers have it: z += W_s h. Before
them stand `forward_views` and `backward_views`, which cut the arrays of many steps into gates and
parts of the state at once; the engine then goes through the views step by step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

from gradflow.columns import Array


class Params(NamedTuple):
    """The parameters of one cell; leading axes (one per run) are free.

    W_x (..., G, I) and W_s (..., G, P), gates stacked on the rows; b_x and b_s (..., G); W_p
    (..., P, H) of a cell that projects its output, else None.
    """

    W_x: Array
    W_s: Array
    b_x: Array
    b_s: Array
    W_p: Array | None = None

    def map(self, function: Callable[..., Array], *others: Params) -> Params:
        """`function` of each array that is there, and of the same one of each of `others`."""
        by_name = zip(self._fields, self, *others, strict=True)
        return Params(**{name: function(*own) for name, *own in by_name if own[0] is not None})


Local = tuple[Array, ...]
"""What `linearize` hands to `pullback`: arrays (..., N, width), the widths in `Cell.local`."""

Views = tuple[Array, ...]
"""Gates and parts of the state, cut from the arrays of one or many steps: columns (..., ., N)."""

Factor = tuple[slice, Array]
"""Rows of W_s and the right factor (..., N, P) of their outer product."""


@dataclass(frozen=True)
class Cell(ABC):
    """A recurrent cell; its fields are its hyper-parameters."""

    name: ClassVar[str]
    gates: ClassVar[tuple[str, ...]]
    state_parts: ClassVar[tuple[str, ...]] = ("h",)
    saved: ClassVar[int]  # width, in units of H, of what `step` saves for `linearize`
    local: ClassVar[tuple[int, ...]]  # widths, in units of H, of what `linearize` fills
    projects: ClassVar[bool] = False  # whether it has a W_p
    option_help: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def forward_views(self, z: Array, saved: Array, s: Array, s_next: Array) -> Views:
        """The views that `step` and `linearize` work on.

        Args:
            z: (..., N, G) holding W_x x_t + `input_bias`; the recurrent part is added in place, and
                what `linearize` needs may be put there.
            saved: (..., N, saved x H), filled with what `linearize` needs.
            s: (..., N, S), the state s_{t-1}.
            s_next: (..., N, S), filled with s_t.
        """

    @abstractmethod
    def step(self, views: Views, p: Params) -> None:
        """One step: s_{t-1} to s_t."""

    @abstractmethod
    def linearize(self, views: Views, local: Local) -> None:
        """Fill `local`, (..., N, .) each, with the local partial derivatives of any number of
        steps, from what `step` left in their views."""

    @abstractmethod
    def backward_views(self, local: Local, ds: Array, dz: Array, ds_prev: Array) -> Views:
        """The views that `pullback` works on.

        Args:
            local: what `linearize` filled.
            ds: (..., N, S), dL/ds_t.
            dz: (..., N, G), filled with dL/dz_t, the cotangent of W_x x_t + b_x.
            ds_prev: (..., N, S), filled with dL/ds_{t-1}.
        """

    @abstractmethod
    def pullback(self, views: Views, p: Params) -> None:
        """One step of the chain rule: dL/ds_t to dL/dz_t and dL/ds_{t-1}."""

    def input_bias(self, p: Params) -> Array:
        """(..., G): the bias that can be added before the recurrence starts."""
        return p.b_x + p.b_s

    def recurrent_factors(self, local: Local, dz: Array, s: Array) -> tuple[Array, list[Factor]]:
        """dL/dW_s of each step as sums over the batch of outer products left ⊗ right.

        Returns:
            left: (..., N, G), the cotangent of the recurrent part, whose sum is dL/db_s;
            factors: for each block of rows of W_s, the right factor (..., N, P).
        """
        return dz, [(slice(None), self.parts(s)["h"])]

    def output_size(self, hidden_size: int) -> int:
        """P, from H."""
        return hidden_size

    def state_size(self, hidden_size: int) -> int:
        """S, from H: the first part, h, has P components, every other one H."""
        return self.output_size(hidden_size) + hidden_size * (len(self.state_parts) - 1)

    def hidden_size(self, state_size: int) -> int:
        """H, from S."""
        return state_size // len(self.state_parts)

    def parts(self, s: Array) -> dict[str, Array]:
        """The named parts of a state (..., N, S), as views."""
        H = self.hidden_size(s.shape[-1])
        P = self.output_size(H)
        others = enumerate(self.state_parts[1:])
        return {"h": s[..., :P]} | {name: s[..., P + i * H :][..., :H] for i, name in others}

    def named_biases(self) -> Mapping[str, float]:
        """Gate name to the constant an option adds to its bias."""
        return {}

    @property
    def options(self) -> dict[str, Any]:
        """The hyper-parameters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def label(self) -> str:
        """The short label: the name, then the options that differ from their default."""
        changed = [
            f"{f.name}={_short(getattr(self, f.name))}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        ]
        return f"{self.name}[{' '.join(changed)}]" if changed else self.name


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
