"""From cotangents to what is reported, block by block in the order of lags."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradflow.cells.contract import CURVES, Params
from gradflow.cells.sized import SizedCell
from gradflow.columns import Array
from gradflow.engine.terms import Terms
from gradflow.engine.uses import Group, Rights, groups
from gradflow.logspace import (
    Magnitudes,
    Scaled,
    root_sum_of_squares,
    squares_of,
    sum_of_squares,
)
from gradflow.results import GradientFlow


@dataclass(frozen=True, eq=False)
class Block:
    """K steps of the backward pass, in the order of lags: index k belongs to step last_step - k.
    `ds` and `dz` are overwritten by the next block.

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


class Measure:
    """Collects the curves of R runs while the backward pass goes through the blocks."""

    def __init__(self, cell: SizedCell, params: Params, ds_T: Array, share: bool) -> None:
        self.cell, self.params, self.share = cell, params, share
        self.R, self.N, _ = ds_T.shape
        self.parts = [part for part in cell.parts if part not in cell.gauge]
        self.scales = {
            part: cell.parts[scale].rows for scale, own in cell.gauge.items() for part in own
        }
        # Blocks of mean squares over the batch, of each part and of the whole state where it has
        # several, (P, K, R), and the exponents that they are in units of.
        self.means: list[tuple[Array, Array]] = []
        self.samples: list[tuple[Array, Array]] = []  # each sample's square, (K, R, N), likewise
        self.terms = [(group, self._terms(group, ds_T)) for group in groups(cell)]

    def _terms(self, group: Group, ds_T: Array) -> Terms:
        share = "W_s" if self.share else None
        return Terms(group.widths, self.R, group.height, ds_T.dtype, share)

    def add(self, block: Block) -> None:
        """Measure one block; the first one must be the last in time."""
        new = slice(1 if self.means else 0, None)  # ds[0] is the end of the block before
        # A state may be too large to be squared, which is found then, or that of a diverged run.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            self._add_states(block.ds[new], block.states[new])
            self._add_terms(block)

    def _add_states(self, ds: Scaled, states: Array) -> None:
        """Record the norms of K cotangents (K, R, N, S_all) of these states."""
        squares, units = self._of_parts(ds, states)
        if len(squares) == 1:
            whole = squares[0], units[0]
        else:
            whole = sum_of_squares(squares, units, axis=0)
            squares = np.concatenate([squares, whole[0][None]])
            units = np.concatenate([units, whole[1][None]])
        total, unit = sum_of_squares(squares, units, axis=-1)
        self.means.append((total / self.N, unit))
        self.samples.append(whole)

    def _of_parts(self, ds: Scaled, states: Array) -> tuple[Array, Array]:
        """Each sample's square for each part of the state, (P, K, R, N), and the exponents."""
        shape = len(self.parts), *ds.exponent.shape
        squares, units = np.empty(shape), np.empty(shape, np.int64)
        for which, name in enumerate(self.parts):
            part, own = ds.value[..., self.cell.parts[name].rows], ds.exponent
            if name in self.scales:
                part, shift = _without_scale(part, states[..., self.scales[name]])
                own = own + shift
            squares[which], unit = squares_of(part)
            np.add(own, unit, out=units[which])
        return squares, units

    def _add_terms(self, block: Block) -> None:
        """Add the parameters' terms of K lags."""
        dz, exponent = block.dz.value, block.dz.exponent
        x = np.broadcast_to(block.x, (len(dz), self.R, *block.x.shape[2:]))
        one = np.ones((*dz.shape[:-1], 1), dz.dtype)  # the input of a bias
        rights = Rights(x, block.s, block.local, one, self.params)
        for group, terms in self.terms:
            for left, outer, its in group.factors(dz, exponent, rights):
                terms.add(left, outer, its)

    def flows(self) -> list[GradientFlow]:
        """The finished curves, one a run. L is the batch mean: parameter terms are over N."""
        means = Magnitudes.roots(self.means, axis=1)
        state = means[-1]
        parts = {name: means[which] for which, name in enumerate(self.parts)}
        squares, exponents = (np.concatenate(column) for column in zip(*self.samples, strict=True))
        norms, sums, running = self._by_curve()
        terms = {name: _together(curves).over(self.N) for name, curves in norms.items()}
        totals = {name: _together(found) for name, found in sums.items()}
        share = np.full((len(state) - 1, self.R), np.nan)
        if running:
            share = (_together(running) / totals["W_s"]).floats()
        return [
            GradientFlow(
                state=state[:, r],
                parts={name: part[:, r] for name, part in parts.items()},
                terms={name: term[:, r] for name, term in terms.items()},
                share_W_s=share[:, r],
                totals={name: total[r].over(self.N) for name, total in totals.items()},
                log_samples=log_norms(squares[:, r], exponents[:, r]),
            )
            for r in range(self.R)
        ]

    def _by_curve(
        self,
    ) -> tuple[dict[str, list[Magnitudes]], dict[str, list[Magnitudes]], list[Magnitudes]]:
        """The norms of each lag's terms (T, R), those of their sums (R,), by curve, and those of
        the running sums of W_s; of every group that has some."""
        norms: dict[str, list[Magnitudes]] = {name: [] for name in CURVES.values()}
        sums: dict[str, list[Magnitudes]] = {name: [] for name in CURVES.values()}
        running = []
        for _, terms in self.terms:
            found = Magnitudes.roots(terms.norms)
            for which, name in enumerate(terms.names):
                norms[name].append(found[..., which])
                sums[name].append(terms.total(name))
            if terms.share:
                running.append(Magnitudes.roots(terms.cumulative))
        there = [name for name, curves in norms.items() if curves]
        return {n: norms[n] for n in there}, {n: sums[n] for n in there}, running


