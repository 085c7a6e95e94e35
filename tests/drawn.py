"""Runs drawn at random over every cell, option, loss and dtype, at any magnitude."""

from __future__ import annotations

import math

import numpy as np

import gradflow
from gradflow.cells import CELLS
from gradflow.runs.sampling import parameters
from nets import draws_W_s

WORK = 1200  # about how many products with parameters


def drawn_run(seed, name=None):
    """One run, of any cell or of the one named, and the length of its blocks."""
    rng = np.random.default_rng(seed)
    config = drawn_config(rng, name)
    (run,) = gradflow.load(config).runs
    return config, run, int(rng.choice([1, 2, 3, 5, 300]))


def keeps_digits(equations):
    """Whether gradients have all digits at any magnitude. What exponential gates remember is a
    quotient of sums that round, and what is normalised does not see its own scale, so that the
    gradient along it cancels: these are held to fifty digits where numbers are of size one."""
    return not equations.gauge and "layernorm" not in equations.step


EXACT = [name for name in CELLS if keeps_digits(CELLS[name].equations)]


def drawn_config(rng, name=None):
    def one_of(*values):
        return values[rng.integers(len(values))]

    any_name = one_of(*EXACT)
    name = name or any_name
    dtype = one_of("float64", "float32")
    farthest = 90 if dtype == "float64" else 13
    sizes = {
        "hidden_size": one_of(1, 1, 2, 3, 4, 6),
        "input_size": one_of(1, 2, 4),
        "output_size": one_of(2, 3),
        "batch_size": one_of(1, 1, 2, 3, 9),
        "layers": one_of(1, 1, 1, 2, 3, 4),
        "bidirectional": bool(rng.random() < 0.3),
    }
    places = sizes["layers"] * (1 + sizes["bidirectional"])
    options = drawn_options(CELLS[name].equations, rng)
    cell = CELLS[name](**options).sized(sizes["hidden_size"], sizes["input_size"])
    entries = sum(math.prod(p.shape) for p in cell.parameters.values())
    step = places * sizes["batch_size"] * entries
    config = {
        "cell": {"type": name, **options},
        "sequence_length": int(rng.integers(1, 3 + min(60, WORK // step))),
        **sizes,
        "ws_init": one_of("gaussian", "orthogonal", "identity", "uniform"),
        "wx_init": one_of("gaussian", "orthogonal", "identity", "uniform"),
        "wx_scale": one_of(1.0, 1.0, 0.1, 10.0),
        "bias_scale": one_of(0.0, 0.3, 1.0, 10.0),
        "initial_state": one_of("zeros", {"kind": "gaussian"}),
        "loss": one_of("mse", "cross_entropy", "probe", "sum"),
        "dtype": dtype,
        "seed": int(rng.integers(2**31)),
        "tape_memory": one_of(1, 2**30),
    }
    factor = 10 ** rng.uniform(-farthest, farthest)
    at_rest = {"input": "zeros", "initial_state": "zeros", "bias_scale": 0.0}
    mode = one_of("usual", "usual", "vanishing", "at rest", "tiny input", "saturated")
    if mode == "usual":
        config |= {"ws_scale": one_of(0.5, 1.0, 2.0, 5.0, -1.0, 0.0)}
    elif mode == "vanishing":
        config |= {"ws_scale": min(factor, 1 / factor), "wx_scale": one_of(1.0, factor, 1 / factor)}
        config["wx_scale"] = min(config["wx_scale"], 10.0)
    elif mode == "at rest":
        config |= {"ws_scale": factor, "wx_scale": one_of(1.0, 1 / factor, factor), **at_rest}
    elif mode == "tiny input":
        tiny = 10 ** -rng.uniform(0, farthest / 3)
        config |= {"input": {"kind": "gaussian", "scale": tiny}, "ws_scale": one_of(1.0, 10.0)}
    else:
        config |= {"wx_scale": one_of(5.0, 20.0), "ws_scale": one_of(0.5, 2.0, 10.0, factor**0.1)}
        config["input"] = {"kind": "gaussian", "scale": one_of(0.3, 1.0)}
    if not draws_W_s(CELLS[name](**options)):
        del config["ws_init"]
        config.pop("ws_scale", None)
    return config


def drawn_options(equations, rng):
    """A value for each option, from what its declaration and the config allow."""
    values = {}
    for name, given in equations.options:
        if isinstance(given, tuple):
            values[name] = given[rng.integers(len(given))]
        elif isinstance(given, int):
            values[name] = int(rng.integers(1, 4))
        else:
            values[name] = float(rng.choice([given, given, 0.5, -2, 8, 20, 40, -30]))
            if not allowed(equations.name, values):
                values[name] = float(rng.choice([0.9, 0.3, 0.01]))
            if not allowed(equations.name, values):
                values[name] = given
    return values


def allowed(cell, options):
    """Whether the config takes these values, and initial values made of them are numbers."""
    try:
        (run,) = gradflow.load({"cell": {"type": cell, **options}, "hidden_size": 64}).runs
    except gradflow.InputError:
        return False
    return all(np.isfinite(a).all() for own in parameters(run).values() for a in own.values())
