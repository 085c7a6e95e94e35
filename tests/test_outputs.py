"""Every shipped and every golden config in every format: one set of numbers, which other programs
read as numbers, and which people see rounded."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import subprocess
from pathlib import Path

import duckdb
import jsonschema
import pandas as pd
import polars as pl
import pytest

from command import run
from gradflow.formats import words
from gradflow.formats.columns import CURVES, LAG, MORE_CURVES, NET, PLACE, RUN
from gradflow.formats.json import curve_names
from gradflow.formats.schema import results_schema
from printed import printed, tables

ROOT = Path(__file__).parent.parent
CONFIGS = [*sorted((ROOT / "configs").glob("*.yaml")), *sorted(ROOT.glob("tests/golden/*.yaml"))]
FIELDS = (*RUN, LAG, *NET, *PLACE)
NUMBERS = [field.name for field in FIELDS if field.kind in ("whole", "number")]
NUMBERS += [curve.name for curve in (*CURVES, *MORE_CURVES)]
NUMBERS += ["forget_bias", "update_bias", "proj_size"]

every_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def columns_of(text):
    """Each numeric column as floats, NaN where it is empty; not those that are empty throughout."""
    rows = rows_of(text)
    found = {name: [row[name] for row in rows] for name in NUMBERS if name in rows[0]}
    return {
        name: [float(field or "nan") for field in fields]
        for name, fields in found.items()
        if any(fields)
    }


def same(a, b, rel=0.0):
    if math.isnan(a) or math.isinf(a) or a == 0:
        return a == b or (math.isnan(a) and math.isnan(b))
    return math.isclose(a, b, rel_tol=rel, abs_tol=0)


def assert_same(found, expected, rel=0.0):
    for name, values in expected.items():
        pairs = zip(found[name], values, strict=True)
        assert all(same(math.nan if a is None else float(a), b, rel) for a, b in pairs), name


@every_config
def test_other_programs_read_every_number_of_the_csv_as_a_number(path, tmp_path):
    text = printed(path, "csv")[1]["csv"]
    file = tmp_path / "flow.csv"
    file.write_text(text, encoding="utf-8", newline="")
    expected = columns_of(text)

    frame = pd.read_csv(file)
    assert all(pd.api.types.is_numeric_dtype(frame[name]) for name in expected)
    assert_same(frame, expected, rel=1e-12)  # its own parser is a few last places off

    table = pl.read_csv(file, infer_schema_length=None)
    assert all(table[name].dtype.is_numeric() for name in expected)
    assert_same(table, expected)

    relation = duckdb.connect().read_csv(str(file))
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    assert {types[name] for name in expected} <= {"BIGINT", "DOUBLE"}, types
    rows = zip(*relation.fetchall(), strict=True)
    assert_same(dict(zip(relation.columns, rows, strict=True)), expected)


@every_config
@pytest.mark.skipif(shutil.which("mlr") is None, reason="Miller is not installed")
def test_miller_reads_every_finite_number_as_a_number(path):
    text = printed(path, "csv")[1]["csv"]
    each = 'for (k, v in $*) {$[k] = is_numeric(v) ? fmtnum(v, "%.17le") : typeof(v)}'
    command = ["mlr", "--icsv", "--ocsv", "put", each]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    for ours, theirs in zip(rows_of(text), rows_of(done.stdout), strict=True):
        for name in set(ours) & set(NUMBERS):
            if not ours[name]:
                assert theirs[name] == "empty", (name, theirs[name])
            elif 1e-300 < abs(float(ours[name])) < 1e300 or float(ours[name]) == 0:
                assert float(theirs[name]) == float(ours[name]), name


def curves_of(text):
    """The rows of the CSV by lag, by the run and the place that they tell of."""
    curves = {}
    for row in rows_of(text):
        lag, key = int(row["lag"]), (int(row["run"]), row["layer"], row["direction"])
        assert lag not in curves.setdefault(key, {})
        curves[key][lag] = row
    return curves


def places_of(found):
    """By the same key, the place or whole of a run of the JSON that has a curve."""
    places = {}
    for one in found["runs"]:
        if not one["places"] or one["grad_norm"][0] is not None:
            places[one["run"], "", ""] = one
        for place in one["places"]:
            places[one["run"], str(place["layer"]), place["direction"]] = place
    return places


@every_config
def test_the_json_is_of_its_schema_and_holds_the_numbers_of_the_csv(path):
    results, texts = printed(path, "csv", "json")
    found = json.loads(texts["json"], parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(results_schema()).validate(found)
    places, curves = places_of(found), curves_of(texts["csv"])
    assert set(places) == set(curves)
    for key, rows in curves.items():
        for name in curve_names().keys() & rows[0].keys():
            values = [places[key][name][lag] for lag in rows]
            for value, field in zip(values, (row[name] for row in rows.values()), strict=True):
                assert (value is None) == (field in ("", "-inf")), (key, name)
                assert value is None or value == field or value == float(field), (key, name)
    for one, result in zip(found["runs"], results, strict=True):
        assert one["lags"] == list(range(result.sequence_length + 1))
        assert {name: one[name] for name in (*result.axes, *result.options)} == {
            **result.axes,
            **result.options,
        }


@every_config
def test_the_cells_of_the_markdown_are_the_numbers_of_the_csv(path):
    texts = printed(path, "csv", "json", "markdown")[1]
    summary, *rest = tables(texts["markdown"])
    curves, places = curves_of(texts["csv"]), places_of(json.loads(texts["json"]))
    for cells, place in zip(summary.rows, places.values(), strict=True):
        shown, found = dict(zip(summary.head, cells, strict=True)), place["diagnosis"]
        assert shown["verdict"] == found["verdict"]
        if found["horizon"] is not None:
            assert shown["horizon (lag)"].split()[0] == str(found["horizon"])
        if found["rate"] is not None:
            assert float(shown["rate per step"]) == pytest.approx(found["rate"], rel=0.01)

    alive = [curves[key] for key, place in places.items() if place["grad_norm"][0] is not None]
    assert len(rest) == bool(alive)
    for lags in rest:
        for lag, *numbers in lags.rows:
            if len(places) == 1:
                names = ("grad_norm", "relative", "grad_W_s", "grad_W_x", "share_W_s")
                expected = [alive[0][int(lag)][name] for name in names]
            else:
                expected = [
                    rows[int(lag)]["relative"] if int(lag) in rows else "" for rows in alive
                ]
            assert numbers == [words.short(text) if text else "" for text in expected]


def test_the_json_is_the_same_bytes_however_many_processes_share_the_work():
    config = ROOT / "tests" / "golden" / "seeds.yaml"
    one, two = (
        run("analyze", config, "--format", "json", "--jobs", jobs).stdout for jobs in (1, 2)
    )
    assert one == two
    assert json.loads(one)["provenance"]["blas"]["name"]
