"""Small random nets for the tests: every cell with every choice of its options."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pytest

import gradflow
from gradflow.cells import CELLS, Cell, SizedCell
from gradflow.engine.flow import unroll
from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.initial import uses_drawn
from gradflow.measures.flows import backpropagate
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow
from gradflow.runs.sampling import parameters


def variants(all_functions: bool = False) -> list[Cell]:
    """Every cell of CELLS at its defaults, with every other value of each option that is a choice
    (a choice of functions where it first comes, unless `all_functions`), and with 0.3 for each
    number that its step reads; sizes are small."""
    cells, seen = [], set()
    for make in CELLS.values():
        equations, choices = make.equations, make.equations.choices
        sizes = {name: 3 for name, value in equations.defaults.items() if isinstance(value, int)}
        cells.append(make(**sizes))
        for name, values in choices.items():
            of_functions = set(values) <= set(FUNCTIONS)
            if not of_functions or all_functions or name not in seen:
                cells += [make(**sizes, **{name: value}) for value in values[1:]]
            seen.add(name)
        cells += [
            make(**sizes, **{name: 0.3})
            for name, value in equations.defaults.items()
            if isinstance(value, float) and re.search(rf"\b{name}\b", equations.step)
        ]
    return cells


VARIANTS = variants()
LABELS = [cell.label for cell in VARIANTS]


def draws_W_s(cell: Cell) -> bool:
    """Whether `ws_init` and `ws_scale` have a meaning for a cell."""
    declared = cell.sized(4, 3).parameters.values()
    return any(p.role == "recurrent" and uses_drawn(p.init) for p in declared)


def _has_own_functions(cell: Cell) -> bool:
    """Whether a cell's functions are those of its defaults."""
    defaults, choices = cell.equations.defaults, cell.equations.choices
    functions = (name for name, values in choices.items() if set(values) <= set(FUNCTIONS))
    return all(cell.options[name] == defaults[name] for name in functions)


FORMS = [cell for cell in VARIANTS if _has_own_functions(cell)]
FORM_LABELS = [cell.label for cell in FORMS]


def in_turn(names, cells, values, each=1):
    """Parametrizes a test by (cell, value): each cell has `each` of the values in the ordinary
    tests, one after the other in turn, and all of them in the long ones."""
    pairs = []
    for at, cell in enumerate(cells):
        ordinary = {(at + k) % len(values) for k in range(each)}
        for k, value in enumerate(values):
            marks = () if k in ordinary else (pytest.mark.fuzz,)
            own = value if isinstance(value, tuple) else (value,)
            label = "-".join(map(str, (cell.label, *own)))
            pairs.append(pytest.param(cell, *own, id=label, marks=marks))
    return pytest.mark.parametrize(names, pairs)


_SCALES = {"input": 1.0, "recurrent": 1.0, "bias": 0.3, "input_bias": 0.3, "other": 1.0}


class Net(NamedTuple):
    """What the engine is given: parameters, inputs, initial state, cotangent of the last state."""

    cell: SizedCell
    params: dict
    x: np.ndarray
    s0: np.ndarray
    ds_T: np.ndarray


def random_params(cell: SizedCell, rng, R=1, g=0.9) -> dict:
    """Gaussian parameters by name, (R, *shape); entries of a matrix N(0, 1/columns)."""
    params = constants(cell, R)
    for p in cell.parameters.values():
        if not p.trained:
            continue
        scale = _SCALES[p.role] * (g if p.role == "recurrent" else 1)
        size = p.shape[1] ** -0.5 if len(p.shape) == 2 else 1.0
        params[p.name] = scale * size * rng.standard_normal((R, *p.shape))
    return params


def constants(cell: SizedCell, R=1) -> dict:
    """What a cell does not train, by name, (R, *shape), as it is declared."""
    names = [p.name for p in cell.parameters.values() if not p.trained]
    if not names:
        return {}
    sizes = {"hidden_size": cell.H, "input_size": cell.I}
    chosen = {"type": cell.cell.name, **cell.cell.options}
    (run,) = gradflow.load({"cell": chosen, **sizes}).runs
    values = parameters(run)[0, 0]
    return {name: np.repeat(values[name][None], R, axis=0) for name in names}


def random_net(cell: Cell, *, T=7, R=1, N=3, I=2, H=4, g=0.9, seed=0) -> Net:  # noqa: E741
    """R independent nets with Gaussian parameters, inputs, states and cotangents."""
    rng = np.random.default_rng(seed)
    sized = cell.sized(H, I)
    S = sized.S_all

    def draw(*shape):
        return rng.standard_normal(shape)

    params = random_params(sized, rng, R, g)
    x, s0, ds_T = draw(T, R, N, I), 0.5 * draw(R, N, S), draw(R, N, S)
    s0[..., sized.S :] = 0
    for scale in sized.gauge:  # what carries scale and no memory
        ds_T[..., sized.parts[scale].rows] = 0
    return Net(sized, params, x, s0, ds_T)


def parts_of(cell: SizedCell, s) -> dict[str, np.ndarray]:
    """The parts of states (..., S) by name."""
    return {part.name: s[..., part.rows] for part in cell.parts.values()}


