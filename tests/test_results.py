"""`Results`: a sequence that shows, saves, draws and turns into data frames."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

import gradflow
from gradflow.formats import FORMATS

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 12, "input_size": 3}
SWEEP = {"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.5], **SMALL}
STACK = {"cell": "gru", "layers": 2, "measure": ["gates", "paths"], **SMALL}


@pytest.fixture(scope="module", params=[SWEEP, STACK], ids=["sweep", "stack"])
def results(request):
    return gradflow.analyze(request.param)


def test_a_sequence_with_a_short_repr(results):
    assert len(results) == len(list(results))
    assert isinstance(results[0], gradflow.Result)
    assert isinstance(results[:1], gradflow.Results)
    assert results[-1] is list(results)[-1]
    assert len(repr(results)) < 80
    assert repr(gradflow.analyze(SWEEP)) == "<Results: 4 runs, 2 vanishing, 2 stable>"


def test_columns_are_those_of_the_csv(results):
    text = "".join(FORMATS["csv"].show("results", results, results.look))
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = results.columns()
    assert list(columns) == list(rows[0])
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            if row[name] == "":
                assert value is None or np.isnan(value), name
            elif isinstance(value, bool | str):
                assert row[name] == str(value).lower() or row[name] == value
            else:
                assert float(row[name]) == float(value), name


def test_runs_are_those_of_rows_runs(results):
    text = "".join(FORMATS["csv"].show("runs", results, results.look))
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = results.columns("runs")
    assert list(columns) == list(rows[0])
    assert [row["verdict"] for row in rows] == list(columns["verdict"])
    with pytest.raises(gradflow.InputError, match="expected rows='lags' or rows='runs'"):
        results.columns("columns")


def test_data_frames(results):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = results.to_pandas()
    assert frame["grad_norm"].dtype == np.float64
    assert frame["lag"].dtype == np.int64
    assert len(frame) == results.to_polars().height
    assert results.to_polars()["grad_norm"].dtype == polars.Float64
    runs = results.to_pandas("runs")
    assert isinstance(runs, pandas.DataFrame)
    assert len(runs) == len(results)
    by_cell = frame[frame["lag"] == 5].groupby("cell")["log10_grad_norm"].max()
    assert np.isfinite(by_cell).all()


def test_what_is_missing_is_null_in_polars_and_nan_in_pandas():
    """Else every mean and maximum of a column that some cells do not have were NaN in polars."""
    polars = pytest.importorskip("polars")
    pytest.importorskip("pandas")
    found = gradflow.analyze(SWEEP)
    frame, pandas = found.to_polars(), found.to_pandas()
    assert frame["grad_c"].null_count() == 2 * 13 == pandas["grad_c"].isna().sum()
    assert frame["grad_c"].mean() == pytest.approx(pandas["grad_c"].mean(), rel=1e-12)
    assert frame["grad_W_s"].max() == pandas["grad_W_s"].max()
    assert not any(frame[name].is_nan().any() for name in frame.columns
                   if frame[name].dtype == polars.Float64)  # fmt: skip


@pytest.mark.parametrize("rows", ["lags", "runs"])
def test_columns_have_one_type_whatever_is_in_them(rows):
    """Frames of several experiments can be put below each other."""
    pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    configs = [SWEEP, {**SWEEP, "ws_scale": 1e-9}, {"cell": "rnn", "bidirectional": True, **SMALL},
               {"cell": "mingru", **SMALL}, {"cell": "gru", "layers": 2, **SMALL}]  # fmt: skip
    found = [gradflow.analyze(config) for config in configs]
    schemas = [one.to_polars(rows).schema for one in found]
    types: dict[str, set[object]] = {}
    for schema in schemas:
        for name, kind in schema.items():
            types.setdefault(name, set()).add(kind)
    assert all(len(kinds) == 1 for kinds in types.values()), types
    assert types["run"] == types["seed"] == types["layers"] == {polars.Int64}
    if rows == "runs":
        assert types["horizon"] == types["rate"] == types["total_W_x"] == {polars.Float64}
        assert types["verdict"] == types["no_rate"] == {polars.String}
    else:
        assert types["layer"] == {polars.Int64}
        assert types["direction"] == {polars.String}
    joined = polars.concat([one.to_polars(rows) for one in found], how="diagonal")
    assert joined.height == sum(len(one.to_pandas(rows)) for one in found)


def test_xarray_has_the_axes_of_the_sweep():
    pytest.importorskip("xarray")
    found = gradflow.analyze({**SWEEP, "measure": ["paths"]})
    data = found.to_xarray()
    assert dict(data.sizes) == {"cell": 2, "ws_scale": 2, "lag": 13}
    for result in found:
        at = {name: result.axes[name] for name in result.varied}
        own = data.sel(at)
        np.testing.assert_array_equal(own.relative, result.flow.relative)
        assert own.verdict == result.diagnosis.verdict
        assert own.rate == result.diagnosis.rate
        direct = result.measures["paths"].curves["direct_share"] if at["cell"] == "lstm" else np.nan
        np.testing.assert_array_equal(own.direct_share, np.broadcast_to(direct, 13))
    assert "‖∂L_n/∂s_{T-k}‖₂" in data.grad_norm.description
    assert data.isel(lag=slice(0, 3)).relative.mean("lag").sizes == {"cell": 2, "ws_scale": 2}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_rows_of_a_frame_are_those_of_the_csv(tmp_path, layers, bidirectional):
    pandas = pytest.importorskip("pandas")
    net = {"cell": "rnn", "layers": layers, "bidirectional": bidirectional, **SMALL}
    results = gradflow.analyze(net)
    results.save(tmp_path / "r.csv")
    frame, read = results.to_pandas(), pandas.read_csv(tmp_path / "r.csv")
    for name in ("lag", "layer", "grad_norm", "grad_W_s"):  # pandas' parser: a few last places off
        np.testing.assert_allclose(frame[name].astype(float), read[name].astype(float), rtol=1e-11)
    texts = [[v if isinstance(v, str) else "" for v in f.direction] for f in (frame, read)]
    assert texts[0] == texts[1]


def test_xarray_of_layers_and_of_cells_without_a_setting():
    pytest.importorskip("xarray")
    both = {"cell": "gru", "layers": 2, "bidirectional": True, **SMALL}
    [result] = found = gradflow.analyze(both)
    data = found.to_xarray()
    assert data.place.values.tolist() == ["l0", "l0_reverse", "l1", "l1_reverse"]
    np.testing.assert_array_equal(data.relative.sel(place="l1"), result.layers[2].flow.relative)
    stack = gradflow.analyze(STACK).to_xarray()
    assert stack.place.values.tolist() == ["net", "l0", "l1"]
    gates = gradflow.analyze({"cell": ["gru", "mingru"], "ws_scale": [0.5, 1], **SMALL}).to_xarray()
    assert gates.ws_scale.dtype == np.float64  # NaN is the mingru's, which has no W_s
    assert gates.rate.sel(cell="gru", ws_scale=0.5).notnull()
    assert gates.rate.sel(cell="mingru").notnull().sum() == 1


def test_xarray_has_the_options_of_the_cells_and_may_be_empty():
    pytest.importorskip("xarray")
    swept = {"cell": [{"type": "lstm", "forget_bias": [0.0, 2.0]}, "rnn"], "seed": [0, 1]}
    data = gradflow.analyze({**SMALL, **swept}).to_xarray()
    assert data.forget_bias.dims == ("cell",)
    assert data.forget_bias.values[:2].tolist() == [0.0, 2.0]
    assert np.isnan(float(data.forget_bias[2]))
    assert "chrono" not in data.coords or data.chrono.isnull().any()
    of_lstm = data.isel(cell=[0, 1]).swap_dims(cell="forget_bias")
    assert of_lstm.relative.sel(forget_bias=2.0, seed=1, lag=5) > 0
    assert not gradflow.analyze(SWEEP)[:0].to_xarray().sizes


@pytest.mark.parametrize(
    "swept",
    [
        {"cell": "lstm", "ws_scale": [1, 1.0, 2]},
        {"cell": {"type": "lstm", "forget_bias": [2.0, 2.0000000001]}},
        {"cell": ["lstm", "lstm"]},
        {"cell": ["mingru", "rnn", "rnn"], "ws_scale": [0.5, 2.0], "layers": 2},
    ],
)
def test_xarray_keeps_runs_of_equal_settings(swept):
    pytest.importorskip("xarray")
    found = gradflow.analyze({**SMALL, **swept})
    data = found.to_xarray()
    assert data.sizes["run"] == len(found)
    for result in found:
        own = data.sel(run=result.run)
        curve = own.relative.sel(place="l1") if result.layers else own.relative
        part = result.layers[1] if result.layers else result
        np.testing.assert_array_equal(curve, part.flow.relative)
        assert own.rate.equals(own.rate.copy(data=result.diagnosis.rate))
        for name in result.varied:
            value = result.axes[name]
            assert np.isnan(own[name]) if value is None else own[name] == value


def test_representations_are_short():
    [result] = gradflow.analyze(STACK)
    shown = [result, result.flow, *result.layers, *result.measures.values(), gradflow.load(SWEEP),
             gradflow.load(SWEEP).runs[0], gradflow.CELLS["lstm"](forget_bias=1.0),
             *gradflow.verify(STACK), *gradflow.explain(SWEEP, advice=False),
             *gradflow.critical({"cell": "rnn", **SMALL}),
             gradflow.check({**STACK, "expect": {"horizon": {"min": 3}}})]  # fmt: skip
    for one in shown:
        assert len(repr(one)) < 110, repr(one)
        assert type(one).__name__.removeprefix("CellType").lower()[:4] in repr(one).lower()
    first = gradflow.analyze(SWEEP)[0]
    assert repr(first).startswith("<Result 0: rnn W_s×0.5, vanishing, rate 0.2")
    assert len(repr(gradflow.CELLS)) < 400


def test_a_name_of_a_run_asked_of_results_says_where_it_is():
    results = gradflow.analyze(SWEEP)
    with pytest.raises(AttributeError, match=r"each of its runs has one: results\[0\].flow"):
        results.flow  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'flo'$"):
        results.flo  # noqa: B018
    assert not hasattr(results, "__array__")


def test_save_and_load(results, tmp_path):
    results.save(tmp_path / "r.json")
    again = gradflow.load_results(tmp_path / "r.json")
    assert repr(again) == repr(results)
    assert str(again) == str(results)
    for name, values in results.columns().items():
        np.testing.assert_array_equal(again.columns()[name], values, err_msg=name)
    results.save(tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text().startswith("run,cell,")
    with pytest.raises(gradflow.InputError, match="expected a name that ends in"):
        results.save(tmp_path / "r.xlsx")


def test_html_is_escaped_and_short():
    results = gradflow.analyze({**SWEEP, "title": "<b>", "seed": list(range(5))})
    text = results._repr_html_()
    assert text.count("<tr>") == 13
    assert "and 8 more" in text
    assert "<b>" not in text


def test_plot():
    pyplot = pytest.importorskip("matplotlib.figure")
    results = gradflow.analyze(SWEEP)
    assert isinstance(results.plot(), pyplot.Figure)
    ax = pyplot.Figure().subplots()
    one = results[:1]
    assert one.plot(ax) is ax
    assert any(len(line.get_ydata()) == 13 for line in ax.lines)
    with pytest.raises(gradflow.InputError, match=r"take 2 panels, or \d with a run each, found 1"):
        results.plot(ax)


def test_plot_into_as_many_axes_as_there_are_panels():
    pyplot = pytest.importorskip("matplotlib.figure")
    results = gradflow.analyze(SWEEP)
    axes = pyplot.Figure().subplots(1, 2)
    assert results.plot(axes) is axes
    assert [ax.get_title(loc="left") for ax in axes] == [
        ax.get_title(loc="left") for ax in results.plot().axes
    ]
    assert all(any(len(line.get_ydata()) == 13 for line in ax.lines) for ax in axes)
    single = pyplot.Figure().subplots(1, 1, squeeze=False)
    assert results[:1].plot(single) is single
    for wrong in (3, "ax", [], pyplot.Figure(), [axes[0], None], np.zeros(2)):
        with pytest.raises(gradflow.InputError, match="ax: expected matplotlib axes, or an array"):
            results.plot(wrong)
    with pytest.raises(gradflow.InputError, match=r"take 2 panels, .* found 6 axes"):
        results.plot(pyplot.Figure().subplots(2, 3))


def test_an_array_as_input():
    x = np.random.default_rng(0).normal(size=(20, 3))
    [result] = gradflow.analyze({"cell": "gru", "hidden_size": 4}, input=x)
    axes = result.axes
    assert (axes["sequence_length"], axes["batch_size"], axes["input_size"]) == (20, 1, 3)
    [batch] = gradflow.analyze({"cell": "gru", "hidden_size": 4}, input=np.stack([x, x], axis=1))
    assert batch.axes["batch_size"] == 2
    assert result.flow.state.shape == (21,)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("x.csv", "expected an array of numbers, found a str"),
        (np.full((3, 2), 1 + 2j), "expected an array of real numbers, found complex128"),
        ([[1, 2j]], "expected an array of real numbers, found complex128"),
        (np.full((3, 2), 1, dtype="m8[s]"), r"real numbers, found timedelta64\[s\]"),
        ([[1, 2], [3]], "expected an array of numbers, found a list"),
        (np.ones(3), r"expected an array of shape \(T, I\) or \(T, N, I\), found \(3,\)"),
        (np.full((3, 2), np.nan), "expected finite numbers"),
    ],
)
def test_what_is_no_input(bad, message):
    with pytest.raises(gradflow.InputError, match=message):
        gradflow.analyze({"cell": "rnn"}, input=bad)


def test_yaml_text_is_a_config():
    [result] = gradflow.analyze("cell: lstm\nsequence_length: 5\nhidden_size: 4")
    assert result.sequence_length == 5
    with pytest.raises(gradflow.InputError):
        gradflow.analyze("cell: lstm\ncell: rnn")


def test_verify_explain_and_critical_take_configs():
    [verification] = gradflow.verify({"cell": "gru", **SMALL})
    assert all(c.holds for c in verification.comparisons)
    [explanation] = gradflow.explain({"cell": "gru", **SMALL}, advice=False)
    assert explanation.factors[""].factors
    linear = {"type": "rnn", "activation": "linear"}
    [found] = gradflow.critical({"cell": linear, "ws_init": "orthogonal", **SMALL})
    assert found.value == pytest.approx(1)


def test_curves_by_place():
    configs = {"net": {}, "net l0 l1": {"layers": 2}, "l0 l0_reverse": {"bidirectional": True},
               "l0 l0_reverse l1 l1_reverse": {"layers": 2, "bidirectional": True},
               "": {"cell": {"type": "rnn", "activation": "linear"}, "ws_scale": 1e90}}  # fmt: skip
    for places, more in configs.items():
        [result] = gradflow.analyze({"cell": "gru", **SMALL, **more})
        assert " ".join(result.flows) == places
        for place, flow in result.flows.items():
            parts = {part.place: part.flow for part in result.layers}
            assert flow is parts.get(place, result.flow)


def test_some_of_the_runs_are_shown_with_what_they_have_in_common(tmp_path):
    results = gradflow.analyze({**SMALL, "cell": ["rnn", "lstm"], "seed": [0, 1]})
    last, of_seed = results[3:4], results[::2]
    assert str(last).startswith("lstm · ")
    assert " · seed 1 " in " ".join(str(last).splitlines()[:2])
    assert last[0].varied == ()
    assert of_seed[0].varied == ("cell",)
    assert "seed 0" in " ".join(str(of_seed).splitlines()[:2])
    assert results[:2][0].varied == ("seed",)
    assert results[:][0] is results[0]
    last.save(tmp_path / "last.json")
    assert str(gradflow.load_results(tmp_path / "last.json")) == str(last)


def test_no_runs_have_their_columns_and_nothing_to_draw():
    pytest.importorskip("matplotlib")
    results = gradflow.analyze({"cell": "rnn", "measure": ["lyapunov"], **SMALL})
    none = results[:0]
    assert list(none.columns()) == list(results.columns())
    assert none.columns()["lag"].dtype == np.int64
    assert len(none.to_pandas()) == 0
    assert none.to_polars().columns == results.to_polars().columns
    with pytest.raises(gradflow.InputError, match="nothing to draw: there are no runs"):
        none.plot()
