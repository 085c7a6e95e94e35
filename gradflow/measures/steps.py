"""The steps of a finished forward pass again, a block at a time, for measures that look at values
of a step rather than at gradients. No block depends on the runs next to one, and room is
bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradflow.engine.flow import Trajectory
from gradflow.equations.samples import Samples

_ELEMENTS = 2**17  # of a vector of H, in a block


def blocks_of_values(trajectory: Trajectory, run: int, since: int = 0) -> Iterator[Samples]:
    """Values of what the cell's report names, of one run of a pass, blocks in the order of lags;
    the first `since` steps are left out."""
    is_alone = len(trajectory.last) == 1  # then its tape need not be copied
    alone = trajectory if is_alone else trajectory.select(np.array([run]))
    cell = alone.cell
    for start, tape in alone.tapes():
        K, _, N, _ = tape.states[1:].shape
        length = max(1, _ELEMENTS // (N * max(cell.H, cell.S)))
        if start + K <= since:
            return
        for at in reversed(range(max(0, since - start), K, length)):
            stop = min(at + length, K)
            states = tape.states[at : stop + 1]
            x = alone.x[start + at : start + stop]
            yield cell.samples(states[:-1], states[1:], x, alone.params)