def fused(cell: SizedCell, params) -> list[np.ndarray]:
    """W_x, W_s, b_x, b_s and, if there is one, W_p as files have them, gates fused: b_s has
    the biases that go with a recurrent product alone, and zeros."""
    uses = {use.weight: use for use in cell.uses}
    by_role = {role: [p.name for p in cell.parameters.values() if p.role == role]
               for role in ("input", "recurrent", "bias", "input_bias", "other")}  # fmt: skip
    biases = [name for name in cell.parameters if name in by_role["bias"] + by_role["input_bias"]]

    def bias_with(matrix, which):
        own = [name for name in biases if uses[name].rows == uses[matrix].rows]
        return own[which]

    b_x = [bias_with(name, 0) for name in by_role["input"]]
    b_s = [bias_with(name, -1) for name in by_role["recurrent"]]
    arrays = [
        np.concatenate([params[n] for n in by_role[r]], axis=1) for r in ("input", "recurrent")
    ]
    arrays.append(np.concatenate([params[name] for name in b_x], axis=1))
    pairs = [np.zeros_like(params[n]) if n in b_x else params[n] for n in b_s]
    return [*arrays, np.concatenate(pairs, axis=1), *(params[name] for name in by_role["other"])]


def mapped(params, function) -> dict:
    """`function` of every parameter."""
    return {name: function(a) for name, a in params.items()}


def flows(net, *, share=True, **unroll_options) -> list[GradientFlow]:
    """The curves of every run of `net`."""
    trajectory = unroll(net.cell, net.params, net.x, net.s0, **unroll_options)
    return backpropagate(trajectory, net.ds_T, share=share)


def flow(net, **options) -> GradientFlow:
    """The curves of a net of one run."""
    (only,) = flows(net, **options)
    return only


def one_run(net, r) -> Net:
    """Run `r` of a bundle, alone."""
    only = slice(r, r + 1)
    params = mapped(net.params, lambda a: a[only])
    return net._replace(params=params, x=net.x[:, only], s0=net.s0[only], ds_T=net.ds_T[only])


def curves(flow) -> dict[str, Magnitudes]:
    """Everything a flow measured, by name."""
    return {
        "state": flow.state,
        **{f"part {name}": curve for name, curve in flow.parts.items()},
        **{f"term {name}": curve for name, curve in flow.terms.items()},
        **{f"total {name}": total for name, total in flow.totals.items()},
        "share_W_s": Magnitudes.of(flow.share_W_s),
    }


def assert_same_bytes(one, other):
    for (name, a), b in zip(curves(one).items(), curves(other).values(), strict=True):
        np.testing.assert_array_equal(a.mantissa, b.mantissa, err_msg=name)
        known = ~np.isnan(a.mantissa)
        np.testing.assert_array_equal(a.exponent[known], b.exponent[known], err_msg=name)


_GATES = {
    "rnn": [""],
    "lstm": ["_i", "_f", "_g", "_o"],
    "gru": ["_r", "_z", "_n"],
}  # PyTorch's order
_GATES["lstmp"] = _GATES["lstm"]


def as_pytorch(cell: Cell, params) -> dict:
    """The parameters of one layer by PyTorch's names, gates fused; leading axes stay. Where the
    cell has one bias and PyTorch two, these add up to it."""
    gates = _GATES[cell.name]
    one = {gate: params[f"b{gate}"] for gate in gates}
    own, other = ({gate: factor * b for gate, b in one.items()} for factor in (2.0, -1.0))
    if cell.name == "gru":
        own["_n"], other["_n"] = params["c_n"], params["b_n"]
    found = {
        "weight_ih": np.concatenate([params[f"W{gate}"] for gate in gates], axis=-2),
        "weight_hh": np.concatenate([params[f"U{gate}"] for gate in gates], axis=-2),
        "bias_ih": np.concatenate([*own.values()], axis=-1),
        "bias_hh": np.concatenate([*other.values()], axis=-1),
    }
    return found | ({"weight_hr": params["W_p"]} if cell.name == "lstmp" else {})


class Stack(NamedTuple):
    """The same for a stacked or bidirectional net, by place (layer, direction)."""

    cells: dict
    params: dict
    x: np.ndarray
    s0: dict
    ds_T: dict


def random_stack(cell, *, layers=2, directions=1, T=7, R=1, N=3, I=2, H=4, seed=0) -> Stack:  # noqa: E741
    """R independent nets of several layers; only the upper layer's last state meets the loss."""
    cells, params, s0, ds_T = {}, {}, {}, {}
    x = None
    for layer in range(layers):
        for direction in range(directions):
            at = layer, direction
            width = directions * cells[layer - 1, 0].P if layer else I
            net = random_net(cell, T=T, R=R, N=N, I=width, H=H, seed=[seed, layer, direction])
            x = net.x if x is None else x
            cells[at], params[at], s0[at] = net.cell, net.params, net.s0
            ds_T[at] = net.ds_T if layer == layers - 1 else np.zeros_like(net.ds_T)
    return Stack(cells, params, x, s0, ds_T)
