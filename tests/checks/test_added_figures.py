"""A figure that somebody adds to the diagnosis or to a measure is compared by what it declares, and
read back from a file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import pytest

import gradflow
from formats.made_results import made
from gradflow.axes import KNOWN
from gradflow.checks import deviations
from gradflow.checks.compare import Side, compare
from gradflow.diagnosis.figures import FIGURES, DiagnosisFigure
from gradflow.formats import json as json_format
from gradflow.measures import MEASURES
from gradflow.measures.contract import Figure, Measure
from gradflow.measures.measured import Measured
from gradflow.results import Diagnosis
from gradflow.saved import diagnosed, repeated, runs
from saved.written import SMALL, written

THRESHOLDS = (1e-3, 1e3)


@dataclass(frozen=True)
class More(Diagnosis):
    """A diagnosis with one figure more."""

    spread: float | str | None = None


def found(before, after):
    """What is compared, by name, of a run on both sides, and whether it held."""
    (pair,) = compare(Side([before], THRESHOLDS), Side([after], THRESHOLDS), 0.05).pairs
    return {one.name: one.decades for one in pair.deviations}, pair.held


@pytest.fixture
def spread(monkeypatch):
    """The figure is in the list of the diagnosis."""
    added = (
        *FIGURES,
        DiagnosisFigure("spread", "number", "what was added", lambda one: one.spread),
    )
    for module in (deviations, diagnosed, json_format):
        monkeypatch.setattr(module, "FIGURES", added)
    monkeypatch.setattr(diagnosed, "Diagnosis", More)


@pytest.mark.parametrize(
    ("before", "after", "decades"),
    [
        (1.89, 1.89, 0.0),
        (1.89, 99.0, math.log10(99 / 1.89)),
        (1.0, -1.0, math.inf),
        (1.0, None, math.inf),
        ("few", "few", 0.0),
        ("few", "many", math.inf),
    ],
)
def test_a_figure_of_the_diagnosis_is_compared(spread, before, after, decades):
    results = [replace(made(), diagnosis=More("vanishing", spread=v)) for v in (before, after)]
    all_decades, held = found(*results)
    assert all_decades["spread"] == pytest.approx(decades)
    assert held == (before == after)


@pytest.fixture
def older(tmp_path):
    """A folder with results from before there was the figure."""
    written(tmp_path / "r.json", {"cell": "rnn", **SMALL})
    return tmp_path / "r.json"


def test_it_is_read_back_and_may_be_missing_in_an_older_file(older, spread):
    data = json.loads(older.read_text())
    assert gradflow.load_results(older)[0].diagnosis.spread is None
    for value in (1.89, None):
        data["runs"][0]["diagnosis"]["spread"] = value
        older.write_text(json.dumps(data))
        assert gradflow.load_results(older)[0].diagnosis.spread == value
    data["runs"][0]["diagnosis"]["spread"] = [1]
    older.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=r"diagnosis\.spread: expected a number"):
        gradflow.load_results(older)


def test_an_axis_that_is_newer_than_a_file_is_what_goes_without_saying(tmp_path, monkeypatch):
    written(tmp_path / "r.json", {"cell": "rnn", **SMALL})
    data = json.loads((tmp_path / "r.json").read_text())
    del data["runs"][0]["wx_scale"]
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=r"runs\[0\]\.wx_scale is missing"):
        gradflow.load_results(tmp_path / "r.json")
    newer = {**KNOWN, "wx_scale": KNOWN["wx_scale"]._replace(plain=1.0)}
    for module in (runs, repeated):
        monkeypatch.setattr(module, "KNOWN", newer)
    assert gradflow.load_results(tmp_path / "r.json")[0].axes["wx_scale"] == 1.0


def test_a_figure_of_a_measure_is_a_logarithm_where_that_says_so(monkeypatch):
    figures = (Figure("nats_<i>", "number", "", is_log=True), Figure("size", "number", ""))
    monkeypatch.setitem(vars(MEASURES["slopes"]), "figures", figures)
    one, other = (
        replace(made(), measures={"slopes": Measured(figures={"nats_1": v, "size": v})})
        for v in (-0.01, 0.04)
    )
    all_decades, _ = found(one, other)
    assert all_decades["nats_1"] == pytest.approx(0.05 / math.log(10))
    assert all_decades["size"] == math.inf


@pytest.mark.parametrize("name", MEASURES)
def test_curves_that_are_logarithms_say_so(name):
    for curve in MEASURES[name].curves:
        assert curve.is_log10 == curve.name.startswith("log10_")


def test_the_declaration_of_a_figure_is_that_which_says_most():
    names = ("a", "a_<i>", "a_<gate>", "a_<gate>_low")
    measure = Measure("m", "", figures=tuple(Figure(name, "number", "") for name in names))
    for name, expected in (
        ("a", "a"), ("a_12", "a_<gate>"), ("a_f", "a_<gate>"), ("a_f_low", "a_<gate>_low"),
    ):  # fmt: skip
        assert measure.declared(name).name == expected
    assert measure.declared("b") is None
