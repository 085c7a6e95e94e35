from __future__ import annotations

import csv
import io
import math

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from made_results import SAMPLES, made
from numpy.testing import assert_allclose, assert_array_equal

from gradflow.axes import AXES, NET_AXES
from gradflow.formats import FORMATS, Look
from gradflow.formats.columns import NET, RUN
from gradflow.formats.csv import header, record
from gradflow.numerics.magnitudes import Magnitudes

HEADER = (
    "run,cell,sequence_length,hidden_size,input_size,batch_size,ws_init,ws_scale,wx_init,wx_scale,"
    "bias_scale,seed,lag,grad_norm,log10_grad_norm,relative,grad_h,grad_c,grad_W_x,grad_W_s,grad_b,"
    "share_W_s,layers,bidirectional,layer,direction,log10_p10,log10_p50,log10_p90,grad_other"
)
"""Scripts elsewhere rely on this order: columns are only ever added, at the right."""
TEXTS = ["cell", "ws_init", "wx_init", "bidirectional", "layer", "direction"]


def exported(results, **look):
    return "".join(FORMATS["csv"].show("results", results, Look(**look)))


def expected(results):
    """All numbers of the file as floats, NaN where a field is empty."""
    rows = []
    for result in results:
        axes = [result.axes[name] for name in AXES if name not in TEXTS]
        lags = range(result.sequence_length + 1)
        layers = result.axes["layers"]
        for lag in lags:
            spread = [math.nan] * 3 if result.flow is None else result.flow.log10_percentiles[lag]
            other = math.nan  # these cells have no other parameters
            own = numbers(result.flow, lag)
            rows.append([result.run, *axes, lag, *own, layers, *spread, other])
    return np.array(rows, dtype=float).reshape(len(rows), -1)


def numbers(flow, lag):
    if flow is None:
        return [math.nan] * 9
    columns = [flow.state, flow.relative, flow.parts["h"], flow.parts.get("c")]
    columns += [flow.terms[name] for name in ("W_x", "W_s", "b_s")]
    floats = [
        math.nan if column is None or lag >= len(column) else float(column[lag].floats())
        for column in columns
    ]
    share = flow.share_W_s[lag] if lag < len(flow.share_W_s) else math.nan
    return [floats[0], float(flow.state[lag].log10()), *floats[1:], share]


def with_csv(text):
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    return [[float(v or "nan") for k, v in row.items() if k not in TEXTS] for row in rows]


def with_pandas(text):
    frame = pd.read_csv(io.StringIO(text))
    with np.errstate(over="ignore"):  # before pandas 3, what is past float range warns
        return frame.drop(columns=list(TEXTS)).to_numpy(dtype=float)


def with_polars(text):
    frame = pl.read_csv(io.BytesIO(text.encode()), infer_schema_length=None)
    return frame.drop(TEXTS).cast(pl.Float64).fill_null(math.nan).to_numpy()


def with_duckdb(text, path):
    path.write_text(text, newline="")
    # A column that begins with -inf is otherwise one of dates.
    names = [name for name in text.partition("\n")[0].split(",") if name.startswith("log10_")]
    types = str(dict.fromkeys(names, "DOUBLE"))
    rows = duckdb.sql(
        f"select * exclude ({', '.join(TEXTS)}) from read_csv('{path}', types={types})"
    ).fetchall()
    return [[math.nan if v is None else float(v) for v in row] for row in rows]


@pytest.mark.parametrize("reader", ["csv", "pandas", "polars", "duckdb"])
@pytest.mark.parametrize(
    "sample", ["one lstm", "dead", "zero from lag 12", "tiny", "huge", "quoted label", "sweep"]
)
def test_every_reader_finds_the_same_numbers(reader, sample, tmp_path):
    results = SAMPLES[sample]()
    text = exported(results)
    if reader == "duckdb":
        found = with_duckdb(text, tmp_path / "runs.csv")
    else:
        found = {"csv": with_csv, "pandas": with_pandas, "polars": with_polars}[reader](text)
    if reader == "pandas":  # whose own parser is fast and a few last places off
        assert_allclose(np.array(found), expected(results), rtol=1e-12, atol=1e-300)
    else:
        assert_array_equal(np.array(found, dtype=float), expected(results))


