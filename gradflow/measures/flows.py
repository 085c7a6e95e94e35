"""What is always measured, in one backward pass: gradient, terms and share as a GradientFlow.

The diagnosis reads these by name, so they have their own type; a measure that is asked for
gives `Measured`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradflow.engine import flow as engine
from gradflow.engine import network
from gradflow.engine.block import Block, Observer
from gradflow.engine.flow import Progress, Trajectory
from gradflow.engine.network import Losses, NetTrajectory, Place
from gradflow.measures import gradient, share, terms
from gradflow.measures.gradient import Gradient
from gradflow.measures.terms import ParameterTerms
from gradflow.numerics.arrays import Array
from gradflow.results import GradientFlow


class Flows:
    """Watches the backward pass of R runs through one place.

    `share`: whether `share_W_s` is measured too; without it, it is NaN.
    """

    def __init__(self, trajectory: Trajectory, ds_T: Array, share: bool = True) -> None:
        self._gradient = Gradient(trajectory, ds_T)
        self._terms = ParameterTerms(trajectory, ds_T, share)

    def add(self, block: Block) -> None:
        """Measure one block; the first one must be the last in time."""
        self._gradient.add(block)
        self._terms.add(block)

    def found(self) -> list[GradientFlow]:
        """The finished curves, one a run. L is the batch mean: parameter terms are over N."""
        state, parts = self._gradient.state(), self._gradient.parts()
        norms, totals = self._terms.norms(), self._terms.totals()
        shares = share.share(self._terms, totals, len(state) - 1)
        return [
            GradientFlow(
                state=state[:, r],
                parts={name: part[:, r] for name, part in parts.items()},
                terms={name: term[:, r] for name, term in norms.items()},
                share_W_s=shares[:, r],
                totals={name: total[r].over(self._terms.N) for name, total in totals.items()},
                log_samples=samples,
            )
            for r, samples in enumerate(self._gradient.log_samples())
        ]


def backpropagate(
    trajectory: Trajectory,
    ds_T: Array,
    *,
    share: bool = True,
    progress: Progress = lambda steps: None,
) -> list[GradientFlow]:
    """One backward pass: the gradient at every lag, for each of the R runs.

    Args:
        trajectory: the forward pass.
        ds_T: (R, N, S_all), the gradient of each sample's own loss at the last state, and in the
            rows `cell.outputs` at the last output.
        share: also measure the running sum of the W_s terms at every lag, which costs about as
            much as another recurrent product; without it `share_W_s` is NaN.
        progress: called with the steps done.
    """
    flows = Flows(trajectory, ds_T, share)
    engine.backpropagate(trajectory, ds_T, [flows], progress=progress)
    return flows.found()


def backpropagate_net(
    net: NetTrajectory,
    ds_T: Mapping[Place, Array],
    *,
    share: bool = True,
    losses: Losses | None = None,
    watching: Mapping[Place, Iterable[Observer]] | None = None,
    progress: Progress = lambda steps: None,
) -> dict[Place, list[GradientFlow]]:
    """One backward pass through every place; arguments as for `backpropagate`, by place.

    `losses` says what the loss adds at other steps than the last; `watching` are others who look at
    the blocks of a place.
    """
    flows = {at: Flows(t, ds_T[at], share) for at, t in net.places.items()}
    observers = {at: [own, *(watching or {}).get(at, ())] for at, own in flows.items()}
    network.backpropagate_net(net, ds_T, observers, losses=losses, progress=progress)
    return {at: own.found() for at, own in flows.items()}


def whole_net(flows: Sequence[GradientFlow]) -> GradientFlow:
    """The curves of all layers as those of one state and one set of parameters."""
    if len(flows) == 1:
        return flows[0]
    state, parts, samples = gradient.together(flows)
    totals = terms.together([flow.totals for flow in flows])
    return GradientFlow(
        state=state,
        parts=parts,
        terms=terms.together([flow.terms for flow in flows]),
        share_W_s=share.together(flows, totals),
        totals=totals,
        log_samples=samples,
    )
