"""Small random nets for the tests: every cell with every choice of its options."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import NamedTuple, get_args, get_type_hints

import numpy as np

from gradflow.cells import CELLS, Cell, Params


def variants() -> list[Cell]:
    """Every cell of CELLS, with every combination of its Literal options."""
    cells = []
    for cls in CELLS.values():
        hints = get_type_hints(cls)
        choices = {f.name: get_args(hints[f.name]) for f in fields(cls)}
        choices = {name: values for name, values in choices.items() if values}
        for values in itertools.product(*choices.values()):
            cells.append(cls(**dict(zip(choices, values, strict=True))))
    return cells


VARIANTS = variants()
LABELS = [cell.label for cell in VARIANTS]


class Net(NamedTuple):
    """What the engine is given: parameters, inputs, initial state, cotangent of the last state."""

    cell: Cell
    params: Params
    x: np.ndarray
    s0: np.ndarray
    ds_T: np.ndarray


def random_net(cell, *, T=7, R=1, N=3, I=2, H=4, g=0.9, seed=0) -> Net:  # noqa: E741
    """R independent nets with Gaussian parameters, inputs, states and cotangents."""
    rng = np.random.default_rng(seed)
    G, S = H * len(cell.gates), H * len(cell.state_parts)

    def draw(*shape):
        return rng.standard_normal(shape)

    params = Params(
        draw(R, G, I) / I**0.5, g * draw(R, G, H) / H**0.5, 0.3 * draw(R, G), 0.3 * draw(R, G)
    )
    return Net(cell, params, draw(T, R, N, I), 0.5 * draw(R, N, S), draw(R, N, S))
