"""The singular values of ∂s_T/∂s_{T-k} against lag: what any loss's gradient can do at most, on
average, and at least.

A gradient that arrives at s_T with length one has, at s_{T-k}, a length between the smallest and
the largest singular value of M_k = J_T J_{T-1} ... J_{T-k+1}, J_t = ∂s_t/∂s_{t-1} of the full
state; of one with a random direction the mean square is σ_rms² = ‖M_k‖²_F / S. The largest says
whether the gradient must vanish, the smallest whether it must explode (Pascanu, Mikolov and Bengio
2013, arXiv:1211.5063; Saxe, McClelland and Ganguli 2014, arXiv:1312.6120). Each is found for some
samples of the batch, and what is reported is the mean over them of the logarithms.

They soon lie further apart than floats reach, and a product of matrices keeps only what its largest
singular value is made of. So the largest is that of the product M_k, the smallest the inverse of
the largest of the product of the inverses, each taken with rows and columns of one size; both
products carry a power of two. A step that is singular to rounding (a unit that is off, a part of
the state that follows from another) has no inverse: from there on the smallest is exactly 0. What
one step's rounding blurs stays blurred: the smallest has about 1e-16 times the condition number of
a single step, rows and columns of one size, as its relative error.

`log10_bound` is Pascanu's: Π_t max_i |φ'(z_t,i)| σ_max(W_s), for cells whose step is one function
of one recurrent product, h' = φ(W_s h + ...); with a leak a it is Π (1 - a + a max|φ'| σ_max(W_s)).
Gated cells have none: their Jacobian is more than a slope times W_s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradflow.engine.basis import WholeState, one_run, stretches
from gradflow.engine.flow import Trajectory
from gradflow.equations.weights import evaluate
from gradflow.measures.contract import Curve, Figure, Measure, Option
from gradflow.measures.drawn import Lags
from gradflow.measures.measured import Measured
from gradflow.measures.singular import Largest
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import LOG10_2, ZERO_EXPONENT, exponent_of, scale

_BYTES = 2**26  # of Jacobians that are formed at once
_FARTHEST = 2.0**40  # logarithms of scales are used up to here


def jacobian(
    layers: Sequence[Trajectory], samples: int = 4, progress: Callable[[int], None] = lambda k: None
) -> list[Measured]:
    """The singular values of each run.

    Args:
        layers: the forward pass of one layer, or of layers upon each other, the lowest first.
        samples: how many of the batch, the first ones.
        progress: called with the steps done.

    Returns:
        One a run: curves (T+1,) `log10_sigma_max`, `log10_sigma_rms`, `log10_sigma_min`, and
        `log10_bound` if there is one; figures of the recurrent matrices. -inf is an exact zero.
    """
    return [_of_run(one_run(layers, r), samples, progress) for r in range(len(layers[0].last))]


def _of_run(
    layers: Sequence[Trajectory], samples: int, progress: Callable[[int], None]
) -> Measured:
    whole = WholeState(layers, np.dtype(np.float64))
    n = min(samples, layers[0].last.shape[1])
    bound = _Bound.of(layers)
    longest = max(1, _BYTES // (8 * n * whole.S * (3 * whole.S_all + layers[-1].cell.G_all)))
    products: _Products | None = None
    for stretch in stretches(layers, longest, progress):
        local = [own[..., :n, :].astype(np.float64) for own in stretch.local]
        J_T = whole.jacobians_T(local)
        scales = whole.log_scale([s[:, :, :n] for s in stretch.states])
        if scales is not None:
            scales = scales[:, 0][..., whole.moving]
        if products is None:
            products = _Products(n, whole.S, None if scales is None else scales[-1])
            bound = bound and bound.if_it_holds(J_T[-1], local[0][-1, 0])
        for k in reversed(range(len(stretch))):
            products.add(J_T[k], None if scales is None else scales[k])
            if bound:
                bound.add(J_T[k], local[0][k, 0])
    assert products is not None
    curves = products.curves() | ({"log10_bound": bound.curve()} if bound else {})
    return Measured(curves, _figures(layers))


class _Products:
    """The product of the Jacobians, and that of their inverses, of n samples."""

    def __init__(self, n: int, S: int, log_scale: Array | None) -> None:
        """`log_scale` (n, S): the logarithms of what the last state is kept as a share of."""
        forward, inverse = (np.broadcast_to(np.eye(S), (n, S, S)).copy() for _ in range(2))
        self._forward, self._inverse = _Product(forward), _Product(inverse)
        self._singular = np.zeros(n, dtype=bool)
        if log_scale is not None:
            self._forward.stretch_columns(-log_scale)
            self._inverse.stretch_columns(log_scale)
        self._found = [np.zeros((3, n))]

    def add(self, J_T: Array, log_scale: Array | None) -> None:
        """One more step: J_Tᵀ (n, S, S) on the side of the earlier state; `log_scale` as above, of
        that state."""
        self._forward.multiply(J_T)
        inverse, fine = _inverses(J_T.mT)
        self._singular |= ~fine
        self._inverse.multiply(inverse)
        largest, rms = self._forward.norms(log_scale)
        smallest, _ = self._inverse.norms(None if log_scale is None else -log_scale)
        self._found.append(np.stack([largest, rms, np.where(self._singular, -np.inf, -smallest)]))

    def curves(self) -> dict[str, Array]:
        """The mean over the samples of the logarithms, (T+1,) each."""
        found = np.stack(self._found).mean(axis=-1)
        names = ("log10_sigma_max", "log10_sigma_rms", "log10_sigma_min")
        return {name: found[:, i] for i, name in enumerate(names)}


class _Product:
    """A matrix of each of n samples, (n, S, S), in units of a power of two."""

    def __init__(self, value: Array) -> None:
        self.value = value
        self._exponent = np.zeros(len(value), dtype=np.int64)
        self._largest = Largest()

    def multiply(self, by: Array) -> None:
        """Multiply with a matrix (n, S, S) from the left, and bring what comes of it near one."""
        value = by @ self.value
        own = exponent_of(value, (-2, -1))
        shift = np.where((np.abs(own) > 100) & (own != ZERO_EXPONENT), own, 0)
        self.value = scale(value, -shift[:, None, None])
        self._exponent += shift

    def stretch_columns(self, log_scale: Array) -> None:
        """Multiply the columns with e to the power of -`log_scale`."""
        factors, shift = _powers(-log_scale)
        self.value = self.value * factors[:, None, :]
        self._exponent += shift

    def norms(self, log_scale: Array | None) -> tuple[Array, Array]:
        """log10 (n,) of the largest singular value and of the root mean square of them all, where
        rows are by the true values of what is kept as a share e^-`log_scale` of it."""
        value, exponent = self.value, self._exponent
        if log_scale is not None:
            factors, shift = _powers(-log_scale)
            value, exponent = value * factors[..., None], exponent + shift
        flat = value.reshape(len(value), -1)
        squares = np.vecdot(flat, flat)
        fine = np.isfinite(squares)
        near = np.where(fine[:, None, None], value, 0.0)
        largest = self._largest.squares(near, np.where(fine, squares, 0.0))
        largest = np.where(fine, largest, np.nan)
        with np.errstate(divide="ignore"):
            logs = np.log10(np.stack([largest, squares / value.shape[-1]])) / 2
        found: tuple[Array, Array] = tuple(logs + exponent * LOG10_2)
        return found


def _powers(logs: Array) -> tuple[Array, Array]:
    """e to the power of `logs` (n, S), in units of a power of two (n,); NaN of a sample with logs
    that are no numbers, or so large that they have no digits for it."""
    there = np.all(np.abs(logs) < _FARTHEST, axis=-1, keepdims=True)
    power = np.where(there, logs, 0.0) / np.log(2.0)
    top = np.floor(power.max(axis=-1))
    factors = np.where(there, np.exp2(power - top[:, None]), np.nan)
    return factors, top.astype(np.int64)


def _inverses(J: Array) -> tuple[Array, Array]:
    """J^-1 of matrices (..., S, S), and whether there is one (...); where not, the identity.

    Rows and columns are first brought to one size, by powers of two: what is then within rounding
    of a singular matrix counts as one, and a matrix whose parts merely differ in size does not.
    """
    S = J.shape[-1]
    rows = exponent_of(J[..., None], (-2, -1))
    near = scale(J, -rows[..., None])
    columns = exponent_of(near.mT[..., None], (-2, -1))
    near = scale(near, -columns[..., None, :])
    fine: Array = ((rows != ZERO_EXPONENT) & (columns != ZERO_EXPONENT)).all(axis=-1)
    near = np.where(fine[..., None, None], near, np.eye(S))
    inverse = _inverted(near)
    with np.errstate(invalid="ignore", over="ignore"):
        condition = np.abs(near).sum(axis=-2).max(axis=-1) * np.abs(inverse).sum(axis=-2).max(
            axis=-1
        )
    fine &= condition * S * np.finfo(J.dtype).eps < 1
    with np.errstate(invalid="ignore", over="ignore"):
        inverse = scale(scale(inverse, -columns[..., None]), -rows[..., None, :])
    return np.where(fine[..., None, None], inverse, np.eye(S)), fine


def _inverted(J: Array) -> Array:
    """J^-1 of matrices (..., S, S), NaN of one without."""
    try:
        return np.asarray(np.linalg.inv(J))
    except np.linalg.LinAlgError:  # of one among many
        if J.ndim == 2:
            return np.full_like(J, np.nan)
        return np.stack([_inverted(own) for own in J])


class _Bound:
    """Pascanu's bound for a layer with Jacobians diag(e) + diag(φ') W_s, e what a leak keeps."""

    def __init__(self, W: Array, constant: bool) -> None:
        """W: (S, S), or (S,) of a diagonal one; `constant`: the slopes are no local partials, but
        one number."""
        self._W = np.diag(W) if W.ndim == 1 else W
        self._sigma = float(np.linalg.norm(self._W, 2))
        self._constant = constant
        self._logs: list[Array] = []

    @staticmethod
    def of(layers: Sequence[Trajectory]) -> _Bound | None:
        """For one layer with one recurrent product, else None."""
        cell = layers[0].cell
        uses = [use for use in cell.uses if use.operand.of == "s"]
        if len(layers) > 1 or len(uses) != 1 or cell.local not in (0, cell.S):
            return None
        (use,) = uses
        if use.kind == "bias" or use.columns != 1 or use.rows.stop - use.rows.start != cell.S_all:
            return None
        params = {name: a[0].astype(np.float64) for name, a in layers[0].params.items()}
        W = use.factor * cell.value_of_weight(use.weight, params)
        return _Bound(W.mT if use.transposed else W, constant=cell.local == 0)

    def if_it_holds(self, J_T: Array, local: Array) -> _Bound | None:
        """Itself where the Jacobians (n, S, S) of a step are made so, else None."""
        slopes, kept = self._pieces(J_T, local)
        made = slopes[..., :, None] * self._W + kept[..., None] * np.eye(len(self._W))
        size = np.abs(J_T).max(initial=0.0)
        return self if np.abs(made.mT - J_T).max(initial=0.0) <= 1e-12 * size else None

    def _pieces(self, J_T: Array, local: Array) -> tuple[Array, Array]:
        """φ' and what the diagonal of the Jacobian has besides φ' W_s, (n, S) each."""
        slopes = self._one_slope(J_T) if self._constant else local
        own = slopes * np.diagonal(self._W)
        kept = np.diagonal(J_T, axis1=-2, axis2=-1) - own
        return slopes, np.where(np.abs(kept) <= 1e-14 * np.abs(own), 0.0, kept)

    def _one_slope(self, J_T: Array) -> Array:
        """(n, S): what W_s is multiplied with off the diagonal; 1 if there is nothing."""
        off_diagonal = self._W - np.diag(np.diagonal(self._W))
        at = np.unravel_index(np.abs(off_diagonal).argmax(), off_diagonal.shape)
        largest = off_diagonal[at]
        slope = J_T[:, at[1], at[0]] / largest if largest else np.ones(len(J_T))
        return np.broadcast_to(slope[:, None], J_T.shape[:2])

    def add(self, J_T: Array, local: Array) -> None:
        """One more step."""
        slopes, kept = self._pieces(J_T, local)
        factor = np.abs(kept).max(axis=-1) + np.abs(slopes).max(axis=-1) * self._sigma
        with np.errstate(divide="ignore"):
            self._logs.append(np.log10(factor))

    def curve(self) -> Array:
        """(T+1,): log10 of the bound, the mean over the samples."""
        return np.concatenate([[0.0], np.cumsum(self._logs, axis=0).mean(axis=-1)])


def _figures(layers: Sequence[Trajectory]) -> dict[str, float | str | None]:
    """`sigma_max_W_s` and `spectral_radius_W_s` of every recurrent weight, with its gate behind the
    name if there are several, and of layers upon each other with the layer; an elementwise one
    is a diagonal matrix, and what is not square has no radius."""
    found: dict[str, float | str | None] = {}
    for number, layer in enumerate(layers):
        cell, blocks = layer.cell, layer.cell.traits.blocks
        for block in blocks:
            behind = f"_{block.name}" if len(blocks) > 1 else ""
            behind += f"_l{number}" if len(layers) > 1 else ""
            W = evaluate(block.weight, layer.params, cell.H, cell.I)[0].astype(np.float64)
            W = np.diag(W) if W.ndim == 1 else W
            square = W.shape[0] == W.shape[1]
            radius = float(np.abs(np.linalg.eigvals(W)).max()) if square else None
            found[f"sigma_max_W_s{behind}"] = float(np.linalg.norm(W, 2))
            found[f"spectral_radius_W_s{behind}"] = radius
    return found


def _room(*, N: int, S: int, samples: int, **_: int) -> int:
    products = 10 * 8 * min(samples, N) * S * S  # two, their steps, and copies on the way
    return products + max(3 * _BYTES, 4 * products)


MEASURE = Measure(
    "jacobian",
    "the singular values of ∂s_T/∂s_{T-k}: what any gradient can do at most, on average, at least",
    curves=(
        Curve(
            "log10_sigma_max",
            "log10 of the largest singular value of ∂s_T/∂s_{T-k}, the mean over samples of the "
            "logarithms",
            is_log10=True,
        ),
        Curve(
            "log10_sigma_rms",
            "likewise of the root mean square of all singular values",
            is_log10=True,
        ),
        Curve("log10_sigma_min", "likewise of the smallest", is_log10=True),
        Curve(
            "log10_bound",
            "log10 of Pascanu's bound Π max|φ'| σ_max(W_s) on the largest, likewise; empty of "
            "cells that are more than one function of one recurrent product",
            is_log10=True,
        ),
    ),
    figures=(
        Figure("sigma_max_W_s", "number", "the largest singular value of the recurrent weight"),
        Figure("spectral_radius_W_s", "number", "its largest absolute eigenvalue"),
        Figure("sigma_max_W_s_<block>", "number", "the same of one of several weights, by gate"),
        Figure("spectral_radius_W_s_<block>", "number", "the same of one of several, by gate"),
    ),
    options={"samples": Option(4, "how many of the batch are looked at, the first ones", least=1)},
    of=lambda subject, *, samples: jacobian(subject.layers, samples),
    room=_room,
    drawn=(
        Lags(
            "singular values",
            "log10_sigma_rms",
            band=("log10_sigma_min", "log10_sigma_max"),
            dashed=("log10_bound",),
            named={
                "log10_sigma_rms": "rms",
                "log10_sigma_min": "smallest",
                "log10_sigma_max": "largest",
                "log10_bound": "bound",
            },
            label="σ of ∂s_T/∂s_{T-k}",
        ),
    ),
)
