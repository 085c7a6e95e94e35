"""The gradients of a user's own net, checked from outside: forward equations and complex steps.

f(a + iεb) has the imaginary part ε f'(a)·b up to ε², without any subtraction (Squire and Trapp,
SIAM Review 40, 1998). Only the forward code of the cell is used, so that a mistake in a pullback
cannot hide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from gradflow import columns
from gradflow.cells import Cell, Params
from gradflow.columns import Array
from gradflow.engine.measure import Block
from gradflow.engine.network import Place, merged, net_blocks_backward, unroll_net
from gradflow.runs import sampling
from gradflow.runs.experiment import Run
from gradflow.runs.losses import Objective, objective

_STEP = 1e-100  # ε; its square is below all else
_MOST_LAGS = 12
_REACH = 150  # log10: outside 1e±150 a complex step of 1e-100 leaves float range

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""The largest relative error that counts as agreement."""


@dataclass(frozen=True)
class Comparison:
    """One quantity, by backpropagation and by complex step.

    Attributes:
        quantity: what was compared: `s`, `W_x`, `W_s`, `b_x`, `b_s`.
        place: (layer, direction) that it belongs to.
        lag: at which lag.
        backpropagated, complex_step: its derivative along one random direction, rms over batch.
        error: their largest difference, relative to the size that such a derivative has.
        tolerance: the error that counts as agreement.
    """

    quantity: str
    place: Place
    lag: int
    backpropagated: float
    complex_step: float
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the two agree."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Verification:
    """All comparisons of one run; `skipped` says why lags were left out."""

    run: Run
    comparisons: tuple[Comparison, ...]
    skipped: str | None = None


def verify(run: Run) -> Verification:
    """Compare the gradients of one run with complex-step derivatives, at about a dozen lags.

    At each lag, for each layer and direction: dL_n/ds_{T-k} of every sample, and the terms that
    step T-k adds to dL/dW_x, dL/dW_s and dL/db, each along one random direction.
    """
    params, x, s0 = sampling.parameters(run), sampling.inputs(run), sampling.initial_state(run)
    goal = objective(run)
    one_run = {at: p.map(lambda a: a[None]) for at, p in params.items()}
    start = {at: s[None] for at, s in s0.items()}
    net = unroll_net(run.cell, one_run, x[:, None], start, merge=run.merge)
    if net.diverged_at[0]:
        at_step = int(net.diverged_at[0])
        return Verification(run, (), f"the forward state left float range at step {at_step}")
    last = {at: s[0] for at, s in net.last.items()}
    ds_T = {at: ds[None] for at, ds in goal.gradient(last).items()}

    forward = _Forward.of(run, params, x, s0, goal)
    wanted = set(np.geomspace(1, len(x), _MOST_LAGS).round().astype(int) - 1)
    rng = np.random.default_rng(run.seed)
    found: list[Comparison] = []
    beyond = 0
    for at, block in net_blocks_backward(net, ds_T):
        for k in range(len(block.dz.value)):
            lag = len(x) - block.last_step + k
            if lag not in wanted:
                continue
            if not _within_reach(block, k):
                beyond += 1
                continue
            for quantity, ours, theirs in _derivatives(run.cell, block, k, at, forward, rng):
                # A term belongs to the step it is used in, the state before it to one lag more.
                of = lag + 1 if quantity == "s" else lag
                found.append(_compare(quantity, at, of, ours, theirs, TOLERANCE[run.dtype]))
    skipped = f"{beyond} lags lie beyond 1e±{_REACH}, where a complex step cannot reach"
    return Verification(run, tuple(found), skipped if beyond else None)


