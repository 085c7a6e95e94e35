"""Figures by the keys that JSON has for them."""

from __future__ import annotations

import jsonschema
import pytest

from gradflow.formats.figures import nested
from gradflow.formats.schema import _figures
from gradflow.measures import MEASURES, OPTIONAL
from gradflow.measures.contract import Figure, Measure

NUMBERS = ("lyapunov_max", "lyapunov_<i>", "lyapunov_spread_<i>")
LYAPUNOV = Measure("lyapunov", "", figures=tuple(Figure(n, "number", "") for n in NUMBERS))
GATES = Measure(
    "gates",
    "",
    figures=tuple(
        Figure(f"gates_<gate>_{what}", "number", "") for what in ("p50", "below_0.1", "scale_p50")
    ),
)
GAINS = ("gain", "gain_<block>")
GAIN = Measure("slopes", "", figures=tuple(Figure(name, "number", "") for name in GAINS))


@pytest.mark.parametrize(
    ("measure", "flat", "expected"),
    [
        (
            LYAPUNOV,
            {"lyapunov_max": 1, "lyapunov_1": 1, "lyapunov_2": None, "lyapunov_spread_1": 3},
            {"lyapunov_max": 1, "lyapunov": [1, None], "lyapunov_spread": [3]},
        ),
        (
            GATES,
            {"gates_f_p50": 1, "gates_f_below_0.1": 2, "gates_f_scale_p50": 3, "gates_i_o_p50": 4},
            {"f": {"p50": 1, "below_0.1": 2, "scale_p50": 3}, "i_o": {"p50": 4}},
        ),
        (GAIN, {"gain": 1}, {"gain": 1}),
        (GAIN, {"gain_f": 1, "gain_o": 2}, {"gain_f": 1, "gain_o": 2}),
    ],
)
def test_patterns_become_lists_and_objects(measure, flat, expected):
    assert nested(measure, flat) == expected
    jsonschema.Draft202012Validator(_figures(measure)).validate({**expected, "note": None})


@pytest.mark.parametrize("name", OPTIONAL)
def test_every_figure_that_is_declared_has_one_place(name):
    measure = MEASURES[name]
    flat = {}
    for at, figure in enumerate(measure.figures):
        name = figure.name.replace("<i>", "1").replace("<", "").replace(">", "")
        flat[name] = str(at) if figure.kind in ("text", "word") else at
    found = nested(measure, flat)
    inside = []
    for one in found.values():
        inside += one.values() if isinstance(one, dict) else one if isinstance(one, list) else [one]
    assert sorted(map(int, inside)) == list(range(len(measure.figures)))
    jsonschema.Draft202012Validator(_figures(measure)).validate({**found, "note": None})
