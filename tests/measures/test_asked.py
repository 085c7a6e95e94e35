"""Measures that a config asks for: from `measure:` to every output."""

from __future__ import annotations

import csv
import json
import pickle

import jsonschema
import numpy as np
import pytest

import gradflow
from gradflow.errors import InputError
from gradflow.formats import FORMATS, Look
from gradflow.formats.schema import results_schema
from gradflow.runs.experiment import Experiment
from gradflow.runs.runner import bundles, execute, run_elsewhere
from gradflow.runs.scheduling.journal import Journal
from gradflow.runs.scheduling.records import from_json, result_of, to_json
from measures.throwaway import added, removed

SMALL = {"cell": "lstm", "sequence_length": 6, "hidden_size": 3, "input_size": 2, "batch_size": 4}


@pytest.fixture(params=["net"])
def measures(request, tmp_path, monkeypatch):
    before = added(tmp_path, monkeypatch, request.param)
    yield
    removed(before)


def exported(name, config, **look):
    experiment = gradflow.load({**SMALL, **config})
    results = gradflow.analyze(experiment)
    shown = Look(
        config=experiment.config,
        options=experiment.options,
        measures=tuple(one.name for one in experiment.measures),
        **look,
    )
    return "".join(FORMATS[name].show("results", results, shown))


@pytest.mark.usefixtures("measures")
class TestWhatIsFound:
    def test_every_option_is_filled_in(self):
        asked = [{"type": "sizes", "power": 2}, "counted"]
        experiment = gradflow.load({**SMALL, "seed": [0, 1], "measure": asked})
        sizes, steps = experiment.measures
        assert sizes.options == {"power": 2, "which": "all", "floor": 0.0}
        assert (steps.name, steps.options) == ("counted", {})
        assert experiment.config["measure"] == [
            {"type": "sizes", "power": 2, "which": "all", "floor": 0.0},
            {"type": "counted"},
        ]
        again = gradflow.load(experiment.config)
        assert again.measures == experiment.measures

    def test_a_bare_name_is_enough(self):
        experiment = gradflow.load({**SMALL, "seed": [0, 1], "measure": "counted"})
        assert [m.name for m in experiment.measures] == ["counted"]

    def test_a_single_run_has_its_factors_besides(self):
        experiment = gradflow.load({**SMALL, "measure": "counted"})
        assert [m.name for m in experiment.measures] == ["counted", "factors"]

    def test_a_run_has_what_was_asked_for_and_its_gradient_is_the_same(self):
        config = {**SMALL, "seed": [0, 1, 2], "measure": ["sizes", "counted"]}
        results = gradflow.analyze(config)
        for result, without in zip(
            results, gradflow.analyze({**config, "measure": []}), strict=True
        ):
            assert list(result.measures) == ["sizes", "counted"]
            assert result.measures["counted"].figures == {"counted_seen": 6}
            assert result.measures["sizes"].curves["log10_line"].tolist()[-1] == -9.0
            assert without.measures == {}
            assert (result.flow.state.mantissa == without.flow.state.mantissa).all()
        assert len({r.measures["sizes"].figures["sizes_rms"] for r in results}) == 3

    def test_a_diverged_run_has_none_and_the_others_keep_theirs(self):
        linear = {"type": "rnn", "activation": "linear"}
        config = {**SMALL, "cell": linear, "sequence_length": 400, "ws_scale": [1e9, 1.0]}
        lost, kept = gradflow.analyze({**config, "measure": "counted"})
        assert lost.diverged_at
        assert lost.measures == {}
        assert kept.measures["counted"].figures == {"counted_seen": 400}

    def test_of_a_stack_the_whole_or_each_place(self):
        (result,) = gradflow.analyze({**SMALL, "layers": 2, "measure": ["sizes", "counted"]})
        assert list(result.measures) == ["sizes"]
        assert [list(part.measures) for part in result.layers] == [["counted"], ["counted"]]

    def test_of_a_bidirectional_net_each_place(self):
        (result,) = gradflow.analyze({**SMALL, "bidirectional": True, "measure": "sizes"})
        assert result.measures == {}
        assert [list(part.measures) for part in result.layers] == [["sizes"], ["sizes"]]

    @pytest.mark.parametrize("measures", ["both"], indirect=True)
    def test_of_both(self, measures):
        (result,) = gradflow.analyze({**SMALL, "layers": 2, "measure": "sizes"})
        whole = result.measures["sizes"].figures["sizes_rms"]
        parts = [part.measures["sizes"].figures["sizes_rms"] for part in result.layers]
        assert whole == pytest.approx(np.sqrt(np.mean(np.square(parts))), rel=1e-12)


