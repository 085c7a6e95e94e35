"""Critical values against closed forms, and an independent bisection."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gradflow.config.load import from_mapping
from gradflow.criticality import LEAST_STEPS, LONGER, Critical, find
from gradflow.criticality.settings import Setting
from gradflow.errors import InputError
from gradflow.formats import Look
from gradflow.formats.critical import table, to_markdown
from gradflow.runs.runner import execute

LINEAR = {"cell": {"type": "rnn", "activation": "linear"}, "ws_init": "orthogonal",
          "hidden_size": 8, "batch_size": 4}  # fmt: skip


def critical(config: dict[str, Any], vary: str = "ws_scale", **options: Any) -> list[Critical]:
    return find(from_mapping(config), execute, vary, **options)


def test_an_orthogonal_linear_net_is_critical_at_one() -> None:
    [found] = critical(LINEAR)
    assert found.value == pytest.approx(1, abs=1e-9)
    assert found.interval == pytest.approx((1, 1), abs=1e-9)
    assert found.ends is not None
    assert [p.rate for p in found.ends] == pytest.approx([0.1, 10])
    assert found.run.ws_scale == found.value
    assert found.crossings == 1


def test_runs_that_differ_only_in_what_is_varied_are_one_net() -> None:
    found = critical({**LINEAR, "ws_scale": [0.5, 1.0, 2.0], "seed": [0, 1]})
    assert [c.run.seed for c in found] == [0, 1]
    assert [c.number for c in found] == [0, 1]


def test_an_option_of_a_cell_of_ones_own() -> None:
    cell = {
        "type": "equations", "name": "scaled", "state": {"h": "H"}, "options": {"k": 0.5},
        "parameters": {"W": ["H", "I"]}, "step": "h[t] = k * k * h[t-1] / 4 + W @ x[t]",
    }  # fmt: skip
    [found] = critical({"cell": cell, "hidden_size": 4}, "cell.k", between=(0.5, 7))
    assert found.value == pytest.approx(2, abs=1e-6)
    [both] = critical({"cell": cell, "hidden_size": 4}, "cell.k", between=(-7, 7))
    assert both.crossings == 2
    assert both.value == pytest.approx(-2, abs=1e-6)
    assert both.note == "2 crossings: the lowest is shown"


def test_no_crossing_says_so_and_gives_the_ends() -> None:
    [found] = critical(LINEAR, between=(0.1, 0.9))
    assert found.value is None
    assert found.interval is None
    assert found.ends is not None
    assert [p.rate for p in found.ends] == pytest.approx([0.1, 0.9])
    assert found.note == "no crossing: the rate is below 1 from ws_scale 0.1 to 0.9"
    [found] = critical(LINEAR, between=(1.1, 2))
    assert found.note == "no crossing: the rate is above 1 from ws_scale 1.1 to 2"


def test_a_cell_without_the_setting_says_so_beside_others() -> None:
    cell = {
        "type": "equations", "name": "gated", "state": {"h": "H"},
        "parameters": {"W": ["H", "I"]}, "step": "h[t] = 0.5 * h[t-1] + W @ x[t]",
    }  # fmt: skip
    first, second = critical({**LINEAR, "cell": [LINEAR["cell"], cell]})
    assert first.value is not None
    assert second.value is None
    assert second.note == "gated has no recurrent weights"
    assert second.tried == ()
    assert second.ends is None


@pytest.mark.parametrize("cell", ["lru", "s5", "unicornn", "brc"])
def test_recurrent_weights_that_are_not_drawn_are_not_varied(cell: str) -> None:
    first, second = critical({**LINEAR, "cell": [LINEAR["cell"], cell]})
    assert first.value is not None
    assert second.note == f"the recurrent weights of {cell} have their own `init`"
    assert second.tried == ()


def test_the_critical_scale_of_a_driven_net_is_that_of_mean_field_theory() -> None:
    """Molgedey, Schuchhardt and Schuster 1992: independent drive of standard deviation 1."""
    [found] = critical({"cell": "rnn", "hidden_size": 128, "sequence_length": 100})
    assert found.value == pytest.approx(1.8556, rel=0.05)
    assert found.run.sequence_length == LEAST_STEPS
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]


def test_a_net_that_settles_slowly_is_looked_at_over_more_steps() -> None:
    """Driven weakly, near its critical scale of 1.1934, a net's first 200 steps say little."""
    config = {"cell": "rnn", "hidden_size": 256, "batch_size": 8, "seed": 0,
              "input": {"kind": "gaussian", "scale": 0.1}}  # fmt: skip
    [first] = critical(config, between=(0.9, 1.6), longer=False, theory=False)
    [found] = critical(config, between=(0.9, 1.6), theory=False)
    assert first.value is not None
    assert found.value is not None
    assert first.interval is None or first.interval[1] - first.interval[0] > 0.05 * first.value
    assert found.run.sequence_length == LEAST_STEPS
    assert found.note == f"found over {LONGER * LEAST_STEPS} steps, as {LEAST_STEPS} leave it vague"
    assert found.value == pytest.approx(1.1934, rel=0.06)
    assert len(found.tried) > len(first.tried)
    assert found.ends == first.ends


