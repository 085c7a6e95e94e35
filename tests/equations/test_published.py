"""Published recurrences against gradients of their own implementations."""

from __future__ import annotations

import numpy as np
import pytest

from equations.driver import Net, both_ways
from equations.published import CASES, CELLS, GIVEN
from gradflow.cells.cell import Cell


def net_of(name) -> Net:
    """The net of cells.json; its loss is the sum of the output, or of every part of the state."""
    equations, params, state, which = CELLS[name]
    x = GIVEN[which]
    cell = Cell.of(equations).sized(3, x.shape[-1])
    s0 = np.zeros((1, 2, cell.S_all))
    for part, value in state.items():
        s0[0, :, cell.parts[part].rows] = value.reshape(2, -1)
    ds_T = np.zeros((1, 2, cell.S))
    dy = None
    if cell.outputs.start >= cell.S:
        dy = np.ones((1, 2, cell.P))
    elif name == "lru":
        ds_T[...] = 1
    else:
        ds_T[..., cell.outputs] = 1
    return Net(cell, {k: np.asarray(v)[None] for k, v in params.items()}, x[:, None], s0, ds_T, dy)


@pytest.mark.parametrize("name", CASES["cells"])
def test_the_gradient_is_that_of_the_published_code(name):
    case, net = CASES["cells"][name], net_of(name)
    cell, done = net.cell, both_ways(net)
    ds = done.ds[::-1, 0]
    for part, rms in case["part_rms"].items():
        own = ds[..., cell.parts[part].rows]
        np.testing.assert_allclose(
            np.sqrt((own**2).sum(-1).mean(-1)), rms, rtol=1e-13, err_msg=part
        )
    per_sample = np.sqrt((ds[..., : cell.S] ** 2).sum(-1))
    np.testing.assert_allclose(per_sample, case["norm_per_sample"], rtol=1e-13)


def test_every_case_has_equations():
    assert [*CELLS] == [*CASES["cells"]]