@pytest.mark.usefixtures("measures")
class TestWhatIsShown:
    def test_csv_has_the_columns_at_the_right_and_only_of_those_asked_for(self):
        [head, *rows] = csv.reader(exported("csv", {"measure": "sizes"}).splitlines())
        assert head[-2:] == ["log10_line", "size"]
        assert "forget_bias" in head[:-2]
        assert [row[-2] for row in rows][:2] == ["-0.0", "-1.5"]
        assert rows[1][-1].endswith("e-603")
        assert rows[-1][-1] == ""
        without = exported("csv", {"measure": "counted"}).splitlines()
        assert without == exported("csv", {}).splitlines()

    @pytest.mark.parametrize("more", [{}, {"layers": 2}, {"bidirectional": True}])
    def test_json_nests_figures_by_the_measure_and_fits_its_schema(self, more):
        data = json.loads(exported("json", {"measure": ["sizes", "counted"], **more}))
        jsonschema.Draft202012Validator(results_schema()).validate(data)
        (run,) = data["runs"]
        shown = run if "sizes" in run else run["places"][0]
        assert list(shown["sizes"]) == ["sizes_rms", "h", "sizes_none", "note"]
        assert shown["sizes"]["h"] == {"word": "small"}
        assert shown["log10_line"] == [-1.5 * lag for lag in range(7)]
        assert shown["size"][1].endswith("e-603")
        assert shown["log10_line"] != shown["log10_line"][:-1]

    def test_the_schema_refuses_figures_that_nobody_declares(self):
        data = json.loads(exported("json", {"measure": ["sizes"]}))
        validator = jsonschema.Draft202012Validator(results_schema())
        assert validator.is_valid(data)
        data["runs"][0]["sizes"]["h"]["other"] = 1
        assert not validator.is_valid(data)
        del data["runs"][0]["sizes"]["h"]["other"]
        data["runs"][0]["sizes"]["other"] = 1
        assert not validator.is_valid(data)

    def test_a_table_of_one_run_has_them_below(self):
        text = exported("table", {"measure": ["sizes", "counted"]})
        assert "\ncounted    seen 6.00\n" in text
        assert "h_word small  none –\n" in text
        assert "log10_line" in text
        assert "\n  1  -1.5" in text

    def test_a_note_takes_the_place_of_figures_and_upsets_no_terminal(self):
        asked = {"measure": {"type": "sizes", "which": "none"}}
        assert "sizes      there is nothing: [red]to see[/]" in exported("table", asked)
        assert "sizes: there is nothing" in exported("markdown", asked)

    def test_markdown(self):
        text = exported("markdown", {"measure": ["sizes"]})
        assert "- sizes: rms" in text
        assert "| lag | log10_line | size |" in text


