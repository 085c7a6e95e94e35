"""`emit`: source that reads well, is the same each time, calls nothing of the user's, and that
tracebacks point into."""

from __future__ import annotations

import ast
import traceback

import numpy as np
import pytest

from equations.evaluated import passes
from equations.published import CELLS
from gradflow.equations.declaration import declared
from gradflow.equations.emit import _RUNTIME, emit
from gradflow.equations.writing import runtime
from nets import LABELS, VARIANTS


def code(made, options=None):
    step, *rest = passes(made, options)
    return emit(made.name, step.state, *rest)


ALL = [
    *((cell.equations, cell.options) for cell in VARIANTS),
    *((made, {}) for made, *_ in CELLS.values()),
]
IDS = [*LABELS, *CELLS]


@pytest.mark.parametrize(("made", "options"), ALL, ids=IDS)
def test_the_source_is_short_lines_of_functions_that_say_what_they_do(made, options):
    source = code(made, options).source
    assert max(map(len, source.splitlines())) <= 120
    functions = ast.parse(source).body
    names = [f.name for f in functions]
    assert names[: names.index("pullback") + 1] in (
        ["step", "linearize", "pullback"], ["prepare", "step", "linearize", "pullback"],
    )  # fmt: skip
    assert all(ast.get_docstring(function) for function in functions)


@pytest.mark.parametrize(("made", "options"), ALL, ids=IDS)
def test_it_is_the_same_each_time(made, options):
    assert code(made, options).source == code(made, options).source


@pytest.mark.parametrize(("made", "options"), ALL, ids=IDS)
def test_every_name_is_a_local_or_one_of_ours(made, options):
    for function in ast.parse(code(made, options).source).body:
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        local = {"views", "w"} | {n.id for n in names if isinstance(n.ctx, ast.Store)}
        assert {node.id for node in names} <= local | set(_RUNTIME) | set(runtime())
        assert not any(isinstance(n, ast.Import | ast.Lambda) for n in ast.walk(function))


def test_names_that_would_shadow_ours_do_not():
    made = declared({
        "state": {"np": "H", "views": "H"}, "parameters": {"product": ["H", "H"], "w": "H"},
        "step": "out = tanh(product @ np[t-1] + w)\nnp[t] = out\nviews[t] = out * views[t-1] + "
        "sum(x[t])",
    })  # fmt: skip
    from equations.checks import holds

    assert holds(made, seed=1)


def test_a_traceback_shows_the_line():
    cell = VARIANTS[0]
    found = code(cell.equations, cell.options)
    views = [np.zeros((2, 1)) for _ in found.views["step"]]
    with pytest.raises(AttributeError) as caught:
        found.step(tuple(views), object())
    shown = "".join(traceback.format_exception(caught.value))
    assert "product(w." in shown


def test_settle_is_there_where_the_output_is_more_than_a_part():
    plain = {"state": {"h": "H"}, "parameters": {"W": ["H", "I"]}, "step": "h[t] = W @ x[t]"}
    assert code(declared(plain)).settle is None
    assert code(declared({**plain, "output": "tanh(h[t])"})).settle is not None


NARROW = {"U": ["H", "H"], "W": ["H", "I"]}
WIDE = {"V": [8, 4], "W": [8, "I"]}
INNER = "z = sin(c[t-1] * sin(V @ h[t-1] + W @ x[t]))\n"


def source_of(step, parameters, **state):
    made = {"name": "own", "state": state, "parameters": parameters, "step": step}
    return code(declared(made)).source


def test_a_product_that_is_used_twice_is_taken_once():
    step = "h[t] = tanh((h[t-1] * h[t-1]) * (U @ softplus(h[t-1]) + W @ x[t]))"
    linearize = source_of(step, NARROW, h="H").partition("def linearize")[2]
    assert linearize.count("= h * h\n") == 1
    assert "*= mul\n" in linearize


def test_slices_that_make_a_whole_are_put_side_by_side_and_not_added():
    step = (
        "z = c[t-1] * sin(V @ h[t-1] + W @ x[t])\nh[t] = tanh(z[0:4]) * cos(z[4:8])\nc[t] = c[t-1]"
    )
    source = source_of(step, WIDE, h=4, c=8)
    assert "dz = np.empty(" in source
    assert "dz[..., 0:4, :] = " in source
    assert "dz[..., 4:8, :] = " in source


def test_what_is_added_to_is_copied_only_where_it_is_another_array():
    step = INNER + "h[t] = tanh(z[0:4])\nc[t] = tanh(R @ z)"
    source = source_of(step, {**WIDE, "R": [8, 8]}, h=4, c=8)
    assert "dz[..., 0:4, :] += " in source
    assert ".copy()" not in source
    source = source_of(INNER + "h[t] = z[0:4] * h[t-1]\nc[t] = z", WIDE, h=4, c=8)
    assert "dc2 = dc.copy()" in source  # dL/dc_t is needed after that


INPUT_ALONE = {
    "mingru": {"sigmoid", "max", "larger"},
    "minlstm": {"softplus", "sigmoid"},
    "layernorm_lstm": {"normalise"},
}


@pytest.mark.parametrize("name", INPUT_ALONE)
def test_what_the_input_alone_decides_is_prepared_for_a_block(name):
    """Once for all steps; the step itself has none of it but what the state comes into."""
    cell = next(cell for cell in VARIANTS if cell.name == name)
    prepare, step = ast.parse(code(cell.equations, cell.options).source).body[:2]
    assert (prepare.name, step.name) == ("prepare", "step")
    early, late = (
        {getattr(n.func, "attr", getattr(n.func, "id", "")) for n in ast.walk(function)
         if isinstance(n, ast.Call)} for function in (prepare, step)
    )  # fmt: skip
    assert early & INPUT_ALONE[name]
    assert name == "layernorm_lstm" or not late - {"multiply"}


def test_gates_that_see_the_state_leave_nothing_to_prepare():
    cell = next(cell for cell in VARIANTS if cell.name == "gru")
    assert code(cell.equations, cell.options).prepare is None