@dataclass
class _Forward:
    """The loss of each sample, by the cell's forward code alone, when something is changed at one
    step of one place: its parameters there, or the state that the step starts from."""

    cell: Cell
    params: Mapping[Place, Params]
    s0: Mapping[Place, Array]
    goal: Objective
    merge: str = "concat"
    inputs: dict[Place, Array] = field(default_factory=dict)  # (T, N, I), along own time
    states: dict[Place, Array] = field(default_factory=dict)  # (T+1, N, S), likewise

    @staticmethod
    def of(
        run: Run,
        params: Mapping[Place, Params],
        x: Array,
        s0: Mapping[Place, Array],
        goal: Objective,
    ) -> _Forward:
        """The net as it is, in double precision."""
        exact = {at: p.map(lambda a: a.astype(np.float64)) for at, p in params.items()}
        start = {at: s.astype(np.float64) for at, s in s0.items()}
        forward = _Forward(run.cell, exact, start, goal, run.merge)
        forward._upward(0, x.astype(np.float64), forward.inputs, forward.states)
        return forward

    def __call__(self, at: Place, t: int, s: Array, p: Params) -> Array:
        """L_n (N,), with the state `s` before step t (1..T) at place `at`, and parameters `p` at
        that step alone."""
        states = dict(self.states)
        after = self._run(at, self.inputs[at][t - 1 :], s, p)
        states[at] = np.concatenate([self.states[at][:t], after[1:]])
        self._upward(at[0] + 1, self._output(at[0], states), {}, states)
        return self.goal.value({place: path[-1] for place, path in states.items()})

    def _upward(
        self, layer: int, x: Array, inputs: dict[Place, Array], states: dict[Place, Array]
    ) -> None:
        """Run the layers from `layer` on, whose joint input is `x`; fills `inputs`, `states`."""
        layers = 1 + max(place[0] for place in self.params)
        for upper in range(layer, layers):
            for at in (place for place in self.params if place[0] == upper):
                inputs[at] = x[::-1] if at[1] else x
                states[at] = self._run(at, inputs[at], self.s0[at], self.params[at])
            if upper + 1 < layers:
                x = self._output(upper, states)

    def _output(self, layer: int, states: Mapping[Place, Array]) -> Array:
        """What a layer hands upward: h of both directions side by side, (T, N, D·H), or merged."""
        outputs = []
        for at in (place for place in self.params if place[0] == layer):
            h = self.cell.parts(states[at][1:])["h"]
            outputs.append(h[::-1] if at[1] else h)
        return merged(outputs, self.merge)

    def _run(self, at: Place, x: Array, s: Array, first: Params) -> Array:
        """The states from `s` on over the inputs `x`; `first` are the first step's parameters."""
        kind = np.result_type(x, s, *(a for a in first if a is not None))
        H = self.cell.hidden_size(s.shape[-1])
        states = columns.empty((len(x) + 1, *s.shape), kind)
        states[0] = s
        saved = columns.empty((len(s), self.cell.saved * H), kind)
        for t in range(len(x)):
            p = self.params[at] if t else first
            z = (x[t] @ p.W_x.T + self.cell.input_bias(p)).astype(kind)
            with np.errstate(over="ignore"):  # an exponential that saturates a gate
                self.cell.step(self.cell.forward_views(z, saved, states[t], states[t + 1]), p)
        return states


def _within_reach(block: Block, k: int) -> bool:
    size = np.abs(block.ds.value[k]).max(axis=-1)
    with np.errstate(divide="ignore"):
        log10 = np.log10(size) + block.ds.exponent[k] * np.log10(2.0)
    return bool((np.abs(log10[size > 0]) < _REACH).all())


def _derivatives(
    cell: Cell, block: Block, k: int, at: Place, forward: _Forward, rng: np.random.Generator
) -> Iterator[tuple[str, Array, Array]]:
    """(quantity, backpropagated, complex step), per sample (N,), at the lag of block index k."""
    t = block.last_step - k
    p, s = forward.params[at], block.s[k, 0].astype(np.float64)
    local = tuple(a[k] for a in block.local)
    left, factors = cell.recurrent_factors(local, block.dz.value[k], block.s[k])
    dz = block.dz.value[k, 0].astype(np.float64)

    # W at step t along a random V: the derivative is Σ_g left_g (V right)_g for every sample.
    V = p.map(lambda a: rng.standard_normal(a.shape))
    ours = {
        "W_x": (dz * (block.x[k, 0] @ V.W_x.T)).sum(-1),
        "W_s": sum((left[0, :, rows] * (h[0] @ V.W_s[rows].T)).sum(-1) for rows, h in factors),
        "b_x": dz @ V.b_x,
        "b_s": left[0] @ V.b_s,
    }
    for name, value in ours.items():
        moved = p._replace(**{name: getattr(p, name) + 1j * _STEP * getattr(V, name)})
        theirs = forward(at, t, s, moved).imag / _STEP
        yield name, value * _power(block.dz.exponent[k, 0]), theirs

    v = rng.standard_normal(s.shape)
    theirs = forward(at, t, s + 1j * _STEP * v, p).imag / _STEP
    before = block.ds[k + 1]
    yield "s", (before.value[0] * v).sum(-1) * _power(before.exponent[0]), theirs


def _power(exponent: Array) -> Array:
    power: Array = np.ldexp(1.0, exponent.clip(-1100, 1000).astype(np.int32))
    return power


def _compare(
    name: str, at: Place, lag: int, ours: Array, theirs: Array, tolerance: float
) -> Comparison:
    """Per sample (N,); a sample whose derivative is far below the batch's counts by the batch."""
    rms_ours, rms_theirs = (float(np.sqrt(np.mean(a**2))) for a in (ours, theirs))
    size = max(rms_ours, rms_theirs)
    error = float(np.abs(ours - theirs).max()) / size if size else 0.0
    return Comparison(name, at, lag, rms_ours, rms_theirs, error, tolerance)
