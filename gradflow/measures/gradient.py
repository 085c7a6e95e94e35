"""The gradient of the loss by the state: its norm at each lag, that of its parts, its spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradflow.engine.block import Block
from gradflow.engine.flow import Trajectory
from gradflow.measures.batch import PERCENTILES
from gradflow.measures.contract import Curve, Measure
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import (
    Magnitudes,
    Scaled,
    log_norms,
    log_norms_joined,
    root_sum_of_squares,
    squares_of,
    sum_of_squares,
)
from gradflow.results import GradientFlow


def part_curve(part: str) -> Curve:
    """The curve of a part of a state that is neither h nor c."""
    return Curve(
        f"grad_{part}",
        f"the part of grad_norm that is ∂L/∂{part}",
        any_size=True,
        later=True,
        of=lambda flow: flow.parts.get(part),
    )


def _percentile(which: int) -> Callable[[GradientFlow], Array | None]:
    return lambda flow: flow.log10_percentiles[:, which] if len(flow.log10_percentiles) else None


MEASURE = Measure(
    "gradient",
    "the gradient of the loss by the state, its parts, and the spread over the batch",
    scope="both",
    curves=(
        Curve(
            "grad_norm",
            "root mean square over the batch of ‖∂L_n/∂s_{T-k}‖₂, the full state",
            any_size=True,
            of=lambda flow: flow.state,
        ),
        Curve(
            "log10_grad_norm",
            "its logarithm, the number to compute with: right at any size, -inf at an exact zero",
            of=lambda flow: flow.state.log10(),
            is_log10=True,
        ),
        Curve(
            "relative",
            "grad_norm over that of the whole net at lag 0, or where the loss is last read; empty "
            "after it",
            any_size=True,
            of=lambda flow: flow.relative,
        ),
        Curve(
            "grad_h",
            "the part of it that is ∂L/∂h",
            any_size=True,
            of=lambda flow: flow.parts.get("h"),
        ),
        Curve(
            "grad_c",
            "the part of it that is ∂L/∂c; empty if there is no c",
            any_size=True,
            of=lambda flow: flow.parts.get("c"),
        ),
        *(
            Curve(
                f"log10_p{p}",
                f"{p}th percentile over the batch of log10 ‖∂L_n/∂s_{{T-k}}‖, each sample's own",
                later=True,
                of=_percentile(which),
                is_log10=True,
            )
            for which, p in enumerate(PERCENTILES)
        ),
    ),
)


class Gradient:
    """Watches the cotangents of one place's states, of R runs.

    `state`, `parts` and `log_samples` are there once all blocks are.
    """

    def __init__(self, trajectory: Trajectory, ds_T: Array) -> None:
        cell = trajectory.cell
        _, self.N, _ = ds_T.shape
        self._rows = {name: p.rows for name, p in cell.parts.items() if name not in cell.gauge}
        self._scales = {
            part: cell.parts[scale].rows for scale, own in cell.gauge.items() for part in own
        }
        # Blocks of mean squares over the batch, of each part and, if there are several, of the
        # whole state behind them, (P, K, R), and the exponents that they are in units of.
        self._means: list[tuple[Array, Array]] = []
        self._samples: list[tuple[Array, Array]] = []  # each sample's square, (K, R, N), likewise

    def add(self, block: Block) -> None:
        """Measure one block; the first one must be the last in time."""
        new = slice(1 if self._means else 0, None)  # ds[0] is the end of the block before
        # A state may be too large to be squared, which is found then, or that of a diverged run.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            self._add(block.ds[new], block.states[new])

    def _add(self, ds: Scaled, states: Array) -> None:
        """Record the norms of K cotangents (K, R, N, S_all) of these states."""
        squares, units = self._of_parts(ds, states)
        whole = squares[0], units[0]
        if len(squares) > 1:
            whole = sum_of_squares(squares, units, axis=0)
            squares = np.concatenate([squares, whole[0][None]])
            units = np.concatenate([units, whole[1][None]])
        total, unit = sum_of_squares(squares, units, axis=-1)
        self._means.append((total / self.N, unit))
        self._samples.append(whole)

    def _of_parts(self, ds: Scaled, states: Array) -> tuple[Array, Array]:
        """Each sample's square for each part of the state, (P, K, R, N), and the exponents."""
        shape = len(self._rows), *ds.exponent.shape
        squares, units = np.empty(shape), np.empty(shape, np.int64)
        for which, (name, rows) in enumerate(self._rows.items()):
            part, own = ds.value[..., rows], ds.exponent
            if name in self._scales:
                part, shift = _without_scale(part, states[..., self._scales[name]])
                own = own + shift
            squares[which], unit = squares_of(part)
            np.add(own, unit, out=units[which])
        return squares, units

    def state(self) -> Magnitudes:
        """(T+1, R): the norm of the full state's gradient."""
        return Magnitudes.roots(self._means, axis=1)[-1]

    def parts(self) -> dict[str, Magnitudes]:
        """(T+1, R) by part."""
        means = Magnitudes.roots(self._means, axis=1)
        return {name: means[which] for which, name in enumerate(self._rows)}

    def log_samples(self) -> list[Array]:
        """(T+1, N), one a run: the natural logarithm of each sample's own norm."""
        squares, exponents = (np.concatenate(column) for column in zip(*self._samples, strict=True))
        return [log_norms(squares[:, r], exponents[:, r]) for r in range(squares.shape[1])]


def together(flows: Sequence[GradientFlow]) -> tuple[Magnitudes, dict[str, Magnitudes], Array]:
    """State, parts and log_samples of several places as those of one state."""
    parts = {
        name: root_sum_of_squares([flow.parts[name] for flow in flows]) for name in flows[0].parts
    }
    state = root_sum_of_squares([flow.state for flow in flows])
    return state, parts, log_norms_joined([flow.log_samples for flow in flows])


def _without_scale(ds: Array, m: Array) -> tuple[Array, Array]:
    """The cotangents (..., N, width) of what is kept as e^-m times its value, e^-m ds, and the
    exponents (..., N) that they are in units of; m is (..., N, width) or (..., N, 1)."""
    power = -m.astype(np.float64) / np.log(2)
    top = np.floor(power.max(axis=-1))
    scaled: Array = ds * np.exp2(power - top[..., None]).astype(ds.dtype)
    return scaled, top.astype(np.int64)
