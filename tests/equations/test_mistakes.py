"""Every fault of equations is told with its place, what was expected and the nearest name, all at
once, in time linear in the text."""

from __future__ import annotations

import dataclasses

import pytest

from equations.published import CELLS, equations
from gradflow.cells.cell import Cell
from gradflow.equations.declaration import Declared
from gradflow.equations.mistakes import At, EquationsError, marked
from gradflow.equations.parse import MOST_STATEMENTS

GOOD = equations(
    "mgu", {"h": "H"},
    {"W_f": "H I", "U_f": "H H", "b_f": "H", "W_n": "H I", "U_n": "H H", "b_n": "H"},
    """f = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
n = tanh(W_n @ x[t] + U_n @ (f * h[t-1]) + b_n)
h[t] = (1 - f) * h[t-1] + f * n""",
)  # fmt: skip


def mistakes(made):
    with pytest.raises(EquationsError) as raised:
        Cell.of(made).sized(3, 2)
    return [(m.where, m.at.line, m.at.column, m.message) for m in raised.value.mistakes]


def test_a_function_without_its_argument_says_how_it_is_called():
    (found,) = of_step(
        (
            "tanh(W_n @ x[t] + U_n @ (f * h[t-1]) + b_n)",
            "tanh * (W_n @ x[t] + U_n @ (f * h[t-1]) + b_n)",
        )
    )
    assert found[3].startswith("'tanh' is a function: call it, tanh(z)")


