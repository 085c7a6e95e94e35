"""mambapy, and Mamba's own code: `A_log` (H, N), `D` (H), `x_proj.weight` (R + 2N, H),
`dt_proj.weight` (H, R) and `dt_proj.bias` of a block's selective state space.

The block's convolution is before the recurrence and its gate behind: the input here is what the
convolution gives, H channels. `x_proj` gives R numbers for the step, N for B, N for C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradflow.weights.conventions.modules import TRANSPOSED, Module, nets
from gradflow.weights.layers import CellLayer, Net
from gradflow.weights.tensors import Tensors, named

__all__ = ["NAME", "TRANSPOSED", "find"]

NAME = "mambapy"

_MARKS = ("A_log", "x_proj.weight", "dt_proj.weight")
_NORMS = tuple(
    f"{part}_layernorm.weight" for part in ("dt", "B", "C")
)  # Jamba's, between x_proj and what it is for
_MEMBERS = (*_MARKS, "dt_proj.bias", "D", "x_proj.bias", *_NORMS)

_BACKWARD = ("A_log_b", "A_b_log")  # mambapy's VMamba, and Vim's own code


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of selective state spaces."""
    yield from nets(tensors, _MEMBERS, _MARKS, 2, _layers)


def _layers(module: Module) -> Sequence[CellLayer]:
    for name in module.strangers:
        if name.endswith(_BACKWARD):
            message = "a block of both directions, whose sum is not computed here"
            raise module.refused(f"tensor {named(name)} is of {message}")
    H, N = module.shape("A_log", "H, N")
    R = module.shape("dt_proj.weight", "H, R")[1]
    x_proj = module.array("x_proj.weight", "R + 2 N, H", (R + 2 * N, H))
    parameters = {
        "W": np.eye(H),
        "W_d": x_proj[:R],
        "V_d": module.array("dt_proj.weight", "H, R", (H, R)),
        "b_d": module.array("dt_proj.bias", "H", (H,)),
        "W_B": x_proj[R : R + N],
        "W_C": x_proj[R + N :],
        "A_log": module.array("A_log", "H, N", (H, N)),
        "D": module.array("D", "H", (H,)),
    }
    others = [one for one in (*_NORMS, "x_proj.bias") if one in module]
    names = module.origin(
        W_d="x_proj.weight", V_d="dt_proj.weight", b_d="dt_proj.bias", W_B="x_proj.weight",
        W_C="x_proj.weight", A_log="A_log", D="D",
    )  # fmt: skip
    return [
        CellLayer(
            *(module.prefix, 0, "forward", NAME, "s6", parameters, H, "W_d", H),
            options={"d_state": N, "dt_rank": R},
            unsupported=tuple(f"{named(module.names[one])}, which s6 has not" for one in others),
            notes=(
                "a selective state space: its input here is what the block's convolution gives,"
                " and W, which brings the input to the channels, is the identity",
            ),
            names=names,
        )
    ]