@pytest.mark.usefixtures("measures")
class TestHowItTravels:
    def test_through_a_pipe_and_a_journal(self, tmp_path):
        experiment = gradflow.load({**SMALL, "seed": [0, 1], "measure": ["sizes", "counted"]})
        (bundle,) = bundles(enumerate(experiment.runs))
        bundle = pickle.loads(pickle.dumps(bundle))
        found = pickle.loads(
            pickle.dumps(run_elsewhere(gradflow.__version__, bundle, experiment.thresholds))
        )
        for result, run in zip(found, experiment.runs, strict=True):
            again = result_of(from_json(json.loads(json.dumps(to_json(result)))), run)
            assert again.measures["sizes"].figures == result.measures["sizes"].figures

        def journal():
            return Journal(tmp_path / "kept", experiment.runs, experiment.thresholds)

        with journal() as kept:
            list(execute(experiment, journal=kept))
        with journal() as kept:
            assert kept.finished() == {0, 1}
            assert kept.read(1).measures["counted"].figures == {"counted_seen": 6}
        other = gradflow.load({**SMALL, "seed": [0, 1], "measure": ["counted"]})
        with Journal(tmp_path / "kept", other.runs, other.thresholds) as kept:
            assert kept.finished() == set()

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda m: m["curves"].update(log10_line={"$array": ["<f8", [1], "AAAAAAAAAAA="]}),
            lambda m: m["curves"].update(log10_line=m["curves"]["size"]),
            lambda m: m["curves"].update(other=m["curves"]["log10_line"]),
            lambda m: m["figures"].update(sizes_rms=[1]),
        ],
    )
    def test_a_journal_that_holds_something_else_is_refused(self, spoil):
        experiment = gradflow.load({**SMALL, "measure": ["sizes"]})
        (result,) = gradflow.analyze(experiment)
        data = json.loads(json.dumps(to_json(result)))
        spoil(data["$Result"]["measures"]["sizes"]["$Measured"])
        with pytest.raises(ValueError, match=r"measure|type"):
            result_of(from_json(data), experiment.runs[0])


@pytest.mark.usefixtures("measures")
@pytest.mark.parametrize(
    ("asked", "key", "message"),
    [
        ("size", "measure", 'found "size"; did you mean sizes?'),
        (
            ["sizes", "zzz"],
            "measure[1]",
            'sizes, counted, found "zzz"',
        ),
        (["gradient"], "measure[0]", "gradient is always measured: leave it out"),
        (["sizes", "sizes"], "measure[1]", "sizes is asked for twice"),
        ([3], "measure[0]", "expected the name of a measure or a mapping such as"),
        (
            [{}],
            "measure[0]",
            "the key type is required: expected one of jacobian, ",
        ),
        ([{"typ": "sizes"}], "measure[0].typ", "unknown key; did you mean type?"),
        (
            [{"type": 3}],
            "measure[0].type",
            "sizes, counted, found 3",
        ),
        ([{"type": "sizes", "powr": 2}], "measure[0].powr", "unknown key; did you mean power?"),
        ([{"type": "sizes", "power": 2000000000}], "measure[0].power", "at most 1e+09, found 2"),
        ([{"type": "sizes", "power": 1.5}], "measure[0].power", "a whole number, found 1.5"),
        ([{"type": "sizes", "power": True}], "measure[0].power", "a whole number, found true"),
        ([{"type": "sizes", "floor": -1}], "measure[0].floor", "at least 0, found -1"),
        ([{"type": "sizes", "floor": float("nan")}], "measure[0].floor", "found .nan"),
        ([{"type": "sizes", "which": "al"}], "measure[0].which", "did you mean all?"),
        ([{"type": "sizes", "which": [1]}], "measure[0].which", "one of all, none, found [1]"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(asked, key, message):
    with pytest.raises(InputError) as caught:
        gradflow.load({**SMALL, "measure": asked})
    (fault,) = caught.value.faults
    assert fault.key == key
    assert message in fault.message


def test_faults_have_their_lines(tmp_path, measures):
    config = tmp_path / "c.yaml"
    config.write_text("cell: rnn\nmeasure:\n- sizes\n- {type: counted, count: 3}\nsede: 1\n")
    with pytest.raises(InputError) as caught:
        gradflow.load(str(config))
    assert [(f.line, f.key) for f in caught.value.faults] == [(4, "measure[1].count"), (5, "sede")]


def test_an_experiment_of_nothing_asks_for_nothing():
    assert Experiment((), None, "auto", (1e-3, 1e3), {}).measures == ()
