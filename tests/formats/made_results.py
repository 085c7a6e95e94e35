"""Results whose curves are known: decay by a constant factor per lag, carried in log space."""

from __future__ import annotations

import math

import numpy as np

from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes
from gradflow.results import Diagnosis, GradientFlow, Result


def curve(log2, zero_from=None):
    """2**log2, exactly zero from lag `zero_from` on."""
    whole = np.floor(log2)
    mantissa, exponent = np.exp2(log2 - whole) / 2, whole.astype(np.int64) + 1
    if zero_from is not None:
        mantissa[zero_from:], exponent[zero_from:] = 0.0, ZERO_EXPONENT
    return Magnitudes(mantissa, exponent)


def made(run=0, cell="rnn", T=100, rate=0.9, start=0.02, zero_from=None, **more):
    """A run whose gradient changes by `rate` per lag; rate None: its forward pass diverged."""
    axes = {
        "cell": cell,
        "sequence_length": T,
        "hidden_size": 64,
        "input_size": 16,
        "batch_size": 32,
        "ws_init": "gaussian",
        "ws_scale": 1.0,
        "wx_init": "gaussian",
        "wx_scale": 1.0,
        "bias_scale": 0.0,
        "seed": 0,
        "layers": 1,
        "bidirectional": False,
    }
    axes |= {name: value for name, value in more.items() if name in axes}
    others = {name: value for name, value in more.items() if name not in axes}
    others = {"varied": (), "loss": 0.5134, "diagnosis": diagnosed(rate, T), **others}
    if rate is None:
        return Result(run, axes, flow=None, diverged_at=37, **others)
    log2 = math.log2(start) + np.arange(T + 1) * math.log2(rate)
    state = curve(log2, zero_from)
    parts = {"h": curve(log2 - 0.3, zero_from)}
    if cell.startswith("lstm"):
        parts["c"] = curve(log2 - 1.2, zero_from)
    terms = {name: curve(log2[:T] + 2, zero_from) for name in ("W_x", "W_s", "b_s")}
    share = np.minimum(1.0, (np.arange(T) + 1) / T)
    totals = {name: curve(np.array(2.5)) for name in ("W_x", "W_s", "b_s", "W_o")}
    spread = state.log10()[:, None] + np.array([-0.25, 0.0, 0.5])
    flow = GradientFlow(state, parts, terms, share, totals, log10_percentiles=spread)
    return Result(run, axes, flow=flow, **others)


def diagnosed(rate, T):
    """What the analysis says of such a curve."""
    if rate is None:
        return Diagnosis("diverged")
    reach = math.log(1e-3 if rate < 1 else 1e3) / math.log(rate) if rate != 1 else math.inf
    horizon = math.floor(reach) + 1 if reach < T else None
    verdict = "stable" if horizon is None else "vanishing" if rate < 1 else "exploding"
    half_life = math.log(0.5) / math.log(rate) if rate < 1 else None
    return Diagnosis(verdict, rate, (rate * 0.995, rate * 1.005), half_life, horizon, horizon)


def sweep():
    """Cells by scales: six runs, one of which diverged."""
    rates = {("rnn", 0.5): 0.45, ("rnn", 1.0): 0.84, ("rnn", 1.5): 1.11}
    rates |= {("lstm", 0.5): 0.62, ("lstm", 1.0): 0.981, ("lstm", 1.5): None}
    varied = ("cell", "ws_scale")
    return [
        made(run, cell, rate=rate, ws_scale=scale, varied=varied)
        for run, ((cell, scale), rate) in enumerate(rates.items())
    ]


def wide():
    """Twelve runs that differ in five things, with options in the label."""
    varied = ("cell", "sequence_length", "ws_init", "ws_scale", "seed")
    cells = ("rnn[activation=linear]", "gru[reset=before update_bias=1.0]", "lstm")
    return [
        made(
            run,
            cells[run % 3],
            T=(50, 100)[run % 2],
            rate=0.6 + run / 20,
            ws_init=("gaussian", "orthogonal")[run % 2],
            ws_scale=run / 8,
            seed=run,
            varied=varied,
        )
        for run in range(12)
    ]


def lengths():
    """Three runs of different T."""
    return [
        made(run, T=T, rate=0.95, varied=("sequence_length",)) for run, T in enumerate((1, 30, 100))
    ]


SAMPLES = {
    "one": lambda: [made()],
    "one lstm": lambda: [made(cell="lstm[forget_bias=1.0]", rate=0.98)],
    "one step": lambda: [made(T=1)],
    "diverged": lambda: [made(rate=None, loss=math.inf)],
    "dead": lambda: [made(T=30, zero_from=0)],
    "zero from lag 12": lambda: [made(zero_from=12)],
    "tiny": lambda: [made(T=2000, rate=0.5)],
    "huge": lambda: [made(T=2500, rate=1.5)],
    "quoted label": lambda: [made(cell='rnn[f="a,b|c"]')],
    "lengths": lengths,
    "sweep": sweep,
    "wide": wide,
    "nothing": list,
}
