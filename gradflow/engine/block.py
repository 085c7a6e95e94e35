"""What the backward pass shows to those who watch it: one block of steps after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Scaled


@dataclass(frozen=True, eq=False)
class Block:
    """K steps of the backward pass, in the order of lags: index k belongs to step last_step - k.
    `ds` and `dz` are overwritten by a later block, the next one at the soonest.

    Attributes:
        last_step: the step t whose cotangent is ds[0].
        ds: (K+1, R, N, S_all), dL_n/ds_{t-k}, as it arrives through time.
        dz: (K, R, N, G_all), dL_n/dz_{t-k}.
        local: (K, R, N, local), the local derivatives of each step.
        states: (K+1, R, N, S_all), the states s_{t-k} that `ds` are the cotangents of.
        x: (K, R or 1, N, I), the input of each step.
    """

    last_step: int
    ds: Scaled
    dz: Scaled
    local: Array
    states: Array
    x: Array

    @property
    def s(self) -> Array:
        """(K, R, N, S_all), the state s_{t-k-1} that each step started from."""
        return self.states[1:]


class Observer(Protocol):
    """Whoever watches a backward pass."""

    def add(self, block: Block) -> None:
        """Look at one block; the first one is the last in time. Nothing of it may be kept but as a
        copy."""
