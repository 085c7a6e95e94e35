"""A whole net and its loss at any steps, sample by sample, from the text of the equations alone,
and every gradient of it by HIPS autograd."""

from __future__ import annotations

from typing import NamedTuple

import autograd.numpy as anp
import numpy as np
from autograd import grad
from autograd.tracer import getval

from gradflow.runs import sampling
from reference import ByAutograd, Step, by_curve


class Expected(NamedTuple):
    """By place, in the order of lags.

    Attributes:
        loss: the batch mean.
        ds: (T+1, N, S), of each sample's own loss.
        terms: curve to (T, entries), of the gradient of the batch mean.
        W_o: the gradient by it, or None.
    """

    loss: float
    ds: dict
    terms: dict
    W_o: np.ndarray | None


class Net:
    """The net of a run. `steps` are those at which its loss is read, of the input's time, None: the
    last one of each direction; `cut` behind how many steps the state is cut off."""

    def __init__(self, run, steps, reduce="mean", cut=None):
        self.run, self.steps, self.reduce, self.cut = run, steps, reduce, cut
        self.params, self.x = sampling.parameters(run), sampling.inputs(run)
        self.s0 = sampling.initial_state(run)
        functions = ByAutograd()
        functions.flat = anp.concatenate
        self.step = {at: Step(cell, functions, getval) for at, cell in run.cells.items()}
        self.W_o, self.b_o = sampling.output_layer(run)
        n, N = 1 if steps is None else len(steps), run.batch_size
        target = sampling.stream(run, "target")
        self.Y = target.standard_normal((n, N, run.output_size))
        self.y = sampling.stream(run, "target").integers(run.output_size, size=(n, N))

    def states(self, n, pushes, copies, fixed=None):
        """Every state of one sample by place, [s_0, ..., s_T] along its own time; behind a cut the
        net goes on from those of `fixed`."""
        run, T, found = self.run, self.run.sequence_length, {}
        below = [self.x[t, n] for t in range(T)]
        for layer in range(run.layers):
            outputs = []
            for at in (place for place in run.places if place[0] == layer):
                ahead = below[::-1] if at[1] else below
                path = [self.s0[at][n] + pushes[at][0, n]]
                seen = []
                for t in range(T):
                    s = path[-1]
                    if self.cut and t and t % self.cut == 0 and fixed is not None:
                        s = fixed[at][t]
                    s = self.step[at]({k: p[t] for k, p in copies[at].items()}, s, ahead[t])
                    seen.append(s[run.cells[at].outputs])  # the layer above sees it unmoved
                    path.append(s + pushes[at][t + 1, n])
                found[at] = path
                outputs.append(seen[::-1] if at[1] else seen)
            below = [anp.concatenate(parts) for parts in zip(*outputs, strict=True)]
        return found

    def losses(self, n, states, W_o):
        """The losses of one sample, one for each step at which it is read."""
        run, T = self.run, self.run.sequence_length
        for i, t in enumerate([None] if self.steps is None else self.steps):
            own = {at: T if t is None else T + 1 - t if at[1] else t for at in run.places}
            s = {at: states[at][own[at]] for at in run.places}
            h = anp.concatenate([s[at][run.cells[at].outputs] for at in run.top_places])
            kind = run.loss.kind
            if kind == "mse":
                yield 0.5 * anp.sum((anp.dot(W_o, h) + self.b_o - self.Y[i, n]) ** 2)
            elif kind == "cross_entropy":
                a = anp.dot(W_o, h) + self.b_o
                yield anp.log(anp.sum(anp.exp(a))) - a[self.y[i, n]]
            elif kind == "sum":
                yield anp.sum(h)
            else:
                v = sampling.stream(run, "probe").standard_normal(
                    sum(run.state_width(at) for at in run.places)
                )
                whole = anp.concatenate([s[at] for at in run.places])
                yield anp.sum(v / np.linalg.norm(v) * whole)

    def expected(self):
        """Everything, by autograd."""
        run, T, N = self.run, self.run.sequence_length, self.run.batch_size
        copies = {
            at: {name: np.repeat(p[None], T, axis=0) for name, p in own.items()}
            for at, own in self.params.items()
        }
        pushes = {at: np.zeros((T + 1, N, run.state_width(at))) for at in run.places}
        fixed = [self.states(n, pushes, copies) for n in range(N)]

        def total(pushes, copies, W_o):
            each = []
            for n in range(N):
                own = [*self.losses(n, self.states(n, pushes, copies, fixed[n]), W_o)]
                each.append(sum(own) / (len(own) if self.reduce == "mean" else 1))
            return sum(each)

        args = pushes, copies, self.W_o
        ds, own = (grad(total, which)(*args) for which in range(2))
        outer = run.loss.kind in ("mse", "cross_entropy")
        return Expected(
            total(*args) / N,
            {at: a[::-1] for at, a in ds.items()},
            {
                at: by_curve(run.cells[at], {name: a[::-1] / N for name, a in p.items()})
                for at, p in own.items()
            },
            grad(total, 2)(*args) / N if outer else None,
        )
