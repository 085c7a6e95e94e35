"""LRU-pytorch, and the layouts that keep real and imaginary parts apart: `nu_log`, `theta_log`,
`gamma_log` (H), `B` (H, I) and `C` (P, H) complex or `B_re`, `B_im`, `C_re`, `C_im`, `D` (P, I).

A `D` of one number a channel, (P) with P = I, is a diagonal. The cell has H outputs: those beyond
the P of the file are 0, and more than H are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradflow.counts import many
from gradflow.weights.conventions.modules import TRANSPOSED, Module, nets
from gradflow.weights.layers import CellLayer, Net
from gradflow.weights.tensors import Array, Tensors, named

__all__ = ["NAME", "TRANSPOSED", "find"]

NAME = "LRU-pytorch"

_LOGS = ("nu_log", "theta_log", "gamma_log")
_MEMBERS = (*_LOGS, "B", "C", "B_re", "B_im", "C_re", "C_im", "D")

_BLANK = (
    "the file has {}, the others of {} are 0 here: C and D have rows of zeros for them, by which"
    " grad_other counts too where the loss sees them"
)


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of linear recurrent units."""
    yield from nets(tensors, _MEMBERS, _LOGS, 2, _layers)


def _layers(module: Module) -> Sequence[CellLayer]:
    (H,) = module.shape("nu_log", "H")
    direct = module.tensors.shape(module.name("D"))
    if len(direct) not in (1, 2) or 0 in direct:
        message = f"expected the shape (P, I), or (P) of a diagonal, found {direct}"
        raise module.refused(f"tensor {named(module.names['D'])}: {message}")
    P, I = direct[0], direct[-1]  # noqa: E741
    parameters = {name: module.array(name, "H", (H,)) for name in _LOGS}
    for letter, letters, shape in (("B", "H, I", (H, I)), ("C", "P, H", (P, H))):
        parts = _parts(module, letter, letters, shape)
        parameters |= {f"{letter}_re": parts[0], f"{letter}_im": parts[1]}
    D = module.array("D", "P, I", direct)
    parameters["D"] = D if D.ndim == 2 else np.diag(D)
    blank = max(H - P, 0)
    for name in ("C_re", "C_im", "D"):
        parameters[name] = np.pad(parameters[name], ((0, blank), (0, 0)))
    names = {**{name: name for name in _LOGS}, "D": "D"}
    for letter in "BC":
        for part in ("re", "im"):
            names[f"{letter}_{part}"] = letter if letter in module else f"{letter}_{part}"
    return [
        CellLayer(
            *(module.prefix, 0, "forward", NAME, "lru", parameters, H, "B_re", H),
            unsupported=(f"{many(P, 'output')} of {many(H, 'unit')}, and lru has one a unit",)
            if P > H
            else (),
            blank=blank,
            notes=(_BLANK.format(many(P, "output"), H),) if blank else (),
            names=module.origin(**names),
        )
    ]


def _parts(
    module: Module, letter: str, letters: str, shape: tuple[int, int]
) -> tuple[Array, Array]:
    """The real and the imaginary part of B or C."""
    if f"{letter}_re" in module or f"{letter}_im" in module:
        re, im = (module.array(f"{letter}_{part}", letters, shape) for part in ("re", "im"))
        return re, im
    array = module.array(letter, letters, shape, complex_=True)
    return np.ascontiguousarray(array.real), np.ascontiguousarray(array.imag)
