"""s5-pytorch: `Lambda` complex (H), `log_step` (H), `B` (H, I, 2), its real and imaginary parts,
`C` complex (I, H) and `D` (I); or `Lambda_re` and `Lambda_im`, and C (I, H, 2).

A bidirectional layer, whose C has 2 H columns, is refused. S5's own code may keep one of each pair
of conjugates, under which its output is twice the real part: its file does not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradflow.weights.conventions.modules import TRANSPOSED, Module, nets
from gradflow.weights.layers import CellLayer, Net
from gradflow.weights.tensors import Array, Tensors, named

__all__ = ["NAME", "TRANSPOSED", "find"]

NAME = "s5-pytorch"

_EIGENVALUES = ("Lambda", "Lambda_re")
_MEMBERS = (*_EIGENVALUES, "Lambda_im", "log_step", "B", "C", "D")


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of S5's state spaces."""
    for eigenvalues in _EIGENVALUES:
        yield from nets(tensors, _MEMBERS, (eigenvalues, "log_step"), 2, _layers)


def _layers(module: Module) -> Sequence[CellLayer]:
    step = module.tensors.shape(module.name("log_step"))
    letters = "H, 1" if len(step) == 2 else "H"
    H = module.shape("log_step", letters)[0]
    (I,) = module.shape("D", "I")  # noqa: E741
    if module.tensors.shape(module.name("C"))[1:2] == (2 * H,):
        both = f"a layer of both directions, 2 H = {2 * H} columns, which is not computed here"
        raise module.refused(f"tensor {named(module.names['C'])} is of {both}")
    L_re, L_im = _parts(module, "Lambda", "H", (H,))
    B_re, B_im = _parts(module, "B", "H, I", (H, I))
    C_re, C_im = _parts(module, "C", "I, H", (I, H))
    parameters = {
        "L_re": L_re,
        "L_im": L_im,
        "log_step": module.array("log_step", letters, (H, 1)[: len(step)]).reshape(H),
        "B_re": B_re,
        "B_im": B_im,
        "C_re": C_re,
        "C_im": C_im,
        "D": module.array("D", "I", (I,)),
    }
    eigenvalues = "Lambda" if "Lambda" in module else "Lambda_re Lambda_im"
    names = module.origin(
        L_re=eigenvalues, L_im=eigenvalues, log_step="log_step", B_re="B", B_im="B", C_re="C",
        C_im="C", D="D",
    )  # fmt: skip
    notes = ["read as of degree 1 and not liquid, which the file does not say"]
    if "Lambda_re" in module:
        notes.append("if each unit is one of a pair of conjugates, the output is twice as large")
    return [
        CellLayer(
            *(module.prefix, 0, "forward", NAME, "s5", parameters, H, "B_re", H),
            undetermined=("discretization",),
            likely={"discretization": "zoh"},
            notes=tuple(notes),
            names=names,
        )
    ]


def _parts(
    module: Module, member: str, letters: str, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """The real and the imaginary part of a complex tensor, which may be its last axis, or, of
    Lambda, two tensors."""
    if member not in module and f"{member}_re" in module:
        re, im = (module.array(f"{member}_{part}", letters, shape) for part in ("re", "im"))
        return re, im
    if len(module.tensors.shape(module.name(member))) == len(shape) + 1:
        both = module.array(member, f"{letters}, 2", (*shape, 2))
        return both[..., 0].copy(), both[..., 1].copy()
    array = module.array(member, letters, shape, complex_=True)
    return np.ascontiguousarray(array.real), np.ascontiguousarray(array.imag)