def of_step(*changes, **more):
    step = GOOD.step
    for old, new in changes:
        assert old in step
        step = step.replace(old, new, 1)
    return mistakes(dataclasses.replace(GOOD, step=step, **more))


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ("b_f)", "b_g)", (1, 41), "unknown name 'b_g'"),
        ("sigmoid(", "sigmod(", (1, 5), "unknown function 'sigmod': did you mean 'sigmoid'?"),
        ("U_f @ h[t-1]", "U_f @ x[t]", (1, 30), "cannot multiply U_f [H, H] @ I"),
        ("h[t-1] + b_f", "h[t-2] + b_f", (1, 34), "keep what is older in its own part of"),
        ("f * h[t-1])", "f * h)", (2, 34), "'h' is a part of the state: write h[t-1] or h[t]"),
        ("f * h[t-1])", "n * h[t-1])", (2, 30), "'n' is used before it is assigned, on line 2"),
        ("h[t] =", "g[t] =", (3, 1), "'g' is no part of the state"),
        ("n = tanh", "f = tanh", (2, 1), "f is assigned twice: give the second one its own name"),
        ("n = tanh", "W_n = tanh", (2, 1), "'W_n' is a parameter"),
        ("n = tanh", "tanh = tanh", (2, 1), "'tanh' is a function already"),
        ("+ f * n", "+ f * n[0:9]", (3, 32), "[0:9] is no slice of H entries"),
        ("+ f * n", "+ f * (n", (3, 31), "'(' is never closed"),
        ("+ f * n", "+ f * n)", (3, 32), "expected an operator or the end of the line, found ')'"),
        ("+ f * n", "+ f *", (3, 30), "expected a number, a name or '(', found the end"),
        ("+ f * n", "+ f ? n", (3, 29), "'?' has no place in an equation"),
        ("+ f * n", "+ f * n.t", (3, 33), "expected '.T', found '.t'"),
        ("+ f * n", "+ f * n[t]", (3, 31), "'n' is no part of the state: write n alone"),
        ("+ f * n", "+ f / 0", (3, 29), "cannot divide by 0"),
        ("+ f * n", "+ max(f)", (3, 27), "max takes 2 or more arguments, found 1"),
        ("+ f * n", "+ outer(f, n)", (3, 16), "cannot add"),
        ("x[t] + U_n", "x[t-1] + U_n", (2, 16), "a step knows only x[t]"),
        ("(1 - f)", "(1 - f if k == 1 else f)", (3, 18), "'k' is no option"),
        ("(1 - f)", "(1 - f if k else f)", (3, 20), "expected '==' or '!=', found 'else'"),
        ("(1 - f)", "(1 - f if k == ) + f", (3, 23), "expected a value of the option"),
        ("(1 - f)", "(1 - f if k == 1)", (3, 24), "expected 'else' and what holds otherwise"),
        ("h[t] =", "h[t-1] =", (3, 3), "only the new state is assigned: h[t] = ..."),
        ("+ f * n", "+ (0 - 8) ** 0.5 * n", (3, 35), "this has no real value"),
        ("+ f * n", "+ (0 - 2) ** f", (3, 35), "a base has to be above 0"),
        ("+ f * n", "+ layernorm(f, eps=0)", (3, 40), "eps has to be a number above 0"),
        ("+ f * n", "+ f * h", (3, 31), "'h' is a part of the state: write h[t-1] or h[t]"),
        ("+ f * n", "+ f * x", (3, 31), "'x' is the input: write x[t]"),
        ("+ f * n", "+ 1e999 * n", (3, 27), "this number is beyond the range of floats"),
        ("+ f * n", "+ 0.01e-999 * n", (3, 27), "this number is beyond the range of floats"),
        ("n = tanh", "h = tanh", (2, 1), "'h' is a part of the state: its new value is h[t]"),
        ("+ f * n", "+ 10 ** 400 * n", (3, 30), "this has no finite value"),
        ("+ f * n", "+ outer(W_n, n)", (3, 27), "outer takes two vectors, found [H, I]"),
        ("+ f * n", "+ f * n.T", (3, 33), "only a matrix has a transpose, this is H"),
        ("+ f * n", "+ f * (1 + 1)[0:1]", (3, 38), "a number has no slices"),
        ("+ f * n", "+ layernorm(W_n)", (3, 27), "layernorm takes a vector, found [H, I]"),
        ("+ f * n", "+ 2 @ n", (3, 29), "'@' takes vectors and matrices, not a number"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(old, new, place, told):
    found = of_step((old, new))
    where, line, column, _ = next(m for m in found if told in m[3])
    assert (where, line, column) == ("step", *place)


def test_what_only_follows_from_a_line_that_cannot_be_read_is_not_told():
    (told,) = of_step(("h[t] = (1 - f)", "h[t] = (1 > f)"))
    assert told == ("step", 3, 11, "'>' has no place in an equation")
    told = of_step(("h[t] = (1 - f)", "h[t] = (1 > f)"), state=(("h", ("H",)), ("c", ("Q",))))
    assert [where for where, *_ in told] == ["state.c", "step"]


@pytest.mark.parametrize(
    ("init", "told"),
    [
        ("10 ** 400", "it has no finite value"),
        ("log(0 - 1) * drawn", "it gives numbers that are not finite"),
        ("W_f", "its shapes do not fit each other, or [H, H]"),
        ("W_f @ W_f", "its shapes do not fit each other, or [H, H]"),
        ("1 / (k - 1)", "it has no finite value"),
    ],
)
def test_an_init_that_gives_no_values_is_told(init, told):
    parameters = (*GOOD.parameters[:1], Declared("U_f", ("H", "H"), init), *GOOD.parameters[2:])
    options = (("k", 1.0),) if "k" in init else ()
    made = dataclasses.replace(GOOD, parameters=parameters, options=options)
    assert mistakes(made) == [("parameters.U_f.init", 1, 1, told)]


def test_a_cell_has_a_parameter():
    made = dataclasses.replace(GOOD, parameters=(), step="h[t] = 0.5 * h[t-1]")
    ((where, *_, told),) = mistakes(made)
    assert (where, told) == (
        "parameters", "a cell needs a parameter or a constant, such as W: [H, I]"
    )  # fmt: skip


def test_all_mistakes_are_told_at_once():
    found = of_step(("b_f)", "b_g)"), ("tanh(", "tan("), ("+ f * n", "+ f * m"))
    assert [line for where, line, *_ in found if where == "step"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "where", "told"),
    [
        ({"parameters": (*GOOD.parameters, Declared("p", ("H",)))}, "parameters.p", "used nowhere"),
        ({"state": (*GOOD.state, ("c", ("H",)))}, "state.c", "the step never assigns c[t]"),
        ({"state": (("h", ("H",)), ("H", ("H",)))}, "state.H", "a letter of the equations"),
        ({"state": (*GOOD.state, ("norm", ("H",)))}, "state.norm", "grad_norm is a column"),
        ({"state": (("h", ("H",)), ("C", ("H",)), ("c", ("H",)))}, "state.c", "differ by case"),
        ({"state": (("h", ("0",)),)}, "state.h", "expected a size of at least 1"),
        ({"state": (("h", ("Q",)),)}, "state.h", "expected a size"),
        ({"options": (("W_f", 1.0),)}, "options.W_f", "declared under parameters already"),
        ({"output": "outer(h[t], h[t])"}, "output", "the output has to be a vector"),
        ({"output": "hh[t]"}, "output", "did you mean 'h'?"),
        ({"output": ""}, "output", "expected an expression, found nothing"),
        ({"output": "h[t]\n2 * h[t]"}, "output", "expected the end: this is one expression"),
        ({"gauge": (("m", ("h",)),)}, "gauge.m", "'m' is no part of the state"),
        ({"gauge": (("h", ("h",)),)}, "gauge.h", "'h' cannot be the scale of itself"),
        (
            {"state": (*GOOD.state, ("m", ("4",))), "gauge": (("m", ("h",)),)},
            "gauge.m",
            "expected size 1 or H, that of h, found 4",
        ),
        ({"state": ()}, "state", "expected the parts of the state"),
        ({"state": (("h", ("H", "H", "H")),)}, "state.h", "expected a size, or two of a matrix"),
        ({"state": (("h", ("H +",)),)}, "state.h", "expected a number, a name or '('"),
        ({"state": (("h", ("2.5",)),)}, "state.h", "expected a size: H, I, a whole number"),
        ({"state": (("h", ("H*H",)),)}, "state.h", "expected a size: H, I, a whole number"),
        ({"state": (("h", ("H*Q",)),)}, "state.h", "found 'Q'"),
        ({"options": (("k-1", 1.0),)}, "options.k-1", "'k-1' is no name"),
        ({"options": (("drawn", 1.0),)}, "options.drawn", "what an init expression draws from"),
        ({"options": (("k", ("a", "a")),)}, "options.k", "expected a list of different names"),
        (
            {"parameters": (Declared("W_f", ("H", "I"), role="inptu"), *GOOD.parameters[1:])},
            "parameters.W_f.role",
            "did you mean 'input'?",
        ),
        (
            {"parameters": (Declared("W_f", ("H", "I"), "drown + 1"), *GOOD.parameters[1:])},
            "parameters.W_f.init",
            "did you mean 'drawn'?",
        ),
        (
            {"parameters": (*GOOD.parameters, Declared("A", ("H",), trained=False))},
            "constants.A",
            "a constant needs an init",
        ),
    ],
)
def test_a_wrong_declaration_is_told_by_its_key(change, where, told):
    found = mistakes(dataclasses.replace(GOOD, **change))
    assert any(m[0] == where and told in m[3] for m in found), found