def test_header_stands_even_without_runs():
    assert exported([]) == HEADER + "\n"


def test_magnitudes_past_float_range_keep_17_digits_and_their_exponent():
    [row] = csv.DictReader(io.StringIO(exported([made(T=2000, rate=0.5)], lags=(2000,))))
    assert row["relative"].endswith("e-603")
    assert len(row["relative"]) == len("1.2345678901234567e-603")
    assert_allclose(float(row["log10_grad_norm"]), math.log10(0.02) - 2000 * math.log10(2))


def test_each_option_of_the_cells_has_a_column():
    runs = [made(options={"forget_bias": 1.0}), made(options={"reset": "a,b", "update_bias": 1e-5})]
    options = ("forget_bias", "reset", "update_bias")
    text = exported(runs, lags=(0,), options=options)
    assert text.startswith(HEADER + ",forget_bias,reset,update_bias\n")
    first, second = csv.DictReader(io.StringIO(text))
    assert [first[name] for name in options] == ["1.0", "", ""]
    assert [second[name] for name in options] == ["", "a,b", "1.0e-05"]
    [row] = csv.DictReader(io.StringIO(exported([made()], lags=(0,), options=("reset",))))
    assert row["reset"] == ""


def test_floats_carry_a_point_whatever_their_size():
    run = made(rate=0.1, start=1e-5, ws_scale=1e-6, T=400)
    rows = list(csv.DictReader(io.StringIO(exported([run]))))
    whole = {"run", "sequence_length", "hidden_size", "input_size", "batch_size", "seed", "lag"}
    for row in rows:
        for name in set(row) - whole - set(TEXTS) - {"layers"}:
            assert "." in row[name] or not row[name], (name, row[name])
    assert rows[0]["ws_scale"] == "1.0e-06"


def test_the_columns_are_those_of_the_documentation_in_their_order():
    assert ",".join(header()) == HEADER
    assert header(("reset",)) == (*header(), "reset")
    assert [field.name for field in RUN] == ["run", *AXES]
    assert [field.name for field in NET] == list(NET_AXES)


def test_fields_are_quoted_only_where_they_must_be():
    assert '"' not in exported([made(cell="rnn[activation=linear]")])
    [row] = csv.DictReader(io.StringIO(exported([made(cell='rnn[f="a,b"]')], lags=(0,))))
    assert row["cell"] == 'rnn[f="a,b"]'


def test_a_diverged_run_has_its_rows_with_empty_magnitudes():
    header, *rows = csv.reader(io.StringIO(exported([made(rate=None, T=5)])))
    assert [row[header.index("lag")] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert {field for row in rows for field in row[13:22]} == {""}


def test_zero_and_undefined_numbers():
    rows = list(csv.DictReader(io.StringIO(exported([made(T=3, zero_from=0)]))))
    assert [row["log10_grad_norm"] for row in rows] == ["-inf"] * 4
    assert [row["grad_norm"] for row in rows] == ["0.0"] * 4
    assert [row["relative"] for row in rows] == [""] * 4


def test_a_list_of_lags_thins_the_rows():
    rows = list(csv.DictReader(io.StringIO(exported([made(T=9)], lags=(0, 4, 9, 30)))))
    assert [row["lag"] for row in rows] == ["0", "4", "9"]
    assert [row["grad_W_s"] == "" for row in rows] == [False, False, True]


def test_rows_stream_run_by_run_in_blocks():
    drawn = []

    def runs():
        for run in range(2):
            drawn.append(run)
            yield made(run, T=10_000)

    pieces = FORMATS["csv"].show("results", runs(), Look())
    assert next(pieces) == HEADER + "\n"
    assert drawn == []
    blocks = [next(pieces), next(pieces), next(pieces)]
    assert drawn == [0]
    assert sum(block.count("\n") for block in blocks) == 10_001
    assert max(block.count("\n") for block in blocks) < 5000
    assert next(pieces).startswith("1,rnn,")


def test_one_record_of_every_kind_of_value():
    values = ["a\rb", 'c"d', None, math.nan, True, 3, 1e-05, np.float64(0.5), math.inf]
    text = record([*values, Magnitudes.of(np.array(0.5), -2000)])
    assert text == '"a\rb","c""d",,,true,3,1.0e-05,0.5,inf,4.3549049081086083e-603\n'
