"""Whole runs once more in decimal arithmetic of sixty digits and more, at any magnitude.

Forward the equations of a cell, by an interpreter of their text, on numbers that remember what they
were made of; backward one sweep over all of them. Nothing of it is shared with gradflow but that
text and what a run draws. Every step has its own copy of the parameters, whose gradient is the term
of that step, and hands on a copy of its state, whose gradient is the one that arrives through time.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DivisionByZero, localcontext
from decimal import InvalidOperation as Invalid
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from decimal_numbers import Extent, Number, OfNumbers, backward, copies, gradient, numbers
from equations.interpreter import Interpreter
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.runs import sampling
from reference import by_curve

DIGITS = 60
LEAST_SHARE = Decimal("1e-300")


def context(digits=DIGITS):
    return Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[DivisionByZero, Invalid])


class Drawn(NamedTuple):
    """All that a run draws: parameters, inputs, states by place, output layer, target, probe."""

    params: dict
    x: np.ndarray
    s0: dict
    output: tuple | None
    target: np.ndarray | None
    probe: dict | None


def drawn(run) -> Drawn:
    kind, N = run.loss.kind, run.batch_size
    output = target = probe = None
    if kind in ("mse", "cross_entropy"):
        output = sampling.output_layer(run)
        O, given = len(output[0]), run.loss.target  # noqa: E741
        rng = sampling.stream(run, "target")
        if kind == "mse":
            target = rng.standard_normal((N, O)) if given is None else np.full((N, O), given)
            target = target.astype(run.dtype)
        else:
            target = rng.integers(O, size=N) if given is None else np.full(N, int(given))
    if kind == "probe":
        widths = {at: run.state_width(at) for at in run.places}
        v = sampling.stream(run, "probe").standard_normal(sum(widths.values()))
        v = (v / np.linalg.norm(v)).astype(run.dtype)
        probe = dict(zip(widths, np.split(v, np.cumsum(list(widths.values()))[:-1]), strict=True))
    params = sampling.parameters(run)
    return Drawn(params, sampling.inputs(run), sampling.initial_state(run), output, target, probe)


def moved_by_an_ulp(given: Drawn, seed: int) -> Drawn:
    """The same with every parameter but exact zeros moved to one of its two neighbours."""
    rng = np.random.default_rng(seed)

    def moved(a):
        ends = np.where(rng.random(a.shape) < 0.5, -np.inf, np.inf).astype(a.dtype)
        return np.where(a == 0, a, np.nextafter(a, ends))

    params = {at: {name: moved(a) for name, a in own.items()} for at, own in given.params.items()}
    output = tuple(map(moved, given.output)) if given.output else None
    return given._replace(params=params, output=output)


def figures(run, given: Drawn, rounding=None):
    """Every figure of `run` by name, each an array of decimals (None if there is none), and
    the extent of its numbers. The digits suffice for what saturation cancels. `rounding` is a
    generator that moves every state by an ulp."""
    digits = DIGITS
    while True:
        with localcontext(context(digits)):
            extent = Extent()
            found = _figures(run, given, extent, rounding)
        needed = DIGITS - max(extent.slope.adjusted(), -400)
        if digits >= needed:
            return found, extent
        digits = needed + 5


def _figures(run, given, extent, rounding):
    Number.made = []
    places = {}
    x = list(numbers(given.x))
    for layer in range(run.layers):
        here = [at for at in run.places if at[0] == layer]
        for at in here:
            places[at] = Path.of(run, at, given, x[::-1] if at[1] else x, extent, rounding)
        outputs = [places[at].outputs[:: -1 if at[1] else 1] for at in here]
        x = [np.concatenate(both, axis=1) for both in zip(*outputs, strict=True)]
    losses = _losses(run, given, places, extent)
    backward(losses)
    N = run.batch_size
    found_at = {at: _place(run.cells[at], path, N) for at, path in places.items()}
    for direction in {d for _, d in run.places}:
        own = [found for at, found in found_at.items() if at[1] == direction]
        start = together([found["state"][:1] for found in own])[0]
        for found in own:
            found["relative"] = over(found["state"], start)
    result = {(at, name): curve for at, found in found_at.items() for name, curve in found.items()}
    if not run.bidirectional:
        result |= {("net", name): curve for name, curve in _whole(list(found_at.values())).items()}
    result["net", "loss"] = np.array([sum(loss.value for loss in losses) / N])
    if given.output:
        result["net", "total W_o"] = np.array([norm(gradient(losses.W_o) / N)])
    return result


class Path(NamedTuple):
    """The forward pass of one place: the parameters of each step, the states as handed on (N, S),
    what each step gives to the layer above, and what the last gives to the loss."""

    params: list
    states: list
    outputs: list
    last: np.ndarray

    @staticmethod
    def of(run, at, given, x, extent, rounding):
        cell, ulp = run.cells[at], Decimal(float(np.finfo(run.dtype).eps))
        step = Interpreter(cell.cell.equations, cell.cell.options, OfNumbers(extent))
        step.sizes = {"H": cell.H, "I": cell.I}
        exact = {name: numbers(a) for name, a in given.params[at].items()}
        path = Path([], [copies(numbers(given.s0[at]))], [], [])
        for x_t in x:
            own = {name: copies(a) for name, a in exact.items()}
            samples = []
            for x_n, s_n in zip(x_t, path.states[-1], strict=True):
                new, _ = step(own, _apart(cell, s_n), x_n)
                s = _flat(cell, new)
                extent.add_states(s)
                if rounding is not None:
                    s = s * (1 + ulp * rounding.choice([-1, 1], s.shape))
                handed = copies(s)
                step.new = _apart(cell, handed)
                last = np.reshape(step.evaluate(step.output), -1)
                step.new = _apart(cell, s)
                samples.append((handed, np.reshape(step.evaluate(step.output), -1), last))
            handed, above, last = map(np.array, zip(*samples, strict=True))
            path.params.append(own)
            path.states.append(handed)
            path.outputs.append(above)
        return path._replace(last=last)


def _apart(cell, s):
    """The parts of a state (S,) by name."""
    return {part.name: s[part.rows].reshape(part.shape) for part in cell.parts.values()}


def _flat(cell, parts):
    return np.concatenate([np.reshape(parts[name], -1) for name in cell.parts])


class Losses(list):
    """The loss of each sample; `W_o` is the output layer that they went through."""

    W_o = None


def _losses(run, given, places, extent):
    last = {at: path.states[-1] for at, path in places.items()}
    h = np.concatenate([places[at].last for at in run.top_places], axis=1)
    if run.loss.kind == "sum":
        return Losses(h.sum(axis=1))
    if run.loss.kind == "probe":
        return Losses(sum((last[at] * numbers(v)).sum(axis=1) for at, v in given.probe.items()))
    W_o, b_o = map(numbers, given.output)
    outputs = h @ W_o.T + b_o
    if run.loss.kind == "mse":
        difference = outputs - numbers(given.target)
        losses = Losses((difference * difference).sum(axis=1) * Decimal("0.5"))
    else:
        pairs = zip(outputs, given.target, strict=True)
        losses = Losses(_cross_entropy(a, y, extent) for a, y in pairs)
    losses.W_o = W_o
    return losses


def _cross_entropy(a, y, extent):
    """-log softmax(a)[y], with its slopes: softmax(a) less one at y, by the sum of all others."""
    largest = max(one.value for one in a)
    weights = [max(one.value - largest, -Decimal(10**6)).exp() for one in a]
    total, others = sum(weights), sum(w for j, w in enumerate(weights) if j != y)
    slopes = [(-others if j == y else weight) / total for j, weight in enumerate(weights)]
    extent.slope = min([extent.slope, *(abs(slope) for slope in slopes)])
    return Number(largest - a[y].value + total.ln(), *zip(a, slopes, strict=True))


def norm(a):
    return (np.asarray(a) ** 2).sum().sqrt() if np.size(a) else Decimal(0)


def together(curves):
    """Roots of sums of squares, entry by entry."""
    return np.array([norm(entries) for entries in zip(*curves, strict=True)], dtype=object)


def over(curve, divisor):
    return np.array([value / divisor if divisor else None for value in curve], dtype=object)


def _place(cell, path, N):
    """The figures of one place, in the order of lags."""
    ds = [gradient(s) for s in path.states][::-1]
    root_N = Decimal(N).sqrt()
    found = {"state": np.array([norm(a) / root_N for a in ds], dtype=object)}
    for part in cell.parts.values():
        of_part = [norm(a[:, part.rows]) / root_N for a in ds]
        found[f"part {part.name}"] = np.array(of_part, dtype=object)
    gradients = {
        name: [gradient(own[name]) / N for own in path.params][::-1] for name in path.params[0]
    }
    found["share"] = np.array([None] * len(path.params))
    for name, terms in by_curve(cell, gradients).items():
        found[f"term {name}"] = np.array([norm(a) for a in terms], dtype=object)
        running = [norm(a) for a in np.cumsum(terms, axis=0)]
        found[f"total {name}"] = np.array(running[-1:], dtype=object)
        if name == "W_s":
            found["share"] = over(running, running[-1])
    return found


def _whole(places):
    """The figures of a net of these layers."""
    names = [name for name in places[0] if name not in ("share", "relative")]
    whole = {name: together([found[name] for found in places]) for name in names}
    whole["relative"] = over(whole["state"], whole["state"][0])
    whole["share"] = places[0]["share"]
    if "total W_s" in whole:
        running = [
            [(share or 0) * found["total W_s"][0] for share in found["share"]] for found in places
        ]
        whole["share"] = over(together(running), whole["total W_s"][0])
    return whole


def reported(result):
    """What gradflow says, by the same names; every figure as `Magnitudes`."""
    flows = {
        (part.layer, int(part.direction == "reverse")): part.flow for part in result.layers
    } or {(0, 0): result.flow}
    if result.flow is not None:
        flows["net"] = result.flow
    found = {("net", "loss"): Magnitudes.of([result.loss])}
    for at, flow in flows.items():
        curves = {"state": flow.state, "relative": flow.relative}
        curves |= {f"part {name}": curve for name, curve in flow.parts.items()}
        curves |= {f"term {name}": curve for name, curve in flow.terms.items()}
        curves |= {f"total {name}": one_entry(total) for name, total in flow.totals.items()}
        curves["share"] = Magnitudes.of(flow.share_W_s)  # floats: 0 where it is too small for one
        found |= {(at, name): curve for name, curve in curves.items()}
    found.pop(((0, 0), "total W_o"), None)
    return found


def one_entry(number):
    return Magnitudes(np.atleast_1d(number.mantissa), np.atleast_1d(number.exponent))


@lru_cache(maxsize=4096)
def power_of_two(exponent):
    return context().power(Decimal(2), exponent)


def decimals(curve: Magnitudes):
    """Each number of a curve; None where it is NaN, infinity where it left all range."""
    with localcontext(context()):
        return [
            None if m != m else Decimal(m) * (power_of_two(e) if m and np.isfinite(m) else 1)
            for m, e in zip(curve.mantissa.tolist(), curve.exponent.tolist(), strict=True)
        ]


class Wrong(NamedTuple):
    """A figure that is not what it should be."""

    name: tuple
    lag: int
    reported: Decimal | None
    true: Decimal | None


def compared(result, run, given, exact, tolerance):
    """(how many figures were compared, those that are wrong): where an ulp in every parameter moves
    the true one by less than a tenth of `tolerance`.

    What a cell that mixes its state with another, (1 - z) n + z h, learns by its gate is made of a
    difference of forward states, h - n, whose own rounding no backward pass can undo: the gate's
    terms, and where its keeping is as small as its slope (an MGU whose gate is e^-20 from 1) also
    what arrives through it at the state before. Its loss may be what is left of states that cancel.
    There, and nowhere else, an ulp in every state counts too.
    """
    found, tolerance = reported(result), Decimal(tolerance)
    largest = Decimal(float(np.finfo(run.dtype).max))
    assert {name for name in exact if name[0] != "net"} <= {*found}
    with localcontext(context()):
        steady = _steady(run, given, exact, tolerance / 10, seed=1)
        wrong = _wrong(found, exact, steady, tolerance, largest)
        for seed in range(2, 7):  # an ulp may go either way, and a chance miss counts for nothing
            if wrong:
                steady &= _steady(run, given, exact, tolerance / 10, seed)
                wrong = _wrong(found, exact, steady, tolerance, largest)
        for seed in range(7, 10) if "(1 - " in run.cell.equations.step else ():
            if wrong:
                rounding = np.random.default_rng(seed)
                steady &= _steady(run, given, exact, tolerance / 10, seed, rounding)
                wrong = _wrong(found, exact, steady, tolerance, largest)
    return len(steady), wrong


def _steady(run, given, exact, tolerance, seed, rounding=None):
    """The (name, lag) of the figures that an ulp does not move by more than `tolerance`."""
    moved, _ = figures(run, moved_by_an_ulp(given, seed), rounding)
    return {
        (name, lag)
        for name, curve in exact.items()
        for lag, (other, true) in enumerate(zip(moved[name], curve, strict=True))
        if agree(other, true, tolerance)
    }


def _wrong(found, exact, steady, tolerance, largest):
    """`largest` is that of the run's floats: a loss beyond it is infinite."""
    return [
        Wrong(name, lag, ours, true)
        for name in exact.keys() & found.keys()
        for lag, (ours, true) in enumerate(zip(decimals(found[name]), exact[name], strict=True))
        if (name, lag) in steady
        and not agree(ours, true, tolerance)
        and not (name[1] == "share" and _vanish(ours, true))
        and not (name[1] == "loss" and ours == float("inf") and true > largest)
    ]


def _vanish(ours, true):
    """Whether both are too small for a float, which shares are."""
    return None not in (ours, true) and max(ours, true) < LEAST_SHARE


def agree(a, b, tolerance):
    if a is None or b is None:
        return a is b
    return a == b or abs(a - b) <= tolerance * abs(b)
