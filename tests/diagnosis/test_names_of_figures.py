"""Every figure of a diagnosis, by the name that outputs and expectations give it."""

from __future__ import annotations

from dataclasses import fields

from gradflow.diagnosis.figures import FIGURES
from gradflow.results import Diagnosis

FOUND = Diagnosis(
    "vanishing", rate=0.9, rate_ci=(0.8, 0.95), half_life=6.6, horizon=12, horizon_typical=13,
    projected_horizon=40, no_rate="bent",
)  # fmt: skip


def test_each_is_read_from_its_field():
    values = {figure.name: figure.of(FOUND) for figure in FIGURES}
    assert (values.pop("rate_low"), values.pop("rate_high")) == (0.8, 0.95)
    assert values == {name: getattr(FOUND, name) for name in values}
    assert {field.name for field in fields(Diagnosis)} - values.keys() == {"of_reach"}


def test_a_rate_without_an_interval_has_no_ends():
    ends = [figure.of(Diagnosis("stable", rate=0.9)) for figure in FIGURES[1:4]]
    assert ends == [None, None, None]
