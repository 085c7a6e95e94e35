"""`--over seed`: what runs that differ in the seed alone become, in every format."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics

import jsonschema
import numpy as np
import pytest

from command import main
from formats.made_results import made
from gradflow.config.load import from_mapping
from gradflow.formats import FORMATS, Look, words
from gradflow.formats.flat import figures
from gradflow.formats.merging import look_over_seeds, over_seeds
from gradflow.formats.schema import results_schema
from gradflow.results import Diagnosis
from gradflow.runs.runner import execute

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 14, "input_size": 3}
CONFIGS = {
    "sweep": {"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.6], "seed": [0, 1, 2, 3]},
    "stack": {"cell": "gru", "layers": 2, "measure": ["gates", "lyapunov"], "seed": [3, 4]},
    "both ways": {"cell": "lstm", "bidirectional": True, "seed": [0, 1, 2]},
    "one seed": {"cell": "rnn", "ws_scale": [0.5, 1.0]},
    "tiny": {"cell": {"type": "rnn", "activation": "linear"}, "ws_scale": 1e-60, "seed": [0, 1]},
    "some diverge": {
        "cell": {"type": "rnn", "activation": "relu"},
        "ws_scale": 3e21,
        "hidden_size": 2,
        "seed": [0, 1, 2, 3, 4, 5],
    },
    "all diverge": {
        "cell": {"type": "rnn", "activation": "linear"}, "ws_scale": 1e90, "seed": [0, 1],
    },
    "measures": {"cell": "lstm", "seed": [0, 1, 2], "measure": ["paths", "reach", "jacobian"]},
}  # fmt: skip


def found(name):
    experiment = from_mapping({**SMALL, **CONFIGS[name]})
    measures = tuple(one.name for one in experiment.measures)
    look = Look(
        config=experiment.config,
        options=experiment.options,
        parts=experiment.parts,
        varied=experiment.varied,
        measures=measures,
        width=100,
    )
    return list(execute(experiment)), look


def groups(results):
    """The runs of each setting, without looking at what makes them one."""
    by = {}
    for result in results:
        by.setdefault(str({**result.axes, "seed": 0}), []).append(result)
    return list(by.values())


def infinite(result, figure, value):
    never = figure in ("horizon", "horizon_typical") and result.diagnosis.verdict != "diverged"
    return math.inf if value is None and never else value


@pytest.mark.parametrize("name", CONFIGS)
def test_figures_are_median_lowest_and_highest(name):
    results, look = found(name)
    merged = over_seeds(results)
    lines = list(
        csv.DictReader(
            io.StringIO("".join(FORMATS["csv"].show("runs", merged, look_over_seeds(look))))
        )
    )
    assert [line["run"] for line in lines] == [str(i) for i in range(len(groups(results)))]
    for line, group in zip(lines, groups(results), strict=True):
        assert line["seeds"] == str(len(group))
        assert line["seed"] == ""
        for figure in ("rate", "rate_low", "half_life", "horizon", "horizon_typical", "loss"):
            every = [infinite(r, figure, figures(r).get(figure)) for r in group]
            numbers = [value for value in every if value is not None and value == value]
            expected = [statistics.median(numbers), min(numbers), max(numbers)] if numbers else []
            for end, value in zip(("", "_seeds_low", "_seeds_high"), expected, strict=False):
                text = line[figure + end]
                assert (float(text) if text else math.inf) == pytest.approx(value)
            if not numbers:
                assert line[figure] == line[f"{figure}_seeds_high"] == ""


@pytest.mark.parametrize("name", CONFIGS)
def test_verdicts_are_counted(name):
    results, _ = found(name)
    for one, group in zip(over_seeds(results), groups(results), strict=True):
        verdicts = [result.diagnosis.verdict for result in group]
        counted = dict(
            reversed(part.split(" ")) for part in figures(one)["verdict"].split(", ")
        )  # fmt: skip
        assert counted == {v: str(verdicts.count(v)) for v in verdicts}


@pytest.mark.parametrize("name", CONFIGS)
def test_curves_are_geometric_means_at_any_size(name):
    results, _ = found(name)
    for one, group in zip(over_seeds(results), groups(results), strict=True):
        flows = [result.flow for result in group if result.flow is not None]
        if not flows:
            assert one.flow is None
            continue
        mean = np.mean([flow.state.log10() for flow in flows], axis=0)
        np.testing.assert_allclose(one.flow.state.log10(), mean, rtol=1e-12, atol=1e-12)
        relative = np.mean([flow.relative.log10() for flow in flows], axis=0)
        np.testing.assert_allclose(one.flow.relative.log10(), relative, rtol=1e-12, atol=1e-12)
        share = np.mean([np.log(flow.share_W_s) for flow in flows], axis=0)
        np.testing.assert_allclose(np.log(one.flow.share_W_s), share, atol=1e-12)


def test_an_exact_zero_makes_the_mean_zero():
    results, _ = found("some diverge")
    flow = over_seeds(results)[0].flow
    assert flow is not None
    zeros = [r.flow.state.mantissa == 0 for r in results if r.flow is not None]
    assert np.array_equal(flow.state.mantissa == 0, np.any(zeros, axis=0))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("report", ["results", "runs"])
def test_every_format_shows_them(name, report):
    results, look = found(name)
    merged, look = over_seeds(results), look_over_seeds(look)
    table, markdown, text = (
        "".join(FORMATS[one].show(report, merged, look)) for one in ("table", "markdown", "csv")
    )
    assert "seed 0" not in table + markdown
    for one in merged:
        assert figures(one)["verdict"] in table or one.layers
        assert figures(one)["verdict"] in markdown or one.layers
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["seeds"] for row in rows} == {str(merged[0].over.seeds)}
    data = json.loads("".join(FORMATS["json"].show(report, merged, look)))
    jsonschema.Draft202012Validator(results_schema()).validate(data)
    assert data["over"] == "seed"
    for run, one in zip(data["runs"], merged, strict=True):
        assert run["seed"] is None
        assert run["seeds"] == one.over.seeds
        assert run["diagnosis"]["verdict"] == figures(one)["verdict"]
        flat = figures(one)
        for end in ("", "_seeds_low", "_seeds_high"):
            assert run["diagnosis"][f"rate{end}"] == flat[f"rate{end}"]


def test_json_nests_the_ends_where_the_figure_is():
    results, look = found("stack")
    [one] = over_seeds(results)
    text = "".join(FORMATS["json"].show("results", [one], look_over_seeds(look)))
    [run] = json.loads(text)["runs"]
    [place, _] = run["places"]
    flat = figures(one)
    assert run["lyapunov"]["lyapunov_max_seeds_low"] == flat["lyapunov_max_seeds_low"]
    assert run["lyapunov"]["lyapunov_seeds_high"][0] == flat["lyapunov_1_seeds_high"]
    assert place["gates"]["z"]["p50_seeds_low"] == flat["gates_z_p50_l0_seeds_low"]
    assert place["totals"]["W_s_seeds_low"] <= place["totals"]["W_s"]


def test_saved_results_show_the_same_over_seeds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "{cell: [rnn, lstm], seed: [0, 1, 2], hidden_size: 4, batch_size: 2, sequence_length: 9}"
    (tmp_path / "c.yaml").write_text(text)
    assert main(capsys, "analyze", "c.yaml", "--output", "r.json", "--quiet")[0] == 0
    for more in ([], ["--rows", "runs"]):
        for name in ("table", "csv", "json", "markdown"):
            arguments = ["--over", "seed", "--format", name, *more]
            analyzed = main(capsys, "analyze", "c.yaml", *arguments)
            assert main(capsys, "show", "r.json", *arguments) == analyzed
            assert analyzed[0] == 0


def test_what_was_made_one_is_not_read_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text("{cell: rnn, seed: [0, 1], hidden_size: 4}")
    arguments = ["--over", "seed", "--output", "one.json", "--quiet"]
    assert main(capsys, "analyze", "c.yaml", *arguments)[0] == 0
    code, _, err = main(capsys, "show", "one.json")
    assert code == 2
    assert "made one over their seeds" in err


def test_a_median_of_some_of_the_seeds_says_of_how_many():
    rates = [0.98, None, None, 0.99]
    runs = [
        made(n, seed=n, varied=("seed",), diagnosis=Diagnosis("stable", rate, horizon=n or None))
        for n, rate in enumerate(rates)
    ]
    [one] = over_seeds(runs)
    assert words.spread(one, "rate") == "0.9850 (0.9800 to 0.9900, 2 of 4)"
    assert words.spread(one, "horizon") == "2.5 (1 to > 100)"  # which every seed has
    [one] = over_seeds(runs[:3])
    assert words.spread(one, "rate") == "0.9800 (1 of 3)"
    assert words.spread(one, "half_life") == words.UNKNOWN
    text = "".join(FORMATS["table"].show("results", [one, one], Look(width=200)))
    assert "n of m: so many of the seeds have such a number" in text
    [one] = over_seeds(runs[:1])
    assert words.spread(one, "rate") == "0.9800"
    assert "n of m" not in "".join(FORMATS["table"].show("results", [one, one], Look(width=200)))
