"""Values of a block, of one run of several."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import LSTM
from gradflow.engine.flow import unroll
from gradflow.measures.steps import blocks_of_values
from nets import one_run, random_net


@pytest.mark.parametrize("R", [1, 2, 3])
@pytest.mark.parametrize("budget", [2**30, 1])
def test_they_are_of_the_run_that_is_asked_for(R, budget):
    net = random_net(LSTM(), T=300, R=R, N=2, H=3)
    trajectory = unroll(net.cell, net.params, net.x, net.s0, budget=budget)
    for r in range(R):
        own = one_run(net, r)
        (tape,) = [t for _, t in unroll(own.cell, own.params, own.x, own.s0).tapes()]
        h = tape.states[1:, 0][..., net.cell.parts["h"].rows]
        gate = net.cell.traits.gates["o"]
        found = [(values.of(net.cell.traits.reduced.new["h"]), values.of(gate))
                 for values in blocks_of_values(trajectory, r, since=7)]  # fmt: skip
        assert sum(len(values) for values, _ in found) == 293
        at = 300
        for values, gates in found:  # backward in time
            np.testing.assert_allclose(
                values[:, 0].reshape(len(values), 2, 3), h[at - len(values) : at], rtol=1e-12
            )
            assert ((gates > 0) & (gates < 1)).all()
            at -= len(values)