@pytest.mark.parametrize(
    "step",
    [
        "h[t] = " + "(" * 10_000 + "x" + ")" * 10_000,
        "h[t] = " + "-" * 10_000 + "b_f",
        "h[t] = " + " * ".join(["b_f"] * 8_000),
        "h[t] = " + " ** ".join(["b_f"] * 8_000),
        "h[t] = " + "b_f" + ".T" * 10_000,
        "h[t] = " + "b_f if a == 1 else " * 2_000 + "b_f",
        "a = b_f\n" * 4_000,
        "a = b_f\n" * 10_000,
        "h[t] = b_f @ \n" * 10_000,
        "\x00" * 10_000,
        "(" * 10_000,
    ],
    ids=lambda step: step[:12],
)
def test_what_is_too_much_is_told_at_once(step):
    found = mistakes(dataclasses.replace(GOOD, step=step))
    assert 1 <= len(found) <= 60


def test_a_step_may_have_many_equations():
    lines = [f"v{k} = tanh(v{k - 1} + b_f)" for k in range(1, MOST_STATEMENTS - 2)]
    step = "\n".join(["v0 = W @ x[t] + U @ h[t-1]", *lines, f"h[t] = v{MOST_STATEMENTS - 3}"])
    made = equations("long", {"h": "H"}, {"W": "H I", "U": "H H", "b_f": "H"}, step)
    assert Cell.of(made).sized(3, 2).S == 3


def test_the_place_is_marked_below_the_line():
    assert marked("a = b + c", At(1, 5)) == "a = b + c\n    ^"
    long = marked("a = " + "b + " * 100 + "cc", At(1, 405, 2))
    line, mark = long.split("\n")
    assert len(line) <= 100
    assert line[mark.index("^") :][:2] == "cc"


def test_sizes_that_agree_as_numbers_alone_are_taken_as_numbers():
    step = "h[t] = tanh(W @ x[t]) * x[t] + h[t-1]"
    made = equations("sized", {"h": "H"}, {"W": "H I"}, step)
    assert Cell.of(made).sized(3, 3).S == 3
    with pytest.raises(EquationsError, match="cannot multiply H and I"):
        Cell.of(made).sized(3, 2)


def test_every_published_cell_compiles_without_a_mistake():
    for made, _, _, which in CELLS.values():
        Cell.of(made).sized(3, 2 if which == "x" else 3)
