"""Vectors made orthonormal, and how much of each the ones before it left.

By Cholesky's factors in blocks. NumPy's `qr`, which is used where these fail, takes 1.5 times as
long for 128 vectors of 128 components and 2.8 times for 256 of 256 (for ten or twenty both take
less than 0.1 ms), and does not say by how much a vector has lost its direction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradflow.numerics import arrays
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import are_near_one, exponent_of, safe_bits, scale

_LOST = 1e-13
_LEAST_SINE = 1e-7  # which the Cholesky factor of a Gram matrix still sees
_BLOCK = 32  # vectors that are factored together; measured
_SMALL = 16  # below which a triangular matrix is inverted as any other


class Orthonormal(NamedTuple):
    """A = Q R.

    Attributes:
        Q: laid like A; a vector that is lost is zero.
        logs: (n, B) ln R_ii; -inf of one that is lost.
        sizes: (n, B) ln ‖a_i‖; 0 of one that is lost.
        angle: the least ln (R_ii / ‖a_i‖).
    """

    Q: Array
    logs: Array
    sizes: Array
    angle: float


def orthonormalised(A: Array, surely: bool) -> Orthonormal | None:
    """The QR factors of `A` (n, 1, B, S), B vectors of S components for each of n samples; `A` is
    used up. Q is orthonormal as far as rounding lets it be in one go: A = Q R holds to all digits.

    None where Cholesky's factors cannot be had and `surely` is not set; where it is, Householder's
    QR is used instead. Vectors may have any size, and be zero.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.vecdot(A, A)[:, 0]
    bits = safe_bits(A.dtype)
    shift = np.zeros(squares.shape, dtype=np.int64)
    if not are_near_one(squares, bits).all():
        if not np.isfinite(A).all():
            return None if not surely else _lost(A)
        zero = ~A[:, 0].any(axis=-1)
        shift = np.where(zero, 0, exponent_of(A[:, 0], (-1,)))
        A = scale(A, -shift[:, None, :, None])
        squares = np.vecdot(A, A)[:, 0]
    there = squares > 0
    lengths = np.sqrt(np.where(there, squares, 1.0))
    sizes = np.where(there, np.log(lengths) + shift * np.log(2.0), 0.0)
    columns_of = A[:, 0].mT  # (n, S, B)
    found = _in_blocks(columns_of, lengths, there)
    if found is None:
        if not surely:
            return None
        found = _by_householder(columns_of, lengths, there)
    Q, sines = found
    live = there & (sines > 0)
    with np.errstate(divide="ignore"):
        turned = np.log(np.where(live, sines, 1.0))
    logs = np.where(live, sizes + turned, -np.inf)
    return Orthonormal(Q.mT[:, None], logs, sizes, float(turned.min()))


def _lost(A: Array) -> Orthonormal:
    """Where a step has left float range nothing is known of any vector."""
    shape = A.shape[0], A.shape[2]
    return Orthonormal(arrays.empty(A.shape, A.dtype) * 0, np.full(shape, np.nan),
                       np.zeros(shape), 0.0)  # fmt: skip


def _in_blocks(A: Array, lengths: Array, there: Array) -> tuple[Array, Array] | None:
    """Q (n, S, B) and R_ii / ‖a_i‖ (n, B) of the columns of A: block by block, what lies along the
    blocks before is taken out, and the rest factored. None where a block's own Gram matrix is
    not positive definite to rounding."""
    Q, sines = np.empty_like(A), np.empty_like(lengths)
    for start in range(0, A.shape[-1], _BLOCK):
        block = slice(start, start + _BLOCK)
        rest, before = A[:, :, block], Q[:, :, :start]
        left = lengths[:, block]
        if start:
            rest = rest - before @ (before.mT @ rest)
            left = np.sqrt(np.vecdot(rest.mT, rest.mT))
            left = np.where(left > 0, left, 1.0)
        found = _by_cholesky(rest, left, there[:, block])
        if found is None:
            return None
        Q[:, :, block] = found[0]
        sines[:, block] = found[1] * (left / lengths[:, block])
    return Q, sines


def _by_cholesky(A: Array, lengths: Array, there: Array) -> tuple[Array, Array] | None:
    """The same of one block, from the Cholesky factor of AᵀA, its columns of length one."""
    gram = A.mT @ A
    gram /= lengths[:, :, None] * lengths[:, None, :]
    B = range(gram.shape[-1])
    diagonal = gram[:, B, B]
    gram[:, B, B] = np.where(there, diagonal, 1.0)
    try:
        L = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return None
    sines = L[:, B, B]
    if not sines.min() > _LEAST_SINE:
        return None
    inverse = lower_inverse(L)
    inverse /= lengths[:, None, :]
    return A @ inverse.mT, np.where(there, sines, 0.0)


def lower_inverse(L: Array) -> Array:
    """The inverses of lower triangular matrices (n, B, B), half by half."""
    B = L.shape[-1]
    if B <= _SMALL:
        return np.asarray(np.linalg.inv(L))
    half = B // 2
    first, last = lower_inverse(L[:, :half, :half]), lower_inverse(L[:, half:, half:])
    found = np.zeros_like(L)
    found[:, :half, :half], found[:, half:, half:] = first, last
    found[:, half:, :half] = -last @ (L[:, half:, :half] @ first)
    return found


def _by_householder(A: Array, lengths: Array, there: Array) -> tuple[Array, Array]:
    """The same by Householder's QR, vectors that lie in the span of those before them left out."""
    Q = np.zeros_like(A)
    sines = np.zeros_like(lengths)
    for n in range(len(A)):
        live = np.flatnonzero(there[n])
        while len(live):
            own, R = np.linalg.qr(A[n][:, live] / lengths[n, live])
            left = np.abs(np.diagonal(R))
            lost = np.flatnonzero(left < _LOST)
            if not len(lost):
                Q[n][:, live], sines[n, live] = own, left
                break
            live = np.delete(live, lost[0])
    return Q, sines
