"""Lines that follow from each other, hundreds of them: no faster growth, no limit of Python's."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells.cell import Cell
from gradflow.config.load import from_mapping
from gradflow.equations.compile import with_room
from gradflow.equations.declaration import declared
from gradflow.equations.mistakes import EquationsError
from gradflow.verification import verify
from growth import calls

FORMS = {
    "product": "{a} * b",
    "ratio": "{a} / (2 + b)",
    "reciprocal": "b / (2 + {a})",
    "sum": "{a} + b",
    "maximum": "max({a}, b)",
    "minimum of an expression": "min(0.5 * {a}, b)",
    "function": "tanh({a})",
    "size": "abs({a}) + b",
    "power": "0.5 * {a} ** 2",
    "norm": "layernorm({a}) + b",
}


def chain(form, lines):
    step = ["a0 = W @ x[t] + b"]
    step += [f"a{i} = " + FORMS[form].format(a=f"a{i - 1}") for i in range(1, lines)]
    step += [f"h[t] = tanh(a{lines - 1} + U @ h[t-1])"]
    parameters = {"W": ["H", "I"], "U": ["H", "H"], "b": "H"}
    return {"name": "chain", "state": {"h": "H"}, "parameters": parameters, "step": "\n".join(step)}


@pytest.mark.parametrize("form", FORMS)
def test_the_code_grows_with_the_lines_and_no_faster(form):
    sizes = []
    for lines in (8, 16, 32):
        cell = Cell.of(declared(chain(form, lines)))
        sizes.append(len(cell.compiled.code.source.splitlines()))
    assert sizes[2] - sizes[1] <= 2 * (sizes[1] - sizes[0]) + 8


TWICE = {
    "sum": "{a} + {a}",
    "difference": "{a} - 2 * ({a} + b)",
    "product": "{a} * {a} + {a}",
    "weights": "b * {a} + b * {a}",
    "blend": "(1 - {a}) * b + {a} * {a}",
}
OF_WEIGHTS = {
    "sum": "{a} + {a}",
    "difference": "2 * {a} - {a}",
    "turned": "{a}.T + {a}.T",
    "antisymmetric": "{a} - {a}.T",
    "product": "{a} @ {a} + {a}",
}


def doubling(form, lines, first, last):
    """Lines each of which has the one before more than once."""
    step = [f"a0 = {first}"]
    step += [f"a{i} = " + form.format(a=f"a{i - 1}") for i in range(1, lines)]
    step += [f"h[t] = {last.format(a=f'a{lines - 1}')}"]
    parameters = {"W": ["H", "I"], "U": ["H", "H"], "b": "H"}
    return {"name": "twice", "state": {"h": "H"}, "parameters": parameters, "step": "\n".join(step)}


SAMPLES = ("tanh(W @ x[t] + U @ h[t-1] + b)", "{a}")
WEIGHTS = ("U", "tanh(W @ x[t] + {a} @ h[t-1] + b)")
DOUBLED = [(form, *SAMPLES) for form in TWICE.values()]
DOUBLED += [(form, *WEIGHTS) for form in OF_WEIGHTS.values()]


@pytest.mark.parametrize(("form", "first", "last"), DOUBLED)
def test_what_a_line_has_twice_is_computed_once(form, first, last):
    def compiling(lines):
        return lambda: Cell.of(declared(doubling(form, lines, first, last))).compiled

    calls(compiling(3))  # what is made once and kept does not grow
    few, some, many = (calls(compiling(lines)) for lines in (4, 8, 11))
    assert many - some <= 1.5 * (some - few)  # for three lines, and for four


@pytest.mark.parametrize(("form", "first", "last"), DOUBLED)
def test_gradients_through_what_is_there_twice_hold(form, first, last):
    cell = {"type": "equations", **doubling(form, 4, first, last)}
    sizes = {"hidden_size": 3, "input_size": 2, "sequence_length": 4, "batch_size": 2}
    [run] = from_mapping({"cell": cell, **sizes, "bias_scale": 0.5, "ws_scale": 0.1}).runs
    verification = verify(run)
    assert verification.comparisons
    assert all(c.holds for c in verification.comparisons)


@pytest.mark.parametrize("form", ["product", "maximum", "ratio"])
def test_hundreds_of_lines_compile(form):
    cell = Cell.of(declared(chain(form, 399)))
    assert cell.sized(3, 2).S == 3


@pytest.mark.parametrize("form", FORMS)
def test_gradients_through_a_chain_hold(form):
    cell = {"type": "equations", **chain(form, 6)}
    sizes = {"hidden_size": 3, "input_size": 2, "sequence_length": 4, "batch_size": 2}
    [run] = from_mapping({"cell": cell, **sizes, "bias_scale": 0.5}).runs
    verification = verify(run)
    assert verification.comparisons
    assert all(c.holds for c in verification.comparisons)


WHOLE = {
    **{name: ("H", form.format(a="z")) for name, form in FORMS.items()},
    "norm alone": ("H", "layernorm(z)"),
    "slice": (2, "z[0:2]"),
    "sum alone": (1, "sum(z)"),
    "greatest": ("H", "max(z, b)"),
    "outer": (["H", "H"], "outer(z, b)"),
    "turned": (["H", "H"], "outer(z, b).T"),
    "product with a matrix": ("H", "outer(z, b) @ b"),
    "sigmoid": ("H", "sigmoid(z)"),
    "rest": ("H", "1 - sigmoid(z)"),
}


@pytest.mark.parametrize("output", ["h[t]", "layernorm(h[t])"])
@pytest.mark.parametrize("form", WHOLE)
def test_any_operation_may_be_the_new_state_itself(form, output):
    shape, new = WHOLE[form]
    cell = {
        "type": "equations",
        "state": {"h": "H", "c": shape},
        "parameters": {
            "W": ["H", "I"],
            "U": ["H", "H"],
            "b": {"shape": "H", "init": "uniform(1, 2)"},
        },
        "output": output,
        "step": f"z = U @ tanh(h[t-1] + sum(c[t-1])) + W @ x[t] + b\nh[t] = z\nc[t] = {new}",
    }
    sizes = {"hidden_size": 3, "input_size": 2, "sequence_length": 4, "batch_size": 2}
    [run] = from_mapping({"cell": cell, **sizes, "loss": "probe"}).runs
    verification = verify(run)
    assert verification.comparisons
    assert all(c.holds for c in verification.comparisons)


def test_what_is_deeper_than_any_room_is_a_mistake():
    def endless(n=0):
        return endless(n + 1)

    with pytest.raises(EquationsError, match="too deeply"):
        with_room(endless)


def test_errors_pass_and_values_come_back():
    def deep(n):
        return n if n == 0 else 1 + deep(n - 1)

    assert with_room(lambda: deep(3000)) == 3000

    def fails(n):
        if n == 0:
            raise ValueError("below")
        return fails(n - 1)

    with pytest.raises(ValueError, match="below"):
        with_room(lambda: fails(3000))
    assert np.isfinite(deep(10))