def _without_scale(ds: Array, m: Array) -> tuple[Array, Array]:
    """The cotangents (..., N, width) of what is kept as e^-m times its value, e^-m ds, and the
    exponents (..., N) that they are in units of; m is (..., N, width) or (..., N, 1)."""
    power = -m.astype(np.float64) / np.log(2)
    top = np.floor(power.max(axis=-1))
    scaled: Array = ds * np.exp2(power - top[..., None]).astype(ds.dtype)
    return scaled, top.astype(np.int64)


def _together(found: Sequence[Magnitudes]) -> Magnitudes:
    """The norm of several matrices as one."""
    return found[0] if len(found) == 1 else root_sum_of_squares(found)


def log_norms(squares: Array, exponent: Array) -> Array:
    """Natural logarithms of norms, from squares in units of 4**exponent; -inf at an exact zero.

    No digit depends on how a square is split between the number and its exponent, nor on what lies
    beside it: the logarithm is that of a mantissa, in arrays that are laid out alike.
    """
    mantissa, shift = np.frexp(np.ascontiguousarray(squares, dtype=np.float64))
    with np.errstate(divide="ignore"):
        logs = np.log(mantissa)
    return np.where(mantissa == 0, -np.inf, (logs + (2 * exponent + shift) * math.log(2.0)) / 2)


def log_norms_joined(parts: Sequence[Array]) -> Array:
    """The logs of each sample's norm over several parts of a state, from those of the parts."""
    return np.asarray(np.logaddexp.reduce([2 * part for part in parts]) / 2)


def whole_net(flows: Sequence[GradientFlow]) -> GradientFlow:
    """The curves of all layers as those of one state and one set of parameters."""
    if len(flows) == 1:
        return flows[0]

    def together(curves: Sequence[Mapping[str, Magnitudes]]) -> dict[str, Magnitudes]:
        return {name: root_sum_of_squares([c[name] for c in curves]) for name in curves[0]}

    totals = together([flow.totals for flow in flows])
    share = np.full(flows[0].share_W_s.shape, np.nan)
    if "W_s" in totals:
        running = [Magnitudes.of(np.nan_to_num(f.share_W_s)) * f.totals["W_s"] for f in flows]
        share = (root_sum_of_squares(running) / totals["W_s"]).floats()
    return GradientFlow(
        state=root_sum_of_squares([flow.state for flow in flows]),
        parts=together([flow.parts for flow in flows]),
        terms=together([flow.terms for flow in flows]),
        share_W_s=share,
        totals=totals,
        log_samples=log_norms_joined([flow.log_samples for flow in flows]),
    )
