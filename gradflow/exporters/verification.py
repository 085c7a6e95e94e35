"""What `gradflow verify` compared, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

import numpy as np

from gradflow.logspace import Magnitudes
from gradflow.verification import Comparison, Verification

_NAMES = {
    "s": "∂L/∂s, the state",
    "W_x": "∂L/∂W_x term",
    "W_s": "∂L/∂W_s term",
    "b_x": "∂L/∂b_x term",
    "b_s": "∂L/∂b_s term",
}


def table(verifications: Sequence[Verification], varied: Sequence[str]) -> Iterator[str]:
    """One block a run: each quantity, at how many lags it was compared, the largest error."""
    for number, verification in enumerate(verifications):
        axes = verification.run.axes
        names = " ".join(f"{name}={axes[name]}" for name in varied if name != "cell")
        yield f"run {number}: {axes['cell']} {names}".rstrip() + "\n"
        if verification.comparisons:
            yield f"  {'quantity':<17}  {'lags':<11}  {'backpropagated':<14}  complex step    error"
            yield "    holds\n"
        by_quantity = sorted(verification.comparisons, key=lambda c: list(_NAMES).index(c.quantity))
        for quantity, group in groupby(by_quantity, key=lambda c: c.quantity):
            yield _row(_NAMES[quantity], list(group))
        if verification.skipped:
            yield f"  not compared: {verification.skipped}\n"
        yield "\n"
    comparisons = [c for v in verifications for c in v.comparisons]
    wrong = sum(not c.holds for c in comparisons)
    if comparisons:
        worst = max(c.error for c in comparisons)
        allowed = comparisons[0].tolerance
        yield (
            f"{len(comparisons)} comparisons: {len(comparisons) - wrong} hold, {wrong} differ; "
            f"largest relative error {worst:.1e}, allowed {allowed:.0e}.\n"
        )


def _row(name: str, comparisons: list[Comparison]) -> str:
    worst = max(comparisons, key=lambda c: c.error)
    lags = [c.lag for c in comparisons]
    span = f"{min(lags)}..{max(lags)} ({len(lags)})"
    holds = "yes" if all(c.holds for c in comparisons) else f"NO, at lag {worst.lag}"
    return (
        f"  {name:<17}  {span:<11}  {_short(worst.backpropagated)}  {_short(worst.complex_step)}"
        f"  {worst.error:<7.1e}  {holds}\n"
    )


def _short(number: Magnitudes) -> str:
    """A scalar of any size in eight digits, in the width of its column."""
    [text] = Magnitudes(np.atleast_1d(number.mantissa), np.atleast_1d(number.exponent)).texts()
    return f"{Decimal(text):<14.8g}"
