"""The functions of equations: their values and slopes, exact in relative terms also where they
saturate, and with complex arguments (a complex step: the real part decides).

Computed as 1 - h^2 or a(1 - a), a slope loses all its digits once h or a rounds to 1; a saturated
net is just where a vanishing gradient is measured. So the logistic function hands on the
exponential e = e^-z that it took, in which nothing cancels:

    1 - σ(z) = 1 / (1 + 1/e)        σ'(z) = 1 / (2 + e + 1/e)

and tanh' is taken from z where tanh is close to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradflow.machine.threads import count, share
from gradflow.numerics.arrays import Array

_SHARED_ELEMENTS = 2**19  # from which on threads take some rows each; measured

_NEAR = 2.0**-7  # below this, the subtraction from 1 has cost 7 of the 53 bits


class _Ones(dict[Any, Array]):
    """1 of each type, as an array: NumPy takes half a microsecond to make one of Python's."""

    def __missing__(self, dtype: np.dtype[Any]) -> Array:
        one = self[dtype] = np.ones((), dtype)
        return one


_ONE = _Ones()


def sigmoid(z: Array, e: Array, out: Array) -> None:
    """a = 1 / (1 + e^-z) into `out`, and e^-z into `e`, which may be z itself; relative precision
    also where a is tiny."""
    if z.size < _SHARED_ELEMENTS or count() < 2:
        _sigmoid_of(z, e, out)
    else:
        share(lambda part: _sigmoid_of(*(a[..., part, :] for a in (z, e, out))), z.shape[-2])


def _sigmoid_of(z: Array, e: Array, out: Array) -> None:
    if np.iscomplexobj(z):
        _complex_sigmoid(z, e, out)
        return
    one = _ONE[z.dtype]
    np.negative(z, e)
    np.exp(e, e)
    np.add(e, one, out)
    np.divide(one, out, out)  # np.reciprocal is not vectorised


def _complex_sigmoid(z: Array, e: Array, out: Array) -> None:
    """The same of complex numbers; a is e^z where e^-z overflows, which makes no number."""
    far = z.real < -0.98 * np.log(np.finfo(z.dtype).max)
    rising = np.exp(z[far])
    np.exp(-z, e)
    e[far] = np.inf
    np.divide(1, e + 1, out)
    out[far] = rising


def rest_from(e: Array, out: Array) -> None:
    """1 - sigmoid(z) into `out`, from e = e^-z; this and the next need no warning of 1/0."""
    one = _ONE[e.dtype]
    np.divide(one, e, out)
    np.add(out, one, out)
    np.divide(one, out, out)


def sigmoid_slope_from(e: Array, out: Array) -> None:
    """d sigmoid / dz into `out`, from e = e^-z."""
    one = _ONE[e.dtype]
    np.divide(one, e, out)
    out += e
    out += 2
    np.divide(one, out, out)


def tanh_slope(z: Array, h: Array, out: Array) -> None:
    """d tanh / dz into `out`, given h = tanh(z)."""
    np.multiply(h, h, out=out)
    np.subtract(1, out, out=out)
    near = out < _NEAR
    if near.any():
        e = np.exp(-2 * np.abs(z[near]))
        out[near] = 4 * e / (1 + e) ** 2


def softplus(z: Array, out: Array) -> None:
    """log(1 + e^z) into `out`, without overflow, and exact where it is tiny."""
    positive = z.real > 0
    rest = np.exp(np.where(positive, -z, z))
    if np.iscomplexobj(rest):  # NumPy's own loses the digits of a small real part
        rest = np.log1p(rest.real) + 1j * np.arctan2(rest.imag, 1 + rest.real)
    else:
        rest = np.log1p(rest)
    np.add(rest, np.where(positive, z, 0), out=out)


def _is_above(z: Array) -> Array:
    """Whether a complex number counts as above 0: by its real part; where that is no more than the
    square of a complex step leaves, at a kink, by the side that the step goes to."""
    decides = np.abs(z.real) > 1e3 * z.imag**2
    return np.where(decides, z.real > 0, z.imag > 0)


def larger(a: Array, b: Array | float, out: Array) -> None:
    """max(a, b) into `out`; of complex numbers that with the larger real part, the first where
    they are equal."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        out[...] = np.where(_is_above(np.asarray(b) - a), b, a)
    else:
        np.maximum(a, b, out=out)


def smaller(a: Array, b: Array | float, out: Array) -> None:
    """min(a, b) into `out`, likewise."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        out[...] = np.where(_is_above(np.asarray(a) - b), b, a)
    else:
        np.minimum(a, b, out=out)


def absolute(z: Array, out: Array) -> None:
    """|z| into `out`; of complex numbers z or -z, whichever has a real part above 0."""
    if np.iscomplexobj(z):
        np.multiply(z, 1.0 * _is_above(z) - _is_above(-z), out=out)
    else:
        np.abs(z, out=out)


def relu(z: Array, out: Array) -> None:
    """max(z, 0) into `out`."""
    if np.iscomplexobj(z):
        np.multiply(z, _is_above(z), out=out)
    else:
        np.maximum(z, 0, out=out)


def _hard(slope: float) -> tuple[Callable[[Array, Array], None], Callable[..., None]]:
    """max(0, min(1, slope z + 1/2)) and its slope."""

    def value(z: Array, out: Array) -> None:
        np.multiply(z, slope, out=out)
        out += 0.5
        smaller(out, 1, out)
        larger(out, 0, out)

    def its_slope(z: Array, h: Array, out: Array) -> None:
        np.multiply(np.abs(slope * z) < 0.5, slope, out=out)

    return value, its_slope