def test_agrees_with_plain_bisection() -> None:
    config = {"cell": "gru", "hidden_size": 16, "batch_size": 8, "sequence_length": 200}

    def log_rate(value: float) -> float:
        [result] = execute(from_mapping({**config, "ws_scale": value}))
        assert result.diagnosis.rate is not None
        return math.log(result.diagnosis.rate)

    [found] = critical(config, between=(1, 8), longer=False)
    low, high = 1.0, 8.0
    for _ in range(16):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if log_rate(middle) < 0 else (low, middle)
    assert found.interval is not None
    assert found.value is not None
    assert found.interval[0] < math.sqrt(low * high) < found.interval[1]
    assert abs(log_rate(found.value)) < 2e-3


def test_divergence_counts_as_explosion_and_dead_nets_as_none() -> None:
    relu = {"cell": {"type": "rnn", "activation": "relu"}, "hidden_size": 16, "batch_size": 8,
            "sequence_length": 400}  # fmt: skip
    [found] = critical(relu, between=(0.01, 1e6))
    assert found.ends is not None
    assert found.ends[1].rate == math.inf
    assert found.value is not None
    assert 1 < found.value < 2.5


@pytest.mark.parametrize(
    ("vary", "between", "message"),
    [
        ("ws_scal", None, "'ws_scal' cannot be varied: did you mean 'ws_scale'?"),
        ("cell.nothing", None, "'cell.nothing' cannot be varied"),
        ("cell.activation", None, "'cell.activation' cannot be varied: expected one of ws_scale"),
        ("cell.leak", (-0.5, 1.0), "expected more than 0 for cell.leak"),
        ("bias_scale", (-1.0, 1.0), "expected at least 0 for bias_scale, found -1"),
        ("ws_scale", (2.0, 1.0), "expected two numbers, the smaller first, found 2 1"),
        ("ws_scale", (math.nan, 1.0), "expected two numbers, the smaller first, found nan 1"),
    ],
)
def test_what_cannot_be_varied(
    vary: str, between: tuple[float, float] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        critical({"cell": "rnn"}, vary, between=between)


def test_a_net_without_recurrent_weights_has_no_empty_setting_and_no_range_in_the_table() -> None:
    cell = {"type": "equations", "name": "decay", "state": {"h": "H"},
            "parameters": {"W": ["H", "I"]}, "step": "h[t] = h[t-1] / 2 + W @ x[t]"}  # fmt: skip
    alone = critical({"cell": cell, "hidden_size": 4})
    both = critical({**LINEAR, "cell": [cell, LINEAR["cell"]]})
    for found, ends in ((alone, 0), (both, 2)):
        shown = "".join(table(found, Look()))
        assert "\ndecay: decay has no recurrent weights.\n" in shown
        assert "None" not in shown
        assert shown.count("rate at ") == ends
        assert "".join(to_markdown(found, Look())).count("rate at ") == ends


def test_without_a_range_an_option_is_tried_within_its_bounds() -> None:
    [found] = critical({"cell": "rnn", **SHORT}, "cell.leak")
    tried = [point.value for point in found.tried]
    assert 0 < min(tried) <= 1e-3
    assert max(tried) == 1
    [found] = critical({"cell": "lstm", **SHORT}, "cell.forget_bias")
    assert min(point.value for point in found.tried) < 0 < max(p.value for p in found.tried)


@pytest.mark.parametrize(
    ("between", "told"),
    [((2, 1), "the smaller first, found 2 1"), ((-1, 1), "expected at least 0 for bias_scale")],
)
def test_a_range_that_is_none_is_told(between: tuple[float, float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        critical({"cell": "rnn", **SHORT}, "bias_scale", between=between)


SHORT = {"hidden_size": 3, "batch_size": 2, "sequence_length": 40}


def test_an_option_that_nothing_reads_is_not_varied() -> None:
    chrono = {"type": "janet", "chrono": 50.0}
    alone = from_mapping({"cell": chrono, "hidden_size": 4}).runs
    with pytest.raises(InputError, match=r"cell.forget_bias does nothing with chrono 50"):
        Setting("cell.forget_bias", None, alone)
    both = from_mapping({"cell": [chrono, "janet"], "hidden_size": 4}).runs
    setting = Setting("cell.forget_bias", None, both)
    assert [setting.missing(run) for run in both] == [
        "forget_bias does nothing with chrono 50", None,
    ]  # fmt: skip


def test_an_option_is_varied_up_to_the_other_that_bounds_it() -> None:
    runs = from_mapping({"cell": {"type": "lru", "r_min": 0.4, "r_max": 0.8}}).runs
    assert Setting("cell.r_min", None, runs).high == 0.8
    assert Setting("cell.r_max", None, runs).low == 0.4
    with pytest.raises(InputError, match=r"expected at least r_min, which is 0.4 for cell.r_max"):
        Setting("cell.r_max", (0.3, 0.9), runs)
