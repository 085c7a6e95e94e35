"""The engine: unroll a cell through time, and backpropagate. It knows no cell by name.

Arrays are time-major, with the runs that are advanced together on the second axis: inputs
(T, R, N, I), states (T+1, R, N, S). Time is cut into blocks of a few steps; what needs no
recurrence (the input product, the local derivatives, every norm) is done a block at a time.
Blocks form segments: the tape of a segment is kept where memory allows, and is computed again
from the state at its start where it does not (Chen et al., arXiv:1604.06174).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from gradflow.cells.cell import Cell
from gradflow.cells.contract import Bound, Params
from gradflow.cells.sized import SizedCell
from gradflow.engine import lengths
from gradflow.engine.backward import BackwardPass, Entering, normalise, unwatched
from gradflow.engine.block import Block, Observer
from gradflow.engine.gauges import with_gauges
from gradflow.engine.lengths import BUDGET
from gradflow.machine.threads import ahead, count, share
from gradflow.numerics import arrays
from gradflow.numerics.arrays import Array, laid
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Scaled, exponent_of, near_one, safe_bits
from gradflow.numerics.products import SHARED

Progress = Callable[[int], None]
"""Called with the number of steps just done, forward and backward alike."""

Watch = Callable[[int, Array], None]
"""Called with (t, states (K, R, N, S_all)): the states that steps t, t+1, ... have just given."""

Entry = Callable[[int, Array], Array | None]
"""(t, states (K, R, N, S_all)) of steps t, t+1, ... to what the loss at these steps adds to their
cotangents, alike; None: no loss is read there. There is no step 0."""

_SHARED_ELEMENTS = 2**18  # partials of a step, from which on threads take some steps each


@dataclass(frozen=True, eq=False)
class Tape:
    """What the backward pass needs of one segment of K steps."""

    states: Array  # (K+1, R, N, S_all)
    local: Array  # (K, R, N, local)

    def select(self, runs: Array) -> Tape:
        """The tape of only these runs (indices)."""
        return Tape(laid(self.states[:, runs]), laid(self.local[:, runs]))


@dataclass(eq=False, repr=False)
class Trajectory:
    """A forward pass.

    Attributes:
        cell, params: what was run; parameters carry the runs on their first axis.
        w: the parameters as the cell's code reads them.
        x: (T, R, N, I); R may be 1 where all runs have the same input.
        segments: (start, stop) steps.
        starts: the state (R, N, S_all) before each segment, and behind the last one s_T.
        last_tape: the tape of the last segment.
        diverged_at: (R,), the step 1..T whose state first left float range; 0 where none did.
        outputs: (T, R, N, P), the outputs of steps 1..T, where they were asked for.
    """

    cell: SizedCell
    params: Params
    w: Bound
    x: Array
    segments: list[tuple[int, int]]
    starts: list[Array]
    last_tape: Tape
    diverged_at: Array
    outputs: Array | None = None

    def __repr__(self) -> str:
        """`<Trajectory: lstm, T=50, R=1, N=8, H=16>`."""
        (T, _, N, _), R = self.x.shape, len(self.diverged_at)
        return f"<Trajectory: {self.cell.label}, T={T}, R={R}, N={N}, H={self.cell.H}>"

    @property
    def shares(self) -> bool:
        """Whether a step itself is shared among threads: its largest recurrent product is."""
        return bool(self.w.largest * self.x.shape[2] >= SHARED)

    @property
    def last(self) -> Array:
        """(R, N, S_all): s_T."""
        return self.starts[-1]

    def select(self, runs: Array) -> Trajectory:
        """The same forward pass with only these runs (indices)."""
        params = {name: a[runs] for name, a in self.params.items()}
        return replace(
            self,
            params=params,
            w=self.cell.bind(params, self.x.shape[2]),
            x=self.x if self.x.shape[1] == 1 else self.x[:, runs],
            starts=[s[runs] for s in self.starts],
            last_tape=self.last_tape.select(runs),
            diverged_at=self.diverged_at[runs],
            outputs=None if self.outputs is None else self.outputs[:, runs],
        )

    def tapes(self) -> Iterator[tuple[int, Tape]]:
        """(start, tape) of each segment, backward in time."""
        yield self.segments[-1][0], self.last_tape
        for (start, stop), s in reversed(list(zip(self.segments[:-1], self.starts, strict=False))):
            yield start, _run(self.cell, self.w, self.x[start:stop], s, True)


def unroll(
    cell: Cell | SizedCell,
    params: Params,
    x: Array,
    s0: Array,
    *,
    outputs: bool = False,
    budget: int = BUDGET,
    watch: Watch = lambda t, states: None,
    progress: Progress = lambda steps: None,
) -> Trajectory:
    """Run R nets forward from `s0` (R, N, S) over the inputs `x` (T, R or 1, N, I).

    `outputs` keeps the output of every step, the input of a layer above; `budget` bounds the bytes
    of tape that are kept; `watch` is shown every state. `params` are a parameter's name to
    (R, *shape). Gauges of `s0` that weigh nothing are chosen by the first step (`gauges`).
    """
    if isinstance(cell, Cell):
        cell = cell.sized_for(params, x.shape[-1])
    w = cell.bind(params, x.shape[2])
    segments = lengths.segments(cell, x, s0, budget)
    starts, kept = [with_gauges(cell, w, x[0], _handed(cell, s0))], []
    diverged_at = np.zeros(len(s0), dtype=np.int64)
    for start, stop in segments:
        keep = stop == len(x)
        tape = _run(cell, w, x[start:stop], starts[-1], keep, progress)
        starts.append(tape.states[-1].copy())
        if outputs:
            kept.append(tape.states[1:][..., cell.outputs].copy())
        watch(start + 1, tape.states[1:])
        finite = _finite(tape.states[1:])  # (K, R)
        first = np.where(finite.all(axis=0), 0, start + 1 + finite.argmin(axis=0))
        diverged_at = np.where(diverged_at == 0, first, diverged_at)
    h = np.concatenate(kept) if outputs else None
    return Trajectory(cell, params, w, x, segments, starts, tape, diverged_at, h)


def backpropagate(
    trajectory: Trajectory,
    ds_T: Array,
    observers: Iterable[Observer],
    *,
    progress: Progress = lambda steps: None,
) -> None:
    """One backward pass, every block of which is shown to each of the observers.

    Args:
        trajectory: the forward pass.
        ds_T: (R, N, S_all), the gradient of each sample's own loss at the last state, and in the
            rows `cell.outputs` at the last output.
        observers: who is shown the blocks.
        progress: called with the steps done.
    """
    observers = list(observers)
    blocks = blocks_backward(trajectory, ds_T, progress=progress)
    for block in ahead(blocks, worth=not trajectory.shares):
        for observer in observers:
            observer.add(block)


def blocks_backward(
    trajectory: Trajectory,
    ds_T: Array,
    injected: Scaled | None = None,
    progress: Progress = lambda steps: None,
    *,
    loss: Entry | None = None,
    truncate: int | None = None,
) -> Iterator[Block]:
    """The backward pass itself: the cotangents of all steps, a block at a time, backward in time.

    Args:
        trajectory: the forward pass.
        ds_T: (R, N, S_all), the cotangent of the last state, and of the last output.
        injected: (T, R, N, P), what a layer above adds to the cotangents of the outputs.
        progress: called with the steps done.
        loss: what the loss adds to the cotangents of states before the last.
        truncate: the state is cut off from its past behind every so many steps.
    """
    cell, w = trajectory.cell, trajectory.w
    length = lengths.block_length(cell, ds_T.shape[1])
    longest = max(stop - start for start, stop in trajectory.segments)
    # Threads may be at one block while the next is made.
    rooms = 1 if trajectory.shares or count() == 1 else 2
    backward = BackwardPass(cell, w, ds_T, min(length, longest), rooms)
    ds = normalise(Scaled(ds_T, np.zeros(ds_T.shape[:2], dtype=np.int64)))
    if cell.settles:
        ds = backward.settled(trajectory.last_tape.local[-1], ds)
    tapes = trajectory.tapes()
    for start, tape, before in _with_local_before(tapes, loss is not None and cell.settles):
        for steps in reversed(lengths.blocks(len(tape.states) - 1, length)):
            # From here on everything is in the order of lags: backward in time.
            local = tape.local[steps][::-1]
            from_above = injected[start:][steps][::-1] if injected is not None else None
            first = start + steps.start
            entering = None
            if loss is not None or truncate is not None:
                entering = Entering(
                    _added(loss, first, tape.states[steps]),
                    _cuts(truncate, first, len(local)),
                    tape.local[steps.start - 1] if steps.start else before,
                )
            states, dz = backward.through(local, ds, from_above, entering)
            yield Block(
                last_step=start + steps.stop,
                ds=states,
                dz=dz,
                local=local,
                states=tape.states[steps.start : steps.stop + 1][::-1],
                x=trajectory.x[start:][steps][::-1],
            )
            ds = normalise(states[-1])
            progress(len(dz.value))


def _added(loss: Entry | None, first: int, states: Array) -> Scaled | None:
    """What the loss adds to states (K, R, N, S_all) from step `first` on, backward in time."""
    if loss is None or (value := loss(first, states)) is None:
        return None
    own = exponent_of(value, (-1,))
    zero = own == ZERO_EXPONENT
    safe = (zero | (np.abs(own) <= safe_bits(value.dtype) // 4)).all()
    found = Scaled(value, np.where(zero & safe, ZERO_EXPONENT, 0))
    return (found if safe else near_one(found))[::-1]


def _cuts(truncate: int | None, first: int, K: int) -> list[int]:
    """Which of the states 1..K of a block, the last one that of step `first`, are cut off from what
    comes after them."""
    if truncate is None:
        return []
    return [first + K - t for t in range(first, first + K) if t and t % truncate == 0]


def _with_local_before(
    tapes: Iterator[tuple[int, Tape]], wanted: bool
) -> Iterator[tuple[int, Tape, Array | None]]:
    """Each segment, backward in time, with the local derivatives of the step before it if they are
    `wanted`: they are on the tape of the segment that comes next."""
    if not wanted:
        for start, tape in tapes:
            yield start, tape, None
        return
    start, tape = next(tapes)
    for following in tapes:
        yield start, tape, following[1].local[-1]
        start, tape = following
    yield start, tape, None


def _handed(cell: SizedCell, s: Array) -> Array:
    """A state (R, N, S) with room for what else the cell gives out."""
    if s.shape[-1] == cell.S_all:
        return s
    handed = arrays.empty((*s.shape[:-1], cell.S_all), s.dtype)
    handed[..., : cell.S], handed[..., cell.S :] = s, 0
    return handed


def _run(
    cell: SizedCell,
    w: Bound,
    x: Array,
    s: Array,
    keep: bool,
    progress: Progress = lambda steps: None,
) -> Tape:
    """The steps over `x` from the state `s`; `keep` keeps the local derivatives as well."""
    (R, N, _), K = s.shape, len(x)
    length = min(K, lengths.forward_length(cell, s))
    states = arrays.empty((K + 1, R, N, cell.S_all), s.dtype)
    z = arrays.empty((length, R, N, cell.G), s.dtype)
    saved = arrays.empty((length, R, N, cell.saved), s.dtype)
    local = arrays.empty((K if keep else 0, R, N, cell.local), s.dtype)
    states[0] = s
    step = cell.step
    with unwatched():
        for steps in lengths.blocks(K, length):
            count = steps.stop - steps.start
            rows = z[:count], saved[:count], states[:-1][steps], states[1:][steps], x[steps]
            _input_product(w.hoisted, x[steps], out=rows[0][..., : cell.G_x])
            cell.prepare(*rows[:2], x[steps], w)
            for views in zip(*cell.forward_views(*rows), strict=True):
                step(views, w)
            if keep:
                _linearize(cell, w, (*rows, local[steps]))
            progress(count)
    return Tape(states, local)


def _linearize(cell: SizedCell, w: Bound, arrays: tuple[Array, ...]) -> None:
    """`cell.linearize` for the steps of these arrays."""

    def linearize(part: slice) -> None:
        with unwatched():
            z, saved, s, s_next, x, local = (a[part] for a in arrays)
            cell.linearize(z, saved, s, s_next, x, local, w)

    share(linearize, len(arrays[-1]), worth=arrays[-1][0].size >= _SHARED_ELEMENTS)


def _input_product(W: Array, x: Array, out: Array) -> None:
    """W_x x + bias for K steps into `out` (K, R, N, G), from W = [W_x, bias]: the bias weighs an
    input that is always one. For few samples one product a run serves all steps; for more, a
    product each leaves what it gives where it is needed."""
    K, _, N, I = x.shape  # noqa: E741 (I is the field's letter)
    R, G, _ = W.shape
    x_and_one = arrays.empty((*x.shape[:-1], I + 1), x.dtype)
    x_and_one[..., :I], x_and_one[..., I] = x, 1
    if N >= lengths.FEW:

        def multiply(part: slice) -> None:
            np.matmul(W, x_and_one[part].mT, out=out[part].mT)

        share(multiply, K, worth=x_and_one.size * G >= SHARED)
        return
    rows = np.moveaxis(x_and_one, 1, 0).reshape(x.shape[1], K * N, I + 1)
    product = W @ rows.mT  # (R, G, K·N)
    out.mT[...] = np.moveaxis(product.reshape(R, G, K, N), 2, 0)


def _finite(states: Array) -> Array:
    """(K, R): whether a state (K, R, N, S) is finite. Its sum says so, unless that overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite: Array = np.isfinite(states.sum(axis=(2, 3)))
    for at in np.argwhere(~finite):
        finite[tuple(at)] = np.isfinite(states[tuple(at)]).all()
    return finite
