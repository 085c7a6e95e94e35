"""Decimal numbers that remember what they were made of, and the functions of cells for them."""

from __future__ import annotations

from decimal import Decimal, getcontext

import mpmath
import numpy as np

from equations.interpreter import Functions


class Number:
    """A value, and by which slopes it was made of which others."""

    __slots__ = ("gradient", "inputs", "value")
    made: list[Number]

    def __init__(self, value, *inputs):
        self.value, self.inputs, self.gradient = value, inputs, Decimal(0)
        Number.made.append(self)

    def __add__(self, other):
        if isinstance(other, Number):
            return Number(self.value + other.value, (self, 1), (other, 1))
        return Number(self.value + Decimal(other), (self, 1))

    def __mul__(self, other):
        if isinstance(other, Number):
            a, b = self.value, other.value
            return Number(a * b, (self, b), (other, a))
        return Number(self.value * Decimal(other), (self, Decimal(other)))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Number(-self.value, (self, -1))

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __pow__(self, power):
        power = Decimal(power)
        return Number(self.value**power, (self, power * self.value ** (power - 1)))

    def __truediv__(self, other):
        return self * (other**-1 if isinstance(other, Number) else 1 / Decimal(other))

    def __rtruediv__(self, other):
        return self**-1 * other


class Extent:
    """How far the numbers of a run reach: where floats end, gradflow does not follow."""

    def __init__(self):
        self.slope = Decimal(1)  # the least of a function that saturates, an exponential among them
        self.least, self.most = Decimal("Infinity"), Decimal(0)  # of |s|, but for zero

    def add_states(self, s):
        sizes = [abs(a.value) for a in s.flat if a.value]
        self.least, self.most = min([self.least, *sizes]), max([self.most, *sizes])


class OfNumbers(Functions):
    """The functions of arrays of numbers, each by its value and slope."""

    def __init__(self, extent):
        self.extent = extent
        for function in (log, sqrt, sin, cos, relu, absolute):
            setattr(self, function.__name__, applied(function))
        for function in (exp, tanh, sigmoid, softplus):
            setattr(self, function.__name__, applied(self._saturating(function)))
        self.abs, self._hard = self.absolute, applied(hard)

    def _saturating(self, function):
        def watched(z):
            value, slope = function(max(min(z, Decimal(10**6)), Decimal(-(10**6))))
            self.extent.slope = min(self.extent.slope, slope)
            return value, slope

        return watched

    def _max(self, a, b):
        return np.frompyfunc(lambda a, b: a if amount(a) >= amount(b) else b, 2, 1)(a, b)


def applied(function):
    """Of arrays of numbers, from decimals to (value, slope)."""

    def of_one(a):
        value, slope = function(amount(a))
        return Number(value, (a, slope)) if isinstance(a, Number) else Number(value)

    return np.frompyfunc(of_one, 1, 1)


def amount(a):
    return a.value if isinstance(a, Number) else Decimal(a)


def exp(z):
    return (value := z.exp()), value


def log(z):
    return z.ln(), 1 / z


def sqrt(z):
    return (value := z.sqrt()), 1 / (2 * value)


def sin(z):
    return _by_mpmath(mpmath.sin, z), _by_mpmath(mpmath.cos, z)


def cos(z):
    return _by_mpmath(mpmath.cos, z), -_by_mpmath(mpmath.sin, z)


def _by_mpmath(function, z):
    digits = getcontext().prec
    with mpmath.workdps(digits + max(z.adjusted(), 0) + 5):
        return Decimal(mpmath.nstr(function(mpmath.mpf(str(z))), digits + 5))


def relu(z):
    return max(z, Decimal(0)), int(z > 0)


def absolute(z):
    return abs(z), Decimal(1).copy_sign(z)


def hard(v):
    return min(max(v, Decimal(0)), Decimal(1)), int(0 < v < 1)


def softplus(z):
    return max(z, Decimal(0)) + (1 + (-abs(z)).exp()).ln(), sigmoid(z)[0]


def tanh(z):
    square = z * z
    if square < Decimal("1e-16"):  # where the other way would cancel
        value = z * (1 - square * (Decimal(1) / 3 - square * (Decimal(2) / 15 - square * 17 / 315)))
    else:
        e = (-2 * abs(z)).exp()
        value = ((1 - e) / (1 + e)).copy_sign(z)
    e = abs(z).exp()
    return value, (2 / (e + 1 / e)) ** 2


def sigmoid(z):
    e = abs(z).exp()
    return (1 / (1 + 1 / e) if z > 0 else 1 / (1 + e)), 1 / (2 + e + 1 / e)


numbers = np.frompyfunc(lambda value: Number(Decimal(float(value))), 1, 1)
copies = np.frompyfunc(
    lambda a: Number(a.value, (a, 1)) if isinstance(a, Number) else Number(Decimal(a)), 1, 1
)
gradient = np.frompyfunc(lambda a: a.gradient, 1, 1)


def backward(losses):
    """The gradients of the sum of these numbers, of all that were made."""
    for loss in losses:
        loss.gradient = Decimal(1)
    for number in reversed(Number.made):
        if number.gradient:
            for source, slope in number.inputs:
                source.gradient += number.gradient * slope