def _sigmoid_slope(z: Array, h: Array, out: Array) -> None:
    sigmoid_slope_from(np.exp(-z), out)


def _sigmoid(z: Array, out: Array) -> None:
    sigmoid(z, out, out)


class Function(NamedTuple):
    """h = f(z), entry by entry: `value(z, out)` and `slope(z, h, out)`, which reads `needs` alone
    of the two. `ufunc` is its name in NumPy, where it is one; `cheap` says that it is rather
    computed again than saved."""

    value: Callable[[Array, Array], Any]
    slope: Callable[[Array, Array, Array], Any]
    ufunc: str | None = None
    cheap: bool = False
    needs: str = "z"


def finite(z: Array) -> Array:
    """z, but no number where it is infinite: what left float range may have a root or a logarithm
    that is within, and is not to pass for infinite there."""
    if np.iscomplexobj(z) or z.max(initial=0) == np.inf:
        found: Array = np.where(np.isinf(z), np.nan, z)
        return found
    return z


def _within(ufunc: np.ufunc) -> Callable[[Array, Array], Any]:
    return lambda z, out: ufunc(finite(z), out=out)


def _of(ufunc: np.ufunc) -> Callable[[Array, Array], Any]:
    return lambda z, out: ufunc(z, out=out)


def _ones(z: Array, h: Array, out: Array) -> None:
    out[...] = 1


def _relu_slope(z: Array, h: Array, out: Array) -> None:
    np.greater(z, 0, out=out, casting="unsafe")  # 0 at z = 0, as PyTorch has it


def _softplus_slope(z: Array, h: Array, out: Array) -> None:
    sigmoid(z, out, out)


_HARD, _KERAS2_HARD = _hard(1 / 6), _hard(0.2)

FUNCTIONS: Mapping[str, Function] = {
    "sigmoid": Function(_sigmoid, _sigmoid_slope),
    "tanh": Function(_of(np.tanh), tanh_slope, "tanh", needs="zh"),
    "relu": Function(relu, _relu_slope, cheap=True),
    "linear": Function(lambda z, out: np.copyto(out, z), _ones, cheap=True),
    "hard_sigmoid": Function(*_HARD, cheap=True),
    "keras2_hard_sigmoid": Function(*_KERAS2_HARD, cheap=True),
    "softplus": Function(softplus, _softplus_slope),
    "exp": Function(_of(np.exp), lambda z, h, out: np.copyto(out, h), "exp", needs="h"),
    "expm1": Function(_of(np.expm1), lambda z, h, out: np.exp(z, out=out), "expm1"),
    "log": Function(_within(np.log), lambda z, h, out: np.divide(1, z, out=out)),
    "sqrt": Function(_within(np.sqrt), lambda z, h, out: np.divide(0.5, h, out=out), needs="h"),
    "abs": Function(absolute, lambda z, h, out: np.sign(z, out=out), cheap=True),
    "sin": Function(_of(np.sin), lambda z, h, out: np.cos(z, out=out), "sin"),
    "cos": Function(_of(np.cos), lambda z, h, out: np.negative(np.sin(z, out=out), out=out), "cos"),
}
"""Every function of one argument, by its name in the equations."""


def fresh(name: str, z: Array) -> Array:
    """f(z), in its own array."""
    out = np.empty_like(z)
    FUNCTIONS[name].value(z, out)
    return out


def normalise(v: Array, epsilon: float | Array, out: Array, inverse: Array) -> None:
    """(v - mean) / √(variance + ε) over the entries of vectors (..., n, N) into `out`, and what
    it was multiplied with into `inverse` (..., 1, N)."""
    np.subtract(v, _mean(v), out=out)
    np.add(_mean(np.square(out)), epsilon, out=inverse)
    np.sqrt(inverse, out=inverse)
    np.divide(_ONE[inverse.dtype], inverse, out=inverse)
    out *= inverse
    if np.count_nonzero(inverse) < inverse.size:
        _normalise_far(v, epsilon, out, inverse)


def _normalise_far(v: Array, epsilon: float | Array, out: Array, inverse: Array) -> None:
    """The same of those vectors whose variance left float range, from a power of two less."""
    far = inverse == 0
    shift = np.where(far, -np.frexp(np.abs(v).max(axis=-2, keepdims=True))[1], 0)
    near, its = np.empty_like(out), np.empty_like(inverse)
    normalise(np.ldexp(1.0, shift) * v, np.ldexp(epsilon, 2 * shift), near, its)
    np.copyto(out, near.astype(out.dtype), where=far)
    np.copyto(inverse, (its * np.ldexp(1.0, shift)).astype(inverse.dtype), where=far)


def normalise_back(dy: Array, y: Array, inverse: Array, out: Array | None = None) -> Array:
    """The cotangent of v from that of y, both of `normalise`, into `out` where it is given."""
    along = y * _mean(dy * y)
    along += _mean(dy)
    left: Array = np.subtract(dy, along, out=out)
    left *= inverse
    return left


def _mean(v: Array) -> Array:
    """That of each column, as a product: NumPy's own takes ten times as long for a step."""
    total: Array = np.matmul(_row_of_ones(v.shape[-2], v.dtype), v)
    total /= v.shape[-2]
    return total


@lru_cache(maxsize=64)
def _row_of_ones(n: int, dtype: np.dtype[Any]) -> Array:
    return np.ones((1, n), dtype)
